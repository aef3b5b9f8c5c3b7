/* test_admission.c - the checks one by one and in their order, on a real store and a name server of the
 * test's. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../proof/zone.h"
#include "../store/rig.h"
#include "admission/admission.h"
#include "base/clock.h"
#include "env/env.h"
#include "env/site.h"
#include "settings/settings.h"

#define NOW RIG_NOW_S

/* good.test has all that is wanted; each of the others lacks one thing. */
#define DOMAIN(name, spf)                                                                                    \
    {name, DNS_MX, "mx.good.test", PLAIN}, {name, DNS_TXT, spf, PLAIN},                                      \
    {                                                                                                        \
        "_restante." name, DNS_TXT, "v=restante1; h=pull." name, PLAIN                                       \
    }
static const struct zone_line lines[] = {
    {"mx.good.test", DNS_A, "192.0.2.1", PLAIN},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, "mx.good.test", PLAIN},
    {"3.2.0.192.in-addr.arpa", DNS_PTR, "mx.good.test", PLAIN},
    {"4.2.0.192.in-addr.arpa", DNS_PTR, NULL, SERVFAIL},
    DOMAIN("good.test", "v=spf1 ip4:192.0.2.0/24 -all"),
    DOMAIN("mail.good.test", "v=spf1 ip4:192.0.2.0/24 -all"),
    DOMAIN("neutral.test", "v=spf1 ?all"),
    DOMAIN("soft.test", "v=spf1 ~all"),
    DOMAIN("fail.test", "v=spf1 -all"),
    DOMAIN("nospf.test", "nothing to say"),
    DOMAIN("bad.test", "v=spf1 nonsense"),
    {"twospf.test", DNS_TXT, "v=spf1 +all", PLAIN},
    DOMAIN("twospf.test", "v=spf1 -all"),
    {"temp.test", DNS_MX, "mx.good.test", PLAIN},
    {"temp.test", DNS_TXT, NULL, SERVFAIL},
    {"bogus.test", DNS_MX, NULL, SERVFAIL_BOGUS},
    {"bogusspf.test", DNS_MX, "mx.good.test", PLAIN},
    {"bogusspf.test", DNS_TXT, NULL, SERVFAIL_BOGUS},
    {"nomx.test", DNS_MX, NULL, NODATA},
    {"nullmx.test", DNS_MX, "", PLAIN},
    {"mxfails.test", DNS_MX, NULL, SERVFAIL},
    {"undesignated.test", DNS_MX, "mx.good.test", PLAIN},
    {"undesignated.test", DNS_TXT, "v=spf1 +all", PLAIN},
    {"nodns.test", DNS_MX, "mx.good.test", PLAIN},
    {"nodns.test", DNS_TXT, "v=spf1 +all", PLAIN},
    {"_restante.nodns.test", DNS_TXT, NULL, SERVFAIL},
    {"proxied.test", DNS_MX, "mx.good.test", PLAIN},
    {"proxied.test", DNS_TXT, "v=spf1 +all", PLAIN},
    {"_restante.proxied.test", DNS_TXT, "v=restante1; h=trusted.proxy.test,other.proxy.test", PLAIN},
    {"testing.test", DNS_MX, "mx.good.test", PLAIN},
    {"testing.test", DNS_TXT, "v=spf1 -all", PLAIN},
    {"_restante.testing.test", DNS_TXT, "v=restante1; h=pull.testing.test; t=y", PLAIN},
};

struct bench {
    struct rig rig;
    struct zone zone;
    struct settings settings;
    struct site site;
    struct env env;
    char *proxy[1], *relay[1];
};

static int set_up(void **state)
{
    struct buf why;
    struct bench *b = calloc(1, sizeof *b);

    buf_init(&why, 500);
    rig_init(&b->rig, STORE_MEMORY);
    rig_open(&b->rig);
    zone_start(&b->zone, lines, COUNT(lines));
    b->proxy[0] = (char *)"trusted.proxy.test";
    b->relay[0] = (char *)"198.51.100.0/24";
    b->settings = (struct settings){.mode = 1,
                                    .admission = 1,
                                    .correspondents = true,
                                    .recipient_delimiter = (char *)"+",
                                    .require_mx = true,
                                    .require_spf = true,
                                    .require_reverse_dns = true,
                                    .trusted_proxies = {b->proxy, 1},
                                    .trusted_relays = {b->relay, 1},
                                    .legacy = 0};
    snprintf(b->site.hostname, sizeof b->site.hostname, "mx.b.test");
    b->env = (struct env){
        .settings = &b->settings, .site = &b->site, .store = b->rig.s, .resolver = b->zone.resolver};
    assert_int_equal(admission_create(&b->env, &b->env.admission, &why), ERR_OK);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    admission_free(b->env.admission);
    zone_stop(&b->zone);
    rig_close(&b->rig);
    rig_free(&b->rig);
    free(b);
    return 0;
}

/* ---- a message */

struct message {
    enum facts_kind kind; /* 0: a stub */
    const char *sender;   /* NULL: x@domain's stub */
    const char *author, *recipient, *client, *list_id, *host;
    bool bulk, report;
};

static void read_address(const char *text, struct address *out)
{
    assert_int_equal(address_parse(span_of(text), out), ERR_OK);
}

