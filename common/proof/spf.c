/*
 * spf.c - check_host() of RFC 7208 4. Evaluation is a recursion (include) around a loop (redirect); struct
 * check is what all of it shares: the limits, the client's reverse names, and what stopped it.
 *
 * A wrong "fail" refuses a letter, a wrong "pass" lets a forgery in: whatever is unclear is temperror.
 */
#include "proof/spf.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "proof/rdns.h"
#include "proof/spf_macro.h"
#include "proof/spf_record.h"

#define TERMS_MAX 10       /* 4.6.4 */
#define VOIDS_MAX 2        /* terms whose look-ups found nothing; 4.6.4 */
#define MX_MAX 10          /* hosts; 4.6.4 */
#define EXPANSION_MAX 4096 /* octets */

/* What a mechanism came to, or the start of a look-up. */
enum outcome { NO_MATCH, MATCH, TEMPORARY, PERMANENT };

enum confirmation { UNASKED, CONFIRMED, REFUTED };

struct check {
    struct resolver *resolver;
    int64_t deadline_mono_ms;
    struct spf_macro_values values; /* domain, confirmed_name: set anew for each expansion */
    bool explain, sender_is_ascii;
    unsigned includes; /* how deep we are */
    unsigned terms, voids;
    bool void_counted; /* for the term under way */
    bool names_asked;
    struct rdns_names names;
    enum confirmation confirmation[RDNS_NAMES_MAX];
    bool blamed;    /* out->term says what decided */
    enum err abort; /* ERR_WOULD_WAIT, ERR_NOMEM: there is no answer at all */
    struct spf_answer *out;
};

static enum spf_result check_host(struct check *c, const char *domain);

/* --- what the answer says */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* A bounded copy with '?' for what is not printable. */
static void put_printable(char *out, size_t max, struct span text)
{
    size_t len = text.len < max ? text.len : max;
    for (size_t i = 0; i < len; i++)
        out[i] = text.ptr[i] >= ' ' && text.ptr[i] <= '~' ? text.ptr[i] : '?';
    out[len] = '\0';
}

/* Names what decided; of several errors the innermost, which comes first. */
static void blame(struct check *c, const char *domain, struct span term, const char *why)
{
    if (c->blamed)
        return;
    c->blamed = true;
    put_printable(c->out->domain, DNS_NAME_MAX, span_of(domain));
    for (char *p = c->out->domain; *p != '\0'; p++)
        *p = lower(*p);
    put_printable(c->out->term, SPF_TERM_MAX, term);
    c->out->why = why;
}

static enum outcome permanent(struct check *c, const char *domain, struct span term, const char *why)
{
    blame(c, domain, term, why);
    return PERMANENT;
}

/* --- look-ups */

/* Passes on what ends the whole check; everything else is the sender's DNS failing. */
static enum outcome failed(struct check *c, enum err err)
{
    if (err == ERR_DNS_TEMPORARY || err == ERR_DNS_BOGUS)
        c->out->cause = c->out->cause == ERR_OK ? err : c->out->cause;
    else if (c->abort == ERR_OK)
        c->abort = err;
    return TEMPORARY;
}

/* MATCH: *out is owned by the caller. NO_MATCH: there is no such name or no such record. */
static enum outcome look_up(struct check *c, const char *name, enum dns_type type, struct dns_answer **out)
{
    struct dns_answer *a = NULL;
    enum err err = resolver_query_any(c->resolver, name, type, c->deadline_mono_ms, &a);
    if (err == ERR_ADDRESS)
        return NO_MATCH;
    if (err != ERR_OK)
        return failed(c, err);
    if (a->count > 0) {
        *out = a;
        return MATCH;
    }
    dns_answer_free(a);
    if (!c->void_counted) {
        c->void_counted = true;
        c->voids++;
    }
    return NO_MATCH;
}

/* Of the client's reverse names, each asked for once, a failure is passed over (5.5, 7.3) unless the time is
 * up. That they lead nowhere does not count as void: the sender's domain has no hand in them. */
static enum outcome passed_over(struct check *c, enum err err)
{
    c->out->complete = false;
    if (err != ERR_DNS_TEMPORARY && err != ERR_DNS_BOGUS)
        return failed(c, err);
    return clock_mono_ms() >= c->deadline_mono_ms ? failed(c, err) : NO_MATCH;
}

