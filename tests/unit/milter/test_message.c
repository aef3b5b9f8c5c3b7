/* What the milter makes of envelope arguments, header fields and a client's address. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "milter/message.h"

#define ARGS_MAX 10

static struct message_client client_at(const char *host, const char *address, int port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    const struct sockaddr *peer = NULL;
    struct message_client c;

    if (address && inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        peer = (const struct sockaddr *)&v4;
    else if (address && inet_pton(AF_INET6, address, &v6.sin6_addr) == 1)
        peer = (const struct sockaddr *)&v6;
    assert_int_equal(message_client_init(&c, host, peer), ERR_OK);
    return c;
}

/* Splits at blanks into argv as libmilter gives it. */
static char **arguments(char *text, char *argv[ARGS_MAX])
{
    size_t n = 0;
    for (char *save = NULL, *arg = strtok_r(text, " ", &save); arg; arg = strtok_r(NULL, " ", &save))
        argv[n++] = arg;
    argv[n] = NULL;
    return argv;
}

static void mail(struct message *m, const struct message_client *c, const char *domains, const char *line,
                 const char *auth)
{
    char text[512], *argv[ARGS_MAX];
    snprintf(text, sizeof text, "%s", line);
    assert_int_equal(message_mail(m, c, domains, arguments(text, argv), auth), ERR_OK);
}

static void rcpt(struct message *m, const char *line, const char *mailer, const char *resolved)
{
    char text[512], *argv[ARGS_MAX];
    snprintf(text, sizeof text, "%s", line);
    assert_int_equal(message_rcpt(m, arguments(text, argv), mailer, resolved), ERR_OK);
}

static void same(const char *got, const char *want)
{
    if (!want)
        assert_null(got);
    else
        assert_string_equal(got ? got : "(null)", want);
}

static void mail_arguments(void **state)
{
    static const struct {
        const char *name, *line, *sender, *body, *ret, *envid;
        bool smtputf8;
    } table[] = {
        {"all_parameters", "<alice@a.test> SIZE=1000 RET=HDRS ENVID=QQ+2B31 BODY=8BITMIME SMTPUTF8 AUTH=<>",
         "alice@a.test", "8BITMIME", "HDRS", "QQ+2B31", true},
        {"none", "<alice@a.test>", "alice@a.test", NULL, NULL, NULL, false},
        {"null_path", "<> BODY=7BIT", "", "7BIT", NULL, NULL, false},
        {"no_brackets", "al@a.test", "al@a.test", NULL, NULL, NULL, false},
        {"keywords_in_any_case", "<a@a.test> ret=FULL body=8bitmime smtputf8", "a@a.test", "8bitmime", "FULL",
         NULL, true},
        {"longer_keywords_are_others", "<a@a.test> RETURN=x BODYX=y XENVID=z", "a@a.test", NULL, NULL, NULL,
         false},
        {"last_one_counts", "<a@a.test> RET=FULL RET=HDRS", "a@a.test", NULL, "HDRS", NULL, false},
        {"source_route_stays", "<@x.test:y@b.test>", "@x.test:y@b.test", NULL, NULL, NULL, false},
    };
    struct message_client c = client_at("mx.b.test", "192.0.2.1", 25000);
    struct message m;

    (void)state;
    message_init(&m);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        print_message("  %s\n", table[i].name);
        mail(&m, &c, "a.test", table[i].line, NULL);
        const struct api_envelope *env = &m.plan.envelope;
        same(env->sender, table[i].sender);
        same(env->body, table[i].body);
        same(env->ret, table[i].ret);
        same(env->envid, table[i].envid);
        assert_int_equal(env->smtputf8, table[i].smtputf8);
        same(env->client_address, "192.0.2.1");
        same(env->client_name, "mx.b.test");
        assert_int_equal(env->client_port, 25000);
    }
    message_free(&m);
    message_client_free(&c);
}

