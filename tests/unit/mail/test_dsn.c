/* test_dsn.c - RFC 3461's small grammars, and the notifications that we write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mail/dsn.h"

static const struct {
    const char *text;
    unsigned notify; /* 0: refused */
    const char *again;
} notifies[] = {
    {"NEVER", DSN_NEVER, "NEVER"},
    {"never", DSN_NEVER, "NEVER"},
    {"SUCCESS", DSN_SUCCESS, "SUCCESS"},
    {"Delay,success", DSN_SUCCESS | DSN_DELAY, "SUCCESS,DELAY"},
    {"SUCCESS,FAILURE,DELAY", DSN_SUCCESS | DSN_FAILURE | DSN_DELAY, "SUCCESS,FAILURE,DELAY"},
    {"FAILURE,FAILURE", DSN_FAILURE, "FAILURE"},
    {"", 0, NULL},
    {"SUCCESS,", 0, NULL},
    {",SUCCESS", 0, NULL},
    {"NEVER,SUCCESS", 0, NULL},
    {"SUCCESS, DELAY", 0, NULL},
    {"ALWAYS", 0, NULL},
};

static void notify_is_read_and_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof notifies / sizeof notifies[0]; i++) {
        unsigned notify = 0;
        struct buf out;
        buf_init(&out, 64);
        if (dsn_notify_parse(span_of(notifies[i].text), &notify) !=
            (notifies[i].notify ? ERR_OK : ERR_SYNTAX))
            fail_msg("%s", notifies[i].text);
        assert_int_equal(notify, notifies[i].notify);
        assert_int_equal(dsn_notify_format(notify, &out), ERR_OK);
        assert_string_equal(buf_cstr(&out), notifies[i].again != NULL ? notifies[i].again : "");
        buf_free(&out);
    }
    enum dsn_ret ret;
    assert_int_equal(dsn_ret_parse(SPAN_LITERAL("Full"), &ret), ERR_OK);
    assert_int_equal(ret, DSN_RET_FULL);
    assert_int_equal(dsn_ret_parse(SPAN_LITERAL("HDRS"), &ret), ERR_OK);
    assert_int_equal(ret, DSN_RET_HDRS);
    assert_int_equal(dsn_ret_parse(SPAN_LITERAL("NONE"), &ret), ERR_SYNTAX);
}

static const struct {
    const char *xtext, *text; /* text NULL: refused */
} xtexts[] = {
    {"", ""},       {"EE+2B01", "EE+01"}, {"a+3Db", "a=b"}, {"a+20b+0A", "a b\n"}, {"+C3+BC", "\xc3\xbc"},
    {"a+2", NULL},  {"a+", NULL},         {"a+2b", NULL},   {"a=b", NULL},         {"a b", NULL},
    {"\xc3", NULL}, {"+G0", NULL},        {"+0G", NULL},
};

static void xtext_is_decoded_and_encoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof xtexts / sizeof xtexts[0]; i++) {
        struct buf out;
        buf_init(&out, 64);
        enum err e = dsn_xtext_decode(span_of(xtexts[i].xtext), &out);
        if (e != (xtexts[i].text != NULL ? ERR_OK : ERR_SYNTAX))
            fail_msg("%s", xtexts[i].xtext);
        if (e == ERR_OK) {
            assert_string_equal(buf_cstr(&out), xtexts[i].text);
            buf_clear(&out);
            assert_int_equal(dsn_xtext_encode(span_of(xtexts[i].text), &out), ERR_OK);
            assert_string_equal(buf_cstr(&out), xtexts[i].xtext);
        }
        buf_free(&out);
    }
}

static struct dsn usual(void)
{
    return (struct dsn){.action = DSN_FAILED,
                        .reporting_mta = "mx.a.example",
                        .from_domain = "a.example",
                        .to = "alice@a.example",
                        .message_id = "n1@a.example",
                        .envid = "EE+01",
                        .orcpt = "rfc822;Bob+x@b.example",
                        .final_recipient = "bob@b.example",
                        .remote_mta = "pull.b.example",
                        .status = "5.1.1",
                        .diagnostic = "550 5.1.1 no\r\nsuch user",
                        .explanation = "Your letter was not delivered.\n\nSorry.\n",
                        .original_message_id = "1@a.example",
                        .arrival_s = 1795233600,
                        .date_s = 1795233660};
}

