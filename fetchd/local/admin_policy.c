/*
 * admin_policy.c - see admin_policy.h.
 */
#include "local/admin_policy.h"

#include <stdlib.h>
#include <string.h>

#include "admission/admission.h"
#include "base/clock.h"
#include "env/env.h"
#include "env/site.h"
#include "local/question.h"

#define ANSWERS_MAX 20
#define NAME_MAX_BYTES (ADDRESS_TEXT_MAX + 1)

/* ---- parts as words */

#define WORDS 4
static const struct {
    const char *name;
    size_t offset; /* of its enum in struct policy; 0 is the default in all of them */
    const char *word[WORDS];
} parts[PART_COUNT] = {
    [PART_RULE] = {"rule", offsetof(struct policy, rule), {"default", "open", "known", "challenge"}},
    [PART_LEGACY] = {"legacy", offsetof(struct policy, legacy), {"default", "accept", "attempt", "reject"}},
    [PART_MODE] = {"mode", offsetof(struct policy, mode), {"default", "observe", "enforce"}},
    [PART_DENIAL] = {"denial", offsetof(struct policy, denial), {"default", "silent", "told"}},
    [PART_CHALLENGE] = {"challenge", offsetof(struct policy, challenge), {"default", "work", "question"}},
    [PART_CORRESPONDENTS] = {"correspondents",
                             offsetof(struct policy, correspondents),
                             {"default", "on", "off"}},
};
_Static_assert(sizeof(enum policy_rule) == sizeof(unsigned) &&
                   sizeof(enum policy_legacy) == sizeof(unsigned) &&
                   sizeof(enum policy_mode) == sizeof(unsigned) &&
                   sizeof(enum policy_denial) == sizeof(unsigned) &&
                   sizeof(enum policy_challenge) == sizeof(unsigned) &&
                   sizeof(enum policy_switch) == sizeof(unsigned),
               "parts are read and written as numbers");
_Static_assert(RULE_CHALLENGE == 3 && LEGACY_REJECT == 3 && MODE_ENFORCE == 2 && DENIAL_TOLD == 2 &&
                   CHALLENGE_QUESTION == 2 && SWITCH_OFF == 2,
               "the words stand in the order of the enums");

static unsigned part_value(const struct policy *p, enum policy_part part)
{
    unsigned value;

    memcpy(&value, (const char *)p + parts[part].offset, sizeof value);
    return value;
}

static void part_assign(struct policy *p, enum policy_part part, unsigned value)
{
    memcpy((char *)p + parts[part].offset, &value, sizeof value);
}

const char *policy_part_get(const struct policy *p, enum policy_part part)
{
    unsigned value = part_value(p, part);

    return value < WORDS && parts[part].word[value] ? parts[part].word[value] : "default";
}

enum err policy_part_set(struct policy *p, enum policy_part part, const char *word)
{
    for (unsigned i = 0; i < WORDS && parts[part].word[i]; i++) {
        if (strcmp(parts[part].word[i], word) == 0) {
            part_assign(p, part, i);
            return ERR_OK;
        }
    }
    return ERR_SYNTAX;
}

void policy_part_words(enum policy_part part, char out[120])
{
    size_t len = 0;

    out[0] = '\0';
    for (unsigned i = 1; i < WORDS && parts[part].word[i]; i++)
        len += (size_t)snprintf(out + len, 120 - len, "%s | ", parts[part].word[i]);
    snprintf(out + len, 120 - len, "default");
}

/* ---- whose */

/* A name that policies are kept under. */
struct owner {
    char name[NAME_MAX_BYTES];   /* "bob@b.test", "@b.test" */
    char domain[NAME_MAX_BYTES]; /* "@b.test" */
    bool is_domain;
    bool is_role; /* postmaster, abuse */
};