static void rcpt_arguments(void **state)
{
    static const struct {
        const char *name, *line, *mailer, *address, *notify, *orcpt, *given, *resolved;
    } table[] = {
        {"dsn", "<bob@b.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2B@b.test", "smtp", "bob@b.test",
         "SUCCESS,DELAY", "rfc822;Bob+2B@b.test", "<bob@b.test>", NULL},
        {"bare", "bob@b.test", NULL, "bob@b.test", NULL, NULL, "bob@b.test", NULL},
        {"case_is_kept", "<B.OB+x@B.TEST>", "", "B.OB+x@B.TEST", NULL, NULL, "<B.OB+x@B.TEST>", NULL},
        {"one_bracket_is_text", "<bob@b.test", NULL, "<bob@b.test", NULL, NULL, "<bob@b.test", NULL},
        {"resolved", "<b.test!bob>", "virtual", "bob@b.test", NULL, NULL, "<b.test!bob>", "bob@b.test"},
        {"needs_no_resolver", "<bob@b.test>", "virtual", "bob@b.test", NULL, NULL, "<bob@b.test>",
         "carol@b.test"},
        {"local", "<bob>", "local", "bob@a.test", NULL, NULL, "<bob>", "bob"},
        {"local_literal", "<bob@[192.0.2.1]>", "local", "bob@a.test", NULL, NULL, "<bob@[192.0.2.1]>",
         "bob@[192.0.2.1]"},
        {"literal_elsewhere", "<bob@[192.0.2.1]>", "smtp", "bob@[192.0.2.1]", NULL, NULL, "<bob@[192.0.2.1]>",
         "bob@[192.0.2.1]"},
        {"nobody_knows", "<bob>", NULL, "bob", NULL, NULL, "<bob>", NULL},
    };
    struct message_client c = client_at(NULL, NULL, 0);
    struct message m;

    (void)state;
    message_init(&m);
    mail(&m, &c, "a.test", "<alice@a.test>", NULL);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        print_message("  %s\n", table[i].name);
        rcpt(&m, table[i].line, table[i].mailer, table[i].resolved);
        const struct api_recipient *r = &m.plan.envelope.recipient[i];
        same(r->address, table[i].address);
        same(r->notify, table[i].notify);
        same(r->orcpt, table[i].orcpt);
        same(r->mailer, table[i].mailer && *table[i].mailer ? table[i].mailer : NULL);
        same(m.given_recipient[i], table[i].given);
    }
    assert_int_equal(m.plan.envelope.recipient_count, sizeof table / sizeof *table);
    message_free(&m);
}

static void recipients_past_the_limit_are_counted(void **state)
{
    struct message_client c = client_at(NULL, NULL, 0);
    struct message m;

    (void)state;
    message_init(&m);
    mail(&m, &c, "a.test", "<alice@a.test>", NULL);
    for (int i = 0; i < API_RECIPIENTS_MAX + 2; i++)
        rcpt(&m, "<bob@b.test>", NULL, NULL);
    assert_int_equal(m.plan.envelope.recipient_count, API_RECIPIENTS_MAX);
    assert_int_equal(m.recipients_given, API_RECIPIENTS_MAX + 2);
    message_free(&m);
}

static void sendmail_command(void **state)
{
    static const struct {
        const char *name, *host, *address;
        int port;
        const char *line, *auth;
        bool want;
    } table[] = {
        {"sendmail_command", "localhost", "127.0.0.1", 0, "al@a.test", NULL, true},
        {"sendmail_command_v6", "localhost", "::1", 0, "al@a.test", NULL, true},
        {"program_over_loopback", "localhost", "127.0.0.1", 40000, "<al@a.test>", NULL, false},
        {"program_over_loopback_without_brackets", "localhost", "127.0.0.1", 40000, "al@a.test", NULL, false},
        {"brackets", "localhost", "127.0.0.1", 0, "<al@a.test>", NULL, false},
        {"parameters", "localhost", "127.0.0.1", 0, "al@a.test SIZE=1", NULL, false},
        {"other_address", "localhost", "192.0.2.1", 0, "al@a.test", NULL, false},
        {"other_name", "mx.b.test", "127.0.0.1", 0, "al@a.test", NULL, false},
        {"login", "localhost", "127.0.0.1", 0, "al@a.test", "al", false},
        {"unknown_address", "localhost", NULL, 0, "al@a.test", NULL, false},
    };
    struct message m;

    (void)state;
    message_init(&m);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct message_client c = client_at(table[i].host, table[i].address, table[i].port);
        print_message("  %s\n", table[i].name);
        mail(&m, &c, "a.test", table[i].line, table[i].auth);
        assert_int_equal(m.plan.envelope.command_line, table[i].want);
        message_client_free(&c);
    }
    message_free(&m);
}

static void client_text_is_printable(void **state)
{
    struct message_client c = client_at("we\001rd\xff.test", "2001:db8::1", 7);

    (void)state;
    same(c.host, "we?rd?.test");
    same(c.address, "2001:db8::1");
    assert_int_equal(c.port, 7);
    assert_int_equal(message_client_helo(&c, "a\nb"), ERR_OK);
    assert_int_equal(message_client_helo(&c, "gr\xc3\xbc"), ERR_OK);
    same(c.helo, "gr??");
    message_client_free(&c);
    c = client_at("[192.0.2.1]", "192.0.2.1", 7);
    same(c.host, NULL);
    message_client_free(&c);
}