static void write_dsn(const struct dsn *d, bool full, struct buf *out)
{
    char boundary[80];
    buf_init(out, 100000);
    assert_int_equal(dsn_begin(d, full, boundary, out), ERR_OK);
    assert_true(strlen(boundary) < 71);
    assert_int_equal(buf_append_str(out, "From: alice@a.example\r\n"), ERR_OK);
    if (full)
        assert_int_equal(buf_append_str(out, "\r\nhello\r\n"), ERR_OK);
    assert_int_equal(dsn_end(boundary, out), ERR_OK);
    struct span rest = buf_span(out), line;
    while (rest.len > 0) {
        assert_true(span_cut(rest, '\n', &line, &rest));
        assert_true(line.len > 0 && line.len < 999 && line.ptr[line.len - 1] == '\r');
        assert_null(memchr(line.ptr, '\r', line.len - 1));
    }
}

static void assert_holds(const struct buf *text, const char *const *wanted)
{
    for (; *wanted != NULL; wanted++)
        if (strstr(buf_cstr(text), *wanted) == NULL)
            fail_msg("lacks %s in\n%s", *wanted, buf_cstr(text));
}

static const struct {
    const char *orcpt, *text; /* text NULL: refused */
} orcpts[] = {
    {"rfc822;Bob+2Bx@b.example", "rfc822;Bob+x@b.example"},
    {"RFC822;b;c@b.example", "RFC822;b;c@b.example"},
    {"utf-8;j\\x{FC}rgen\\x{2B}\\x{5C}\\x{1F600}@b.example",
     "utf-8;j\xc3\xbcrgen+\\\xf0\x9f\x98\x80@b.example"},
    {"UTF-8;j\\x{fc}\\x{20AC}@b.example", "UTF-8;j\xc3\xbc\xe2\x82\xac@b.example"},
    {"utf-8;j\xc3\xbcrgen@b.example", "utf-8;j\xc3\xbcrgen@b.example"},
    {"x400;/C=de/", NULL}, /* '=' is no xtext */
    {"rfc822;j\xc3\xbcrgen@b.example", NULL},
    {"utf-8;j\xfcrgen@b.example", NULL},
    {"utf-8;a+2Bb@b.example", NULL},
    {"utf-8;\\x{FC@b.example", NULL},
    {"utf-8;\\x{}@b.example", NULL},
    {"utf-8;\\x{A}@b.example", NULL},
    {"utf-8;\\x{A", NULL},
    {"utf-8;\\xFC@b.example", NULL},
    {"utf-8;\\x{D800}@b.example", NULL},
    {"utf-8;\\x{110000}@b.example", NULL},
    {"utf-8;\\x{1234567}@b.example", NULL},
    {"utf-8;\\", NULL},
    {"rfc822", NULL},
    {"rfc822;", NULL},
    {";bob@b.example", NULL},
    {"rfc 822;bob@b.example", NULL},
    {"", NULL},
};

static void original_recipients_are_decoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof orcpts / sizeof orcpts[0]; i++) {
        struct buf out;
        buf_init(&out, 512);
        enum err e = dsn_orcpt_decode(span_of(orcpts[i].orcpt), &out);
        if (e != (orcpts[i].text != NULL ? ERR_OK : ERR_SYNTAX) ||
            (e == ERR_OK && strcmp(buf_cstr(&out), orcpts[i].text) != 0))
            fail_msg("%s", orcpts[i].orcpt);
        buf_free(&out);
    }
}

