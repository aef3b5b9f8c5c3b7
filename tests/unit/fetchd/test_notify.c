#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "env/env.h"
#include "env/site.h"
#include "lifecycle/notify.h"
#include "mta/smtp.h"
#include "seal/seal.h"
#include "store/store.h"
#include "store/ticket_state.h"
#include "ticket/ticket.h"

#define NOW 1800000000LL

/* Every end, every NOTIFY, and a domain with and without confirmations: who is told what. */
static void the_end_and_notify_decide(void **state)
{
    enum { N, R, F }; /* nothing, relayed, failed */
    static const char *const notify[] = {"",
                                         "NEVER",
                                         "SUCCESS",
                                         "FAILURE",
                                         "DELAY",
                                         "SUCCESS,DELAY",
                                         "SUCCESS,FAILURE",
                                         "FAILURE,DELAY",
                                         "failure",
                                         "SUCCESS,FAILURE,DELAY"};
    static const struct {
        enum ticket_state state;
        unsigned char plain[COUNT(notify)], confirm_absent; /* NOTIFY absent, sender in confirm_domains */
    } cases[] = {
        /*                  absent NEVER S  F  D  SD SF FD f  SFD */
        {TICKET_WAITING, {N, N, N, N, N, N, N, N, N, N}, N},
        {TICKET_HELD, {N, N, N, N, N, N, N, N, N, N}, N},
        {TICKET_CHALLENGED, {N, N, N, N, N, N, N, N, N, N}, N},
        {TICKET_LEASED, {N, N, N, N, N, N, N, N, N, N}, N},
        {TICKET_LAPSED, {N, N, N, N, N, N, N, N, N, N}, N},
        {TICKET_DELIVERED, {N, N, R, N, N, R, R, N, N, R}, R},
        {TICKET_REFUSED, {F, N, N, F, N, N, F, F, F, F}, F},
        {TICKET_RETRACTED, {N, N, N, N, N, N, N, N, N, N}, N},
        {TICKET_EXPIRED, {F, N, N, F, N, N, F, F, F, F}, F},
        {TICKET_UNCONFIRMED, {R, N, R, R, N, R, R, R, R, R}, R},
        {TICKET_BOUNCED, {F, N, N, F, N, N, F, F, F, F}, F},
        {TICKET_PLAIN, {F, N, N, F, N, N, F, F, F, F}, F}, /* decided when the MTA refused it */
    };
    char domains[][ADDRESS_DOMAIN_MAX + 1] = {"a.test"};
    const struct site silent = {.confirm_count = 0},
                      confirming = {.confirm_count = 1, .confirm_domain = domains};
    static struct ticket t;

    (void)state;
    assert_int_equal(COUNT(cases), TICKET_STATE_COUNT);
    strcpy(t.sender, "alice@a.test");
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t k = 0; k < COUNT(notify); k++) {
            for (int confirm = 0; confirm < 2; confirm++) {
                const struct site *site = confirm ? &confirming : &silent;
                /* What he gave himself is what counts, in every domain. */
                int want = confirm && k == 0 ? cases[i].confirm_absent : cases[i].plain[k];
                struct notify_words words = {.action = DSN_DELAYED};
                t.state = cases[i].state;
                strcpy(t.notify, notify_asked(site, "a.test", notify[k]));
                bool tell = notify_decide(&t, &words);
                if (tell != (want != N) || (tell && words.action != (want == R ? DSN_RELAYED : DSN_FAILED)))
                    fail_msg("%s, NOTIFY=%s, confirm %d: %d", ticket_state_name(t.state), notify[k], confirm,
                             tell);
                /* The store keeps the letter for those who are told, and for nobody else. */
                if (t.state != TICKET_PLAIN && tell != ticket_wants_notice(&t, t.state))
                    fail_msg("%s, NOTIFY=%s: store and lifecycle differ", ticket_state_name(t.state),
                             notify[k]);
                if (tell &&
                    (strstr(words.explanation, "was read") || strstr(words.explanation, "has read it")))
                    assert_non_null(strstr(words.explanation, "does not tell whether"));
                if (tell && t.state != TICKET_PLAIN && words.action == DSN_RELAYED)
                    assert_null(strstr(words.explanation, "not delivered"));
            }
        }
        t.sender[0] = '\0'; /* the null reverse-path is never told */
        strcpy(t.notify, "SUCCESS,FAILURE,DELAY");
        assert_false(notify_decide(&t, &(struct notify_words){.status = NULL}));
        strcpy(t.sender, "alice@a.test");
    }
    assert_string_equal(notify_asked(&confirming, "b.test", NULL), "");
    assert_string_equal(notify_asked(&confirming, "a.test", "NEVER"), "NEVER");
}

