#include "unit.h"

#include <string.h>

#include "mail/arf.h"

static const struct arf sample = {
    .from = "postmaster@b.test",
    .to = "abuse@a.test",
    .message_id = "1@b.test",
    .user_agent = "Restante/1",
    .reporting_mta = "mx.b.test",
    .mail_from = "restante+x@a.test",
    .rcpt_to = "bob@b.test",
    .source_ip = "192.0.2.1",
    .authentication_results = "mx.b.test; spf=pass smtp.mailfrom=a.test",
    .domain = "a.test",
    .uri = "https://pull.a.test/",
    .verified_domain = "a.test",
    .link_host = "pull.a.test:443",
    .certificate_issuer = "CN=Some CA,O=Some",
    .certificate_serial = "0A1B",
    .arrival_s = 1795234124,
    .date_s = 1795234125,
    .explanation = "One.\nTwo.\n",
    .header = {"From: <eve@a.test>\r\n", 20},
};

static void format(const struct arf *a, struct buf *out)
{
    buf_init(out, 1 << 20);
    assert_int_equal(arf_format(a, out), ERR_OK);
}

static void a_complaint_has_its_three_parts(void **state)
{
    static const char *const want[] = {
        "From: <postmaster@b.test>\r\nTo: <abuse@a.test>\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "Content-Type: multipart/report; report-type=feedback-report;\r\n",
        "\r\n\r\nOne.\r\nTwo.\r\n",
        "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: Restante/1\r\n"
        "Version: 1\r\nOriginal-Mail-From: <restante+x@a.test>\r\nOriginal-Rcpt-To: <bob@b.test>\r\n"
        "Reporting-MTA: dns; mx.b.test\r\nSource-IP: 192.0.2.1\r\n",
        "Reported-Domain: a.test\r\nReported-URI: https://pull.a.test/\r\n",
        "Restante-Certificate-Issuer: CN=Some CA,O=Some\r\nRestante-Certificate-Serial: 0A1B\r\n"
        "Arrival-Date: Sat, 21 Nov 2026 04:08:44 +0000\r\n",
        "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\nFrom: <eve@a.test>\r\n",
    };
    struct buf out;

    (void)state;
    format(&sample, &out);
    for (size_t i = 0; i < COUNT(want); i++) {
        if (!strstr(buf_cstr(&out), want[i]))
            fail_msg("\"%s\" is not in\n%s", want[i], buf_cstr(&out));
    }
    buf_free(&out);
}

static void text_of_the_network_makes_no_fields(void **state)
{
    struct arf a = sample;
    struct buf out;

    (void)state;
    a.certificate_issuer = "CN=x\r\nBcc: all@b.test\r\n\r\n--";
    a.domain = "a.test\nEvil: yes";
    a.explanation = "It says:\r\rEvil: yes\x01.";
    format(&a, &out);
    assert_null(strstr(buf_cstr(&out), "\nBcc:"));
    assert_null(strstr(buf_cstr(&out), "\nEvil:"));
    assert_null(strchr(buf_cstr(&out), '\x01'));
    buf_free(&out);
}

static void what_is_not_known_is_left_out(void **state)
{
    struct arf a = sample;
    struct buf out;

    (void)state;
    a.source_ip = NULL;
    a.certificate_issuer = a.certificate_serial = "";
    a.uri = NULL;
    format(&a, &out);
    assert_null(strstr(buf_cstr(&out), "Source-IP"));
    assert_null(strstr(buf_cstr(&out), "Restante-Certificate"));
    assert_null(strstr(buf_cstr(&out), "Reported-URI"));
    buf_free(&out);
}

static void what_is_not_ascii_stands_in_encoded_words(void **state)
{
    struct arf a = sample;
    struct buf out;

    (void)state;
    a.certificate_issuer = "CN=Beh\xc3\xb6rde";
    a.header = span_of("From: <j\xc3\xbcrgen@a.test>\r\n");
    format(&a, &out);
    assert_non_null(strstr(buf_cstr(&out), "Restante-Certificate-Issuer: =?utf-8?"));
    assert_non_null(
        strstr(buf_cstr(&out), "Content-Transfer-Encoding: 8bit\r\n\r\nFrom: <j\xc3\xbcrgen@a.test>"));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_complaint_has_its_three_parts),
        cmocka_unit_test(text_of_the_network_makes_no_fields),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(what_is_not_ascii_stands_in_encoded_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