static enum outcome ask_names(struct check *c)
{
    if (c->names_asked)
        return MATCH;
    enum err err = rdns_names(c->resolver, &c->values.client, c->deadline_mono_ms, &c->names);
    if (err != ERR_OK && passed_over(c, err) == TEMPORARY)
        return TEMPORARY;
    c->names_asked = true;
    return MATCH;
}

static enum outcome confirm_name(struct check *c, size_t i)
{
    bool leads_back = false;
    if (c->confirmation[i] == UNASKED) {
        enum err err = rdns_leads_back(c->resolver, c->names.name[i], &c->values.client, c->deadline_mono_ms,
                                       &leads_back);
        if (err != ERR_OK && err != ERR_ADDRESS && passed_over(c, err) == TEMPORARY)
            return TEMPORARY;
        c->confirmation[i] = leads_back ? CONFIRMED : REFUTED;
    }
    return c->confirmation[i] == CONFIRMED ? MATCH : NO_MATCH;
}

static bool is_domain(const char *name, const char *domain)
{
    return strcasecmp(name, domain) == 0;
}

static bool is_below(const char *name, const char *domain)
{
    size_t n = strlen(name), d = strlen(domain);
    return n > d && name[n - d - 1] == '.' && strcasecmp(name + n - d, domain) == 0;
}

static bool is_any(const char *name, const char *domain)
{
    (void)name, (void)domain;
    return true;
}

/* The first confirmed name that stands in a relation to the domain. */
static enum outcome find_name(struct check *c, bool (*related)(const char *name, const char *domain),
                              const char *domain, const char **out)
{
    for (size_t i = 0; i < c->names.count; i++) {
        if (!related(c->names.name[i], domain))
            continue;
        enum outcome outcome = confirm_name(c, i);
        if (outcome == MATCH)
            *out = c->names.name[i];
        if (outcome != NO_MATCH)
            return outcome;
    }
    return NO_MATCH;
}

/* %{p} (7.3): the domain itself before one below it before any other. */
static enum outcome ask_confirmed_name(struct check *c, const char *domain, const char **out)
{
    *out = "unknown";
    enum outcome outcome = ask_names(c);
    if (outcome == TEMPORARY)
        return outcome;
    outcome = find_name(c, is_domain, domain, out);
    if (outcome == NO_MATCH)
        outcome = find_name(c, is_below, domain, out);
    if (outcome == NO_MATCH)
        outcome = find_name(c, is_any, domain, out);
    return outcome;
}

/* --- macros */

/* Appends the expansion. NO_MATCH: there is none that could be used. */
static enum outcome expand(struct check *c, struct span text, const char *domain, struct buf *out)
{
    c->values.domain = domain;
    c->values.confirmed_name = "unknown";
    if (spf_macro_uses(text, "p") && ask_confirmed_name(c, domain, &c->values.confirmed_name) == TEMPORARY)
        return TEMPORARY;
    enum err err = spf_macro_expand(text, &c->values, out);
    c->values.domain = NULL; /* the caller's, borrowed until here */
    if (err == ERR_NOMEM)
        return failed(c, err);
    return err == ERR_OK ? MATCH : NO_MATCH;
}

/* The name that a domain-spec stands for. NO_MATCH: no such name can be. */
static enum outcome target_of(struct check *c, struct span spec, const char *domain,
                              char out[DNS_NAME_MAX + 1])
{
    if (spec.len == 0) {
        memcpy(out, domain, strlen(domain) + 1);
        return MATCH;
    }
    if (!c->sender_is_ascii && spf_macro_uses(spec, "ls")) /* RFC 8616 4: never matches */
        return NO_MATCH;
    struct buf name;
    buf_init(&name, EXPANSION_MAX);
    enum outcome outcome = expand(c, spec, domain, &name);
    struct span text = buf_span(&name), label;
    if (text.len > 0 && text.ptr[text.len - 1] == '.')
        text.len--;
    while (text.len > DNS_NAME_MAX && span_cut(text, '.', &label, &text)) /* 7.3: from the left */
        ;
    if (outcome == MATCH && (text.len == 0 || text.len > DNS_NAME_MAX))
        outcome = NO_MATCH;
    if (outcome == MATCH) {
        memcpy(out, text.ptr, text.len);
        out[text.len] = '\0';
    }
    buf_free(&name);
    return outcome;
}

