/*
 * admission.c - the table of checks and the way through it; see admission.h.
 */
#include "admission/admission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admission/checks.h"
#include "dns/organisation.h"
#include "env/site.h"

#define BUCKETS_MAX 65536 /* of each kind: some 3 MB each */

const struct check admission_checks[] = {
    {"rate", FACTS_STUB, check_rate},
    {"form", FACTS_STUB, check_form},
    {"mx", FACTS_STUB, check_mx},
    {"spf", FACTS_STUB | FACTS_LEGACY, check_spf},
    {"rdns", FACTS_STUB, check_rdns},
    {"designation", FACTS_STUB, check_designation},
    {"age", FACTS_STUB, check_age},
    {"alignment", FACTS_STUB | FACTS_LEGACY, check_alignment},
    {"role", FACTS_STUB | FACTS_LEGACY, check_role},
    {"denied", FACTS_STUB | FACTS_LEGACY, check_denied},
    {"allowed", FACTS_STUB | FACTS_LEGACY, check_allowed},
    {"token", FACTS_STUB | FACTS_LEGACY, check_token},
    {"correspondent", FACTS_STUB | FACTS_LEGACY, check_correspondent},
    {"rule", FACTS_STUB | FACTS_LEGACY, check_rule},
};
const size_t admission_check_count = sizeof admission_checks / sizeof admission_checks[0];

const char *verdict_name(enum verdict v)
{
    static const char *const names[VERDICT_COUNT] = {
        [VERDICT_NEXT] = "next", [VERDICT_ADMIT] = "admit",   [VERDICT_WAIT] = "wait",
        [VERDICT_DENY] = "deny", [VERDICT_REFUSE] = "refuse", [VERDICT_CHALLENGE] = "challenge",
        [VERDICT_PASS] = "pass", [VERDICT_LATER] = "later",
    };

    return (unsigned)v < VERDICT_COUNT ? names[v] : "unknown";
}

enum err admission_create(const struct env *env, struct admission **out, struct buf *why)
{
    const struct settings *s = env->settings;
    const struct rate_options options = {.client_minute = s->rate_client,
                                         .domain_minute = s->rate_domain,
                                         .organisation_minute = s->rate_organisation,
                                         .host_minute = s->rate_host,
                                         .buckets_max = BUCKETS_MAX};
    struct admission *a = calloc(1, sizeof *a);

    if (!a)
        return ERR_NOMEM;
    a->env = env;
    enum err e = site_prefixes("trusted_relays", &s->trusted_relays, &a->relays, &a->relay_count, why);
    if (!e)
        e = rate_create(&options, &a->rate);
    if (e) {
        admission_free(a);
        return e;
    }
    *out = a;
    return ERR_OK;
}

void admission_free(struct admission *a)
{
    if (!a)
        return;
    rate_free(a->rate);
    free(a->relays);
    free(a);
}

/* ---- mailboxes and their policies */

/* Postfix leaves these whole (split_addr): a bounce must not end in somebody's mailbox. */
static bool has_no_detail(const char *local)
{
    return strncmp(local, "mailer-daemon@", 14) == 0 || strncmp(local, "double-bounce@", 14) == 0;
}

static bool is_token_text(const char *text, size_t len)
{
    return len > 0 && len <= POLICY_TOKEN_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_") >= len;
}

void admission_mailbox(const struct admission *a, const struct address *recipient,
                       char mailbox[ADDRESS_TEXT_MAX], char detail[POLICY_TOKEN_MAX + 1])
{
    const char *separators = a->env->settings->recipient_delimiter;

    detail[0] = '\0';
    address_key(recipient, mailbox);
    char *at = strrchr(mailbox, '@');
    if (!at || !separators || !*separators || mailbox[0] == '"' || has_no_detail(mailbox))
        return;
    size_t user = 1 + strcspn(mailbox + 1, separators); /* a mailbox has at least one octet */
    if (mailbox + user >= at)
        return;
    size_t len = (size_t)(at - mailbox) - user - 1;
    if (is_token_text(mailbox + user + 1, len))
        snprintf(detail, POLICY_TOKEN_MAX + 1, "%.*s", (int)len, mailbox + user + 1);
    memmove(mailbox + user, at, strlen(at) + 1);
}

