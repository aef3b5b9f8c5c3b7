/* test_stub_message.c - the message around a stub. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mail/header.h"
#include "mail/stub.h"

static struct stub stub;

static int make_stub(void **state)
{
    (void)state;
    strcpy(stub.url, "https://pull.a.example/restante/1/AAEAAQIDBAUGBwgJCgsMDQ/8PHy8_T19vf4-fr7_P3-_w");
    stub.expires_s = 1797811200;
    return address_parse(SPAN_LITERAL("alice@a.example"), &stub.from) == ERR_OK &&
                   address_parse(SPAN_LITERAL("bob@b.example"), &stub.to) == ERR_OK
               ? 0
               : -1;
}

static struct stub_message message_of(const char *from, const char *subject)
{
    return (struct stub_message){.stub = &stub,
                                 .from_field = from,
                                 .message_id = "1@a.example",
                                 .subject = subject,
                                 .date_s = 1795233600};
}

/* The raw value of the field of that name, or an empty span. */
static struct span field_of(struct span text, const char *name)
{
    struct header_field f;
    while (header_next(&text, &f))
        if (span_is_nocase(f.name, name))
            return f.value;
    return (struct span){0};
}

static void the_message_has_its_fields_each_once_and_a_plain_body(void **state)
{
    (void)state;
    static const char *const names[] = {"From",         "To",           "Date",         "Message-ID",
                                        "MIME-Version", "Content-Type", "Restante-Stub"};
    struct stub_message m = message_of("Alice <alice@a.example>", NULL);
    struct buf out;
    buf_init(&out, 100000);
    assert_int_equal(stub_message_format(&m, &out), ERR_OK);
    struct span rest = buf_span(&out);
    struct header_field f;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_true(header_next(&rest, &f));
        assert_true(span_is(f.name, names[i]));
    }
    assert_false(header_next(&rest, &f));
    assert_memory_equal(rest.ptr, "\r\n", 2);
    assert_true(span_is(field_of(buf_span(&out), "To"), " bob@b.example"));
    assert_true(span_is(field_of(buf_span(&out), "Message-ID"), " <1@a.example>"));
    for (size_t i = 0; i < out.len; i++)
        assert_true((unsigned char)out.data[i] < 0x80 && (out.data[i] != '\n' || out.data[i - 1] == '\r'));
    struct span line;
    while (rest.len > 0) {
        span_cut(rest, '\n', &line, &rest);
        assert_true(line.len < 79);
    }
    buf_free(&out);
}

static void a_list_and_bulk_are_told(void **state)
{
    (void)state;
    struct stub_message m = message_of("alice@a.example", NULL);
    struct buf out;
    char longest[300];
    buf_init(&out, 100000);
    m.list_id = "dev.lists.example";
    m.bulk = true;
    assert_int_equal(stub_message_format(&m, &out), ERR_OK);
    assert_true(span_is(field_of(buf_span(&out), "List-Id"), " <dev.lists.example>"));
    assert_true(span_is(field_of(buf_span(&out), "Precedence"), " bulk"));
    memset(longest, 'x', sizeof longest);
    memcpy(longest + 200, ".y", 2);
    longest[255] = '\0';
    m.list_id = longest;
    m.bulk = false;
    buf_clear(&out);
    assert_int_equal(stub_message_format(&m, &out), ERR_OK);
    assert_int_equal(field_of(buf_span(&out), "List-Id").len, 1 + 1 + 255 + 1);
    assert_int_equal(field_of(buf_span(&out), "Precedence").len, 0);
    longest[255] = 'x';
    longest[256] = '\0';
    assert_int_equal(stub_message_format(&m, &out), ERR_STUB_SYNTAX);
    m.list_id = "a.b>\r\nBcc: <x.y";
    assert_int_equal(stub_message_format(&m, &out), ERR_STUB_SYNTAX);
    buf_free(&out);
}

static const struct {
    const char *name, *from;
    bool smtputf8;
    const char *want; /* the field as it stands in the message */
} froms[] = {
    {"plain", "Alice <alice@a.example>", false, " Alice <alice@a.example>"},
    {"blanks around", "  alice@a.example ", false, " alice@a.example"},
    {"encoded words stay", "=?utf-8?q?J=C3=BCrgen?= <j@a.example>", false,
     " =?utf-8?q?J=C3=BCrgen?= <j@a.example>"},
    {"absent", NULL, false, " alice@a.example"},
    {"empty", "", false, " alice@a.example"},
    {"injection", "Alice <alice@a.example>\r\nBcc: x@y.example", false,
     " Alice <alice@a.example>  Bcc: x@y.example"},
    {"controls", "A\x01l\tice\x7f <alice@a.example>", false, " A l ice  <alice@a.example>"},
    {"UTF-8 name with SMTPUTF8", "J\xc3\xbcrgen <j@a.example>", true, " J\xc3\xbcrgen <j@a.example>"},
    {"UTF-8 name", "J\xc3\xbcrgen <j@a.example>", false, " =?utf-8?q?J=C3=BCrgen?= <j@a.example>"},
    {"UTF-8 name in quotes", "\"J\xc3\xbcrgen \\\"K\\\", Dr.\" <j@a.example>", false,
     " =?utf-8?q?J=C3=BCrgen_=22K=22=2C_Dr=2E?= <j@a.example>"},
    {"Latin-1 name", "J\xfcrgen <j@a.example>", false, " =?unknown-8bit?q?J=FCrgen?= <j@a.example>"},
    {"UTF-8 comment", "j@a.example (J\xc3\xbcrgen)", false, " j@a.example"},
    {"UTF-8 domain",
     "Ann <j@b\xc3\xbc"
     "cher.example>",
     false, " =?utf-8?q?Ann?= <j@xn--bcher-kva.example>"},
    {"UTF-8 address", "J\xc3\xbc <j\xc3\xbc@a.example>", false, " J\xc3\xbc <j\xc3\xbc@a.example>"},
    {"two authors, 8-bit", "\xc3\xbc <a@a.example>, b@a.example", false, " ?? <a@a.example>, b@a.example"},
};