static void a_failure_is_told_in_three_parts(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "From: Mail Delivery System <MAILER-DAEMON@a.example>\r\n",
        "\r\nTo: alice@a.example\r\n",
        "\r\nDate: Sat, 21 Nov 2026 04:01:00 +0000\r\n",
        "\r\nMessage-ID: <n1@a.example>\r\n",
        "\r\nReferences: <1@a.example>\r\n",
        "\r\nAuto-Submitted: auto-replied\r\n",
        "\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"restante-",
        "charset=us-ascii\r\n",
        "\r\n\r\nYour letter was not delivered.\r\n\r\nSorry.\r\n\r\n--restante-",
        "\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.a.example\r\n"
        "Original-Envelope-Id: EE+01\r\nArrival-Date: Sat, 21 Nov 2026 04:00:00 +0000\r\n\r\n"
        "Final-Recipient: rfc822; bob@b.example\r\nOriginal-Recipient: rfc822; Bob+x@b.example\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; pull.b.example\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no  such user\r\n\r\n--restante-",
        "\r\nContent-Type: text/rfc822-headers\r\n",
        "\r\n\r\nFrom: alice@a.example\r\n\r\n--restante-",
        NULL};
    struct dsn d = usual();
    struct buf out;
    struct dsn_report r;
    write_dsn(&d, false, &out);
    assert_holds(&out, wanted);
    assert_int_equal(dsn_report_parse(buf_span(&out), &r), ERR_OK);
    assert_true(r.is_report);
    assert_int_equal(r.action, DSN_FAILED);
    assert_string_equal(r.status, "5.1.1");
    assert_string_equal(r.diagnostic, "550 5.1.1 no  such user");
    assert_string_equal(r.remote_mta, "pull.b.example");
    dsn_report_free(&r);
    buf_free(&out);
}

static void what_is_absent_is_left_out_and_a_full_letter_goes_along(void **state)
{
    (void)state;
    static const char *const wanted[] = {"\r\nContent-Type: message/rfc822\r\n",
                                         "\r\n\r\nhello\r\n\r\n--restante-",
                                         "Action: delivered\r\nStatus: 2.0.0\r\n\r\n--", NULL};
    struct dsn d = usual();
    struct buf out;
    d.action = DSN_DELIVERED;
    d.envid = d.orcpt = d.remote_mta = d.diagnostic = d.original_message_id = NULL;
    write_dsn(&d, true, &out);
    assert_holds(&out, wanted);
    assert_null(strstr(buf_cstr(&out), "Original-"));
    assert_null(strstr(buf_cstr(&out), "References"));
    buf_free(&out);
}

static const struct {
    enum dsn_action action;
    const char *status, *want;
} statuses[] = {
    {DSN_FAILED, "5.1.1", "Action: failed\r\nStatus: 5.1.1\r\n"},
    {DSN_FAILED, "5.999.999", "Action: failed\r\nStatus: 5.999.999\r\n"},
    {DSN_FAILED, "4.1.1", "Action: failed\r\nStatus: 5.0.0\r\n"},
    {DSN_FAILED, "", "Action: failed\r\nStatus: 5.0.0\r\n"},
    {DSN_FAILED, "5.1", "Action: failed\r\nStatus: 5.0.0\r\n"},
    {DSN_FAILED, "5.1.1.1", "Action: failed\r\nStatus: 5.0.0\r\n"},
    {DSN_FAILED, "5..1", "Action: failed\r\nStatus: 5.0.0\r\n"},
    {DSN_FAILED, "5.1.", "Action: failed\r\nStatus: 5.0.0\r\n"},
    {DSN_FAILED, "55.1.1", "Action: failed\r\nStatus: 5.0.0\r\n"},
    {DSN_FAILED, "5.1.1\r\nX: y", "Action: failed\r\nStatus: 5.0.0\r\n"},
    {DSN_DELAYED, "4.4.1", "Action: delayed\r\nStatus: 4.4.1\r\n"},
    {DSN_RELAYED, "x", "Action: relayed\r\nStatus: 2.0.0\r\n"},
};

static void the_status_fits_the_action(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct dsn d = usual();
        struct buf out;
        d.action = statuses[i].action;
        d.status = statuses[i].status;
        write_dsn(&d, false, &out);
        if (strstr(buf_cstr(&out), statuses[i].want) == NULL)
            fail_msg("%s", statuses[i].status);
        buf_free(&out);
    }
}

static void times_and_the_kind_of_reason_are_told(void **state)
{
    (void)state;
    static const char *const wanted[] = {"\r\nSubject: Still here\r\n",
                                         "\r\nAction: delayed\r\n",
                                         "\r\nDiagnostic-Code: x-restante; nobody called\r\n",
                                         "\r\nLast-Attempt-Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n",
                                         "\r\nWill-Retry-Until: Fri, 15 Jan 2027 08:00:01 +0000\r\n",
                                         NULL};
    struct dsn d = usual();
    struct buf out;
    d.action = DSN_DELAYED;
    d.subject = "Still here";
    d.diagnostic = "nobody called";
    d.last_attempt_s = 1800000000;
    d.retry_until_s = 1800000001;
    write_dsn(&d, false, &out);
    assert_holds(&out, wanted);
    buf_free(&out);
    static const char *const replies[] = {"550 no", "250-yes", NULL}, *const others[] = {"55 no", "5500 no",
                                                                                         "650 no", NULL};
    for (size_t i = 0; replies[i]; i++) {
        d.diagnostic = replies[i];
        write_dsn(&d, false, &out);
        assert_non_null(strstr(buf_cstr(&out), "\r\nDiagnostic-Code: smtp; "));
        buf_free(&out);
    }
    for (size_t i = 0; others[i]; i++) {
        d.diagnostic = others[i];
        write_dsn(&d, false, &out);
        assert_non_null(strstr(buf_cstr(&out), "\r\nDiagnostic-Code: x-restante; "));
        buf_free(&out);
    }
}