/* ---- a letter in a store, and what is told about it */

static const char letter[] = "From: Alice <alice@a.test>\r\n"
                             "Subject: one\r\n two\r\n"
                             "Message-ID: <1@a.test>\r\n"
                             "\r\n"
                             "the body\r\n";

struct house {
    struct site site;
    struct site_keys *keys;
    struct env env;
    struct ticket ticket;
};

static void deposit(struct house *h, const char *ret, const char *notify)
{
    struct sealer *sealer;
    struct buf sealed;
    uint8_t header[SEAL_HEADER_BYTES] = {0}, digest[SEAL_DIGEST_BYTES], body_digest[32] = {1};
    struct ticket_keys keys;
    struct store_deposit_ticket item = {.keys = &keys};
    struct store_deposit d = {
        .version = 1, .count = 1, .item = &item, .digest = digest, .body_digest = body_digest};

    buf_init(&sealed, 1 << 20);
    assert_int_equal(sealer_create(1, &sealer), ERR_OK);
    assert_int_equal(store_payload_begin(h->env.store, sealer_payload_id(sealer), &d.payload), ERR_OK);
    assert_int_equal(store_payload_write(d.payload, header, sizeof header), ERR_OK);
    assert_int_equal(sealer_update(sealer, letter, sizeof letter - 1, &sealed), ERR_OK);
    assert_int_equal(sealer_finish(sealer, &sealed, header, digest, &d.letter_bytes), ERR_OK);
    assert_int_equal(store_payload_write(d.payload, sealed.data, sealed.len), ERR_OK);
    assert_int_equal(store_payload_patch(d.payload, header, sizeof header), ERR_OK);
    d.dek = sealer_dek(sealer);
    assert_int_equal(ticket_create(h->keys, &keys), ERR_OK);
    item.ticket.created_s = NOW;
    item.ticket.expires_s = NOW + 1000;
    strcpy(item.ticket.sender, "alice@a.test");
    strcpy(item.ticket.owner, "alice@a.test");
    strcpy(item.ticket.recipient, "bob@b.test");
    strcpy(item.ticket.from_field, "Alice <alice@a.test>");
    strcpy(item.ticket.message_id, "1@a.test");
    strcpy(item.ticket.envid, "QQ+2B1");
    strcpy(item.ticket.orcpt, "rfc822;Bob+2Bx@b.test");
    strcpy(item.ticket.ret, ret);
    strcpy(item.ticket.notify, notify);
    assert_int_equal(store_deposit(h->env.store, &d), ERR_OK);
    assert_int_equal(store_ticket_get(h->env.store, item.ticket.key, &h->ticket), ERR_OK);
    sealer_free(sealer);
    buf_free(&sealed);
}

static int open_house(void **state)
{
    static const uint16_t epoch = 1;
    static const uint8_t key[1][SITEKEY_BYTES] = {{9}};
    struct house *h = calloc(1, sizeof *h);
    struct buf why;

    buf_init(&why, 1000);
    strcpy(h->site.hostname, "mx.a.test");
    assert_int_equal(site_keys_from_bytes(&epoch, key, 1, &h->keys), ERR_OK);
    const struct store_options options = {
        .engine = STORE_MEMORY, .record_max_bytes = 65536, .dedupe_s = 86400, .tombstone_s = 86400};
    h->env.site = &h->site;
    h->env.keys = h->keys;
    if (store_open(&options, h->keys, &h->env.store, &why))
        fail_msg("%s", buf_cstr(&why));
    buf_free(&why);
    *state = h;
    return 0;
}

