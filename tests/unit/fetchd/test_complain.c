#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "local/complain.h"
#include "ticket/ticket.h"

static struct job sample_job(void)
{
    struct job j = {.state = JOB_ACKED, .size_bytes = 1234, .created_s = 1795234124, .expires_s = 1797811200};

    memset(j.ka, 0x5a, sizeof j.ka);
    memset(j.kd, 0xa5, sizeof j.kd);
    strcpy(j.url, "https://pull.a.test:8443/restante/1/AAGfMcKgAAAAAAAAAAAAAA/BBBBBBBBBBBBBBBBBBBBBA");
    strcpy(j.stub_from, "eve@a.test");
    strcpy(j.stub_to, "bob@b.test");
    strcpy(j.envelope_from, "restante+00019f31c2a0@a.test");
    strcpy(j.recipient, "bob@b.test");
    strcpy(j.author, "eve@a.test");
    strcpy(j.client_address, "192.0.2.1");
    strcpy(j.client_name, "mx.a.test");
    strcpy(j.message_id, "stub.1@a.test");
    strcpy(j.verified, "a.test");
    strcpy(j.proof, "spf=pass smtp.mailfrom=a.test");
    strcpy(j.certificate_issuer, "CN=Some CA\r\nBcc: all@b.test");
    strcpy(j.certificate_serial, "0A1B2C");
    return j;
}

static void format(const struct job *j, struct buf *out)
{
    const struct complaint c = {.job = j,
                                .from = "postmaster@b.test",
                                .to = "abuse@a.test",
                                .hostname = "mx.b.test",
                                .authserv_id = "b.test",
                                .message_id = "1@mx.b.test",
                                .date_s = 1795234200};

    buf_init(out, 1 << 20);
    assert_int_equal(complain_format(&c, out), ERR_OK);
}

static void a_complaint_says_whose_letter_it_was(void **state)
{
    static const char *const want[] = {
        "From: <postmaster@b.test>\r\nTo: <abuse@a.test>\r\n",
        "This is a complaint about a message that came to bob@b.test\r\nfrom <eve@a.test> on Sat, 21 Nov "
        "2026",
        "It lay on the link host pull.a.test:8443.\r\n",
        "In the log of the sender's site it is ticket=9f31c2a0.\r\n",
        "Original-Mail-From: <eve@a.test>\r\n",
        "Authentication-Results: b.test; spf=pass smtp.mailfrom=a.test\r\n",
        "Reported-URI: https://pull.a.test:8443/\r\n",
        "Restante-Ticket: 9f31c2a0\r\n",
        "Restante-Certificate-Serial: 0A1B2C\r\n",
        "Restante-Stub: v=1; u=https://pull.a.test:8443/; f=eve@a.test; t=bob@b.test;",
        "s=1234; x=1797811200\r\n",
    };
    struct job j = sample_job();
    struct buf out;

    (void)state;
    format(&j, &out);
    for (size_t i = 0; i < COUNT(want); i++) {
        if (!strstr(buf_cstr(&out), want[i]))
            fail_msg("\"%s\" is not in\n%s", want[i], buf_cstr(&out));
    }
    assert_null(strstr(buf_cstr(&out), "\nBcc:"));
    buf_free(&out);
}

static void no_key_is_in_a_complaint(void **state)
{
    struct job j = sample_job();
    struct buf out;
    char ka[ENCODE_B64_LEN(32) + 1], kd[ENCODE_B64_LEN(32) + 1];

    (void)state;
    encode_b64url(j.ka, sizeof j.ka, ka);
    encode_b64url(j.kd, sizeof j.kd, kd);
    format(&j, &out);
    const char *const secrets[] = {ka, kd, "AAGfMcKgAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBBBBBBBA",
                                   "restante+0001"};
    for (size_t i = 0; i < COUNT(secrets); i++)
        assert_null(strstr(buf_cstr(&out), secrets[i]));
    buf_free(&out);
}

static void a_kept_message_has_no_link_host(void **state)
{
    struct job j = sample_job();
    struct buf out;

    (void)state;
    j.kept = true;
    j.url[0] = j.certificate_issuer[0] = j.certificate_serial[0] = j.stub_to[0] = '\0';
    format(&j, &out);
    assert_null(strstr(buf_cstr(&out), "link host"));
    assert_null(strstr(buf_cstr(&out), "Restante-Stub"));
    assert_null(strstr(buf_cstr(&out), "Reported-URI"));
    assert_non_null(strstr(buf_cstr(&out), "\r\n\r\nFrom: <eve@a.test>\r\nTo: <bob@b.test>\r\n"));
    buf_free(&out);
}

static void the_domain_says_where_complaints_go(void **state)
{
    static const struct {
        bool present;
        const char *a, *want;
    } cases[] = {
        {true, "help@desk.test", "help@desk.test"},
        {true, "", "abuse@a.test"},
        {true, "nonsense", "abuse@a.test"},
        {true, "x@[192.0.2.1]", "abuse@a.test"},
        {true, "<>", "abuse@a.test"},
        {true, "mailto:help@desk.test\n", "abuse@a.test"},
        {false, "help@desk.test", "abuse@a.test"},
    };
    char out[ADDRESS_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct designation d = {.present = cases[i].present};
        strcpy(d.complaints, cases[i].a);
        complain_recipient(&d, "a.test", out);
        assert_string_equal(out, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_complaint_says_whose_letter_it_was),
        cmocka_unit_test(no_key_is_in_a_complaint),
        cmocka_unit_test(a_kept_message_has_no_link_host),
        cmocka_unit_test(the_domain_says_where_complaints_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