static void addresses_that_are_not_ascii_have_their_own_type(void **state)
{
    (void)state;
    static const char *const global[] = {"\r\nContent-Type: message/global-delivery-status\r\n",
                                         "\r\nContent-Type: message/global-headers\r\n",
                                         "\r\nFinal-Recipient: utf-8; j\xc3\xbc@b.example\r\n",
                                         "\r\nTo: \xc3\xa4@a.example\r\n",
                                         "charset=utf-8\r\n",
                                         NULL};
    static const char *const ascii[] = {
        "\r\nContent-Type: message/delivery-status\r\n",
        "\r\nFinal-Recipient: utf-8; j\\x{FC}\\x{2B}\\x{5C}\\x{1F600}@b.example\r\n",
        "\r\nOriginal-Recipient: rfc822; j?@b.example\r\n", NULL};
    struct dsn d = usual();
    struct buf out;
    d.smtputf8 = true;
    d.to = "\xc3\xa4@a.example";
    d.final_recipient = "j\xc3\xbc@b.example";
    d.explanation = "An j\xc3\xbc.";
    write_dsn(&d, false, &out);
    assert_holds(&out, global);
    buf_free(&out);
    write_dsn(&d, true, &out);
    assert_non_null(strstr(buf_cstr(&out), "\r\nContent-Type: message/global\r\n"));
    buf_free(&out);
    d = usual();
    d.final_recipient = "j\xc3\xbc+\\\xf0\x9f\x98\x80@b.example";
    d.orcpt = "rfc822;j\xfc@b.example";
    write_dsn(&d, false, &out);
    assert_holds(&out, ascii);
    buf_free(&out);
}

static void what_strangers_said_cannot_break_the_report(void **state)
{
    (void)state;
    static char endless[3000];
    struct dsn d = usual();
    struct buf out;
    memset(endless, 'x', sizeof endless - 1);
    d.diagnostic = "550 no\r\n\r\n--boundary\r\nAction: delivered";
    d.orcpt = "rfc 822;x";
    d.envid = "a\r\nX-Evil: b";
    d.remote_mta = "m\xc3\xbc";
    d.explanation = endless;
    write_dsn(&d, false, &out);
    assert_null(strstr(buf_cstr(&out), "\nX-Evil"));
    assert_null(strstr(buf_cstr(&out), "\nAction: delivered"));
    assert_null(strstr(buf_cstr(&out), "Original-Recipient"));
    assert_non_null(strstr(buf_cstr(&out), "Remote-MTA: dns; m??\r\n"));
    buf_free(&out);
    d.diagnostic = d.original_message_id = endless;
    d.orcpt = "no type";
    for (size_t i = 0; i < sizeof endless - 2; i += 2)
        memcpy(endless + i, "\xc3\xbc", 2);
    endless[0] = 'y';
    endless[1] = 'x';
    write_dsn(&d, false, &out);
    assert_null(strstr(buf_cstr(&out), "Diagnostic-Code"));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notify_is_read_and_written),
        cmocka_unit_test(xtext_is_decoded_and_encoded),
        cmocka_unit_test(original_recipients_are_decoded),
        cmocka_unit_test(a_failure_is_told_in_three_parts),
        cmocka_unit_test(what_is_absent_is_left_out_and_a_full_letter_goes_along),
        cmocka_unit_test(the_status_fits_the_action),
        cmocka_unit_test(times_and_the_kind_of_reason_are_told),
        cmocka_unit_test(addresses_that_are_not_ascii_have_their_own_type),
        cmocka_unit_test(what_strangers_said_cannot_break_the_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