static void read_domain(struct question *q, const char *text, struct owner *o)
{
    char domain[ADDRESS_DOMAIN_MAX + 1];

    if (q->err)
        return;
    o->is_domain = true;
    if (!q->who.all)
        question_forbid(q, "the policy of a domain");
    else if (domain_normalise(span_of(text + 1), domain))
        question_fail(q, ERR_ADDRESS, "%s is no domain: @domain", text);
    else if (q->env->site->local_count && !site_is_local(q->env->site, domain))
        question_fail(q, ERR_NOT_FOUND, "%s is not in local_domains", domain);
    if (q->err)
        return;
    snprintf(o->name, sizeof o->name, "@%s", domain);
    memcpy(o->domain, o->name, sizeof o->domain);
}

static void read_owner(struct question *q, struct owner *o)
{
    struct address address;
    const char *text = question_need(q, "name");

    *o = (struct owner){.is_domain = false};
    if (text[0] == '@') {
        read_domain(q, text, o);
        return;
    }
    question_mailbox(q, text, o->name, &address);
    if (q->err)
        return;
    snprintf(o->domain, sizeof o->domain, "@%s", address.domain);
    size_t local = strlen(o->name) - strlen(o->domain);
    o->is_role = (local == 10 && strncmp(o->name, "postmaster", local) == 0) ||
                 (local == 5 && strncmp(o->name, "abuse", local) == 0);
}

/* ERR_OK and nothing but defaults when nothing is stored. */
static enum err stored(const struct env *env, const char *name, struct policy *out)
{
    enum err e = store_policy_get(env->store, name, out);

