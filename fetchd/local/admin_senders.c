/*
 * admin_senders.c - see admin_senders.h.
 */
#include "local/admin_senders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admission/admission.h"
#include "base/clock.h"
#include "base/encode.h"
#include "dns/organisation.h"
#include "env/env.h"
#include "env/text.h"
#include "local/question.h"
#include "pull/pull.h"
#include "store/attempt.h"
#include "store/policy.h"

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX 100000

/* ---- looking */

static void add_waiting(struct rows *r, const struct attempt *a)
{
    char ids[ATTEMPT_WAITING_MAX * (ENCODE_HEX_LEN(sizeof a->job[0]) + 1) + 1] = "";
    size_t len = 0;

    for (uint32_t i = 0; i < a->waiting && i < ATTEMPT_WAITING_MAX; i++) {
        if (len)
            ids[len++] = ' ';
        encode_hex(a->job[i], sizeof a->job[i], ids + len);
        len += ENCODE_HEX_LEN(sizeof a->job[i]);
    }
    rows_text(r, "jobs", ids);
}

/* How many of the letters that wait their senders have replaced since. */
static void add_changed(struct question *q, const struct attempt *a)
{
    struct job *j = malloc(sizeof *j);
    int64_t count = 0;

    if (!j) {
        q->err = ERR_NOMEM;
        return;
    }
    for (uint32_t i = 0; i < a->waiting && i < ATTEMPT_WAITING_MAX; i++) {
        enum err e = store_job_get(q->env->store, a->job[i], j);
        if (!e && j->replaced)
            count++;
        else if (e && e != ERR_NOT_FOUND && e != ERR_STORE) /* gone meanwhile, or damaged */
            q->err = e;
    }
    job_wipe(j);
    free(j);
    if (count)
        rows_number(q->rows, "changed", count);
}

static bool add_attempt(void *arg, const struct attempt *a)
{
    struct question *q = arg;
    struct rows *r = q->rows;

    rows_begin(r);
    rows_text(r, "mailbox", a->mailbox);
    rows_text(r, "sender", a->sender);
    rows_text(r, "aligned", a->aligned ? "yes" : "no");
    rows_text(r, "from", a->author);
    rows_text(r, "name", a->name);
    rows_text(r, "subject", a->subject);
    rows_time(r, "first", a->first_s);
    rows_time(r, "last", a->last_s);
    rows_number(r, "count", a->count);
    rows_number(r, "waiting", a->waiting);
    rows_text(r, "kind", a->legacy ? "mail" : "stub");
    rows_text(r, "reason", a->reason);
    rows_text(r, "verified", a->verified);
    rows_text(r, "list_id", a->list_id);
    rows_text(r, "link_host", a->link_host);
    rows_text(r, "certificate_issuer", a->certificate_issuer);
    rows_text(r, "certificate_serial", a->certificate_serial);
    rows_text(r, "client", a->client_address);
    rows_text(r, "client_name", a->client_name);
    add_waiting(r, a);
    add_changed(q, a);
    return !q->err;
}

void admin_attempts(void *env, struct http_exchange *x)
{
    struct question q;
    struct address address;
    char mailbox[ADDRESS_TEXT_MAX] = "";

    question_open(&q, env, x);
    const char *text = question_get(&q, "mailbox");
    size_t limit = (size_t)question_number(&q, "limit", 0, LIMIT_MAX, LIMIT_DEFAULT);
    if (text)
        question_mailbox(&q, text, mailbox, &address);
    else if (!q.who.all)
        question_forbid(&q, "the attempts of all mailboxes");
    if (question_rows(&q, "attempts")) {
        enum err e = store_attempts(q.env->store, text ? mailbox : NULL, limit, add_attempt, &q);
        q.err = q.err ? q.err : e;
    }
    question_close(&q);
}

static const char *kind_name(enum entry_kind kind)
{
    static const char *const names[ENTRY_KIND_COUNT] = {[ENTRY_ADDRESS] = "address",
                                                        [ENTRY_ENVELOPE] = "envelope",
                                                        [ENTRY_DOMAIN] = "domain",
                                                        [ENTRY_SUBDOMAINS] = "subdomains",
                                                        [ENTRY_LIST] = "list"};

    return kind < ENTRY_KIND_COUNT ? names[kind] : "unknown";
}