/* --- mechanisms */

static bool in_network(const struct netaddr *network, const struct spf_term *term,
                       const struct netaddr *client)
{
    struct netprefix p = {.addr = *network,
                          .bits = client->family == AF_INET ? term->bits_v4 : term->bits_v6};
    p.addr.family = client->family; /* that of the bits */
    return netprefix_contains(&p, client);
}

static enum outcome match_host(struct check *c, const struct spf_term *term, const char *host)
{
    struct dns_answer *a = NULL;
    const struct netaddr *client = &c->values.client;
    enum outcome outcome = look_up(c, host, client->family == AF_INET ? DNS_A : DNS_AAAA, &a);
    if (outcome != MATCH)
        return outcome;
    outcome = NO_MATCH;
    for (size_t i = 0; i < a->count && outcome == NO_MATCH; i++)
        outcome = in_network(&a->record[i].addr, term, client) ? MATCH : NO_MATCH;
    dns_answer_free(a);
    return outcome;
}

static enum outcome match_mx(struct check *c, const struct spf_term *term, const char *target,
                             const char *domain)
{
    struct dns_answer *mx = NULL;
    enum outcome outcome = look_up(c, target, DNS_MX, &mx);
    if (outcome != MATCH)
        return outcome;
    outcome = mx->count > MX_MAX ? permanent(c, domain, term->text, "more than 10 MX hosts") : NO_MATCH;
    for (size_t i = 0; i < mx->count && outcome == NO_MATCH; i++)
        if (mx->record[i].mx.host[0] != '\0') /* not the null MX */
            outcome = match_host(c, term, mx->record[i].mx.host);
    dns_answer_free(mx);
    return outcome;
}

static enum outcome match_ptr(struct check *c, const char *target)
{
    const char *name;
    enum outcome outcome = ask_names(c);
    if (outcome != MATCH)
        return outcome;
    outcome = find_name(c, is_domain, target, &name);
    return outcome == NO_MATCH ? find_name(c, is_below, target, &name) : outcome;
}

static enum outcome match_exists(struct check *c, const char *target)
{
    struct dns_answer *a = NULL;
    enum outcome outcome = look_up(c, target, DNS_A, &a);
    dns_answer_free(outcome == MATCH ? a : NULL);
    return outcome;
}

/* 5.2: the table of results */
static enum outcome match_include(struct check *c, const struct spf_term *term, const char *target,
                                  const char *domain)
{
    c->includes++;
    enum spf_result result = check_host(c, target);
    c->includes--;
    switch (result) {
    case SPF_PASS:
        return MATCH;
    case SPF_TEMPERROR:
        return TEMPORARY;
    case SPF_PERMERROR:
        return PERMANENT;
    case SPF_NONE:
        return permanent(c, domain, term->text, "the included domain has no SPF record");
    default:
        return NO_MATCH;
    }
}

static enum outcome match_target(struct check *c, const struct spf_term *term, const char *domain)
{
    char target[DNS_NAME_MAX + 1];
    enum outcome outcome = target_of(c, term->domain, domain, target);
    if (outcome == NO_MATCH && term->mechanism == SPF_INCLUDE)
        return permanent(c, domain, term->text, "the included domain is no domain name");
    if (outcome != MATCH)
        return outcome;
    switch (term->mechanism) {
    case SPF_INCLUDE:
        return match_include(c, term, target, domain);
    case SPF_A:
        return match_host(c, term, target);
    case SPF_MX:
        return match_mx(c, term, target, domain);
    case SPF_PTR:
        return match_ptr(c, target);
    default:
        return match_exists(c, target);
    }
}

/* One more term that looks something up. */
static bool may_look_up(struct check *c)
{
    c->void_counted = false;
    return ++c->terms <= TERMS_MAX;
}

