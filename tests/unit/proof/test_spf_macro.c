/* test_spf_macro.c - macro strings: the examples of RFC 7208 7.4 and what they leave open. */
#include "unit.h"

#include <string.h>

#include "proof/spf_macro.h"

static const struct spf_macro_values v4 = {
    .local = "strong-bad",
    .sender_domain = "email.example.com",
    .domain = "email.example.com",
    .helo = "Mail.example",
    .confirmed_name = "mx.example.org",
    .receiver = "mx.b.example",
    .client = {.byte = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 3}, .family = AF_INET},
    .now_s = 1797811200};
static const struct spf_macro_values v6 = {
    .local = "a..b-c=d/e",
    .sender_domain = "x",
    .domain = "y",
    .helo = "",
    .confirmed_name = "unknown",
    .receiver = "unknown",
    .client = {.byte = {0x20, 0x01, 0x0d, 0xb8, [14] = 0xcb, [15] = 0x01}, .family = AF_INET6}};

static const struct {
    const char *text, *want;
    const struct spf_macro_values *values;
} expansions[] = {
    {"%{s}", "strong-bad@email.example.com", &v4},
    {"%{o}", "email.example.com", &v4},
    {"%{d}", "email.example.com", &v4},
    {"%{d4}", "email.example.com", &v4},
    {"%{d3}", "email.example.com", &v4},
    {"%{d2}", "example.com", &v4},
    {"%{d1}", "com", &v4},
    {"%{dr}", "com.example.email", &v4},
    {"%{d2r}", "example.email", &v4},
    {"%{l}", "strong-bad", &v4},
    {"%{l-}", "strong.bad", &v4},
    {"%{lr}", "strong-bad", &v4},
    {"%{lr-}", "bad.strong", &v4},
    {"%{l1r-}", "strong", &v4},
    {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com", &v4},
    {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com", &v4},
    {"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com", &v4},
    {"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com", &v4},
    {"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net", &v4},
    {"%{ir}.%{v}._spf.y", "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.y", &v6},
    {"%{c} %{i3}", "2001:db8::cb01 B.0.1", &v6},
    {"%{h} %{H1} %{p} %{r} %{t}", "Mail.example example mx.example.org mx.b.example 1797811200", &v4},
    {"%%%_%-", "% %20", &v4},
    {"%{S}", "strong-bad%40email.example.com", &v4},
    {"%{DR}", "com.example.email", &v4},
    {"%{l}", "a..b-c=d/e", &v6},
    {"%{lr}", "b-c=d/e..a", &v6},
    {"%{l2}", ".b-c=d/e", &v6},
    {"%{l.-=/}", "a..b.c.d.e", &v6},
    {"%{l3r.-=/}", "b..a", &v6},
    {"%{L-}", "a..b.c%3Dd%2Fe", &v6},
    {"%{l99999999999999999999999999}", "a..b-c=d/e", &v6},
    {"x%{h}%{hr}%{h1}y", "xy", &v6},
    {"", "", &v4},
};

static void expansions_are_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(expansions); i++) {
        struct buf out;
        buf_init(&out, 256);
        assert_true(spf_macro_valid(span_of(expansions[i].text), SPF_MACRO_EXPLANATION));
        assert_int_equal(spf_macro_expand(span_of(expansions[i].text), expansions[i].values, &out), ERR_OK);
        if (strcmp(buf_cstr(&out), expansions[i].want) != 0)
            fail_msg("%s: %s", expansions[i].text, buf_cstr(&out));
        buf_free(&out);
    }
}

static void expansions_are_bounded(void **state)
{
    static char local[3000], text[2000];
    struct spf_macro_values values = v4;
    struct buf out;
    (void)state;
    memset(local, '.', sizeof local - 1);
    values.local = local;
    static const char *const forms[] = {"%{l}", "%{s}", "%{lr}", "%{l128}"};
    for (size_t i = 0; i < COUNT(forms); i++) {
        buf_init(&out, 256);
        assert_int_equal(spf_macro_expand(span_of(forms[i]), &values, &out), ERR_TOO_LARGE);
        buf_free(&out);
    }
    for (size_t i = 0; i + 4 < sizeof text; i += 4)
        memcpy(text + i, "%{d}", 5);
    buf_init(&out, 256);
    assert_int_equal(spf_macro_expand(span_of(text), &v4, &out), ERR_TOO_LARGE);
    assert_true(out.len <= 256);
    buf_free(&out);
}

static const struct {
    const char *text;
    bool domain, modifier, explanation;
} valid[] = {
    {"a.example", true, true, true},
    {"a.example.", true, true, true},
    {".example", true, true, true},
    {"a..example", true, true, true},
    {"%{d}", true, true, true},
    {"%{d}.example", true, true, true},
    {"foo:bar/baz.example", true, true, true},
    {"a.%%", true, true, true},
    {"", false, true, true},
    {"example", false, true, true},
    {"%{d}example", false, true, true},
    {"a.%{d}b", false, true, true},
    {"%{d}.", false, true, true},
    {"a.1", false, true, true},
    {"a.-b", false, true, true},
    {"a.b-", false, true, true},
    {"a.b_c", false, true, true},
    {"a.1-2", true, true, true},
    {"%{c}", false, true, true},
    {"%{R}.a.example", false, true, true},
    {"%{t}.a.example", false, true, true},
    {"a b.example", false, false, true},
    {"a\tb.example", false, false, false},
    {"\xc3\xa9.example", false, false, false},
    {"%", false, false, false},
    {"%a", false, false, false},
    {"%{", false, false, false},
    {"%{}", false, false, false},
    {"%{d", false, false, false},
    {"%{x}", false, false, false},
    {"%{1}", false, false, false},
    {"%{d0}", false, false, false},
    {"%{d00}", false, false, false},
    {"%{dr2}", false, false, false},
    {"%{d*}", false, false, false},
    {"%{d rr}", false, false, false},
    {"%{dd}", false, false, false},
};

static void syntax_is_checked_by_use(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(valid); i++) {
        struct span text = span_of(valid[i].text);
        if (spf_macro_valid(text, SPF_MACRO_DOMAIN) != valid[i].domain ||
            spf_macro_valid(text, SPF_MACRO_MODIFIER) != valid[i].modifier ||
            spf_macro_valid(text, SPF_MACRO_EXPLANATION) != valid[i].explanation)
            fail_msg("%s", valid[i].text);
    }
    assert_false(spf_macro_valid(SPAN_LITERAL("a\0.example"), SPF_MACRO_EXPLANATION));
    assert_false(spf_macro_valid(SPAN_LITERAL("%{d\0}"), SPF_MACRO_EXPLANATION));
}

static void used_letters_are_found(void **state)
{
    (void)state;
    assert_true(spf_macro_uses(span_of("a.%{L1r-}.b"), "sl"));
    assert_false(spf_macro_uses(span_of("sl.%%{l}%{d}"), "sl"));
    assert_false(spf_macro_uses(span_of(""), "sl"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expansions_are_right),
        cmocka_unit_test(expansions_are_bounded),
        cmocka_unit_test(syntax_is_checked_by_use),
        cmocka_unit_test(used_letters_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
