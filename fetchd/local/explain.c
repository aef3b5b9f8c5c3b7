/*
 * explain.c - see explain.h.
 */
#include "local/explain.h"

#include <stdlib.h>

#include "admission/admission.h"
#include "base/clock.h"
#include "env/site.h"
#include "local/inbound.h"
#include "local/notice.h"
#include "local/question.h"
#include "settings/settings.h"

#define WHY_MAX 300

struct telling {
    struct rows *rows;
    bool decided;
};

static void tell(struct telling *t, const char *check, enum verdict v, enum reason r, const char *text)
{
    rows_begin(t->rows);
    rows_text(t->rows, "check", check);
    rows_text(t->rows, "verdict", verdict_name(v));
    rows_text(t->rows, "reason", r == REASON_NONE ? "" : reason_code(r));
    rows_text(t->rows, "text", text && text[0] ? text : reason_text(r));
}

static void tell_check(void *arg, const struct check *c, const struct finding *found)
{
    struct telling *t = arg;

    tell(t, c->name, found->verdict, found->reason, found->text);
    if (found->verdict == VERDICT_NEXT || t->decided)
        return;
    t->decided = true;
    rows_text(t->rows, "decides", "yes");
}

static enum err judge(const struct env *env, struct facts *f, struct telling *t)
{
    struct finding end;

    f->replay = true;
    f->deadline_mono_ms = clock_mono_ms() + env->settings->notice_dns_timeout_s * 1000;
    enum err e = admission_judge(env->admission, f, tell_check, t, &end);
    if (e)
        return e;
    tell(t, "end", end.verdict, end.reason, end.text);
    if (f->observed)
        rows_text(t->rows, "would", verdict_name(f->overruled.verdict));
    return ERR_OK;
}

/* A stub that is none: what notice_read says is its form. */
static void tell_unread(struct telling *t, enum err e, const char *why)
{
    enum reason reason = notice_reason(e);

    tell(t, "form", VERDICT_REFUSE, reason, why);
    rows_text(t->rows, "decides", "yes");
    tell(t, "end", VERDICT_REFUSE, reason, why);
}

static enum err judge_stub(const struct env *env, const struct api_plan *plan, const char *stub,
                           struct span *received, struct facts *f, struct telling *t)
{
    struct notice n;
    struct buf why;
    /* Another look at the plan's members, which stay the plan's. */
    const struct api_notice request = {.envelope = plan->envelope,
                                       .stub = (char *)stub,
                                       .from =
                                           (char *)api_field_value(plan->field, plan->field_count, "From"),
                                       .field_count = plan->field_count,
                                       .field = plan->field};

    buf_init(&why, WHY_MAX);
    enum err e = notice_read(&request, env->settings->letter_max_bytes, clock_now_s(), &n, &why);
    if (e) {
        tell_unread(t, e, buf_cstr(&why));
        e = ERR_OK;
    } else {
        notice_facts(&request, &n, received, f);
        e = judge(env, f, t);
        notice_wipe(&n);
    }
    buf_free(&why);
    return e;
}

static enum err judge_legacy(const struct env *env, const struct api_plan *plan, struct span *received,
                             struct facts *f, struct telling *t)
{
    f->kind = FACTS_LEGACY;
    inbound_facts(&plan->envelope, plan->field, plan->field_count, received, f);
    inbound_author(api_field_value(plan->field, plan->field_count, "From"), &f->author);
    f->originator = f->sender;
    return judge(env, f, t);
}

enum err explain_judge(const struct env *env, const struct api_plan *plan, struct rows *rows, struct buf *why)
{
    struct telling t = {.rows = rows};
    struct facts *f = calloc(1, sizeof *f);
    struct span *received = calloc(API_RECEIVED_MAX, sizeof *received);
    const char *stub = api_field_value(plan->field, plan->field_count, STUB_FIELD_NAME);
    enum err e = f && received ? ERR_OK : ERR_NOMEM;

    if (!e && (plan->envelope.recipient_count != 1 ||
               address_parse(span_of(plan->envelope.recipient[0].address), &f->recipient) != ERR_OK ||
               f->recipient.null || address_parse(span_of(plan->envelope.sender), &f->sender) != ERR_OK)) {
        (void)buf_append_str(why, "an envelope has a sender and exactly one recipient");
        e = ERR_SYNTAX;
    }
    if (!e)
        e = stub ? judge_stub(env, plan, stub, received, f, &t) : judge_legacy(env, plan, received, f, &t);
    free(received);
    free(f);
    return e;
}

void explain_handle(void *env, struct http_exchange *x)
{
    struct question q;
    struct api_plan plan;
    struct address recipient;
    char mailbox[ADDRESS_TEXT_MAX], detail[POLICY_TOKEN_MAX + 1];

    question_open(&q, env, x);
    enum err e = api_plan_parse(http_body(x), &plan);
    if (e) {
        question_fail(&q, e, "no message to explain");
        question_close(&q);
        return;
    }
    if (plan.envelope.recipient_count == 1 &&
        address_parse(span_of(plan.envelope.recipient[0].address), &recipient) == ERR_OK) {
        admission_mailbox(q.env->admission, &recipient, mailbox, detail);
        if (!access_to_mailbox(&q.who, mailbox)) /* what others take is nobody's business */
            question_forbid(&q, mailbox);
        else if (q.env->site->local_count && !site_is_local(q.env->site, recipient.domain))
            question_fail(&q, ERR_NOT_FOUND, "%s is no mailbox of this site: %s is not in local_domains",
                          mailbox, recipient.domain);
    }
    if (question_rows(&q, "explain") && (e = explain_judge(q.env, &plan, q.rows, &q.why)) != ERR_OK)
        q.err = e;
    api_plan_free(&plan);
    question_close(&q);
}