static enum outcome match_term(struct check *c, const struct spf_term *term, const char *domain)
{
    const struct netaddr *client = &c->values.client;
    switch (term->mechanism) {
    case SPF_ALL:
        return MATCH;
    case SPF_IP4:
    case SPF_IP6:
        return term->network.family == client->family && in_network(&term->network, term, client) ? MATCH
                                                                                                  : NO_MATCH;
    default:
        break;
    }
    if (!may_look_up(c))
        return permanent(c, domain, term->text, "more than 10 terms that need DNS");
    enum outcome outcome = match_target(c, term, domain);
    if (outcome == TEMPORARY)
        blame(c, domain, term->text, "a look-up failed");
    if (c->voids > VOIDS_MAX && outcome == NO_MATCH)
        return permanent(c, domain, term->text, "more than 2 look-ups without a result");
    return outcome;
}

/* --- records */

/* 6.2: whatever goes wrong, there is no explanation. */
static void explain(struct check *c, const char *domain, struct span spec)
{
    char target[DNS_NAME_MAX + 1];
    struct dns_answer *a = NULL;
    const bool complete = c->out->complete;
    struct buf text;
    buf_init(&text, EXPANSION_MAX);
    if (target_of(c, spec, domain, target) != MATCH || look_up(c, target, DNS_TXT, &a) != MATCH || !a)
        goto out;
    struct span said = span_bytes(a->record[0].txt.data, a->record[0].txt.len);
    if (a->count == 1 && spf_macro_valid(said, SPF_MACRO_EXPLANATION) &&
        expand(c, said, domain, &text) == MATCH)
        put_printable(c->out->explanation, SPF_EXPLANATION_MAX, buf_span(&text));
out:
    buf_free(&text);
    dns_answer_free(a);
    c->out->complete = complete; /* the result does not hang on it */
}

/* The one SPF record among the TXT records; SPF_PASS when there is one. The caller owns *out, from which
 * *text borrows. */
static enum spf_result fetch(struct check *c, const char *domain, struct dns_answer **out, struct span *text)
{
    struct dns_answer *a = NULL;
    size_t found = 0;
    enum err err = resolver_query_any(c->resolver, domain, DNS_TXT, c->deadline_mono_ms, &a);
    if (err == ERR_ADDRESS)
        return SPF_NONE;
    if (err != ERR_OK) {
        (void)failed(c, err);
        blame(c, domain, span_of(""), "a look-up failed");
        return SPF_TEMPERROR;
    }
    for (size_t i = 0; i < a->count; i++) {
        struct span record = span_bytes(a->record[i].txt.data, a->record[i].txt.len);
        if (spf_record_is_candidate(record)) {
            *text = record;
            found++;
        }
    }
    if (found == 1) {
        *out = a;
        return SPF_PASS;
    }
    dns_answer_free(a);
    if (found > 1)
        blame(c, domain, span_of(""), "more than one SPF record");
    return found > 1 ? SPF_PERMERROR : SPF_NONE;
}

/* The mechanisms from left to right; *decided only when one of them did. */
static enum spf_result match_record(struct check *c, const struct spf_record *record, const char *domain,
                                    bool *decided)
{
    struct span terms = record->terms;
    struct spf_term term;
    *decided = true;
    while (spf_record_next(&terms, &term)) {
        switch (match_term(c, &term, domain)) {
        case NO_MATCH:
            continue;
        case TEMPORARY:
            return SPF_TEMPERROR;
        case PERMANENT:
            return SPF_PERMERROR;
        case MATCH:
            break;
        }
        if (c->includes == 0)
            blame(c, domain, term.text, "");
        return term.result;
    }
    *decided = false;
    return SPF_NEUTRAL;
}

/* One record. With *redirected the result is that of the domain in target. */
static enum spf_result check_record(struct check *c, struct span text, const char *domain, bool *redirected,
                                    char target[DNS_NAME_MAX + 1])
{
    struct spf_record record;
    struct span bad;
    bool decided;
    if (spf_record_parse(text, &record, &bad) != ERR_OK) {
        blame(c, domain, bad, "malformed term");
        return SPF_PERMERROR;
    }
    enum spf_result result = match_record(c, &record, domain, &decided);
    if (result == SPF_FAIL && c->includes == 0 && c->explain && record.exp.len > 0)
        explain(c, domain, record.exp);
    if (decided || record.redirect.len == 0) {
        if (!decided && c->includes == 0)
            blame(c, domain, span_of(""), "");
        return result;
    }
    if (!may_look_up(c)) {
        blame(c, domain, record.redirect, "more than 10 terms that need DNS");
        return SPF_PERMERROR;
    }
    switch (target_of(c, record.redirect, domain, target)) {
    case MATCH:
        *redirected = true;
        return result;
    case TEMPORARY:
        blame(c, domain, record.redirect, "a look-up failed");
        return SPF_TEMPERROR;
    default:
        blame(c, domain, record.redirect, "the domain redirected to is no domain name");
        return SPF_PERMERROR;
    }
}