static void fill(const struct message *m, char host[256], struct facts *f)
{
    *f = (struct facts){.kind = m->kind ? m->kind : FACTS_STUB,
                        .now_s = NOW,
                        .bulk = m->bulk,
                        .report = m->report,
                        .helo = "client.test"};
    read_address(m->sender, &f->originator);
    f->sender = f->originator;
    if (f->kind == FACTS_STUB)
        snprintf(f->sender.local, sizeof f->sender.local, "restante+00");
    read_address(m->recipient ? m->recipient : "bob@b.test", &f->recipient);
    read_address(m->author ? m->author : m->sender, &f->author);
    snprintf(host, 256, "%s%s", m->host ? "" : "pull.", m->host ? m->host : f->sender.domain);
    f->link_host = host;
    f->link_port = 443;
    if (m->list_id)
        snprintf(f->list_id, sizeof f->list_id, "%s", m->list_id);
    const char *client = m->client ? m->client : "192.0.2.1";
    if (*client)
        assert_int_equal(netaddr_parse(span_of(client), &f->client), ERR_OK);
    f->deadline_mono_ms = clock_mono_ms() + 3000;
}

static struct finding judge(struct bench *b, const struct message *m, struct facts *f)
{
    char host[256];
    struct finding found;

    fill(m, host, f);
    assert_int_equal(admission_judge(b->env.admission, f, NULL, NULL, &found), ERR_OK);
    f->link_host = NULL;
    return found;
}

static void expect(struct bench *b, const char *name, const struct message *m, enum verdict v, enum reason r)
{
    struct facts f;
    struct finding found = judge(b, m, &f);

    if (found.verdict != v || found.reason != r)
        fail_msg("%s: %s %s (%s), not %s %s", name, verdict_name(found.verdict), reason_code(found.reason),
                 found.text, verdict_name(v), reason_code(r));
}

/* ---- the sender's domain */

