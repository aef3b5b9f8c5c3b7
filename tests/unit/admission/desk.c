/*
 * desk.c - see desk.h.
 */
#include "desk.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

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

int desk_set_up(void **state)
{
    struct buf why;
    struct desk *b = calloc(1, sizeof *b);

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

int desk_tear_down(void **state)
{
    struct desk *b = *state;

    admission_free(b->env.admission);
    zone_stop(&b->zone);
    rig_close(&b->rig);
    rig_free(&b->rig);
    free(b);
    return 0;
}

void desk_address(const char *text, struct address *out)
{
    assert_int_equal(address_parse(span_of(text), out), ERR_OK);
}

void desk_fill(const struct desk_message *m, char host[256], struct facts *f)
{
    *f = (struct facts){.kind = m->kind ? m->kind : FACTS_STUB,
                        .now_s = NOW,
                        .bulk = m->bulk,
                        .report = m->report,
                        .helo = "client.test"};
    desk_address(m->sender, &f->originator);
    f->sender = f->originator;
    if (f->kind == FACTS_STUB)
        snprintf(f->sender.local, sizeof f->sender.local, "restante+00");
    desk_address(m->recipient ? m->recipient : "bob@b.test", &f->recipient);
    desk_address(m->author ? m->author : m->sender, &f->author);
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

struct finding desk_judge(struct desk *b, const struct desk_message *m, struct facts *f)
{
    char host[256];
    struct finding found;

    desk_fill(m, host, f);
    assert_int_equal(admission_judge(b->env.admission, f, NULL, NULL, &found), ERR_OK);
    f->link_host = NULL;
    return found;
}

void desk_expect(struct desk *b, const char *name, const struct desk_message *m, enum verdict v,
                 enum reason r)
{
    struct facts f;
    struct finding found = desk_judge(b, m, &f);

    if (found.verdict != v || found.reason != r)
        fail_msg("%s: %s %s (%s), not %s %s", name, verdict_name(found.verdict), reason_code(found.reason),
                 found.text, verdict_name(v), reason_code(r));
}
void desk_put_entry(struct desk *b, const char *text, const char *domain, bool deny, bool solved,
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

void desk_put_policy(struct desk *b, const char *name, struct policy p)
{
    assert_int_equal(store_policy_put(b->rig.s, name, &p), ERR_OK);
}

void desk_add_token(struct desk *b, struct token t, const char *text)
{
    snprintf(t.mailbox, sizeof t.mailbox, "bob@b.test");
    snprintf(t.token, sizeof t.token, "%s", text);
    t.created_s = NOW;
    assert_int_equal(store_token_add(b->rig.s, &t), ERR_OK);
}