static void add_entry_members(struct rows *r, const struct entry *e)
{
    char text[ENTRY_TEXT_MAX];

    entry_text(e, text);
    rows_text(r, "rule", e->deny ? "deny" : "allow");
    rows_text(r, "sender", text);
    rows_text(r, "kind", kind_name(e->kind));
    rows_text(r, "domain", e->domain);
    rows_text(r, "origin", e->solved ? "challenge" : "owner");
    rows_time(r, "created", e->created_s);
    rows_time(r, "until", e->until_s);
    rows_text(r, "note", e->note);
}

static bool add_entry(void *arg, const struct entry *e)
{
    struct question *q = arg;

    rows_begin(q->rows);
    add_entry_members(q->rows, e);
    rows_text(q->rows, "in_force", e->until_s && e->until_s < clock_now_s() ? "no" : "yes");
    return true;
}

static bool add_correspondent(void *arg, const char *address, int64_t since_s, int64_t until_s)
{
    struct question *q = arg;

    rows_begin(q->rows);
    rows_text(q->rows, "address", address);
    rows_time(q->rows, "since", since_s);
    rows_time(q->rows, "until", until_s);
    return true;
}

void admin_rules(void *env, struct http_exchange *x)
{
    struct question q;
    struct address address;
    char mailbox[ADDRESS_TEXT_MAX];

    question_open(&q, env, x);
    question_mailbox(&q, question_need(&q, "mailbox"), mailbox, &address);
    bool correspondents = question_get(&q, "correspondents") != NULL;
    if (!question_rows(&q, correspondents ? "correspondents" : "rules"))
        ;
    else if (correspondents)
        q.err = store_correspondents(q.env->store, mailbox, add_correspondent, &q);
    else
        q.err = store_entries(q.env->store, mailbox, add_entry, &q);
    question_close(&q);
}

/* ---- senders whose letters wait, whom an entry fits */

struct match {
    const struct entry *entry;
    char (*sender)[STORE_ADDRESS_MAX]; /* owned */
    size_t count, room;
    enum err err;
};

static bool note_match(void *arg, const struct attempt *a)
{
    struct match *m = arg;
    const struct entry_subject subject = {.author = a->author,
                                          .originator = a->aligned ? "" : a->sender,
                                          .aligned = a->aligned,
                                          .list_id = a->list_id,
                                          .verified = a->verified};

    if (!entry_matches(m->entry, &subject))
        return true;
    if (m->count == m->room) {
        size_t room = m->room ? m->room * 2 : 16;
        void *more = realloc(m->sender, room * sizeof *m->sender);
        if (!more) {
            m->err = ERR_NOMEM;
            return false;
        }
        m->sender = more;
        m->room = room;
    }
    memcpy(m->sender[m->count++], a->sender, sizeof a->sender);
    return true;
}

static enum err find_matches(const struct env *env, const struct entry *e, struct match *out)
{
    *out = (struct match){.entry = e};
    enum err err = store_attempts(env->store, e->mailbox, SIZE_MAX, note_match, out);
    return err ? err : out->err;
}

/* ---- allow, deny */

/* An address of somebody who waits under what his envelope says is allowed as such: an entry for authors
 * would never admit him, since his From does not align. */
static enum err fit_kind(const struct env *env, struct entry *e)
{
    struct attempt *a;
    enum err err;