static void header_is_rebuilt_to_the_byte(void **state)
{
    static const struct {
        const char *name, *field, *value, *want;
    } table[] = {
        {"blank", "Subject", " hello", "Subject: hello\r\n"},
        {"no_blank", "Subject", "hello", "Subject:hello\r\n"},
        {"tab_and_blanks", "SUBJECT", "\t  hello  ", "SUBJECT:\t  hello  \r\n"},
        {"empty", "X-Empty", "", "X-Empty:\r\n"},
        {"folded", "To", " a@b.test,\n\tb@b.test,\n   c@b.test",
         "To: a@b.test,\r\n\tb@b.test,\r\n   c@b.test\r\n"},
        {"folded_with_crlf", "To", " a,\r\n b", "To: a,\r\n b\r\n"},
        {"fold_right_after_the_colon", "X-Long", "\n word", "X-Long:\r\n word\r\n"},
        {"trailing_newline", "X-Odd", " x\n", "X-Odd: x\r\n\r\n"},
        {"eight_bit", "Subject", " gr\xfc\xdf\xc3\xbc", "Subject: gr\xfc\xdf\xc3\xbc\r\n"},
        {"lone_cr", "X-CR", " a\rb", "X-CR: a\rb\r\n"},
    };
    struct message_client c = client_at(NULL, NULL, 0);
    struct message m;

    (void)state;
    message_init(&m);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        print_message("  %s\n", table[i].name);
        mail(&m, &c, "a.test", "<alice@a.test>", NULL);
        assert_int_equal(message_field(&m, table[i].field, table[i].value), ERR_OK);
        same(buf_cstr(&m.header), table[i].want);
        assert_int_equal(m.plan.header_bytes, strlen(table[i].want));
    }
    message_free(&m);
}

static const char *find(const struct message *m, const char *name)
{
    return api_field_value(m->plan.field, m->plan.field_count, name);
}

static void fields_that_matter_are_kept(void **state)
{
    static const char *const shown[][2] = {{"Received", " from x"},
                                           {"FROM", " Alice\n <alice@a.test>"},
                                           {"From", " second@a.test"},
                                           {"message-id", " <1@a.test>"},
                                           {"Subject", " no"},
                                           {"Content-Type", " multipart/report"},
                                           {"restante-retention", " 7d"},
                                           {"Restante-Stub", " v=1;\n x=2"}};
    struct message_client c = client_at(NULL, NULL, 0);
    struct message m;

    (void)state;
    message_init(&m);
    mail(&m, &c, "a.test", "<alice@a.test>", NULL);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        assert_false(m.has_stub);
        assert_int_equal(message_field(&m, shown[i][0], shown[i][1]), ERR_OK);
    }
    assert_true(m.has_stub);
    assert_int_equal(m.plan.field_count, 8);
    same(find(&m, "Restante-Retention"), " 7d");
    same(find(&m, "From"), " Alice\r\n <alice@a.test>");
    same(find(&m, "restante-stub"), " v=1;\r\n x=2");
    same(find(&m, "Message-ID"), " <1@a.test>");
    same(find(&m, "X-Other"), NULL);
    message_free(&m);
}

static void what_is_merely_read_is_bounded(void **state)
{
    static const struct {
        const char *name;
        size_t given, octets, kept, kept_octets;
    } table[] = {{"Received", 100, 80, API_RECEIVED_MAX, 80},
                 {"received", 2, 50000, 2, API_FIELD_CUT},
                 {"Subject", 1, API_FIELD_CUT, 1, API_FIELD_CUT},
                 {"Subject", 50, 50000, API_FIELD_REPEATS, API_FIELD_CUT},
                 {"List-Id", 1, API_FIELD_CUT + 1, 1, API_FIELD_CUT},
                 {"Precedence", 5, 4, API_FIELD_REPEATS, 4},
                 {"From", 5, 50000, 5, 50000}};
    struct message_client c = client_at(NULL, NULL, 0);
    struct message m;
    char value[50001];

    (void)state;
    message_init(&m);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        print_message("  %zu %s of %zu\n", table[i].given, table[i].name, table[i].octets);
        memset(value, 'x', table[i].octets);
        value[table[i].octets] = '\0';
        mail(&m, &c, "a.test", "<alice@a.test>", NULL);
        for (size_t k = 0; k < table[i].given; k++) {
            value[0] = (char)('0' + k % 10);
            assert_int_equal(message_field(&m, table[i].name, value), ERR_OK);
        }
        assert_int_equal(m.plan.field_count, table[i].kept);
        assert_int_equal(strlen(m.plan.field[0].value), table[i].kept_octets);
        assert_int_equal(m.plan.field[0].value[0], '0'); /* the topmost */
        assert_int_equal(m.header.len, table[i].given * (strlen(table[i].name) + 1 + table[i].octets + 2));
    }
    message_free(&m);
}