static int close_house(void **state)
{
    struct house *h = *state;

    store_close(h->env.store);
    site_keys_free(h->keys);
    free(h);
    return 0;
}

/* The whole notification, read in small pieces; closes it. */
static void read_all(struct notification *n, struct buf *out)
{
    char piece[7];
    ssize_t got;

    buf_init(out, 1 << 20);
    while ((got = notification_read(n, piece, sizeof piece)) > 0)
        assert_int_equal(buf_append(out, piece, (size_t)got), ERR_OK);
    assert_int_equal(got, 0);
    notification_close(n);
}

static void read_notification(struct house *h, struct buf *out)
{
    struct notification *n;
    struct notify_words words;

    assert_true(notify_decide(&h->ticket, &words));
    assert_int_equal(notification_open(&h->env, &h->ticket, &words, NOTIFY_LETTER, &n), ERR_OK);
    read_all(n, out);
}

static void has(const struct buf *text, const char *part)
{
    if (!strstr(buf_cstr(text), part))
        fail_msg("no \"%s\" in:\n%s", part, buf_cstr(text));
}

static void hasnt(const struct buf *text, const char *part)
{
    if (strstr(buf_cstr(text), part))
        fail_msg("\"%s\" in:\n%s", part, buf_cstr(text));
}

static void a_bounce_tells_the_status_and_returns_the_header(void **state)
{
    struct house *h = *state;
    struct buf text;
    struct dsn_report report;

    deposit(h, "HDRS", "");
    assert_int_equal(
        store_bounced(h->env.store, h->ticket.a, "5.1.1", "550 5.1.1 no such user", NOW + 1, &h->ticket),
        ERR_OK);
    read_notification(h, &text);
    has(&text, "To: alice@a.test\r\n");
    has(&text, "Final-Recipient: rfc822; bob@b.test\r\n");
    has(&text, "Original-Recipient: rfc822; Bob+x@b.test\r\n");
    has(&text, "Original-Envelope-Id: QQ+1\r\n");
    has(&text, "Status: 5.1.1\r\n");
    has(&text, "550 5.1.1 no such user");
    has(&text, "Reporting-MTA: dns; mx.a.test\r\n");
    has(&text, "Subject: one\r\n two\r\n");
    hasnt(&text, "the body");
    assert_int_equal(dsn_report_parse(buf_span(&text), &report), ERR_OK);
    assert_true(report.is_report);
    assert_int_equal(report.action, DSN_FAILED);
    assert_string_equal(report.status, "5.1.1");
    dsn_report_free(&report);
    buf_free(&text);
}