    if (e->deny || e->kind != ENTRY_ADDRESS)
        return ERR_OK;
    if (!(a = malloc(sizeof *a)))
        return ERR_NOMEM;
    err = store_attempt_get(env->store, e->mailbox, e->value, a);
    if (!err && !a->aligned)
        e->kind = ENTRY_ENVELOPE;
    free(a);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

struct list_domain {
    const char *list_id;
    char domain[256];
    bool several;
};

static bool note_list_domain(void *arg, const struct attempt *a)
{
    struct list_domain *l = arg;

    if (strcmp(a->list_id, l->list_id) != 0 || !a->verified[0])
        return true;
    l->several = l->domain[0] && strcmp(l->domain, a->verified) != 0;
    TEXT_CUT(l->domain, a->verified);
    return !l->several;
}

/* Anybody can write a List-Id: an entry for a list says also which domain it comes from. */
static void fit_list(struct question *q, struct entry *e)
{
    struct list_domain l = {.list_id = e->value};
    char name[DNS_NAME_MAX + 1];
    const char *text = question_get(q, "domain");

    if (q->err)
        return;
    if (e->kind != ENTRY_LIST) {
        if (text)
            question_fail(q, ERR_SYNTAX, "domain: goes with a mailing list alone");
        return;
    }
    if (text) {
        if (domain_normalise(span_of(text), e->domain))
            question_fail(q, ERR_ADDRESS, "domain: %s is no domain", text);
        return;
    }
    if ((q->err = store_attempts(q->env->store, e->mailbox, SIZE_MAX, note_list_domain, &l)))
        return;
    if (l.several)
        question_fail(q, ERR_SYNTAX, "letters of %s come from several domains: say which with domain",
                      e->value);
    else if (l.domain[0])
        memcpy(e->domain, l.domain, sizeof e->domain);
    else if (organisation_of(e->value, name))
        question_fail(q, ERR_SYNTAX, "%s names no domain: say with domain where it comes from", e->value);
    else
        snprintf(e->domain, sizeof e->domain, "%s", name);
}

/* Reads the entry that the request is about. */
static void read_entry(struct question *q, bool deny, struct entry *e, struct address *address)
{
    struct buf why;

    *e = (struct entry){.deny = deny, .created_s = clock_now_s()};
    buf_init(&why, 200);
    question_mailbox(q, question_need(q, "mailbox"), e->mailbox, address);
    const char *sender = question_need(q, "sender");
    e->until_s = question_until(q, e->created_s);
    question_text(q, "note", e->note, POLICY_NOTE_MAX);
    if (!q->err && entry_parse(sender, e, &why))
        question_fail(q, ERR_SYNTAX, "%s: %s", sender, why.len ? buf_cstr(&why) : "no sender");
    buf_free(&why);
    fit_list(q, e);
    if (!q->err)
        q->err = fit_kind(q->env, e);
}

static enum err admit(const struct env *env, const struct entry *e, const struct match *m, uint32_t *letters)
{
    uint32_t count;
    enum err err = ERR_OK;
    /* Who names a sender has seen what waits under this name. */
    bool named = e->kind == ENTRY_ADDRESS || e->kind == ENTRY_ENVELOPE;