static void long_fields_are_told(void **state)
{
    /* Octets of the whole field on the wire, "X: " and CRLF included. */
    static const struct {
        const char *name;
        size_t octets;
        size_t folds;
        bool fits;
    } table[] = {{"largest", MESSAGE_FIELD_MAX, 0, true},
                 {"one_more", MESSAGE_FIELD_MAX + 1, 0, false},
                 {"largest_folded", MESSAGE_FIELD_MAX, 500, true},
                 {"folded_one_more", MESSAGE_FIELD_MAX + 1, 500, false},
                 {"much_more", 1000000, 0, false}};
    struct message_client c = client_at(NULL, NULL, 0);
    struct message m;

    (void)state;
    message_init(&m);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        print_message("  %s\n", table[i].name);
        /* A fold is one byte here and two on the wire. */
        size_t len = table[i].octets - strlen("X:\r\n") - table[i].folds;
        char *value = malloc(len + 1);
        assert_non_null(value);
        memset(value, 'x', len);
        value[0] = ' ';
        value[len] = '\0';
        for (size_t f = 0; f < table[i].folds; f++)
            memcpy(value + 1 + 10 * f, "\n ", 2);
        mail(&m, &c, "a.test", "<alice@a.test>", NULL);
        assert_int_equal(message_field(&m, "X", value), ERR_OK);
        assert_int_equal(m.cut.smtp, table[i].fits ? 0 : 552);
        assert_string_equal(m.cut.enhanced, table[i].fits ? "" : "5.3.4");
        assert_int_equal(m.refusal.smtp, 0);
        assert_int_equal(m.header.len, table[i].octets);
        free(value);
    }
    message_free(&m);
}

static void large_headers_are_refused(void **state)
{
    struct message_client c = client_at(NULL, NULL, 0);
    struct message m;
    static char value[1001];

    (void)state;
    memset(value, 'x', 1000);
    message_init(&m);
    mail(&m, &c, "a.test", "<alice@a.test>", NULL);
    for (int i = 0; i < (int)(MESSAGE_HEADER_MAX / 1000) + 1; i++)
        assert_int_equal(message_field(&m, "X", value), ERR_OK);
    assert_int_equal(m.refusal.smtp, 552);
    assert_true(m.header.len <= MESSAGE_HEADER_MAX);
    message_free(&m);
}

static void enabled_domains(void **state)
{
    static const struct {
        const char *name, *domains, *sender;
        bool want;
    } table[] = {
        {"only_domain", "a.test", "<alice@a.test>", true},
        {"second_of_a_list", "b.test, a.test", "<alice@a.test>", true},
        {"list_by_blanks", "b.test a.test\tc.test", "<alice@c.test>", true},
        {"without_case", "A.Test", "<alice@a.TEST>", true},
        {"subdomain_is_another", "a.test", "<alice@x.a.test>", false},
        {"parent_is_another", "x.a.test", "<alice@a.test>", false},
        {"other", "a.test", "<bob@b.test>", false},
        {"null_path", "a.test", "<>", false},
        {"no_domain", "a.test", "alice", false},
        {"address_literal", "a.test", "<alice@[192.0.2.1]>", false},
        {"sendmail_command", "a.test", "alice@a.test", true},
        {"u_label_and_a_label", "xn--mnchen-3ya.test", "<alice@m\xc3\xbcnchen.test>", true},
        {"many_in_any_order", "z.test b.test y.test a.test c.test", "<alice@y.test>", true},
        {"empty_list", " , ", "<alice@a.test>", false},
        {"nonsense_in_the_list", "..., a.test", "<alice@a.test>", true},
    };
    struct message_client c = client_at(NULL, NULL, 0);
    struct message m;
    struct domain_set enabled;

    (void)state;
    message_init(&m);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        print_message("  %s\n", table[i].name);
        mail(&m, &c, table[i].domains, table[i].sender, NULL);
        assert_int_equal(domain_set_parse(table[i].domains, &enabled), ERR_OK);
        assert_int_equal(message_sender_enabled(&m, &enabled), table[i].want);
        rcpt(&m, "<someone@else.test>", NULL, NULL);
        assert_false(message_recipient_enabled(&m, &enabled));
        rcpt(&m, table[i].sender, NULL, NULL);
        assert_int_equal(message_recipient_enabled(&m, &enabled), table[i].want);
        domain_set_free(&enabled);
    }
    message_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_arguments),
        cmocka_unit_test(rcpt_arguments),
        cmocka_unit_test(recipients_past_the_limit_are_counted),
        cmocka_unit_test(sendmail_command),
        cmocka_unit_test(client_text_is_printable),
        cmocka_unit_test(header_is_rebuilt_to_the_byte),
        cmocka_unit_test(fields_that_matter_are_kept),
        cmocka_unit_test(what_is_merely_read_is_bounded),
        cmocka_unit_test(long_fields_are_told),
        cmocka_unit_test(large_headers_are_refused),
        cmocka_unit_test(enabled_domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
