/* test_spf_record.c - the grammar of SPF records. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "proof/spf_record.h"

/* The terms of a record, as this test writes them: "result mechanism domain /v4 //v6 network;". */
static void describe(struct span terms, struct buf *out)
{
    static const char *const names[] = {"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"};
    struct spf_term t;
    while (spf_record_next(&terms, &t)) {
        char network[NETADDR_TEXT_MAX];
        assert_int_equal(buf_printf(out, "%s %s", spf_result_text(t.result), names[t.mechanism]), ERR_OK);
        if (t.domain.len > 0)
            assert_int_equal(buf_printf(out, " %.*s", (int)t.domain.len, t.domain.ptr), ERR_OK);
        if (t.bits_v4 != 32)
            assert_int_equal(buf_printf(out, " /%u", t.bits_v4), ERR_OK);
        if (t.bits_v6 != 128)
            assert_int_equal(buf_printf(out, " //%u", t.bits_v6), ERR_OK);
        if (t.mechanism == SPF_IP4 || t.mechanism == SPF_IP6) {
            netaddr_text(&t.network, network);
            assert_int_equal(buf_printf(out, " %s", network), ERR_OK);
        }
        assert_int_equal(buf_append_char(out, ';'), ERR_OK);
    }
}

static const struct {
    const char *record, *terms, *redirect, *exp;
} good[] = {
    {"v=spf1", "", "", ""},
    {"V=spf1   ", "", "", ""},
    {"v=spf1 all", "pass all;", "", ""},
    {"v=spf1 +all -all ~ALL ?aLL", "pass all;fail all;softfail all;neutral all;", "", ""},
    {"v=spf1  a  mx ", "pass a;pass mx;", "", ""},
    {"v=spf1 a/24 a//64 a/0//0", "pass a /24;pass a //64;pass a /0 //0;", "", ""},
    {"v=spf1 a:x.example/24//64", "pass a x.example /24 //64;", "", ""},
    {"v=spf1 mx:%{d}/32//128", "pass mx %{d};", "", ""},
    {"v=spf1 a:x/24.example", "pass a x/24.example;", "", ""},
    {"v=spf1 a:a=b.example", "pass a a=b.example;", "", ""},
    {"v=spf1 ptr ptr:x.example", "pass ptr;pass ptr x.example;", "", ""},
    {"v=spf1 exists:%{ir}.x.example include:y.example", "pass exists %{ir}.x.example;pass include y.example;",
     "", ""},
    {"v=spf1 ip4:192.0.2.1 ip4:192.0.2.1/8", "pass ip4 192.0.2.1;pass ip4 /8 192.0.2.1;", "", ""},
    {"v=spf1 ip6:2001:db8::1/32 ip6:::1", "pass ip6 //32 2001:db8::1;pass ip6 ::1;", "", ""},
    {"v=spf1 redirect=x.example a exp=y.example all", "pass a;pass all;", "x.example", "y.example"},
    {"v=spf1 REDIRECT=x.example Exp=%{d}", "", "x.example", "%{d}"},
    {"v=spf1 other= a-b_c.d=%{c}:/=", "", "", ""},
    {"v=spf1 a.b=c ra=all", "", "", ""},
};

static void records_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct spf_record r;
        struct span bad;
        struct buf out;
        buf_init(&out, 1024);
        assert_true(spf_record_is_candidate(span_of(good[i].record)));
        if (spf_record_parse(span_of(good[i].record), &r, &bad) != ERR_OK)
            fail_msg("%s: %.*s", good[i].record, (int)bad.len, bad.ptr);
        describe(r.terms, &out);
        if (strcmp(buf_cstr(&out), good[i].terms) != 0 || !span_is(r.redirect, good[i].redirect) ||
            !span_is(r.exp, good[i].exp))
            fail_msg("%s: %s", good[i].record, buf_cstr(&out));
        buf_free(&out);
    }
}

/* The second word is at fault. */
static const char *const bad[] = {
    "v=spf1 foo",
    "v=spf1 al",
    "v=spf1 all:x.example",
    "v=spf1 all/8",
    "v=spf1 ++all",
    "v=spf1 -",
    "v=spf1 :",
    "v=spf1 =x",
    "v=spf1 1a=x",
    "v=spf1 -a=b",
    "v=spf1 a:",
    "v=spf1 a/",
    "v=spf1 a/33",
    "v=spf1 a//129",
    "v=spf1 a/024",
    "v=spf1 a//",
    "v=spf1 a/24/64",
    "v=spf1 a//64/24",
    "v=spf1 a:x",
    "v=spf1 a:/24",
    "v=spf1 a:x.example/",
    "v=spf1 mx:x.1",
    "v=spf1 ptr:",
    "v=spf1 ptr/24",
    "v=spf1 include",
    "v=spf1 include:",
    "v=spf1 include/8",
    "v=spf1 exists",
    "v=spf1 exists:x.y/24",
    "v=spf1 ip4",
    "v=spf1 ip4:",
    "v=spf1 ip4:1.2.3",
    "v=spf1 ip4:::1",
    "v=spf1 ip4:1.2.3.4/33",
    "v=spf1 ip4:1.2.3.4/",
    "v=spf1 ip4/24",
    "v=spf1 ip4:1.2.3.4//32",
    "v=spf1 ip6:1.2.3.4",
    "v=spf1 ip6:::1/129",
    "v=spf1 ip6:[::1]",
    "v=spf1 ip4:01.2.3.4",
    "v=spf1 redirect=",
    "v=spf1 redirect=x",
    "v=spf1 exp=",
    "v=spf1 exp=%{c}",
    "v=spf1 redirect:x.example",
    "v=spf1 foo=%",
    "v=spf1 a\tmx",
    "v=spf1 a,mx",
    "v=spf1 a:\xc3\xa9.example",
    "v=spf1 \x80",
    "v=spf1 a:x.example\n",
};

static void a_malformed_term_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct spf_record r;
        struct span term = {0};
        char record[128];
        assert_true(spf_record_is_candidate(span_of(bad[i])));
        if (spf_record_parse(span_of(bad[i]), &r, &term) != ERR_SYNTAX || !span_is(term, bad[i] + 7))
            fail_msg("%s: %.*s", bad[i], (int)term.len, term.ptr);
        /* wherever it stands */
        snprintf(record, sizeof record, "v=spf1 all %s -all", bad[i] + 7);
        assert_int_equal(spf_record_parse(span_of(record), &r, &term), ERR_SYNTAX);
    }
    static const struct span with_nul = SPAN_LITERAL("v=spf1 \0 all");
    static const struct span twice[] = {SPAN_LITERAL("v=spf1 exp=a.example exp=b.example"),
                                        SPAN_LITERAL("v=spf1 redirect=a.example all REDIRECT=a.example")};
    struct spf_record r;
    struct span term;
    assert_int_equal(spf_record_parse(with_nul, &r, &term), ERR_SYNTAX);
    for (size_t i = 0; i < COUNT(twice); i++)
        assert_int_equal(spf_record_parse(twice[i], &r, &term), ERR_SYNTAX);
}

static void other_records_are_no_candidates(void **state)
{
    static const char *const others[] = {
        "",        "v=spf",    "v=spf1.",          "v=spf10 all", "v=spf1\tall",
        " v=spf1", "spf1 all", "v=spf2.0/pra all", "\"v=spf1\""};
    (void)state;
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(spf_record_is_candidate(span_of(others[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read),
        cmocka_unit_test(a_malformed_term_is_named),
        cmocka_unit_test(other_records_are_no_candidates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