    if (e == ERR_NOT_FOUND)
        *out = (struct policy){.rule = RULE_DEFAULT};
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* ---- showing */

static void add_part(struct rows *r, const char *part, const char *value, const char *from)
{
    rows_begin(r);
    rows_text(r, "part", part);
    rows_text(r, "value", value);
    rows_text(r, "from", from);
}

static void add_question(struct rows *r, const struct policy *p, const char *from)
{
    char line[POLICY_ANSWERS_MAX + 1];
    struct span answer, rest = span_of(p->answers);

    add_part(r, "question", p->question, from);
    while (rest.len) {
        span_cut(rest, '\n', &answer, &rest);
        snprintf(line, sizeof line, "%.*s", (int)answer.len, answer.ptr);
        if (answer.len)
            add_part(r, "answer", line, from);
    }
}

static void add_policy(struct question *q, const struct owner *o)
{
    enum { MAILBOX, DOMAIN_, SITE, LAYERS };
    static const char *const names[LAYERS] = {"mailbox", "domain", "site"};
    struct policy *layer = calloc(LAYERS, sizeof *layer);

    q->err = layer ? ERR_OK : ERR_NOMEM;
    if (!q->err && !o->is_domain)
        q->err = stored(q->env, o->name, &layer[MAILBOX]);
    if (!q->err)
        q->err = stored(q->env, o->domain, &layer[DOMAIN_]);
    if (q->err) {
        free(layer);
        return;
    }
    layer[SITE] = admission_site_policy(q->env->settings);
    for (unsigned part = 0; part < PART_COUNT; part++) {
        int from = MAILBOX;
        while (from < SITE && part_value(&layer[from], part) == 0)
            from++;
        if (part == PART_RULE && o->is_role)
            add_part(q->rows, parts[part].name, "open", "always");
        else
            add_part(q->rows, parts[part].name, policy_part_get(&layer[from], part), names[from]);
    }
    for (int from = MAILBOX; from < SITE; from++) {
        if (layer[from].question[0]) {
            add_question(q->rows, &layer[from], names[from]);
            break;
        }
    }
    free(layer);
}

void admin_policy_show(void *env, struct http_exchange *x)
{
    struct question q;
    struct owner o;

    question_open(&q, env, x);
    read_owner(&q, &o);
    if (question_rows(&q, "policy"))
        add_policy(&q, &o);
    question_close(&q);
}

/* ---- changing */

static bool read_parts(struct question *q, const struct owner *o, struct policy *p)
{
    bool any = false;
    char words[120];

    for (unsigned part = 0; part < PART_COUNT; part++) {
        const char *word = question_get(q, parts[part].name);
        if (!word)
            continue;
        any = true;
        policy_part_words(part, words);
        if (policy_part_set(p, part, word))
            question_fail(q, ERR_SYNTAX, "%s: %s is none of %s", parts[part].name, word, words);
    }
    if (p->mode != MODE_DEFAULT && !o->is_domain)
        question_fail(q, ERR_SYNTAX, "mode: domains alone have it (@domain)");
    if (p->rule != RULE_DEFAULT && o->is_role)
        question_fail(q, ERR_SYNTAX, "rule: %s is always open", o->name);
    return any;
}

/* A question comes with its answers, and takes the place of an earlier one; an empty one takes it away. */
static bool read_question(struct question *q, struct policy *p)
{
    char name[16];
    size_t len = 0;
    const char *question = question_get(q, "question");
    const char *first = question_get(q, "answer1");

    if (!question) {
        if (first)
            question_fail(q, ERR_SYNTAX, "answer: goes with a question");
        return first != NULL;
    }
    question_text(q, "question", p->question, POLICY_QUESTION_MAX);
    p->answers[0] = '\0';
    for (int i = 1; i <= ANSWERS_MAX && !q->err; i++) {
        snprintf(name, sizeof name, "answer%d", i);
        const char *answer = i == 1 ? first : question_get(q, name);
        if (!answer)
            break;
        size_t more = strlen(answer);
        if (span_trim(span_of(answer)).len == 0)
            question_fail(q, ERR_SYNTAX, "answer: an empty one");
        else if (len + more + 2 > sizeof p->answers)
            question_fail(q, ERR_TOO_LARGE, "answer: all together at most %d bytes", POLICY_ANSWERS_MAX);
        else
            len +=
                (size_t)snprintf(p->answers + len, sizeof p->answers - len, "%s%s", len ? "\n" : "", answer);
    }
    if (p->question[0] && !len)
        question_fail(q, ERR_SYNTAX, "question: an answer is missing");
    if (!p->question[0] && len)
        question_fail(q, ERR_SYNTAX, "answer: goes with a question");
    return true;
}

/* Nobody can be asked a question that there is not. */
static void check_question(struct question *q, const struct owner *o, const struct policy *p)
{
    struct policy *domain;

    if (q->err || p->challenge != CHALLENGE_QUESTION || p->question[0])
        return;
    if (!(domain = calloc(1, sizeof *domain))) {
        q->err = ERR_NOMEM;
        return;
    }
    q->err = o->is_domain ? ERR_OK : stored(q->env, o->domain, domain);
    if (!domain->question[0])
        question_fail(q, ERR_SYNTAX, "challenge: the question is missing (question, answer)");
    free(domain);
}

void admin_policy_set(void *env, struct http_exchange *x)
{
    struct question q;
    struct owner o;
    struct policy *p = calloc(1, sizeof *p);

    question_open(&q, env, x);
    read_owner(&q, &o);
    if (!p)
        question_fail(&q, ERR_NOMEM, NULL);
    if (p && !q.err)
        q.err = stored(q.env, o.name, p);
    if (p && !q.err) {
        bool any = read_parts(&q, &o, p);
        any = read_question(&q, p) || any;
        if (!any)
            question_fail(&q, ERR_SYNTAX, "nothing to change");
        check_question(&q, &o, p);
        p->changed_s = clock_now_s();
    }
    if (!q.err)
        q.err = store_policy_put(q.env->store, o.name, p);
    if (!q.err)
        question_log(&q, o.name, "", "policy-set", QUESTION_NO_LETTERS);
    if (question_rows(&q, "policy"))
        add_policy(&q, &o);
    question_close(&q);
    free(p);
}