static void from_is_the_letters_and_cannot_break_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof froms / sizeof froms[0]; i++) {
        struct stub_message m = message_of(froms[i].from, NULL);
        struct buf out;
        buf_init(&out, 100000);
        m.smtputf8 = froms[i].smtputf8;
        assert_int_equal(stub_message_format(&m, &out), ERR_OK);
        struct span from = field_of(buf_span(&out), "From");
        if (!span_is(from, froms[i].want))
            fail_msg("%s: %.*s", froms[i].name, (int)from.len, from.ptr);
        assert_int_equal(field_of(buf_span(&out), "Bcc").len, 0);
        buf_free(&out);
    }
}

static void long_fields_are_folded_or_given_up(void **state)
{
    (void)state;
    static char words[1500], solid[1500];
    struct buf out, unfolded;
    for (size_t i = 0; i < 90; i++)
        strcat(words, "word word2 ");
    strcat(words, "<alice@a.example>");
    memset(solid, 'x', 1200);
    struct stub_message m = message_of(words, words);
    buf_init(&out, 100000);
    buf_init(&unfolded, 100000);
    assert_int_equal(stub_message_format(&m, &out), ERR_OK);
    struct span rest = field_of(buf_span(&out), "From"), line;
    assert_int_equal(header_unfold(rest, &unfolded), ERR_OK);
    assert_string_equal(buf_cstr(&unfolded), words);
    while (rest.len > 0) {
        span_cut(rest, '\n', &line, &rest);
        assert_true(line.len < 79);
    }
    buf_clear(&out);
    strcpy(solid + 1200, " <alice@a.example>");
    m = message_of(solid, solid);
    assert_int_equal(stub_message_format(&m, &out), ERR_OK);
    assert_true(span_is(field_of(buf_span(&out), "From"), " alice@a.example"));
    assert_int_equal(field_of(buf_span(&out), "Subject").len, 0);
    buf_clear(&out);
    solid[1200] = '\0';
    m = message_of(solid, NULL);
    assert_int_equal(stub_message_format(&m, &out), ERR_OK);
    assert_true(span_is(field_of(buf_span(&out), "From"), " alice@a.example"));
    buf_free(&out);
    buf_free(&unfolded);
}

static void a_subject_is_encoded_where_it_must(void **state)
{
    (void)state;
    static const char long_subject[] =
        "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc";
    struct stub_message m = message_of("alice@a.example", "Gr\xc3\xbc\xc3\x9f"
                                                          "e\r\nX: y");
    struct buf out;
    buf_init(&out, 100000);
    assert_int_equal(stub_message_format(&m, &out), ERR_OK);
    assert_true(span_is(field_of(buf_span(&out), "Subject"), " =?utf-8?q?Gr=C3=BC=C3=9Fe__X=3A_y?="));
    buf_clear(&out);
    m.smtputf8 = true;
    assert_int_equal(stub_message_format(&m, &out), ERR_OK);
    assert_true(span_is(field_of(buf_span(&out), "Subject"), " Gr\xc3\xbc\xc3\x9f"
                                                             "e  X: y"));
    buf_clear(&out);
    m = message_of("alice@a.example", long_subject);
    assert_int_equal(stub_message_format(&m, &out), ERR_OK);
    assert_true(span_is(field_of(buf_span(&out), "Subject"),
                        " =?utf-8?q?=C3=BC=C3=BC=C3=BC=C3=BC=C3=BC=C3=BC=C3=BC=C3=BC?="
                        "\r\n =?utf-8?q?=C3=BC=C3=BC=C3=BC=C3=BC?="));
    m.message_id = "a>\r\nX: y";
    assert_int_equal(stub_message_format(&m, &out), ERR_STUB_SYNTAX);
    m.message_id = "";
    assert_int_equal(stub_message_format(&m, &out), ERR_STUB_SYNTAX);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_and_bulk_are_told),
        cmocka_unit_test(the_message_has_its_fields_each_once_and_a_plain_body),
        cmocka_unit_test(from_is_the_letters_and_cannot_break_out),
        cmocka_unit_test(long_fields_are_folded_or_given_up),
        cmocka_unit_test(a_subject_is_encoded_where_it_must),
    };
    return cmocka_run_group_tests(tests, make_stub, NULL);
}