/* Who said what: as bounce.c writes it down, and after a refusal by whoever had called for it. */
static void the_remote_mta_is_told_where_it_is_known(void **state)
{
    static const struct {
        const char *reason, *text, *holder;
        enum ticket_state end;
        const char *status, *mta, *want; /* mta NULL: none */
    } cases[] = {
        {"5.1.1", "host mx.c.test said: 550 5.1.1 no", "", TICKET_BOUNCED, "5.1.1", "dns; mx.c.test",
         "smtp; 550 5.1.1 no"},
        {"", "host mx.c.test said: 550 5.1.2 no", "", TICKET_BOUNCED, "5.1.2", "dns; mx.c.test",
         "smtp; 550 5.1.2 no"},
        {"5.1.1", "550 5.1.1 no", "", TICKET_BOUNCED, "5.1.1", NULL, "smtp; 550 5.1.1 no"},
        {"5.1.1", "host  said: 550 no", "", TICKET_BOUNCED, "5.1.1", NULL, "x-restante; host  said: 550 no"},
        {"5.1.1", "the stub came back", "", TICKET_BOUNCED, "5.1.1", NULL, "x-restante; the stub came back"},
        {"4.4.1", "host m said: x said: 1", "", TICKET_BOUNCED, "5.4.1", "dns; m", "x-restante; x said: 1"},
        {"mta-refused", "550 5.7.1 no", "192.0.2.7", TICKET_REFUSED, "5.7.1", "dns; [192.0.2.7]",
         "smtp; 550 5.7.1 no"},
        {"mta-refused", "550 5.7.1 no", "2001:db8::7", TICKET_REFUSED, "5.7.1", "dns; [IPv6:2001:db8::7]",
         "smtp; 550 5.7.1 no"},
        {"denied", "no", "", TICKET_REFUSED, "5.0.0", NULL, "x-restante; no"},
        {"5.1.1", "550 5.7.1 no", "192.0.2.7", TICKET_BOUNCED, "5.1.1", NULL, "smtp; 550 5.7.1 no"},
    };
    struct house *h = *state;
    struct buf text;
    char want[200];

    deposit(h, "", "");
    for (size_t i = 0; i < COUNT(cases); i++) {
        h->ticket.state = cases[i].end;
        strcpy(h->ticket.remote_reason, cases[i].reason);
        strcpy(h->ticket.remote_text, cases[i].text);
        strcpy(h->ticket.lease_holder, cases[i].holder);
        read_notification(h, &text);
        snprintf(want, sizeof want, "Remote-MTA: %s\r\n", cases[i].mta ? cases[i].mta : "");
        if (cases[i].mta)
            has(&text, want);
        else
            hasnt(&text, "Remote-MTA");
        snprintf(want, sizeof want, "Status: %s\r\n", cases[i].status);
        has(&text, want);
        snprintf(want, sizeof want, "Diagnostic-Code: %s\r\n", cases[i].want);
        has(&text, want);
        buf_free(&text);
    }
}

static void ret_full_returns_the_letter(void **state)
{
    struct house *h = *state;
    struct buf text;

    deposit(h, "FULL", "FAILURE");
    assert_int_equal(store_bounced(h->env.store, h->ticket.a, "", "it came back", NOW + 1, &h->ticket),
                     ERR_OK);
    read_notification(h, &text);
    has(&text, letter);
    has(&text, "message/rfc822");
    has(&text, "Status: 5.0.0\r\n");
    buf_free(&text);
}

