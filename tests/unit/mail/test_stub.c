/* test_stub.c - the Restante-Stub field: what is taken, what is refused and why, and what we write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mail/stub.h"

#define U "u=https://pull.a.example/restante/1/AAEAAQIDBAUGBwgJCgsMDQ/8PHy8_T19vf4-fr7_P3-_w;"
#define A "a=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA;"
#define D "d=AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA;"
#define F "f=alice@a.example;"
#define T "t=bob@b.example;"
#define S "s=81234;"
#define X "x=1797811200"

static const char *const good[] = {
    " v=1; " U " " A " " D "\r\n " F " " T " " S " " X,
    "v=1;" U A D F T S X,
    "v=1;" U A D F T S X ";",
    " v=1;" U A D F T S X " ; ",
    " v = 1 ;\r\n " U "\t" A D F T S X "\r\n ",
    " v=1;" X ";" S T F D A U,
    " v=1;" U A D "f=ali\r\n ce@a.exam\r\n\tple;" T S X,
    " v=1;" U A D "f=al=69ce@a.example;" T S X,
};

static void good_stubs_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct stub s;
        struct buf why;
        char text[ADDRESS_TEXT_MAX];
        buf_init(&why, 1000);
        if (stub_parse(span_of(good[i]), &s, &why) != ERR_OK)
            fail_msg("%s: %s", good[i], buf_cstr(&why));
        assert_string_equal(
            s.url, "https://pull.a.example/restante/1/AAEAAQIDBAUGBwgJCgsMDQ/8PHy8_T19vf4-fr7_P3-_w");
        assert_int_equal(s.ka[0], 0);
        assert_int_equal(s.kd[0], 1);
        address_text(&s.from, text);
        assert_string_equal(text, "alice@a.example");
        address_text(&s.to, text);
        assert_string_equal(text, "bob@b.example");
        assert_int_equal(s.size_bytes, 81234);
        assert_int_equal(s.expires_s, 1797811200);
        stub_wipe(&s);
        buf_free(&why);
    }
}

static const struct {
    const char *name;
    struct span value;
    enum err want;
} bad[] = {
    {"empty", SPAN_LITERAL(""), ERR_STUB_SYNTAX},
    {"version 2", SPAN_LITERAL("v=2;" U A D F T S X), ERR_STUB_SYNTAX},
    {"version 01", SPAN_LITERAL("v=01;" U A D F T S X), ERR_STUB_SYNTAX},
    {"v not first", SPAN_LITERAL(U "v=1;" A D F T S X), ERR_STUB_SYNTAX},
    {"no v", SPAN_LITERAL(U A D F T S X), ERR_STUB_SYNTAX},
    {"no u", SPAN_LITERAL("v=1;" A D F T S X), ERR_STUB_SYNTAX},
    {"no a", SPAN_LITERAL("v=1;" U D F T S X), ERR_STUB_SYNTAX},
    {"no d", SPAN_LITERAL("v=1;" U A F T S X), ERR_STUB_SYNTAX},
    {"no f", SPAN_LITERAL("v=1;" U A D T S X), ERR_STUB_SYNTAX},
    {"no t", SPAN_LITERAL("v=1;" U A D F S X), ERR_STUB_SYNTAX},
    {"no s", SPAN_LITERAL("v=1;" U A D F T X), ERR_STUB_SYNTAX},
    {"no x", SPAN_LITERAL("v=1;" U A D F T S), ERR_STUB_SYNTAX},
    {"two URLs", SPAN_LITERAL("v=1;" U U A D F T S X), ERR_STUB_SYNTAX},
    {"two recipients", SPAN_LITERAL("v=1;" U A D F T T S X), ERR_STUB_SYNTAX},
    {"unknown tag", SPAN_LITERAL("v=1;" U A D F T S X ";y=1"), ERR_STUB_SYNTAX},
    {"upper-case tag", SPAN_LITERAL("V=1;" U A D F T S X), ERR_STUB_SYNTAX},
    {"long tag name", SPAN_LITERAL("v=1;" U A D F T S X ";xx=1"), ERR_STUB_SYNTAX},
    {"empty tag inside", SPAN_LITERAL("v=1;;" U A D F T S X), ERR_STUB_SYNTAX},
    {"two semicolons at the end", SPAN_LITERAL("v=1;" U A D F T S X ";;"), ERR_STUB_SYNTAX},
    {"tag without =", SPAN_LITERAL("v=1;" U A D F T S X ";y"), ERR_STUB_SYNTAX},
    {"tag without name", SPAN_LITERAL("v=1;=x;" U A D F T S X), ERR_STUB_SYNTAX},
    {"http URL", SPAN_LITERAL("v=1;u=http://a.example/;" A D F T S X), ERR_STUB_SYNTAX},
    {"HTTPS URL", SPAN_LITERAL("v=1;u=HTTPS://a.example/;" A D F T S X), ERR_STUB_SYNTAX},
    {"blank in the URL", SPAN_LITERAL("v=1;u=https://a.ex ample/;" A D F T S X), ERR_STUB_SYNTAX},
    {"fold in the URL", SPAN_LITERAL("v=1;u=https://a.ex\r\n ample/;" A D F T S X), ERR_STUB_SYNTAX},
    {"short key", SPAN_LITERAL("v=1;" U "a=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA;" D F T S X),
     ERR_STUB_SYNTAX},
    {"padded key", SPAN_LITERAL("v=1;" U "a=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=;" D F T S X),
     ERR_STUB_SYNTAX},
    {"key not canonical", SPAN_LITERAL("v=1;" U "a=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB;" D F T S X),
     ERR_STUB_SYNTAX},
    {"fold in a key", SPAN_LITERAL("v=1;" U A "d=AQAAAAAAAAAAAAAA\r\n AAAAAAAAAAAAAAAAAAAAAAAAAAA;" F T S X),
     ERR_STUB_SYNTAX},
    {"base64 key", SPAN_LITERAL("v=1;" U A "d=AQ+AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA;" F T S X),
     ERR_STUB_SYNTAX},
    {"null sender", SPAN_LITERAL("v=1;" U A D "f=;" T S X), ERR_STUB_SYNTAX},
    {"null sender in brackets", SPAN_LITERAL("v=1;" U A D "f=<>;" T S X), ERR_STUB_SYNTAX},
    {"sender in brackets", SPAN_LITERAL("v=1;" U A D "f=<alice@a.example>;" T S X), ERR_STUB_SYNTAX},
    {"source route", SPAN_LITERAL("v=1;" U A D "f=@x.example:alice@a.example;" T S X), ERR_STUB_SYNTAX},
    {"no domain", SPAN_LITERAL("v=1;" U A D F "t=bob;" S X), ERR_STUB_SYNTAX},
    {"address literal", SPAN_LITERAL("v=1;" U A D F "t=bob@[192.0.2.1];" S X), ERR_STUB_SYNTAX},
    {"lower-case digits", SPAN_LITERAL("v=1;" U A D "f=j=c3=bc@a.example;" T S X), ERR_STUB_SYNTAX},
    {"half an escape", SPAN_LITERAL("v=1;" U A D "f=alice@a.example=4;" T S X), ERR_STUB_SYNTAX},
    {"no escape", SPAN_LITERAL("v=1;" U A D "f=a=GGlice@a.example;" T S X), ERR_STUB_SYNTAX},
    {"escaped NUL", SPAN_LITERAL("v=1;" U A D "f=a=00lice@a.example;" T S X), ERR_STUB_SYNTAX},
    {"escaped CR LF", SPAN_LITERAL("v=1;" U A D "f=a=0D=0Alice@a.example;" T S X), ERR_STUB_SYNTAX},
    {"escaped half character", SPAN_LITERAL("v=1;" U A D "f=a=C3@a.example;" T S X), ERR_STUB_SYNTAX},
    {"size with sign", SPAN_LITERAL("v=1;" U A D F T "s=+1;" X), ERR_STUB_SYNTAX},
    {"negative size", SPAN_LITERAL("v=1;" U A D F T "s=-1;" X), ERR_STUB_SYNTAX},
    {"size with leading zero", SPAN_LITERAL("v=1;" U A D F T "s=01;" X), ERR_STUB_SYNTAX},
    {"size past 2^50", SPAN_LITERAL("v=1;" U A D F T "s=1125899906842625;" X), ERR_STUB_SYNTAX},
    {"size past 2^64", SPAN_LITERAL("v=1;" U A D F T "s=18446744073709551617;" X), ERR_STUB_SYNTAX},
    {"empty size", SPAN_LITERAL("v=1;" U A D F T "s=;" X), ERR_STUB_SYNTAX},
    {"blank in the size", SPAN_LITERAL("v=1;" U A D F T "s=1 2;" X), ERR_STUB_SYNTAX},
    {"expiry in hexadecimal", SPAN_LITERAL("v=1;" U A D F T S "x=0x10"), ERR_STUB_SYNTAX},
    {"expiry past 9999", SPAN_LITERAL("v=1;" U A D F T S "x=253402300800"), ERR_STUB_SYNTAX},
    {"raw 8-bit", SPAN_LITERAL("v=1;" U A D "f=j\xc3\xbc@a.example;" T S X), ERR_STUB_SYNTAX},
    {"NUL", SPAN_LITERAL("v=1;" U A D F T S X "\0"), ERR_BAD_BYTES},
    {"bare LF", SPAN_LITERAL("v=1;\n " U A D F T S X), ERR_BAD_BYTES},
    {"bare CR", SPAN_LITERAL("v=1;\r " U A D F T S X), ERR_BAD_BYTES},
    {"CR CR LF", SPAN_LITERAL("v=1;\r\r\n " U A D F T S X), ERR_BAD_BYTES},
    {"line end without a blank", SPAN_LITERAL("v=1;\r\n" U A D F T S X), ERR_BAD_BYTES},
    {"line end at the end", SPAN_LITERAL("v=1;" U A D F T S X "\r\n"), ERR_BAD_BYTES},
    {"vertical tab", SPAN_LITERAL("v=1;\v" U A D F T S X), ERR_BAD_BYTES},
    {"DEL", SPAN_LITERAL("v=1;" U A D F T S X "\x7f"), ERR_BAD_BYTES},
};

static void bad_stubs_are_refused_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct stub s;
        struct buf why;
        buf_init(&why, 1000);
        enum err e = stub_parse(bad[i].value, &s, &why);
        if (e != bad[i].want || why.len == 0)
            fail_msg("%s: %s (%s)", bad[i].name, err_name(e), buf_cstr(&why));
        assert_int_equal(stub_parse(bad[i].value, &s, NULL), e);
        buf_free(&why);
    }
    char large[STUB_VALUE_MAX + 2];
    struct stub s;
    memset(large, ' ', sizeof large);
    memcpy(large, good[1], strlen(good[1]));
    assert_int_equal(stub_parse(span_bytes(large, STUB_VALUE_MAX), &s, NULL), ERR_OK);
    assert_int_equal(stub_parse(span_bytes(large, STUB_VALUE_MAX + 1), &s, NULL), ERR_STUB_SYNTAX);
}

static void make_stub(const char *from, const char *to, struct stub *s)
{
    memset(s, 0, sizeof *s);
    strcpy(s->url, "https://pull.a.example/restante/1/AAEAAQIDBAUGBwgJCgsMDQ/8PHy8_T19vf4-fr7_P3-_w");
    memset(s->ka, 0xfb, sizeof s->ka);
    memset(s->kd, 0x11, sizeof s->kd);
    assert_int_equal(address_parse(span_of(from), &s->from), ERR_OK);
    assert_int_equal(address_parse(span_of(to), &s->to), ERR_OK);
    s->size_bytes = 0;
    s->expires_s = 1797811200;
}

static void assert_lines_below(struct span text, size_t columns, const char *except)
{
    struct span line;
    while (text.len > 0) {
        span_cut(text, '\n', &line, &text);
        if (line.len > columns + 1 &&
            (except == NULL || memmem(line.ptr, line.len, except, strlen(except)) == NULL))
            fail_msg("line too long: %.*s", (int)line.len, line.ptr);
        assert_true(line.len > 0 && line.ptr[line.len - 1] == '\r');
    }
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    static char umlauts[ADDRESS_TEXT_MAX + 1], plain[ADDRESS_TEXT_MAX + 1];
    while (strlen(umlauts) < ADDRESS_LOCAL_MAX)
        strcat(umlauts, "\xc3\xbc");
    memset(plain, 'x', ADDRESS_LOCAL_MAX);
    for (size_t i = 0; i < 126; i++) {
        strcat(umlauts, i == 0 ? "@b" : ".b");
        strcat(plain, i == 0 ? "@b" : ".b");
    }
    const struct {
        const char *from, *to;
    } pairs[] = {
        {"alice@a.example", "bob@b.example"},
        {"j\xc3\xbcrgen@b\xc3\xbc"
         "cher.example",
         "\"a; b=c\"@b.example"},
        {"a=b+c@a.example", "\"a\\\"\"@b.example"},
        {umlauts, umlauts},
        {plain, umlauts},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct stub s, again;
        struct buf field;
        buf_init(&field, 10000);
        make_stub(pairs[i].from, pairs[i].to, &s);
        assert_int_equal(stub_format(&s, &field), ERR_OK);
        assert_memory_equal(field.data, "Restante-Stub: v=1;", 19);
        assert_lines_below(buf_span(&field), 77, "u=https");
        assert_int_equal(stub_parse(span_bytes(field.data + 14, field.len - 16), &again, NULL), ERR_OK);
        assert_true(address_equal(&s.from, &again.from));
        assert_true(address_equal(&s.to, &again.to));
        assert_string_equal(s.url, again.url);
        assert_memory_equal(s.ka, again.ka, sizeof s.ka);
        assert_memory_equal(s.kd, again.kd, sizeof s.kd);
        assert_int_equal(again.size_bytes, 0);
        assert_int_equal(again.expires_s, 1797811200);
        buf_free(&field);
    }
}

static void what_would_not_be_read_is_not_written(void **state)
{
    (void)state;
    struct stub s;
    struct buf out;
    buf_init(&out, 10000);
    make_stub("alice@a.example", "bob@b.example", &s);
    strcpy(s.url, "https://a.example/\r\nX: y");
    assert_int_equal(stub_format(&s, &out), ERR_STUB_SYNTAX);
    make_stub("", "bob@b.example", &s);
    assert_int_equal(stub_format(&s, &out), ERR_STUB_SYNTAX);
    make_stub("alice@a.example", "bob@b.example", &s);
    s.expires_s = -1;
    assert_int_equal(stub_format(&s, &out), ERR_STUB_SYNTAX);
    make_stub("alice@a.example", "bob@b.example", &s);
    s.size_bytes = UINT64_MAX;
    assert_int_equal(stub_format(&s, &out), ERR_STUB_SYNTAX);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_stubs_are_read),
        cmocka_unit_test(bad_stubs_are_refused_with_a_reason),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_would_not_be_read_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
