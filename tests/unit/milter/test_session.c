/* Which messages fetchd is asked about. There is no fetchd here: where it is asked, the message is refused
 * for now; all else passes. What happens when it answers is shown by the cases that speak the milter
 * protocol. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "milter/session.h"

static struct session *open_session(const struct session_site *site, const char *host, const char *address,
                                    int port)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct session *s;
    assert_int_equal(inet_pton(AF_INET, address, &peer.sin_addr), 1);
    assert_int_equal(session_open(site, host, (struct sockaddr *)&peer, "a.test", &s), ERR_OK);
    return s;
}

static void give_to(struct session *s, const char *sender, const char *recipient, const char *auth,
                    const char *field, const char *value)
{
    char mail[100], rcpt[100];
    char *mail_argv[] = {mail, NULL}, *rcpt_argv[] = {rcpt, NULL};
    snprintf(mail, sizeof mail, "%s", sender);
    snprintf(rcpt, sizeof rcpt, "%s", recipient);
    session_mail(s, mail_argv, auth);
    session_rcpt(s, rcpt_argv, NULL, NULL);
    session_field(s, "From", " someone@a.test");
    if (field)
        session_field(s, field, value);
}

static void give(struct session *s, const char *sender, const char *auth, const char *field,
                 const char *value)
{
    give_to(s, sender, "<bob@b.test>", auth, field, value);
}

static int setup(void **state)
{
    static struct netprefix networks[2];
    static struct session_site site;
    const struct local_options options = {.socket_path = "/nonexistent/deposit.sock",
                                          .connect_timeout_ms = 100,
                                          .answer_timeout_ms = 100,
                                          .write_timeout_ms = 100,
                                          .idle_max = 1,
                                          .reply_max_bytes = 4096};
    if (netprefix_parse(span_of("198.51.100.0/24"), &networks[0]) != ERR_OK ||
        netprefix_parse(span_of("127.0.0.0/8"), &networks[1]) != ERR_OK ||
        local_client_create(&options, &site.fetchd) != ERR_OK)
        return -1;
    site.networks = networks;
    site.network_count = 2;
    site.legacy_asked = true;
    *state = &site;
    return 0;
}

static int teardown(void **state)
{
    struct session_site *site = *state;
    local_client_free(site->fetchd);
    return 0;
}

static void who_is_asked_about(void **state)
{
    static const struct {
        const char *name, *host, *address;
        int port;
        const char *sender, *auth, *field;
        bool asked;
    } table[] = {
        {"stranger_with_ordinary_mail", "x.test", "192.0.2.1", 9, "<eve@x.test>", NULL, NULL, false},
        {"stranger_in_our_name", "x.test", "192.0.2.1", 9, "<alice@a.test>", NULL, NULL, false},
        {"stranger_with_a_stub", "x.test", "192.0.2.1", 9, "<eve@x.test>", NULL, "restante-stub", true},
        {"null_sender_with_a_stub", "x.test", "192.0.2.1", 9, "<>", NULL, "Restante-Stub", true},
        {"bounce", "x.test", "192.0.2.1", 9, "<>", NULL, NULL, false},
        {"login", "x.test", "192.0.2.1", 9, "<alice@a.test>", "alice", NULL, true},
        {"login_with_another_domain", "x.test", "192.0.2.1", 9, "<alice@x.test>", "alice", NULL, false},
        {"submission_network", "pc.a.test", "198.51.100.7", 9, "<alice@a.test>", NULL, NULL, true},
        {"submission_network_with_another_domain", "pc.a.test", "198.51.100.7", 9, "<eve@x.test>", NULL, NULL,
         false},
        {"program_over_loopback", "localhost", "127.0.0.1", 9, "<alice@a.test>", NULL, NULL, true},
        {"sendmail_command", "localhost", "127.0.0.1", 0, "alice@a.test", NULL, NULL, true},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct session *s = open_session(*state, table[i].host, table[i].address, table[i].port);
        print_message("  %s\n", table[i].name);
        give(s, table[i].sender, table[i].auth, table[i].field, " v=1");
        enum session_step step = session_header_end(s);
        assert_int_equal(step, table[i].asked ? SESSION_REFUSE : SESSION_PASS);
        if (table[i].asked) {
            assert_int_equal(session_refusal(s)->smtp, 451);
            assert_string_equal(session_refusal(s)->enhanced, "4.3.2");
        }
        session_close(s);
    }
}

static void mail_without_a_stub_into_an_enabled_domain(void **state)
{
    static const struct {
        const char *name, *address, *sender, *recipient, *auth;
        bool asked;
    } table[] = {
        {"stranger", "192.0.2.1", "<eve@x.test>", "<alice@a.test>", NULL, true},
        {"stranger_to_another_domain", "192.0.2.1", "<eve@x.test>", "<bob@b.test>", NULL, false},
        {"stranger_in_our_name", "192.0.2.1", "<alice@a.test>", "<alice@A.test>", NULL, true},
        {"bounce", "192.0.2.1", "<>", "<alice@a.test>", NULL, true},
        {"subdomain", "192.0.2.1", "<eve@x.test>", "<alice@x.a.test>", NULL, false},
        {"login_with_another_domain", "192.0.2.1", "<eve@x.test>", "<alice@a.test>", "eve", false},
        {"submission_network", "198.51.100.7", "<eve@x.test>", "<alice@a.test>", NULL, false},
        {"no_address", "192.0.2.1", "<eve@x.test>", "<postmaster>", NULL, false},
    };
    struct session_site site = *(struct session_site *)*state;

    for (size_t i = 0; i < 2 * sizeof table / sizeof *table; i++) {
        site.legacy_asked = i % 2;
        bool asked = table[i / 2].asked && site.legacy_asked;
        struct session *s = open_session(&site, "x.test", table[i / 2].address, 9);
        print_message("  %s %s\n", table[i / 2].name, site.legacy_asked ? "asked" : "not_asked");
        give_to(s, table[i / 2].sender, table[i / 2].recipient, table[i / 2].auth, NULL, NULL);
        assert_int_equal(session_header_end(s), asked ? SESSION_REFUSE : SESSION_PASS);
        if (asked)
            assert_int_equal(session_refusal(s)->smtp, 451);
        session_close(s);
    }
}

/* Who deposits must know that it cannot be kept as it was sent; others' mail is as the MTA makes it. */
static void long_fields_matter_to_deposits_alone(void **state)
{
    static const struct {
        const char *sender, *recipient, *auth;
        enum session_step step;
        int smtp;
    } table[] = {
        {"<alice@a.test>", "<bob@b.test>", "alice", SESSION_REFUSE, 552},
        {"<eve@x.test>", "<bob@b.test>", NULL, SESSION_PASS, 0},
        {"<eve@x.test>", "<alice@a.test>", NULL, SESSION_REFUSE, 451},
    };
    struct session *s = open_session(*state, "x.test", "192.0.2.1", 9);
    static char value[60000];

    memset(value, 'x', sizeof value - 1);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        give_to(s, table[i].sender, table[i].recipient, table[i].auth, "X-Long", value);
        assert_int_equal(session_header_end(s), table[i].step);
        if (table[i].smtp)
            assert_int_equal(session_refusal(s)->smtp, table[i].smtp);
    }
    session_close(s);
}