static void an_expired_ticket_says_that_nobody_called(void **state)
{
    struct house *h = *state;
    struct buf text;
    size_t count = 0;

    deposit(h, "", "");
    struct work work = {.kind = WORK_STUB};
    memcpy(work.key, h->ticket.key, sizeof work.key);
    assert_int_equal(store_stub_sent(h->env.store, &work, "4bXyz", NOW + 3600, NOW + 1), ERR_OK);
    assert_int_equal(store_expire(h->env.store, NOW + 2000, 10, &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(store_ticket_get(h->env.store, h->ticket.key, &h->ticket), ERR_OK);
    assert_int_equal(h->ticket.state, TICKET_EXPIRED);
    read_notification(h, &text);
    has(&text, "Status: 5.4.7\r\n");
    has(&text, "never called for it");
    has(&text, "Last-Attempt-Date: ");
    buf_free(&text);
}

static void only_an_mta_that_answers_is_given_up(void **state)
{
    static const struct {
        const char *name;
        enum err err;
        int code;
        uint32_t tries;
        int64_t after_s;
        bool gives_up;
    } cases[] = {
        {"taken", ERR_OK, 250, 500, 99 * 86400, false},
        {"refused", ERR_SMTP_PERMANENT, 550, 0, 0, true},
        {"later", ERR_SMTP_TEMPORARY, 450, 3, 3600, false},
        {"later, for a month", ERR_SMTP_TEMPORARY, 450, 120, 31 * 86400, true},
        {"later, often in a short time", ERR_SMTP_TEMPORARY, 450, 500, 86400, false},
        {"later, after the clock jumped", ERR_SMTP_TEMPORARY, 450, 3, 99 * 86400, false},
        {"away for a year", ERR_SMTP_TEMPORARY, 0, 3000, 365 * 86400, false},
        {"its answer was lost", ERR_SMTP_UNCLEAR, 0, 3000, 365 * 86400, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ticket t = {.state = TICKET_REFUSED, .changed_s = NOW};
        struct work work = {.kind = WORK_NOTIFY, .tries = cases[i].tries};
        struct smtp_result result = {.err = cases[i].err, .code = cases[i].code};

        if (notify_gives_up(&t, &work, &result, NOW + cases[i].after_s) != cases[i].gives_up)
            fail_msg("%s", cases[i].name);
    }
}

static void how_far_it_got_is_told_as_far_as_it_is_known(void **state)
{
    static const struct {
        const char *name;
        unsigned events[4]; /* 0 is TICKET_WAITING, which is true of all at first */
        bool sent, handed_over;
        const char *status, *waits, *expired;
    } cases[] = {
        {"nobody called", {0}, true, false, "4.4.0", "has not called for it", "never called for it"},
        {"held", {TICKET_HELD}, true, false, "4.7.0", "until it is wanted", "nobody there asked for it"},
        {"challenged", {TICKET_HELD, TICKET_CHALLENGED}, true, false, "4.7.0", "no machine", "no machine"},
        {"no longer challenged",
         {TICKET_CHALLENGED, TICKET_HELD},
         true,
         false,
         "4.7.0",
         "until it is wanted",
         "nobody there asked for it"},
        {"never told", {0}, false, false, "4.4.1", "could not be told", "could not be told"},
        {"collected", {TICKET_LEASED, TICKET_LAPSED}, true, true, "4.4.2", "It may well have", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ticket t = {.sender = "alice@a.test", .stub_sent_s = cases[i].sent ? NOW : 0};
        struct notify_words words;
        t.handed_over_s = cases[i].handed_over ? NOW : 0;
        ticket_event_add(&t, TICKET_WAITING, NOW);
        for (size_t k = 0; k < 4 && cases[i].events[k]; k++) {
            ticket_event_add(&t, cases[i].events[k], NOW);
            t.state = (enum ticket_state)cases[i].events[k];
        }
        ticket_event_add(&t, TICKET_EVENT_DELAY_TOLD, NOW);
        assert_true(notify_decide_delay(&t, &words));
        assert_int_equal(words.action, DSN_DELAYED);
        if (strcmp(words.status, cases[i].status) != 0 || !strstr(words.explanation, cases[i].waits))
            fail_msg("%s: %s %s", cases[i].name, words.status, words.explanation);
        if (!cases[i].expired)
            continue;
        t.state = TICKET_EXPIRED;
        ticket_event_add(&t, TICKET_EXPIRED, NOW);
        assert_true(notify_decide(&t, &words));
        assert_string_equal(words.status, "5.4.7");
        if (!strstr(words.explanation, cases[i].expired))
            fail_msg("%s: %s", cases[i].name, words.explanation);
        assert_false(notify_decide_delay(&t, &words));
    }
}

static void of_what_was_perhaps_collected_nothing_is_said_that_may_be_false(void **state)
{
    struct ticket t = {
        .sender = "alice@a.test", .state = TICKET_WAITING, .stub_sent_s = NOW, .perhaps = true};
    struct notify_words words;

    (void)state;
    assert_true(notify_decide_delay(&t, &words));
    assert_null(strstr(words.explanation, "not delivered"));
    assert_null(strstr(words.explanation, "has not called"));
    assert_non_null(strstr(words.explanation, "perhaps collected"));
}

static void a_warning_is_told_once_it_is_wanted(void **state)
{
    static const struct {
        const char *notify;
        enum ticket_state state;
        bool tell;
    } cases[] = {
        {"", TICKET_WAITING, true},
        {"DELAY", TICKET_HELD, true},
        {"FAILURE,DELAY", TICKET_LAPSED, true},
        {"NEVER", TICKET_WAITING, false},
        {"SUCCESS", TICKET_WAITING, false},
        {"FAILURE", TICKET_CHALLENGED, false},
        {"", TICKET_LEASED, false},
        {"", TICKET_DELIVERED, false},
        {"", TICKET_PLAIN, false},
        {"DELAY", TICKET_RETRACTED, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ticket t = {.sender = "alice@a.test", .state = cases[i].state, .stub_sent_s = NOW};
        struct notify_words words;
        strcpy(t.notify, cases[i].notify);
        if (notify_decide_delay(&t, &words) != cases[i].tell)
            fail_msg("%s %s", cases[i].notify, ticket_state_name(t.state));
    }
}

static void a_warning_says_until_when_and_returns_the_header(void **state)
{
    struct house *h = *state;
    struct notification *n;
    struct notify_words words;
    struct buf text;

    deposit(h, "FULL", "");
    strcpy(h->ticket.remote_text, "451 4.3.0 later");
    assert_true(notify_decide_delay(&h->ticket, &words));
    assert_int_equal(notification_open(&h->env, &h->ticket, &words, NOTIFY_LETTER, &n), ERR_OK);
    read_all(n, &text);
    has(&text, "Action: delayed\r\n");
    has(&text, "Status: 4.4.1\r\n");
    has(&text, "Will-Retry-Until: Fri, 15 Jan 2027 08:16:40 +0000\r\n");
    has(&text, "Waits until: Fri, 15 Jan 2027 08:16:40 +0000\r\n");
    has(&text, "451 4.3.0 later");
    has(&text, ".delayed@mx.a.test>");
    has(&text, "Subject: one\r\n two\r\n");
    hasnt(&text, "the body");
    buf_free(&text);
}

/* The payload's file has lost its end: the sender is told all the same. */
static void a_damaged_letter_keeps_nobody_from_being_told(void **state)
{
    static const uint16_t epoch = 1;
    static const uint8_t key[1][SITEKEY_BYTES] = {{9}};
    char folder[] = "/tmp/restante-notify-XXXXXX", command[200];
    struct house h = {.env = {.site = &h.site}};
    struct buf why, text;

    (void)state;
    buf_init(&why, 1000);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(site_keys_from_bytes(&epoch, key, 1, &h.keys), ERR_OK);
    h.env.keys = h.keys;
    strcpy(h.site.hostname, "mx.a.test");
    const struct store_options options = {
        .engine = STORE_BDB, .directory = folder, .dedupe_s = 86400, .tombstone_s = 86400};
    if (store_open(&options, h.keys, &h.env.store, &why))
        fail_msg("%s", buf_cstr(&why));
    deposit(&h, "FULL", "");
    snprintf(command, sizeof command, "truncate -s 10 %s/payload/*", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(store_bounced(h.env.store, h.ticket.a, "5.1.1", "no such user", NOW + 1, &h.ticket),
                     ERR_OK);
    read_notification(&h, &text);
    has(&text, "Status: 5.1.1\r\n");
    has(&text, "text/rfc822-headers");
    has(&text, "Message-ID: <1@a.test>\r\n");
    buf_free(&text);
    store_close(h.env.store);
    site_keys_free(h.keys);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    buf_free(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_and_notify_decide),
        cmocka_unit_test_setup_teardown(a_bounce_tells_the_status_and_returns_the_header, open_house,
                                        close_house),
        cmocka_unit_test_setup_teardown(the_remote_mta_is_told_where_it_is_known, open_house, close_house),
        cmocka_unit_test_setup_teardown(ret_full_returns_the_letter, open_house, close_house),
        cmocka_unit_test_setup_teardown(an_expired_ticket_says_that_nobody_called, open_house, close_house),
        cmocka_unit_test(only_an_mta_that_answers_is_given_up),
        cmocka_unit_test(how_far_it_got_is_told_as_far_as_it_is_known),
        cmocka_unit_test(a_warning_is_told_once_it_is_wanted),
        cmocka_unit_test(of_what_was_perhaps_collected_nothing_is_said_that_may_be_false),
        cmocka_unit_test_setup_teardown(a_warning_says_until_when_and_returns_the_header, open_house,
                                        close_house),
        cmocka_unit_test(a_damaged_letter_keeps_nobody_from_being_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