static enum spf_result check_host(struct check *c, const char *domain)
{
    char current[DNS_NAME_MAX + 1], target[DNS_NAME_MAX + 1];
    memcpy(current, domain, strlen(domain) + 1);
    for (bool first = true;; first = false) {
        struct dns_answer *a = NULL;
        struct span text = {0};
        bool redirected = false;
        enum spf_result result = fetch(c, current, &a, &text);
        if (result == SPF_NONE && !first) {
            blame(c, current, span_of(""), "the domain redirected to has no SPF record");
            return SPF_PERMERROR;
        }
        if (result != SPF_PASS)
            return result;
        result = check_record(c, text, current, &redirected, target);
        dns_answer_free(a);
        if (!redirected)
            return result;
        memcpy(current, target, sizeof current);
    }
}

/* 4.3: a host name of at least two labels, no address literal; lower case, without the final dot. */
static bool initial_domain(const char *domain, char out[DNS_NAME_MAX + 1])
{
    size_t len = strlen(domain);
    if (len > 0 && domain[len - 1] == '.')
        len--;
    if (len == 0 || len > DNS_NAME_MAX || memchr(domain, '.', len) == NULL)
        return false;
    for (size_t i = 0; i < len; i++) {
        char ch = lower(domain[i]);
        if (!(ch >= 'a' && ch <= 'z') && !(ch >= '0' && ch <= '9') && strchr("-_.", ch) == NULL)
            return false;
        out[i] = ch;
    }
    out[len] = '\0';
    return true;
}

static bool is_ascii(const char *text)
{
    for (; *text != '\0'; text++)
        if ((uint8_t)*text > 0x7f)
            return false;
    return true;
}

static bool is_set(const char *text)
{
    return text != NULL && *text != '\0';
}

enum err spf_check(struct resolver *r, const struct spf_question *q, int64_t deadline_mono_ms,
                   struct spf_answer *out)
{
    char domain[DNS_NAME_MAX + 1];
    struct spf_answer answer = {.result = SPF_NONE, .why = "", .complete = true};
    const char *helo = q->helo != NULL ? q->helo : "";
    const char *local = is_set(q->domain) && is_set(q->local) ? q->local : "postmaster";
    if (deadline_mono_ms != DNS_CACHED_ONLY && deadline_mono_ms > clock_mono_ms() + SPF_TIME_MAX_MS)
        deadline_mono_ms = clock_mono_ms() + SPF_TIME_MAX_MS;
    if (!initial_domain(is_set(q->domain) ? q->domain : helo, domain)) {
        *out = answer;
        return ERR_OK;
    }
    struct check c = {.resolver = r,
                      .deadline_mono_ms = deadline_mono_ms,
                      .values = {.local = local,
                                 .sender_domain = domain,
                                 .domain = domain,
                                 .helo = helo,
                                 .confirmed_name = "unknown",
                                 .receiver = q->receiver != NULL ? q->receiver : "unknown",
                                 .client = netaddr_unmapped(&q->client),
                                 .now_s = clock_now_s()},
                      .explain = q->explain,
                      .sender_is_ascii = is_ascii(local),
                      .out = &answer};
    answer.result = check_host(&c, domain);
    if (c.abort != ERR_OK)
        return c.abort;
    blame(&c, domain, span_of(""), ""); /* none: nothing decided */
    if (answer.result != SPF_TEMPERROR)
        answer.cause = ERR_OK;
    *out = answer;
    return ERR_OK;
}

const char *spf_result_text(enum spf_result result)
{
    static const char *const text[] = {"none",     "neutral",   "pass",     "fail",
                                       "softfail", "temperror", "permerror"};
    return text[result];
}