    for (size_t i = 0; i < m->count && !err; i++) {
        err = store_attempt_admit(
            env->store, e->mailbox, m->sender[i], named ? UNPROVEN_GOES_ALONE : UNPROVEN_STAYS,
            reason_code(e->kind == ENTRY_LIST ? REASON_LIST : REASON_ALLOWED), e->created_s, &count);
        if (!err)
            *letters += count;
        else if (err == ERR_NOT_FOUND)
            err = ERR_OK; /* it went its way meanwhile */
    }
    return err;
}

static enum err drop(const struct env *env, const char *mailbox, const struct match *m, bool told,
                     int64_t now_s, uint32_t *letters)
{
    uint32_t count;
    enum err err = ERR_OK;

    for (size_t i = 0; i < m->count && !err; i++) {
        err = store_attempt_drop(env->store, mailbox, m->sender[i], told, reason_code(REASON_DENIED),
                                 reason_text(REASON_DENIED), now_s, &count);
        if (!err)
            *letters += count;
        else if (err == ERR_NOT_FOUND)
            err = ERR_OK;
    }
    return err;
}

/* The entry first: what comes meanwhile is judged by it, and if we die before all that waits is dealt with,
 * the same command again does the rest. */
static void put_entry(struct question *q, struct entry *e, const struct address *address)
{
    const struct env *env = q->env;
    struct policy *policy = calloc(1, sizeof *policy);
    struct match m = {.count = 0};
    uint32_t letters = 0;
    char text[ENTRY_TEXT_MAX];

    q->err = policy ? store_entry_put(env->store, e) : ERR_NOMEM;
    if (!q->err)
        q->err = find_matches(env, e, &m);
    if (!q->err && e->deny)
        q->err = admission_policy(env->admission, address, policy);
    if (!q->err)
        q->err = e->deny ? drop(env, e->mailbox, &m, policy->denial == DENIAL_TOLD, e->created_s, &letters)
                         : admit(env, e, &m, &letters);
    puller_wake(env->puller);
    if (!q->err) {
        rows_begin(q->rows);
        rows_text(q->rows, "mailbox", e->mailbox);
        add_entry_members(q->rows, e);
        rows_number(q->rows, "letters", letters);
        entry_text(e, text);
        question_log(q, e->mailbox, text, e->deny ? "denied" : "allowed", letters);
        if (e->deny)
            rows_text(q->rows, "denial", policy->denial == DENIAL_TOLD ? "told" : "silent");
    }
    free(m.sender);
    free(policy);
}

static void answer_entry(const struct env *env, struct http_exchange *x, bool deny)
{
    struct question q;
    struct entry e;
    struct address address;

    question_open(&q, env, x);
    read_entry(&q, deny, &e, &address);
    if (question_rows(&q, deny ? "denied" : "allowed"))
        put_entry(&q, &e, &address);
    question_close(&q);
}

void admin_allow(void *env, struct http_exchange *x)
{
    answer_entry(env, x, false);
}

void admin_deny(void *env, struct http_exchange *x)
{
    answer_entry(env, x, true);
}

/* ---- forget */

/* ERR_OK and *count as it was: there was none. */
static enum err remove_entry(const struct env *env, const struct entry *e, enum entry_kind kind,
                             uint32_t *count)
{
    enum err err = store_entry_remove(env->store, e->mailbox, kind, e->value);

    *count += err == ERR_OK;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err remove_correspondent(const struct env *env, const struct entry *e, uint32_t *count)
{
    enum err err = store_correspondent_remove(env->store, e->mailbox, e->value);

    *count += err == ERR_OK;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

struct forgotten {
    uint32_t entries, correspondents, attempts, letters;
};

static enum err forget(const struct env *env, const struct entry *e, struct forgotten *out)
{
    bool address = e->kind == ENTRY_ADDRESS || e->kind == ENTRY_ENVELOPE;
    enum err err = remove_entry(env, e, e->kind, &out->entries);

    /* An address may have been allowed as an author's or as an envelope's (fit_kind). */
    if (!err && e->kind == ENTRY_ADDRESS)
        err = remove_entry(env, e, ENTRY_ENVELOPE, &out->entries);
    if (!err && address)
        err = remove_correspondent(env, e, &out->correspondents);
    if (!err && address) {
        err = store_attempt_drop(env->store, e->mailbox, e->value, false, reason_code(REASON_DENIED),
                                 "forgotten", clock_now_s(), &out->letters);
        out->attempts += err == ERR_OK;
        err = err == ERR_NOT_FOUND ? ERR_OK : err;
    }
    return err;
}

void admin_forget(void *env, struct http_exchange *x)
{
    struct question q;
    struct entry e = {.deny = false};
    struct address address;
    struct forgotten done = {.entries = 0};
    struct buf why;
    char text[ENTRY_TEXT_MAX];

    question_open(&q, env, x);
    buf_init(&why, 200);
    question_mailbox(&q, question_need(&q, "mailbox"), e.mailbox, &address);
    const char *sender = question_need(&q, "sender");
    if (!q.err && entry_parse(sender, &e, &why))
        question_fail(&q, ERR_SYNTAX, "%s: %s", sender, why.len ? buf_cstr(&why) : "no sender");
    buf_free(&why);
    if (!q.err)
        q.err = forget(q.env, &e, &done);
    if (!done.entries && !done.correspondents && !done.attempts)
        question_fail(&q, ERR_NOT_FOUND, "%s knows nothing of %s", e.mailbox, sender);
    if (question_rows(&q, "forgotten")) {
        entry_text(&e, text);
        rows_begin(q.rows);
        rows_text(q.rows, "mailbox", e.mailbox);
        rows_text(q.rows, "sender", text);
        rows_number(q.rows, "rules", done.entries);
        rows_number(q.rows, "correspondents", done.correspondents);
        rows_number(q.rows, "attempts", done.attempts);
        rows_number(q.rows, "letters", done.letters);
        question_log(&q, e.mailbox, text, "forgotten", done.letters);
    }
    question_close(&q);
}