/* What p leaves open is taken from the one further out. */
static void fill_in(struct policy *p, const struct policy *outer)
{
#define FILL(member)                                                                                         \
    if (!p->member)                                                                                          \
    p->member = outer->member
    FILL(rule);
    FILL(legacy);
    FILL(mode);
    FILL(denial);
    FILL(challenge);
    FILL(correspondents);
#undef FILL
    if (!p->question[0]) {
        memcpy(p->question, outer->question, sizeof p->question);
        memcpy(p->answers, outer->answers, sizeof p->answers);
    }
}

struct policy admission_site_policy(const struct settings *s)
{
    /* The settings' choices stand in the order of the enums, which begin with _DEFAULT. */
    return (struct policy){.rule = (enum policy_rule)(s->admission + 1),
                           .legacy = (enum policy_legacy)(s->legacy + 1),
                           .mode = (enum policy_mode)(s->mode + 1),
                           .denial = (enum policy_denial)(s->denial + 1),
                           .challenge = CHALLENGE_WORK,
                           .correspondents = s->correspondents ? SWITCH_ON : SWITCH_OFF};
}

enum err admission_policy(struct admission *a, const struct address *recipient, struct policy *out)
{
    char mailbox[ADDRESS_TEXT_MAX], detail[POLICY_TOKEN_MAX + 1];
    struct policy own = {.rule = RULE_DEFAULT}, domain = {.rule = RULE_DEFAULT};
    const struct policy site = admission_site_policy(a->env->settings);

    admission_mailbox(a, recipient, mailbox, detail);
    const char *at = strrchr(mailbox, '@');
    enum err e = store_policy_get(a->env->store, mailbox, &own);
    if ((!e || e == ERR_NOT_FOUND) && at)
        e = store_policy_get(a->env->store, at, &domain);
    if (e && e != ERR_NOT_FOUND)
        return e;
    own.mode = MODE_DEFAULT; /* a matter of domains alone */
    fill_in(&own, &domain);
    fill_in(&own, &site);
    *out = own;
    return ERR_OK;
}

/* ---- the way through the table */

static void prepare(const struct admission *a, struct facts *f)
{
    admission_mailbox(a, &f->recipient, f->mailbox, f->detail);
    address_key(&f->author, f->author_key);
    address_key(&f->originator, f->originator_key);
    if (!f->sender.null && organisation_of(f->sender.domain, f->organisation) != ERR_OK)
        snprintf(f->organisation, sizeof f->organisation, "%s", f->sender.domain);
}

static bool decides(const struct finding *found)
{
    return found->verdict != VERDICT_NEXT;
}

static bool is_against(const struct finding *found)
{
    return found->verdict == VERDICT_WAIT || found->verdict == VERDICT_CHALLENGE ||
           found->verdict == VERDICT_DENY || found->verdict == VERDICT_REFUSE;
}

/* A testing domain says so in its designation, which is not asked for before this check. */
static enum err is_testing(struct admission *a, struct facts *f, bool *out, struct finding *found)
{
    struct designation d;
    enum err e = designation_lookup(a->env->resolver, f->sender.domain, f->deadline_mono_ms, &d);

    *out = !e && d.present && d.testing;
    if (e == ERR_WOULD_WAIT)
        finding_set(found, VERDICT_LATER, REASON_NONE, NULL);
    return e == ERR_NOMEM ? e : ERR_OK; /* not to be had: the finding stands */
}

/* A stub that can never be pulled goes on as ordinary mail. */
static bool cannot_be_admitted(const struct check *c)
{
    return c->ask == check_form || c->ask == check_designation;
}

/*
 * What becomes of a finding against the message where nothing is refused: *found becomes VERDICT_NEXT (the
 * next check is asked), VERDICT_PASS, VERDICT_LATER, or stays.
 */
static enum err overrule(struct admission *a, const struct check *c, struct facts *f, struct finding *found)
{
    const struct finding real = *found;
    bool go_on = false, proof = c->ask == check_mx || c->ask == check_spf || c->ask == check_rdns;
    enum err e = facts_policy(a, f);

