/*
 * challenge_page.c - see challenge_page.h.
 *
 * Order of a request: form -> wrong-token limit -> the token by the site key alone (a guess dies before any
 * store access) -> the contact attempt and its mailbox's policy -> the answer -> entry and admission, durable
 * before the answer to it.
 */
#include "public/challenge_page.h"

#include <stdio.h>
#include <string.h>

#include "admission/admission.h"
#include "admission/challenge.h"
#include "admission/challenge_json.h"
#include "base/clock.h"
#include "base/log.h"
#include "mail/address.h"
#include "public/throttle.h"
#include "public/visit.h"
#include "pull/pull.h"
#include "ticket/fields.h"

#define ANSWER_MAX 4096 /* bytes of ours */
#define WRONG_RETRY_AFTER_S 600
#define RETRY_AFTER_S 60

/* ---- answers ------------------------------------------------------------------------------------------- */

static void answer_json(struct http_exchange *x, int status, enum err formatted, struct buf *json)
{
    if (formatted != ERR_OK) {
        buf_free(json);
        http_answer(x, 503);
        return;
    }
    http_set_field(x, "content-type", "application/json");
    http_answer_bytes(x, status, json);
}

/* text NULL: the error's own. */
static void answer_error(struct http_exchange *x, enum err e, const char *text, int64_t retry_after_s)
{
    const struct err_info *info = err_info(e);
    struct buf json;
    char seconds[24];
    if (info->http == 429 || info->http == 503) {
        snprintf(seconds, sizeof seconds, "%lld", (long long)retry_after_s);
        http_set_field(x, FIELD_RETRY_AFTER, seconds);
    }
    http_set_field(x, FIELD_ERROR, info->name);
    buf_init(&json, ANSWER_MAX);
    answer_json(x, info->http, challenge_error_format(info->name, text ? text : info->text, &json), &json);
}

/* ---- who asks ------------------------------------------------------------------------------------------ */

struct caller {
    const struct env *env;
    struct http_exchange *x;
    struct span text; /* the token's */
    struct challenge_token token;
    struct attempt attempt;
    struct policy policy;
    int64_t now_s;
};

/* The path behind the prefix: a token, and "/" with a verb (without: empty). */
static struct span split(struct span path, struct span *verb)
{
    size_t prefix = strlen(CHALLENGE_PATH_PREFIX);
    struct span token;
    span_cut(span_bytes(path.ptr + prefix, path.len - prefix), '/', &token, verb);
    return token;
}

static bool read_token(struct caller *c)
{
    struct span verb;
    int64_t wait_s = RETRY_AFTER_S;
    struct throttle *throttle = c->env->public->throttle;
    const struct netaddr *from = &http_peer(c->x)->addr;
    if (throttle_closed(throttle, from, c->now_s, &wait_s)) {
        answer_error(c->x, ERR_RATE, NULL, wait_s);
        return false;
    }
    c->text = split(http_path(c->x), &verb);
    enum err e = challenge_token_read(c->env->keys, c->text, c->now_s, &c->token);
    if (e == ERR_NOT_FOUND)
        throttle_count(throttle, from, c->now_s);
    if (e != ERR_OK) {
        answer_error(c->x, e, e == ERR_GONE ? "this challenge is over" : NULL, wait_s);
        return false;
    }
    return true;
}

/* The deny entries that the owner made since are his last word; so is a rule that asks nobody any more. */
static enum err still_asked(struct caller *c)
{
    struct address mailbox;
    struct entry entry;
    enum err e = store_attempt_get(c->env->store, c->token.mailbox, c->token.sender, &c->attempt);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_GONE : e;
    e = store_entry_get(c->env->store, c->token.mailbox, c->attempt.aligned ? ENTRY_ADDRESS : ENTRY_ENVELOPE,
                        c->token.sender, c->now_s, &entry);
    if (e != ERR_NOT_FOUND && (e != ERR_OK || entry.deny))
        return e == ERR_OK ? ERR_GONE : e;
    if ((e = address_parse(span_of(c->token.mailbox), &mailbox)) != ERR_OK)
        return e;
    e = admission_policy(c->env->admission, &mailbox, &c->policy);
    return e == ERR_OK && c->policy.rule == RULE_KNOWN ? ERR_GONE : e;
}

static bool begin(struct caller *c, const struct env *env, struct http_exchange *x)
{
    memset(c, 0, sizeof *c);
    c->env = env;
    c->x = x;
    c->now_s = clock_now_s();
    if (!read_token(c))
        return false;
    enum err e = still_asked(c);
    if (e != ERR_OK)
        answer_error(x, e, e == ERR_GONE ? "nothing waits here for an answer (any more)" : NULL,
                     RETRY_AFTER_S);
    return e == ERR_OK;
}

/* ---- requests ------------------------------------------------------------------------------------------ */

/* GET and HEAD of the URL itself: for people. */
static void show(void *env, struct http_exchange *x)
{
    static const char words[] =
        "A letter of yours waits for its recipient, who does not know you yet. He asks those whom he does "
        "not\r\n"
        "know for a proof that they are no machine. It is asked for at this address followed by /challenge, "
        "and\r\n"
        "answered at this address followed by /answer (docs/PROTOCOL.md of Restante, \"Challenge\").\r\n";
    struct buf text;
    struct caller c = {.env = env, .x = x, .now_s = clock_now_s()};
    if (!read_token(&c))
        return;
    http_set_field(x, "content-type", "text/plain; charset=us-ascii");
    buf_init(&text, sizeof words);
    if (span_is(http_method(x), "HEAD") || buf_append_str(&text, words) != ERR_OK)
        http_answer(x, 200);
    else
        http_answer_bytes(x, 200, &text);
}