static void a_stub_needs_a_proven_domain(void **state)
{
    static const struct {
        const char *name;
        struct message m;
        enum verdict verdict;
        enum reason reason;
    } cases[] = {
        {"all in order", {.sender = "al@good.test"}, VERDICT_WAIT, REASON_STRANGER},
        {"no MX", {.sender = "al@nomx.test"}, VERDICT_REFUSE, REASON_NO_MX},
        {"null MX", {.sender = "al@nullmx.test"}, VERDICT_REFUSE, REASON_NULL_MX},
        {"no such domain", {.sender = "al@nowhere.test"}, VERDICT_REFUSE, REASON_NO_DOMAIN},
        {"MX not to be had", {.sender = "al@mxfails.test"}, VERDICT_REFUSE, REASON_DNS_TEMPORARY},
        {"bogus MX", {.sender = "al@bogus.test"}, VERDICT_REFUSE, REASON_DNS_BOGUS},
        {"SPF neutral", {.sender = "al@neutral.test"}, VERDICT_REFUSE, REASON_SPF_NEUTRAL},
        {"SPF softfail", {.sender = "al@soft.test"}, VERDICT_REFUSE, REASON_SPF_SOFTFAIL},
        {"SPF fail", {.sender = "al@fail.test"}, VERDICT_REFUSE, REASON_SPF_FAIL},
        {"no SPF", {.sender = "al@nospf.test"}, VERDICT_REFUSE, REASON_SPF_NONE},
        {"SPF in error", {.sender = "al@bad.test"}, VERDICT_REFUSE, REASON_SPF_PERMERROR},
        {"two SPF records", {.sender = "al@twospf.test"}, VERDICT_REFUSE, REASON_SPF_PERMERROR},
        {"SPF not to be had", {.sender = "al@temp.test"}, VERDICT_REFUSE, REASON_SPF_TEMPERROR},
        {"bogus SPF", {.sender = "al@bogusspf.test"}, VERDICT_REFUSE, REASON_DNS_BOGUS},
        {"client not known", {.sender = "al@good.test", .client = ""}, VERDICT_REFUSE, REASON_SPF_FAIL},
        {"no reverse DNS",
         {.sender = "al@good.test", .client = "192.0.2.2"},
         VERDICT_REFUSE,
         REASON_RDNS_NONE},
        {"unconfirmed",
         {.sender = "al@good.test", .client = "192.0.2.3"},
         VERDICT_REFUSE,
         REASON_RDNS_UNCONFIRMED},
        {"reverse DNS away",
         {.sender = "al@good.test", .client = "192.0.2.4"},
         VERDICT_REFUSE,
         REASON_RDNS_TEMPERROR},
        {"no designation", {.sender = "al@undesignated.test"}, VERDICT_REFUSE, REASON_NO_DESIGNATION},
        {"another host",
         {.sender = "al@good.test", .host = "pull.fail.test"},
         VERDICT_REFUSE,
         REASON_NOT_DESIGNATED},
        {"designation away", {.sender = "al@nodns.test"}, VERDICT_REFUSE, REASON_DNS_TEMPORARY},
        {"a proxy that is trusted",
         {.sender = "al@proxied.test", .host = "trusted.proxy.test"},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"a proxy that is not",
         {.sender = "al@proxied.test", .host = "other.proxy.test"},
         VERDICT_REFUSE,
         REASON_NOT_DESIGNATED},
        {"testing, SPF fails, designated", {.sender = "al@testing.test"}, VERDICT_WAIT, REASON_UNVERIFIED},
        {"testing, another host",
         {.sender = "al@testing.test", .host = "x.test"},
         VERDICT_PASS,
         REASON_TESTING},
        {"From elsewhere",
         {.sender = "al@good.test", .author = "al@fail.test"},
         VERDICT_WAIT,
         REASON_UNALIGNED},
        {"From below", {.sender = "al@good.test", .author = "al@x.good.test"}, VERDICT_WAIT, REASON_STRANGER},
        {"postmaster",
         {.sender = "al@good.test", .recipient = "Postmaster@b.test"},
         VERDICT_ADMIT,
         REASON_ROLE},
        {"abuse+x", {.sender = "al@good.test", .recipient = "abuse+x@b.test"}, VERDICT_ADMIT, REASON_ROLE},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        expect(*state, cases[i].name, &cases[i].m, cases[i].verdict, cases[i].reason);
}

static void each_proof_has_its_switch(void **state)
{
    struct bench *b = *state;
    const struct {
        bool *flag;
        struct message m;
        enum reason reason;
    } cases[] = {
        {&b->settings.require_mx,
         {.sender = "al@undesignated.test", .host = "x.test"},
         REASON_NO_DESIGNATION},
        {&b->settings.require_spf, {.sender = "al@fail.test"}, REASON_STRANGER},
        {&b->settings.require_reverse_dns,
         {.sender = "al@good.test", .client = "192.0.2.2"},
         REASON_STRANGER},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct facts f;
        *cases[i].flag = false;
        assert_int_equal(judge(b, &cases[i].m, &f).reason, cases[i].reason);
        *cases[i].flag = true;
    }
}

static void mail_through_a_relay_is_judged_by_where_it_entered(void **state)
{
    static const struct {
        const char *name, *received;
        enum reason reason;
        bool skipped;
    } cases[] = {
        {"from the domain's own host",
         " from mx.good.test (mx.good.test [192.0.2.1])\r\n\tby relay.b.test (Postfix) with ESMTP id "
         "4bX\r\n\tfor "
         "<bob@b.test>; Sat, 21 Nov 2026 10:00:00 +0000",
         REASON_STRANGER, false},
        {"from a stranger's",
         " from mx.good.test (unknown [203.0.113.9])\r\n\tby relay.b.test (Postfix) with ESMTP id "
         "4bX\r\n\tfor "
         "<bob@b.test>; Sat, 21 Nov 2026 10:00:00 +0000",
         REASON_SPF_FAIL, false},
        {"not told", " by relay.b.test; Sat, 21 Nov 2026 10:00:00 +0000", REASON_UNVERIFIED, true},
    };
    struct bench *b = *state;
    const struct message m = {.sender = "al@good.test", .client = "198.51.100.7"};

    for (size_t i = 0; i < COUNT(cases); i++) {
        char host[256];
        struct facts f;
        struct finding found;
        struct span received = span_of(cases[i].received);
        fill(&m, host, &f);
        f.received = &received;
        f.received_count = 1;
        assert_int_equal(admission_judge(b->env.admission, &f, NULL, NULL, &found), ERR_OK);
        if (found.reason != cases[i].reason || f.client_skipped != cases[i].skipped || !f.relayed)
            fail_msg("%s: %s %s", cases[i].name, reason_code(found.reason), found.text);
    }
}

/* ---- the recipient's word */

static void put_entry(struct bench *b, const char *text, const char *domain, bool deny, bool solved,
                      int64_t until_s)
{
    struct buf why;
    struct entry e = {.deny = deny, .solved = solved, .created_s = NOW, .until_s = until_s};

    buf_init(&why, 200);
    snprintf(e.mailbox, sizeof e.mailbox, "bob@b.test");
    assert_int_equal(entry_parse(text, &e, &why), ERR_OK);
    snprintf(e.domain, sizeof e.domain, "%s", domain);
    assert_int_equal(store_entry_put(b->rig.s, &e), ERR_OK);
    buf_free(&why);
}

static void put_policy(struct bench *b, const char *name, struct policy p)
{
    assert_int_equal(store_policy_put(b->rig.s, name, &p), ERR_OK);
}

static void add_token(struct bench *b, struct token t, const char *text)
{
    snprintf(t.mailbox, sizeof t.mailbox, "bob@b.test");
    snprintf(t.token, sizeof t.token, "%s", text);
    t.created_s = NOW;
    assert_int_equal(store_token_add(b->rig.s, &t), ERR_OK);
}

static void the_owner_decides_in_order(void **state)
{
    static const struct {
        const char *name;
        struct message m;
        enum verdict verdict;
        enum reason reason;
    } cases[] = {
        {"allowed", {.sender = "friend@good.test"}, VERDICT_ADMIT, REASON_ALLOWED},
        {"allowed, in capitals", {.sender = "FRIEND@Good.Test"}, VERDICT_ADMIT, REASON_ALLOWED},
        {"allowed, in quotes", {.sender = "\"friend\"@good.test"}, VERDICT_ADMIT, REASON_ALLOWED},
        {"allowed, to a detail",
         {.sender = "friend@good.test", .recipient = "bob+any@b.test"},
         VERDICT_ADMIT,
         REASON_ALLOWED},
        {"allowed by another mailbox",
         {.sender = "friend@good.test", .recipient = "carol@b.test"},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"somebody else in the friend's name",
         {.sender = "eve@proxied.test", .host = "trusted.proxy.test", .author = "friend@good.test"},
         VERDICT_WAIT,
         REASON_UNALIGNED},
        {"the time is over", {.sender = "past@good.test"}, VERDICT_WAIT, REASON_STRANGER},
        {"solved", {.sender = "solver@good.test"}, VERDICT_ADMIT, REASON_SOLVED},
        {"denied", {.sender = "foe@good.test"}, VERDICT_DENY, REASON_DENIED},
        {"denied, in quotes", {.sender = "\"f\\oe\"@GOOD.test"}, VERDICT_DENY, REASON_DENIED},
        {"denied as author alone",
         {.sender = "al@good.test", .author = "foe@good.test"},
         VERDICT_DENY,
         REASON_DENIED},
        {"denied as originator alone",
         {.sender = "foe@good.test", .author = "friend@good.test"},
         VERDICT_DENY,
         REASON_DENIED},
        {"denied, with a token",
         {.sender = "foe@good.test", .recipient = "bob+shop@b.test"},
         VERDICT_DENY,
         REASON_DENIED},
        {"a list",
         {.sender = "dev@good.test", .author = "x@other.test", .list_id = "dev.good.test"},
         VERDICT_ADMIT,
         REASON_LIST},
        {"the list's name from elsewhere",
         {.sender = "dev@proxied.test", .host = "trusted.proxy.test", .list_id = "dev.good.test"},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"all below", {.sender = "al@mail.good.test"}, VERDICT_ADMIT, REASON_ALLOWED},
        {"a token", {.sender = "al@good.test", .recipient = "bob+shop@b.test"}, VERDICT_ADMIT, REASON_TOKEN},
        {"a token in capitals",
         {.sender = "al@good.test", .recipient = "Bob+SHOP@b.test"},
         VERDICT_ADMIT,
         REASON_TOKEN},
        {"a token bound to another",
         {.sender = "al@good.test", .recipient = "bob+bound@b.test"},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"a token whose time is over",
         {.sender = "al@good.test", .recipient = "bob+old@b.test"},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"a revoked token",
         {.sender = "al@good.test", .recipient = "bob+gone@b.test"},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"somebody he wrote to", {.sender = "pen@good.test"}, VERDICT_ADMIT, REASON_CORRESPONDENT},
        {"somebody he wrote to, in another's name",
         {.sender = "pen@good.test", .author = "al@fail.test"},
         VERDICT_WAIT,
         REASON_UNALIGNED},
        {"in that name, from elsewhere",
         {.sender = "eve@proxied.test", .host = "trusted.proxy.test", .author = "pen@good.test"},
         VERDICT_WAIT,
         REASON_UNALIGNED},
        {"a stranger", {.sender = "al@good.test"}, VERDICT_WAIT, REASON_STRANGER},
        {"to the open mailbox",
         {.sender = "al@good.test", .recipient = "open@b.test"},
         VERDICT_ADMIT,
         REASON_OPEN},
        {"unaligned to it",
         {.sender = "al@good.test", .author = "x@y.test", .recipient = "open@b.test"},
         VERDICT_ADMIT,
         REASON_OPEN},
        {"to the challenging one",
         {.sender = "al@good.test", .recipient = "ask@b.test"},
         VERDICT_CHALLENGE,
         REASON_CHALLENGE},
        {"a list to it",
         {.sender = "al@good.test", .recipient = "ask@b.test", .bulk = true},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"to a domain with another rule",
         {.sender = "al@good.test", .recipient = "x@d.test"},
         VERDICT_ADMIT,
         REASON_OPEN},
    };
    struct bench *b = *state;
    const struct message shop = {.sender = "al@good.test", .recipient = "bob+shop@b.test"};
    struct facts f;

    put_entry(b, "friend@good.test", "", false, false, NOW + 10);
    put_entry(b, "past@good.test", "", false, false, NOW - 1);
    put_entry(b, "solver@good.test", "", false, true, 0);
    put_entry(b, "foe@good.test", "", true, false, 0);
    put_entry(b, "<dev.good.test>", "good.test", false, false, 0);
    put_entry(b, ".good.test", "", false, false, 0);
    add_token(b, (struct token){.letters_max = 3}, "shop");
    add_token(b, (struct token){.bound = "other.test", .bind = true}, "bound");
    add_token(b, (struct token){.until_s = NOW - 1}, "old");
    add_token(b, (struct token){.until_s = 0}, "gone");
    assert_int_equal(store_token_revoke(b->rig.s, "bob@b.test", "gone"), ERR_OK);
    assert_int_equal(store_correspondent_add(b->rig.s, "bob@b.test", "pen@good.test", NOW - 100, NOW + 100),
                     ERR_OK);
    put_policy(b, "open@b.test", (struct policy){.rule = RULE_OPEN});
    put_policy(b, "ask@b.test", (struct policy){.rule = RULE_CHALLENGE});
    put_policy(b, "@d.test", (struct policy){.rule = RULE_OPEN});
    for (size_t i = 0; i < COUNT(cases); i++)
        expect(b, cases[i].name, &cases[i].m, cases[i].verdict, cases[i].reason);
    judge(b, &shop, &f);
    assert_string_equal(f.token, "shop");
    assert_string_equal(f.mailbox, "bob@b.test");
    assert_string_equal(f.organisation, "good.test");
    assert_true(f.verified && f.aligned);
    put_policy(b, "bob@b.test", (struct policy){.correspondents = SWITCH_OFF, .denial = DENIAL_TOLD});
    expect(b, "correspondents off", &(struct message){.sender = "pen@good.test"}, VERDICT_WAIT,
           REASON_STRANGER);
    judge(b, &(struct message){.sender = "foe@good.test"}, &f);
    assert_true(f.tell_denied);
}

static void young_domains_wait(void **state)
{
    struct bench *b = *state;
    const struct message open = {.sender = "al@good.test", .recipient = "open@b.test"},
                         ask = {.sender = "al@good.test", .recipient = "ask@b.test"},
                         friend = {.sender = "friend@good.test"};
    int64_t first_s;

    put_policy(b, "open@b.test", (struct policy){.rule = RULE_OPEN});
    put_policy(b, "ask@b.test", (struct policy){.rule = RULE_CHALLENGE});
    put_entry(b, "friend@good.test", "", false, false, 0);
    b->settings.first_seen_min_s = 1000;
    expect(b, "never seen", &open, VERDICT_WAIT, REASON_YOUNG);
    assert_int_equal(store_domain_seen(b->rig.s, "good.test", NOW - 999, &first_s), ERR_OK);
    expect(b, "seen lately", &open, VERDICT_WAIT, REASON_YOUNG);
    expect(b, "no challenge", &ask, VERDICT_WAIT, REASON_YOUNG);
    expect(b, "but known", &friend, VERDICT_ADMIT, REASON_ALLOWED);
    b->settings.first_seen_min_s = 999;
    expect(b, "old enough", &open, VERDICT_ADMIT, REASON_OPEN);
}

static void whole_messages_are_judged_too(void **state)
{
    struct bench *b = *state;
    const struct {
        const char *name;
        struct message m;
        enum verdict verdict;
        enum reason reason;
    } cases[] = {
        {"accepted",
         {.sender = "al@fail.test", .recipient = "any@b.test"},
         VERDICT_ADMIT,
         REASON_LEGACY_ACCEPT},
        {"kept", {.sender = "al@good.test", .recipient = "keep@b.test"}, VERDICT_WAIT, REASON_LEGACY_ATTEMPT},
        {"refused", {.sender = "al@good.test"}, VERDICT_REFUSE, REASON_LEGACY_REJECT},
        {"what has no sender is kept",
         {.sender = "", .author = "daemon@x.test"},
         VERDICT_WAIT,
         REASON_LEGACY_ATTEMPT},
        {"a report",
         {.sender = "", .author = "daemon@x.test", .report = true},
         VERDICT_ADMIT,
         REASON_LEGACY_ACCEPT},
        {"a friend", {.sender = "friend@good.test"}, VERDICT_ADMIT, REASON_ALLOWED},
        {"a friend whom SPF does not prove",
         {.sender = "friend@fail.test"},
         VERDICT_REFUSE,
         REASON_LEGACY_REJECT},
        {"a friend, SPF not to be had", {.sender = "friend@temp.test"}, VERDICT_REFUSE, REASON_SPF_TEMPERROR},
        {"a foe, whoever sent it", {.sender = "foe@fail.test"}, VERDICT_DENY, REASON_DENIED},
        {"a token, proven or not",
         {.sender = "al@fail.test", .recipient = "bob+shop@b.test"},
         VERDICT_ADMIT,
         REASON_TOKEN},
        {"a token bound to a domain that is proven",
         {.sender = "al@good.test", .recipient = "bob+good@b.test"},
         VERDICT_ADMIT,
         REASON_TOKEN},
        {"one bound to a domain that is not",
         {.sender = "al@fail.test", .recipient = "bob+fail@b.test"},
         VERDICT_REFUSE,
         REASON_LEGACY_REJECT},
        {"one bound to a domain whose SPF is not to be had",
         {.sender = "al@temp.test", .recipient = "bob+bound@b.test"},
         VERDICT_REFUSE,
         REASON_SPF_TEMPERROR},
        {"a list",
         {.sender = "dev@good.test", .author = "x@y.test", .list_id = "dev.good.test"},
         VERDICT_ADMIT,
         REASON_LIST},
        {"a list that SPF does not prove",
         {.sender = "dev@fail.test", .list_id = "dev.fail.test"},
         VERDICT_REFUSE,
         REASON_LEGACY_REJECT},
        {"postmaster",
         {.sender = "al@fail.test", .recipient = "postmaster@b.test"},
         VERDICT_ADMIT,
         REASON_ROLE},
        {"somebody he wrote to", {.sender = "pen@good.test"}, VERDICT_ADMIT, REASON_CORRESPONDENT},
        {"the same, unproven", {.sender = "pen@fail.test"}, VERDICT_REFUSE, REASON_LEGACY_REJECT},
    };

    put_policy(b, "bob@b.test", (struct policy){.legacy = LEGACY_REJECT});
    put_policy(b, "keep@b.test", (struct policy){.legacy = LEGACY_ATTEMPT});
    put_entry(b, "friend@good.test", "", false, false, 0);
    put_entry(b, "friend@fail.test", "", false, false, 0);
    put_entry(b, "friend@temp.test", "", false, false, 0);
    put_entry(b, "foe@fail.test", "", true, false, 0);
    put_entry(b, "<dev.good.test>", "good.test", false, false, 0);
    put_entry(b, "<dev.fail.test>", "fail.test", false, false, 0);
    add_token(b, (struct token){.until_s = 0}, "shop");
    add_token(b, (struct token){.bound = "good.test", .bind = true}, "good");
    add_token(b, (struct token){.bound = "fail.test", .bind = true}, "fail");
    add_token(b, (struct token){.bind = true}, "bound");
    assert_int_equal(store_correspondent_add(b->rig.s, "bob@b.test", "pen@good.test", NOW, NOW + 9), ERR_OK);
    assert_int_equal(store_correspondent_add(b->rig.s, "bob@b.test", "pen@fail.test", NOW, NOW + 9), ERR_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct message m = cases[i].m;
        m.kind = FACTS_LEGACY;
        expect(b, cases[i].name, &m, cases[i].verdict, cases[i].reason);
    }
    struct facts f;
    judge(b, &(struct message){.kind = FACTS_LEGACY, .sender = "al@good.test", .recipient = "keep@b.test"},
          &f);
    assert_true(f.verified && f.aligned);
    assert_string_equal(f.identity, "al@good.test");
    judge(b, &(struct message){.kind = FACTS_LEGACY, .sender = "al@fail.test", .recipient = "keep@b.test"},
          &f);
    assert_false(f.verified);
}

/* ---- ways through the table */

static void observing_refuses_nothing(void **state)
{
    static const struct {
        const char *name;
        struct message m;
        enum verdict verdict;
        enum reason reason;
        enum verdict would;
    } cases[] = {
        {"SPF", {.sender = "al@fail.test"}, VERDICT_ADMIT, REASON_SPF_FAIL, VERDICT_REFUSE},
        {"a stranger", {.sender = "al@good.test"}, VERDICT_ADMIT, REASON_STRANGER, VERDICT_WAIT},
        {"a foe", {.sender = "foe@good.test"}, VERDICT_ADMIT, REASON_DENIED, VERDICT_DENY},
        {"not designated",
         {.sender = "al@good.test", .host = "x.test"},
         VERDICT_PASS,
         REASON_NOT_DESIGNATED,
         VERDICT_REFUSE},
        {"SPF, not designated",
         {.sender = "al@undesignated.test", .client = "192.0.2.2"},
         VERDICT_PASS,
         REASON_NO_DESIGNATION,
         VERDICT_REFUSE},
        {"designation away", {.sender = "al@nodns.test"}, VERDICT_REFUSE, REASON_DNS_TEMPORARY, VERDICT_NEXT},
        {"a message",
         {.kind = FACTS_LEGACY, .sender = "al@good.test"},
         VERDICT_ADMIT,
         REASON_LEGACY_REJECT,
         VERDICT_REFUSE},
        {"a friend", {.sender = "friend@good.test"}, VERDICT_ADMIT, REASON_ALLOWED, VERDICT_NEXT},
    };
    struct bench *b = *state;

    put_policy(b, "@b.test", (struct policy){.mode = MODE_OBSERVE, .legacy = LEGACY_REJECT});
    put_entry(b, "foe@good.test", "", true, false, 0);
    put_entry(b, "friend@good.test", "", false, false, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct facts f;
        expect(b, cases[i].name, &cases[i].m, cases[i].verdict, cases[i].reason);
        judge(b, &cases[i].m, &f);
        assert_int_equal(f.observed, cases[i].would != VERDICT_NEXT);
        assert_int_equal(f.overruled.verdict, cases[i].would);
    }
    put_policy(b, "@b.test", (struct policy){.mode = MODE_ENFORCE});
    expect(b, "enforced", &cases[0].m, VERDICT_REFUSE, REASON_SPF_FAIL);
}

static void cached_answers_alone_never_wait(void **state)
{
    struct bench *b = *state;
    const struct message m = {.sender = "al@good.test"};
    char host[256];
    struct facts f;
    struct finding found;

    fill(&m, host, &f);
    f.deadline_mono_ms = DNS_CACHED_ONLY;
    assert_int_equal(admission_judge(b->env.admission, &f, NULL, NULL, &found), ERR_OK);
    assert_int_equal(found.verdict, VERDICT_LATER);
    assert_int_equal(responder_queries(b->zone.server), 0);
    assert_int_equal(judge(b, &m, &f).reason, REASON_STRANGER);
    unsigned asked = responder_queries(b->zone.server);
    fill(&m, host, &f);
    f.deadline_mono_ms = DNS_CACHED_ONLY;
    assert_int_equal(admission_judge(b->env.admission, &f, NULL, NULL, &found), ERR_OK);
    assert_int_equal(found.reason, REASON_STRANGER);
    assert_int_equal(responder_queries(b->zone.server), asked);
}

static void note(void *arg, const struct check *c, const struct finding *found)
{
    char *told = arg;

    snprintf(told + strlen(told), 500 - strlen(told), "%s=%s ", c->name, verdict_name(found->verdict));
}

static void a_replay_asks_all_and_counts_nothing(void **state)
{
    struct bench *b = *state;
    const struct message m = {.sender = "al@fail.test", .client = "192.0.2.2"};
    char host[256], told[500] = "";
    struct facts f;
    struct finding found;

    b->settings.rate_client = 1;
    for (int i = 0; i < 5; i++) {
        told[0] = '\0';
        fill(&m, host, &f);
        f.replay = true;
        assert_int_equal(admission_judge(b->env.admission, &f, note, told, &found), ERR_OK);
        assert_int_equal(found.reason, REASON_SPF_FAIL);
    }
    assert_string_equal(
        told, "rate=next form=next mx=next spf=refuse rdns=refuse designation=next age=next alignment=next "
              "role=next denied=next allowed=next token=next correspondent=next rule=wait ");
}

static void what_comes_too_fast_is_put_off(void **state)
{
    struct bench *b = *state;
    struct buf why;
    const struct message m = {.sender = "al@good.test"};

    buf_init(&why, 100);
    admission_free(b->env.admission);
    b->settings.rate_client = 2;
    assert_int_equal(admission_create(&b->env, &b->env.admission, &why), ERR_OK);
    expect(b, "first", &m, VERDICT_WAIT, REASON_STRANGER);
    expect(b, "second", &m, VERDICT_WAIT, REASON_STRANGER);
    expect(b, "third", &m, VERDICT_REFUSE, REASON_RATE_CLIENT);
    assert_true(err_temporary(reason_err(REASON_RATE_CLIENT)));
}

static void what_would_be_kept_too_fast_is_put_off(void **state)
{
    struct bench *b = *state;
    struct buf why;
    const struct message proven = {.kind = FACTS_LEGACY, .sender = "al@good.test"},
                         forged = {.kind = FACTS_LEGACY, .sender = "al@good.test", .client = "198.51.200.2"};

    buf_init(&why, 100);
    admission_free(b->env.admission);
    b->settings.rate_domain = 2;
    b->settings.rate_client = 3;
    put_policy(b, "bob@b.test", (struct policy){.legacy = LEGACY_ATTEMPT});
    assert_int_equal(admission_create(&b->env, &b->env.admission, &why), ERR_OK);
    for (int i = 0; i < 3; i++)
        expect(b, "forged", &forged, VERDICT_WAIT, REASON_LEGACY_ATTEMPT);
    expect(b, "one forged too many", &forged, VERDICT_REFUSE, REASON_RATE_CLIENT);
    for (int i = 0; i < 2; i++)
        expect(b, "proven", &proven, VERDICT_WAIT, REASON_LEGACY_ATTEMPT);
    expect(b, "one too many", &proven, VERDICT_REFUSE, REASON_RATE_DOMAIN);
    put_policy(b, "bob@b.test", (struct policy){.legacy = LEGACY_ACCEPT});
    expect(b, "what is not kept", &proven, VERDICT_ADMIT, REASON_LEGACY_ACCEPT);
}

/* One client after another, through one relay. */
static enum reason relayed(struct bench *b, const char *client, const char *recipient)
{
    char host[256], text[200];
    struct facts f;
    struct finding found;
    const struct message m = {.sender = "al@good.test", .recipient = recipient, .client = "198.51.100.7"};

    snprintf(text, sizeof text,
             " from mx.good.test (mx.good.test [%s])\r\n\tby relay.b.test (Postfix) with ESMTP", client);
    struct span received = span_of(text);
    fill(&m, host, &f);
    f.received = &received;
    f.received_count = 1;
    assert_int_equal(admission_judge(b->env.admission, &f, NULL, NULL, &found), ERR_OK);
    return found.reason;
}

static void clients_behind_a_relay_do_not_share_its_rate(void **state)
{
    struct bench *b = *state;
    struct buf why;

    add_token(b, (struct token){.until_s = 0}, "shop");
    for (int i = 0; i < 12; i++)
        relayed(b, "192.0.2.1", "bob+wrong@b.test");
    assert_int_equal(relayed(b, "192.0.2.1", "bob+shop@b.test"), REASON_STRANGER);
    assert_int_equal(relayed(b, "192.0.3.1", "bob+wrong@b.test"), REASON_SPF_FAIL);
    b->settings.require_spf = b->settings.require_reverse_dns = false;
    assert_int_equal(relayed(b, "192.0.3.1", "bob+shop@b.test"), REASON_TOKEN);
    b->settings.rate_client = 2;
    buf_init(&why, 100);
    admission_free(b->env.admission);
    assert_int_equal(admission_create(&b->env, &b->env.admission, &why), ERR_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(relayed(b, "192.0.2.1", "bob@b.test"), REASON_STRANGER);
    assert_int_equal(relayed(b, "192.0.2.1", "bob@b.test"), REASON_RATE_CLIENT);
    assert_int_equal(relayed(b, "192.0.3.1", "bob@b.test"), REASON_STRANGER);
}

static void a_message_that_used_a_token_up_may_come_again(void **state)
{
    struct bench *b = *state;
    static const uint8_t letter[32] = {1}, another[32] = {2};
    const struct message m = {.kind = FACTS_LEGACY, .sender = "al@fail.test", .recipient = "bob+once@b.test"};
    struct facts f;
    struct finding found;
    char host[256];

    put_policy(b, "bob@b.test", (struct policy){.legacy = LEGACY_REJECT});
    add_token(b, (struct token){.letters_max = 1}, "once");
    for (int i = 0; i < 4; i++) {
        fill(&m, host, &f);
        f.letter = i < 2 ? letter : another;
        assert_int_equal(admission_judge(b->env.admission, &f, NULL, NULL, &found), ERR_OK);
        assert_int_equal(found.reason, i < 2 ? REASON_TOKEN : REASON_LEGACY_REJECT);
        if (i < 2)
            assert_int_equal(store_token_use(b->rig.s, f.mailbox, f.token, f.organisation, letter, NOW),
                             ERR_OK);
    }
    assert_int_equal(store_token_revoke(b->rig.s, "bob@b.test", "once"), ERR_OK);
    fill(&m, host, &f);
    f.letter = letter;
    assert_int_equal(admission_judge(b->env.admission, &f, NULL, NULL, &found), ERR_OK);
    assert_int_equal(found.reason, REASON_LEGACY_REJECT);
}

static void a_testing_domain_gets_no_further_than_with_ordinary_mail(void **state)
{
    struct bench *b = *state;
    const struct message m = {.sender = "al@testing.test", .host = "x.test"},
                         foe = {.sender = "foe@testing.test", .host = "x.test"};

    put_entry(b, "foe@testing.test", "", true, false, 0);
    expect(b, "where ordinary mail is taken", &m, VERDICT_PASS, REASON_TESTING);
    expect(b, "but not from him", &foe, VERDICT_REFUSE, REASON_SPF_FAIL);
    put_policy(b, "bob@b.test", (struct policy){.legacy = LEGACY_REJECT});
    expect(b, "where it is not", &m, VERDICT_REFUSE, REASON_SPF_FAIL);
    put_policy(b, "bob@b.test", (struct policy){.legacy = LEGACY_ATTEMPT});
    expect(b, "where it waits", &m, VERDICT_REFUSE, REASON_SPF_FAIL);
}

static void tokens_guessed_at_speed_meet_silence(void **state)
{
    struct bench *b = *state;
    const struct message wrong = {.sender = "al@good.test", .recipient = "bob+wrong@b.test"},
                         right = {.sender = "al@good.test", .recipient = "bob+shop@b.test"};

    add_token(b, (struct token){.until_s = 0}, "shop");
    expect(b, "right", &right, VERDICT_ADMIT, REASON_TOKEN);
    for (int i = 0; i < 10; i++)
        expect(b, "wrong", &wrong, VERDICT_WAIT, REASON_STRANGER);
    expect(b, "right, too late", &right, VERDICT_WAIT, REASON_STRANGER);
}

static void mailboxes_are_found_below_their_details(void **state)
{
    static const struct {
        const char *recipient, *mailbox, *detail;
    } cases[] = {
        {"bob@b.test", "bob@b.test", ""},
        {"Bob+Shop@B.Test", "bob@b.test", "shop"},
        {"bob+a-b_1@b.test", "bob@b.test", "a-b_1"},
        {"bob+x+y@b.test", "bob@b.test", ""},
        {"bob+@b.test", "bob@b.test", ""},
        {"+x@b.test", "+x@b.test", ""},
        {"++x@b.test", "+@b.test", "x"},
        {"\"bob+x\"@b.test", "bob@b.test", "x"},
        {"\"bob smith+x\"@b.test", "\"bob smith+x\"@b.test", ""},
        {"\"+\"@b.test", "+@b.test", ""},
        {"bob+\xc3\xbc@b.test", "bob@b.test", ""},
        {"b\xc3\xbc+x@b.test", "b\xc3\xbc@b.test", "x"},
        {"bob+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@b.test", "bob@b.test",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"bob+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@b.test", "bob@b.test", ""},
        {"mailer-daemon+x@b.test", "mailer-daemon@b.test", "x"},
    };
    struct bench *b = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address a;
        char mailbox[ADDRESS_TEXT_MAX], detail[POLICY_TOKEN_MAX + 1];
        read_address(cases[i].recipient, &a);
        admission_mailbox(b->env.admission, &a, mailbox, detail);
        assert_string_equal(mailbox, cases[i].mailbox);
        assert_string_equal(detail, cases[i].detail);
    }
    struct address a;
    char mailbox[ADDRESS_TEXT_MAX], detail[POLICY_TOKEN_MAX + 1];
    b->settings.recipient_delimiter = (char *)"-+";
    read_address("bob-x+y@b.test", &a);
    admission_mailbox(b->env.admission, &a, mailbox, detail);
    assert_string_equal(mailbox, "bob@b.test");
    read_address("mailer-daemon@b.test", &a);
    admission_mailbox(b->env.admission, &a, mailbox, detail);
    assert_string_equal(mailbox, "mailer-daemon@b.test");
    b->settings.recipient_delimiter = (char *)"";
    read_address("bob+x@b.test", &a);
    admission_mailbox(b->env.admission, &a, mailbox, detail);
    assert_string_equal(mailbox, "bob+x@b.test");
}

static void what_was_proven_is_written_down(void **state)
{
    struct facts f;
    char proof[256];

    judge(*state, &(struct message){.sender = "al@good.test"}, &f);
    admission_proof(&f, proof);
    assert_string_equal(proof, "spf=pass smtp.mailfrom=good.test; iprev=pass policy.iprev=192.0.2.1");
    f.spf[0] = '\0';
    assert_int_equal(netaddr_parse(SPAN_LITERAL("2001:db8::1"), &f.entered), ERR_OK);
    admission_proof(&f, proof);
    assert_string_equal(proof, "iprev=pass policy.iprev=\"2001:db8::1\"");
    f.iprev[0] = '\0';
    admission_proof(&f, proof);
    assert_string_equal(proof, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_stub_needs_a_proven_domain),
        TEST(each_proof_has_its_switch),
        TEST(mail_through_a_relay_is_judged_by_where_it_entered),
        TEST(the_owner_decides_in_order),
        TEST(young_domains_wait),
        TEST(whole_messages_are_judged_too),
        TEST(observing_refuses_nothing),
        TEST(cached_answers_alone_never_wait),
        TEST(a_replay_asks_all_and_counts_nothing),
        TEST(what_comes_too_fast_is_put_off),
        TEST(what_would_be_kept_too_fast_is_put_off),
        TEST(clients_behind_a_relay_do_not_share_its_rate),
        TEST(a_message_that_used_a_token_up_may_come_again),
        TEST(a_testing_domain_gets_no_further_than_with_ordinary_mail),
        TEST(tokens_guessed_at_speed_meet_silence),
        TEST(mailboxes_are_found_below_their_details),
        TEST(what_was_proven_is_written_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