static void refusals_do_not_outlive_their_message(void **state)
{
    struct session *s = open_session(*state, "x.test", "192.0.2.1", 9);
    char value[60000];

    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    give(s, "<alice@a.test>", "alice", "X-Long", value);
    assert_int_equal(session_header_end(s), SESSION_REFUSE);
    assert_int_equal(session_refusal(s)->smtp, 552);
    give(s, "<eve@x.test>", NULL, NULL, NULL);
    assert_int_equal(session_header_end(s), SESSION_PASS);
    give(s, "<alice@a.test>", "alice", NULL, NULL);
    session_abort(s);
    give(s, "<eve@x.test>", NULL, NULL, NULL);
    assert_int_equal(session_header_end(s), SESSION_PASS);
    session_close(s);
}

static void steps_out_of_order_are_refused_for_now(void **state)
{
    struct session *s = open_session(*state, "x.test", "192.0.2.1", 9);

    assert_int_equal(session_header_end(s), SESSION_REFUSE);
    assert_int_equal(session_message_end(s, NULL, NULL), SESSION_REFUSE);
    assert_int_equal(session_refusal(s)->smtp, 451);
    give(s, "<alice@a.test>", "alice", NULL, NULL);
    assert_int_equal(session_message_end(s, NULL, NULL), SESSION_REFUSE);
    assert_null(session_removal(s, 0));
    session_abort(s);
    session_close(s);
    session_close(NULL);
}

static void too_many_recipients(void **state)
{
    struct session *s = open_session(*state, "x.test", "192.0.2.1", 9);
    char address[] = "<bob@b.test>", *argv[] = {address, NULL};

    give(s, "<alice@a.test>", "alice", NULL, NULL);
    for (int i = 0; i < API_RECIPIENTS_MAX; i++)
        session_rcpt(s, argv, NULL, NULL);
    assert_int_equal(session_header_end(s), SESSION_REFUSE);
    assert_int_equal(session_refusal(s)->smtp, 554);
    session_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_asked_about),
        cmocka_unit_test(mail_without_a_stub_into_an_enabled_domain),
        cmocka_unit_test(long_fields_matter_to_deposits_alone),
        cmocka_unit_test(refusals_do_not_outlive_their_message),
        cmocka_unit_test(steps_out_of_order_are_refused_for_now),
        cmocka_unit_test(too_many_recipients),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
