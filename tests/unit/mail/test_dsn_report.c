/* test_dsn_report.c - reports as Postfix, Sendmail and others write them (tests/unit/mail/reports). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mail/dsn.h"

static const struct {
    const char *file;
    bool is_report;
    enum dsn_action action;
    const char *status, *diagnostic, *remote_mta;
} reports[] = {
    {"postfix-failed", true, DSN_FAILED, "5.1.1",
     "550 5.1.1 <nobody@c.example>: Recipient address    rejected: User unknown in virtual mailbox table",
     "mx.c.example"},
    {"postfix-delayed", true, DSN_DELAYED, "4.4.1",
     "connect to mx.b.example[192.0.2.2]:25: Connection refused", NULL},
    {"sendmail-failed", true, DSN_FAILED, "5.1.1", "550 5.1.1 <bob@s.example>... User unknown", NULL},
    {"global-relayed", true, DSN_RELAYED, "2.0.0", "250 j\\xC3\\xBCrgen", "x.d.example"},
    {"cut", true, DSN_FAILED, "", "554 cut he", NULL},
    {"absence", false, 0, "", NULL, NULL},
    {"disposition", false, 0, "", NULL, NULL},
    {"no-action", false, 0, "", NULL, NULL},
};

static void read_file(const char *name, bool crlf, struct buf *out)
{
    char path[128];
    snprintf(path, sizeof path, "tests/unit/mail/reports/%s.eml", name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    buf_init(out, 100000);
    for (int c; (c = getc(f)) != EOF;) {
        if (c == '\n' && crlf)
            assert_int_equal(buf_append_char(out, '\r'), ERR_OK);
        assert_int_equal(buf_append_char(out, (char)c), ERR_OK);
    }
    fclose(f);
}

static void check(const struct buf *text, size_t i)
{
    struct dsn_report r;
    assert_int_equal(dsn_report_parse(buf_span(text), &r), ERR_OK);
    if (r.is_report != reports[i].is_report || r.action != reports[i].action ||
        strcasecmp(r.status, reports[i].status) != 0 ||
        (r.diagnostic == NULL) != (reports[i].diagnostic == NULL) ||
        (r.remote_mta == NULL) != (reports[i].remote_mta == NULL))
        fail_msg("%s: %d %d %s %s %s", reports[i].file, r.is_report, r.action, r.status, r.diagnostic,
                 r.remote_mta);
    if (r.diagnostic != NULL && strcasecmp(r.diagnostic, reports[i].diagnostic) != 0)
        fail_msg("%s: %s", reports[i].file, r.diagnostic);
    if (r.remote_mta != NULL)
        assert_string_equal(r.remote_mta, reports[i].remote_mta);
    dsn_report_free(&r);
}

static void reports_of_many_mail_systems_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
        for (int crlf = 0; crlf < 2; crlf++) {
            struct buf text;
            read_file(reports[i].file, crlf, &text);
            check(&text, i);
            buf_free(&text);
        }
    }
}

static void a_report_cut_anywhere_is_no_harm(void **state)
{
    (void)state;
    struct buf text;
    read_file("postfix-failed", true, &text);
    for (size_t len = 0; len < text.len; len++) {
        struct dsn_report r;
        assert_int_equal(dsn_report_parse(span_bytes(text.data, len), &r), ERR_OK);
        assert_true(!r.is_report || r.action == DSN_FAILED);
        dsn_report_free(&r);
    }
    buf_free(&text);
}

static const char *const no_reports[] = {
    "",
    "no header",
    "Content-Type: multipart/report; report-type=delivery-status\r\n\r\n--x\r\n",
    "Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: "
    "message/delivery-status\r\n\r\nAction: failed\r\n",
    "Content-Type: multipart/report; report-type; boundary=x\r\n\r\n",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=\"x\r\n\r\n",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=\"\"\r\n\r\n",
    "Content-Type: multipart/report report-type=delivery-status; boundary=x\r\n\r\n",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=x",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--y\r\n",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\nContent-Type: "
    "text/plain\r\n\r\n--x",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\nno field\r\n--x--",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n"
    "Content-Type: message/delivery-status\r\n\r\nAction: lost\r\n--x--",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n"
    "Content-Type: message/delivery-status\r\nAction: failed\r\n--x--",
};

static void anything_else_is_no_report(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof no_reports / sizeof no_reports[0]; i++) {
        struct dsn_report r;
        assert_int_equal(dsn_report_parse(span_of(no_reports[i]), &r), ERR_OK);
        if (r.is_report)
            fail_msg("%s", no_reports[i]);
        dsn_report_free(&r);
    }
}

static void odd_statuses_are_left_out_and_long_reasons_cut(void **state)
{
    (void)state;
    static const char *const odd[] = {"5.1", "5.1.1.1.1", "5.1.x", "551.1", "5.11.", "5.1.1000000", "..1.1"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        char text[2000];
        struct dsn_report r;
        int n =
            snprintf(text, sizeof text,
                     "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n"
                     "Content-Type: message/delivery-status\r\n\r\nAction: failed\r\nStatus: %s\r\n"
                     "Diagnostic-Code: smtp; %01000d\r\nRemote-MTA: dns;\r\n",
                     odd[i], 1);
        assert_int_equal(dsn_report_parse(span_bytes(text, (size_t)n), &r), ERR_OK);
        assert_true(r.is_report);
        assert_string_equal(r.status, "");
        assert_int_equal(strlen(r.diagnostic), 480);
        assert_null(r.remote_mta);
        dsn_report_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_of_many_mail_systems_are_understood),
        cmocka_unit_test(a_report_cut_anywhere_is_no_harm),
        cmocka_unit_test(anything_else_is_no_report),
        cmocka_unit_test(odd_statuses_are_left_out_and_long_reasons_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