/* GET <url>/challenge */
static void ask(void *env, struct http_exchange *x)
{
    struct caller c;
    struct altcha work;
    struct buf json;
    if (!begin(&c, env, x))
        return;
    buf_init(&json, ANSWER_MAX);
    enum err e = ERR_OK;
    if (challenge_asks_question(&c.policy)) {
        answer_json(x, 200, challenge_question_format(c.policy.question, &json), &json);
        return;
    }
    e = challenge_work_begin(env, c.text, &c.token, &c.attempt, c.now_s, &work);
    if (e != ERR_OK)
        answer_error(x, e, NULL, RETRY_AFTER_S);
    else
        answer_json(x, 200, challenge_work_format(&work, &json), &json);
}

static void log_solved(const struct caller *c, uint32_t count)
{
    struct log_line line;
    char client[NETADDR_TEXT_MAX], detail[80];
    netaddr_text(&http_peer(c->x)->addr, client);
    log_line_begin(&line, NULL);
    log_line_addr(&line, LOG_KEY_FROM, c->token.sender);
    log_line_addr(&line, LOG_KEY_TO, c->token.mailbox);
    log_line_str(&line, LOG_KEY_HOST, c->attempt.link_host);
    log_line_str(&line, LOG_KEY_CLIENT, client);
    snprintf(detail, sizeof detail, "the challenge was answered, letters that waited: %u", count);
    log_line_status(&line, "admitted", detail);
    log_line_end(&line, LOG_LEVEL_INFO);
}

/* DURABLE, the entry first: after a crash in between the sender is admitted, and what waits is when his next
 * stub comes or the answer is given again. */
static enum err admit(const struct caller *c)
{
    uint32_t count = 0;
    struct entry entry = {
        .kind = c->attempt.aligned ? ENTRY_ADDRESS : ENTRY_ENVELOPE, .solved = true, .created_s = c->now_s};
    snprintf(entry.mailbox, sizeof entry.mailbox, "%s", c->token.mailbox);
    snprintf(entry.value, sizeof entry.value, "%s", c->token.sender);
    enum err e = store_entry_put(c->env->store, &entry);
    if (e == ERR_OK)
        e = store_attempt_admit(c->env->store, c->token.mailbox, c->token.sender, UNPROVEN_STAYS,
                                reason_code(REASON_SOLVED), c->now_s, &count);
    if (e == ERR_OK || e == ERR_NOT_FOUND) {
        puller_wake(c->env->puller);
        log_solved(c, count);
        e = ERR_OK;
    }
    return e;
}

static enum err judge(const struct caller *c, const struct challenge_answer *a, const char **why)
{
    enum err e;
    if (challenge_asks_question(&c->policy)) {
        if (!a->is_work)
            return challenge_question_check(c->env, &c->token, &c->policy, a->text, c->now_s);
        *why = "a question was asked";
        return ERR_SYNTAX;
    }
    *why = "a proof of work was asked for";
    if (!a->is_work)
        return ERR_SYNTAX;
    e = challenge_work_check(c->env, c->text, &c->token, &c->attempt, &a->work, c->now_s);
    *why = e == ERR_EXISTS      ? "this answer was given before"
           : e == ERR_GONE      ? "this answer comes too late: ask for another challenge"
           : e == ERR_FORBIDDEN ? "this answer is to no challenge of this address"
                                : NULL;
    return e;
}

/* POST <url>/answer */
static void take(void *env, struct http_exchange *x)
{
    struct caller c;
    struct challenge_answer a;
    struct buf json;
    const char *why = NULL;
    if (!begin(&c, env, x))
        return;
    enum err e = challenge_answer_read(http_body(x), &a);
    if (e == ERR_OK)
        e = judge(&c, &a, &why);
    if (e == ERR_ANSWER || e == ERR_FORBIDDEN || e == ERR_EXISTS)
        throttle_count(c.env->public->throttle, &http_peer(x)->addr, c.now_s);
    if (e == ERR_OK)
        e = admit(&c);
    if (e != ERR_OK) {
        answer_error(x, e, e == ERR_SYNTAX || !err_temporary(e) ? why : NULL, WRONG_RETRY_AFTER_S);
        return;
    }
    buf_init(&json, ANSWER_MAX);
    answer_json(x, 200, challenge_solved_format(&json), &json);
}

/* ---- the router's part --------------------------------------------------------------------------------- */

static const struct {
    const char *verb, *method;
    size_t body_max;
    http_handler handler;
} requests[] = {
    {"", "GET", 0, show},
    {"", "HEAD", 0, show},
    {"challenge", "GET", 0, ask},
    {"answer", "POST", CHALLENGE_BODY_MAX, take},
};
#define REQUEST_COUNT (sizeof requests / sizeof *requests)

bool challenge_page_is(struct span path)
{
    size_t prefix = strlen(CHALLENGE_PATH_PREFIX);
    return path.len >= prefix && memcmp(path.ptr, CHALLENGE_PATH_PREFIX, prefix) == 0;
}

void challenge_page_route(const struct env *env, struct http_exchange *x)
{
    struct span verb;
    const char *allow = NULL;
    (void)split(http_path(x), &verb);
    for (size_t i = 0; i < REQUEST_COUNT; i++) {
        if (!span_is(verb, requests[i].verb))
            continue;
        allow = requests[i].verb[0] == '\0' ? "GET, HEAD" : requests[i].method;
        if (!span_is(http_method(x), requests[i].method))
            continue;
        http_use_pool(x, env->serve);
        http_collect(x, requests[i].body_max, requests[i].handler);
        return;
    }
    if (allow)
        http_set_field(x, "allow", allow);
    http_answer(x, allow ? 405 : 404);
}
