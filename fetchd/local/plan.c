/*
 * plan.c - who may deposit, who is asked about, and what the answers mean.
 */
#include "local/plan.h"

#include <stdlib.h>
#include <string.h>

#include "env/text.h"
#include "mail/domain_set.h"
#include "mail/header.h"
#include "mail/stub.h"

/* Mailers that carry mail away from this site (Postfix and Sendmail); any other name delivers here. */
static const char *const outbound_mailers[] = {"smtp", "relay", "esmtp"};

/* ---- the message */

static const struct api_field *find_field(const struct api_plan *request, const char *name, size_t *count)
{
    const struct api_field *found = NULL;

    *count = 0;
    for (size_t i = 0; i < request->field_count; i++) {
        if (!span_is_nocase(span_of(request->field[i].name), name))
            continue;
        if (!found)
            found = &request->field[i];
        ++*count;
    }
    return found;
}

static bool may_submit(const struct site *site, const struct api_envelope *e)
{
    return e->command_line || (e->auth && e->auth[0]) || site_may_submit(site, e->client_address);
}

static void refuse(struct api_reply *reply, enum err e, const char *text)
{
    const struct err_info *info = err_info(e);

    reply->smtp = info->smtp;
    TEXT_CUT(reply->enhanced, info->enhanced);
    TEXT_CUT(reply->text, text ? text : info->text);
}

static bool some_recipient_enabled(const struct api_envelope *e, const struct domain_set *enabled)
{
    for (size_t i = 0; i < e->recipient_count; i++) {
        if (domain_set_has_address(enabled, e->recipient[i].address))
            return true;
    }
    return false;
}

/* A message with a stub field from outside to one of ours. True when that settles the plan. */
static bool sort_stub(const struct site *site, const struct api_plan *request,
                      const struct domain_set *enabled, struct plan *out)
{
    size_t stubs;

    find_field(request, STUB_FIELD_NAME, &stubs);
    if (stubs == 0 || may_submit(site, &request->envelope))
        return false;
    if (!some_recipient_enabled(&request->envelope, enabled))
        return false; /* on its way through this site */
    if (stubs > 1)
        refuse(&out->refuse, ERR_STUB_SYNTAX, "more than one Restante-Stub field");
    else if (request->envelope.recipient_count > 1)
        refuse(&out->refuse, ERR_STUB_SYNTAX, "a stub has exactly one recipient");
    out->kind = API_STUB;
    return true;
}

/* Mail from outside into one of our domains, without a stub: who takes it is admission's to say. */
static bool is_legacy(const struct site *site, const struct api_plan *request,
                      const struct domain_set *enabled)
{
    size_t stubs;

    find_field(request, STUB_FIELD_NAME, &stubs);
    return stubs == 0 && !may_submit(site, &request->envelope) &&
           some_recipient_enabled(&request->envelope, enabled);
}

/* Why this message is never ours; NULL when it may be deposited. */
static const char *why_not(const struct site *site, const struct api_plan *request,
                           const struct domain_set *enabled)
{
    struct address sender;
    size_t count;

    if (address_parse(span_of(request->envelope.sender), &sender))
        return "the reverse-path is not understood";
    if (sender.null)
        return "null reverse-path";
    if (!domain_set_has(enabled, sender.domain))
        return "the sender's domain is not enabled";
    if (!may_submit(site, &request->envelope))
        return "no submission";
    const struct api_field *type = find_field(request, "Content-Type", &count);
    if (type && header_is_report(span_of(type->value)))
        return "a delivery report";
    return NULL;
}

static bool delivered_here(const char *mailer)
{
    if (!mailer || !mailer[0])
        return false; /* not told (sendmail(1)): the own domains decide */
    for (size_t i = 0; i < sizeof outbound_mailers / sizeof *outbound_mailers; i++) {
        if (span_is_nocase(span_of(mailer), outbound_mailers[i]))
            return false;
    }
    return true;
}

static enum plan_want want_of(const struct site *site, const struct routes *routes,
                              const struct domain_set *enabled, const struct api_recipient *recipient,
                              struct address *address)
{
    if (address_parse(span_of(recipient->address), address) || address->null)
        return PLAN_WANT_PLAIN;
    if (delivered_here(recipient->mailer) || site_is_local(site, address->domain) ||
        domain_set_has(enabled, address->domain))
        return PLAN_WANT_PLAIN;
    switch (routes_find(routes, address)) {
    case ROUTE_PLAIN:
        return PLAN_WANT_PLAIN;
    case ROUTE_PULL:
        return PLAN_WANT_PULL;
    case ROUTE_AUTO:
        break;
    }
    return PLAN_WANT_AUTO;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Makes the list of questions out of one name a recipient (NULL for settled ones); takes the names. */
static void gather_questions(struct plan *plan, char **names)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->recipient_count; i++) {
        if (names[i])
            plan->domain[n++] = names[i];
    }
    qsort(plan->domain, n, sizeof *plan->domain, compare_names);
    for (size_t i = 0; i < n; i++) {
        if (plan->domain_count && strcmp(plan->domain[plan->domain_count - 1], plan->domain[i]) == 0)
            continue; /* freed below, when its recipient has found the one that stays */
        plan->domain[plan->domain_count++] = plan->domain[i];
    }
    for (size_t i = 0; i < plan->recipient_count; i++) {
        if (!names[i])
            continue;
        char **found =
            bsearch(&names[i], plan->domain, plan->domain_count, sizeof *plan->domain, compare_names);
        plan->recipient[i].domain = (size_t)(found - plan->domain);
    }
    for (size_t i = 0; i < plan->recipient_count; i++) {
        if (names[i] && plan->domain[plan->recipient[i].domain] != names[i])
            free(names[i]);
    }
}