    if (e)
        return e;
    if (f->policy.mode == MODE_OBSERVE) {
        bool unclear = c->ask == check_designation && err_temporary(reason_err(found->reason));
        go_on = !unclear;
        if (go_on)
            found->verdict = cannot_be_admitted(c) ? VERDICT_PASS : VERDICT_NEXT;
    } else if (f->kind == FACTS_STUB && proof && found->verdict == VERDICT_REFUSE) {
        e = is_testing(a, f, &go_on, found);
        if (go_on)
            found->verdict = VERDICT_NEXT;
    }
    if (!e && go_on && !f->observed) {
        f->observed = true;
        f->overruled = real;
    }
    return e;
}

/* Nothing in the table spoke against it in earnest. */
static void admit_observed(const struct facts *f, struct finding *out)
{
    *out = f->overruled;
    out->verdict = VERDICT_ADMIT;
}

/*
 * A stub that is none goes on as ordinary mail, because its sender's domain is testing: anybody may have such
 * a domain, and gets no further by it than with ordinary mail. Where that would not be taken, it is refused
 * as the stub that it is.
 */
static enum err as_ordinary_mail(struct admission *a, const struct facts *stub, struct finding *decision)
{
    struct finding found;
    struct facts *f = malloc(sizeof *f);

    if (!f)
        return ERR_NOMEM;
    *f = (struct facts){.kind = FACTS_LEGACY,
                        .client = stub->client,
                        .client_name = stub->client_name,
                        .helo = stub->helo,
                        .received = stub->received,
                        .received_count = stub->received_count,
                        .sender = stub->sender,
                        .originator = stub->sender,
                        .recipient = stub->recipient,
                        .author = stub->author,
                        .bulk = stub->bulk,
                        .now_s = stub->now_s,
                        .deadline_mono_ms = stub->deadline_mono_ms,
                        .replay = stub->replay,
                        .rate_counted = true};
    snprintf(f->list_id, sizeof f->list_id, "%s", stub->list_id);
    enum err e = admission_judge(a, f, NULL, NULL, &found);
    free(f);
    if (e)
        return e;
    if (found.verdict == VERDICT_LATER)
        *decision = found;
    else if (found.verdict != VERDICT_ADMIT)
        *decision = stub->overruled;
    return ERR_OK;
}

enum err admission_judge(struct admission *a, struct facts *f,
                         void (*told)(void *arg, const struct check *c, const struct finding *found),
                         void *arg, struct finding *out)
{
    struct finding decision = {.verdict = VERDICT_NEXT};

    prepare(a, f);
    for (size_t i = 0; i < admission_check_count; i++) {
        const struct check *c = &admission_checks[i];
        struct finding found = {.verdict = VERDICT_NEXT};
        if (!(c->kinds & f->kind))
            continue;
        enum err e = c->ask(a, f, &found);
        if (e)
            return e;
        if (told && found.verdict != VERDICT_LATER)
            told(arg, c, &found);
        f->doubted = f->doubted || found.verdict == VERDICT_REFUSE;
        if (!decides(&decision)) {
            if (is_against(&found) && (e = overrule(a, c, f, &found)))
                return e;
            if (found.verdict == VERDICT_ADMIT && f->observed)
                admit_observed(f, &found);
            decision = found;
        }
        if (found.verdict == VERDICT_LATER || (decides(&decision) && !f->replay))
            break;
    }
    if (!decides(&decision))
        admit_observed(f, &decision);
    enum err e = decision.verdict == VERDICT_PASS && decision.reason == REASON_TESTING
                     ? as_ordinary_mail(a, f, &decision)
                     : ERR_OK;
    if (!e)
        *out = decision;
    return e;
}

void admission_proof(const struct facts *f, char out[256])
{
    size_t len = 0;
    char client[NETADDR_TEXT_MAX];

    out[0] = '\0';
    if (f->spf[0] && !f->sender.null)
        len = (size_t)snprintf(out, 256, "spf=%s smtp.mailfrom=%.128s", f->spf, f->sender.domain);
    if (!f->iprev[0] || !f->entered.family)
        return;
    netaddr_text(&f->entered, client);
    /* An IPv6 address is no token: as a quoted string (RFC 8601 2.2). */
    const char *quote = strchr(client, ':') ? "\"" : "";
    snprintf(out + len, 256 - len, "%siprev=%s policy.iprev=%s%s%s", len ? "; " : "", f->iprev, quote, client,
             quote);
}