static enum err sort_recipients(const struct site *site, const struct routes *routes,
                                const struct domain_set *enabled, const struct api_envelope *e,
                                struct plan *out)
{
    enum err result = ERR_NOMEM;
    struct address address;
    char **names = calloc(e->recipient_count + 1, sizeof *names);

    out->recipient = calloc(e->recipient_count + 1, sizeof *out->recipient);
    out->domain = calloc(e->recipient_count + 1, sizeof *out->domain);
    if (!names || !out->recipient || !out->domain)
        goto out;
    out->recipient_count = e->recipient_count;
    for (size_t i = 0; i < e->recipient_count; i++) {
        out->recipient[i].want = want_of(site, routes, enabled, &e->recipient[i], &address);
        if (out->recipient[i].want != PLAN_WANT_PLAIN && !(names[i] = strdup(address.domain)))
            goto out;
    }
    gather_questions(out, names);
    free(names);
    return ERR_OK;
out:
    for (size_t i = 0; names && i < e->recipient_count; i++)
        free(names[i]);
    free(names);
    return result;
}

enum err plan_sort(const struct site *site, const struct routes *routes, const struct api_plan *request,
                   struct plan *out)
{
    enum err e;
    struct domain_set enabled;

    *out = (struct plan){.kind = API_NONE};
    if (!request->envelope.domains || !request->envelope.domains[0]) {
        out->reason = "no domain is enabled";
        return ERR_OK;
    }
    if ((e = domain_set_parse(request->envelope.domains, &enabled)))
        return e;
    if (is_legacy(site, request, &enabled)) {
        out->kind = API_LEGACY;
    } else if (!sort_stub(site, request, &enabled, out) &&
               !(out->reason = why_not(site, request, &enabled))) {
        out->kind = API_LETTER;
        e = sort_recipients(site, routes, &enabled, &request->envelope, out);
    }
    domain_set_free(&enabled);
    if (e)
        plan_free(out);
    return e;
}

static void refuse_unless_pulled(const struct discovery_answer *answer, const char *domain, bool disk_low,
                                 struct api_plan_answer *out)
{
    char text[ADDRESS_DOMAIN_MAX + 200];

    if (answer->word != DISCOVERY_YES && answer->word != DISCOVERY_TESTING) {
        snprintf(text, sizeof text, "%.150s: %s", domain,
                 answer->word == DISCOVERY_NO
                     ? "this domain must be pulled, and does not say that it takes stubs"
                     : err_text(ERR_NO_STUBS_KNOWN));
        refuse(&out->refuse, ERR_NO_STUBS_KNOWN, text);
    } else if (disk_low) {
        refuse(&out->refuse, ERR_DISK_FULL, NULL);
    }
}

enum err plan_decide(const struct plan *plan, const struct discovery_answer *answer, bool disk_low,
                     struct api_plan_answer *out)
{
    *out = (struct api_plan_answer){.kind = plan->kind, .refuse = plan->refuse};
    if (plan->kind != API_LETTER)
        return ERR_OK;
    out->verdict = calloc(plan->recipient_count + 1, sizeof *out->verdict);
    if (!out->verdict)
        return ERR_NOMEM;
    out->recipient_count = plan->recipient_count;
    for (size_t i = 0; i < plan->recipient_count; i++) {
        const struct plan_recipient *r = &plan->recipient[i];
        bool stub = false;
        if (r->want == PLAN_WANT_PULL) {
            stub = true;
            refuse_unless_pulled(&answer[r->domain], plan->domain[r->domain], disk_low, out);
        } else if (r->want == PLAN_WANT_AUTO) {
            stub = answer[r->domain].word == DISCOVERY_YES && !disk_low;
        }
        out->verdict[i] = stub ? API_VERDICT_STUB : API_VERDICT_PLAIN;
        out->want_body |= stub;
    }
    return ERR_OK;
}

void plan_free(struct plan *plan)
{
    for (size_t i = 0; i < plan->domain_count; i++)
        free(plan->domain[i]);
    free(plan->domain);
    free(plan->recipient);
    *plan = (struct plan){.kind = API_NONE};
}
