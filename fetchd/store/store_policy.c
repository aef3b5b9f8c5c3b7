/*
 * store_policy.c - the words of policy.h: policies, entries, correspondents, tokens, domains seen, and what
 * is good for one use.
 *
 * What owners decide is written record by record, each durable before its word returns. What fetchd notes by
 * itself (correspondents, domains seen) may be forgotten in a crash: it is noted again.
 */
#include "store/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/kill.h"
#include "store/policy_record.h"
#include "store/store_policy.h"

#define USE_REMEMBERED_S 86400
#define SEEN_AGAIN_S (30 * 86400) /* so exactly it is known when a domain was seen last */

/* ---- records ------------------------------------------------------------------------------------------- */

static enum err read_record(struct store *s, enum engine_table table, struct span key, void *record)
{
    struct buf value;
    enum err err;

    buf_init(&value, STORE_VALUE_MAX);
    err = store_read(s, table, key, &value);
    if (err == ERR_OK)
        err = policy_record_decode(table, buf_span(&value), record);
    buf_free(&value);
    return err;
}

static enum err change_get(struct change *c, enum engine_table table, struct span key, void *record)
{
    enum err err = c->s->engine->ops->get(c->txn, table, key, true, &c->value);

    return err == ERR_OK ? policy_record_decode(table, buf_span(&c->value), record) : err;
}

static enum err change_put(struct change *c, enum engine_table table, struct span key, const void *record)
{
    enum err err;

    buf_clear(&c->value);
    err = policy_record_encode(table, record, &c->value);
    return err == ERR_OK ? c->s->engine->ops->put(c->txn, table, key, buf_span(&c->value)) : err;
}

static enum err put_timer(struct change *c, enum timer_kind kind, int64_t time_s, struct span id)
{
    struct record_key k = record_key_timer(kind, time_s, (const uint8_t *)id.ptr, id.len);

    return c->s->engine->ops->put(c->txn, TABLE_TIMER, record_key_span(&k), span_bytes(NULL, 0));
}

static enum err del_timer(struct change *c, enum timer_kind kind, int64_t time_s, struct span id)
{
    struct record_key k = record_key_timer(kind, time_s, (const uint8_t *)id.ptr, id.len);
    enum err err = c->s->engine->ops->del(c->txn, TABLE_TIMER, record_key_span(&k));

    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* One record put, made from nothing or taken away, as its owner said. */
struct decision {
    enum engine_table table;
    struct record_key key;
    const void *record; /* NULL: remove */
    bool fresh;         /* ERR_EXISTS when there is one */
};

static enum err decide(struct change *c, void *arg)
{
    const struct decision *d = arg;
    const struct engine_ops *ops = c->s->engine->ops;
    struct span key = record_key_span(&d->key);
    enum err err = ERR_OK;

    if (d->fresh && (err = ops->get(c->txn, d->table, key, true, &c->value)) == ERR_OK)
        return ERR_EXISTS;
    if (d->fresh && err != ERR_NOT_FOUND)
        return err;
    err = d->record == NULL ? ops->del(c->txn, d->table, key) : change_put(c, d->table, key, d->record);
    if (err == ERR_OK)
        KILL_POINT("policy-commit-before");
    return err;
}

static enum err run_decision(struct store *s, struct decision *d)
{
    enum err err = store_change(s, decide, d);

    KILL_POINT("policy-commit-after");
    return err;
}

/* Calls back with each record of a table, or of one box of it. A damaged one harms only itself. */
static enum err each_record(struct store *s, enum engine_table table, const char *mailbox, void *record,
                            size_t size, bool (*each)(void *record, void *arg), void *arg)
{
    struct record_key box = {.len = 0}, from = box, until = box;
    struct walk w;
    struct span key, value;
    enum err err = ERR_OK;

    if (mailbox != NULL && (err = key_box(mailbox, &box)) != ERR_OK)
        return err;
    if (mailbox != NULL)
        key_box_range(&box, &from, &until);
    walk_init(&w, s, table, from, until, false);
    while ((err = walk_next(&w, &key, &value)) == ERR_OK) {
        memset(record, 0, size);
        if (policy_record_decode(table, value, record) == ERR_OK && !each(record, arg))
            break;
    }
    walk_free(&w);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- policies ------------------------------------------------------------------------------------------ */

enum err store_policy_get(struct store *s, const char *name, struct policy *out)
{
    struct policy_record r;
    struct record_key key;
    enum err err;

    memset(&r, 0, sizeof r);
    err = key_box(name, &key);
    if (err == ERR_OK)
        err = read_record(s, TABLE_POLICY, record_key_span(&key), &r);
    if (err == ERR_OK)
        *out = r.p;
    return err;
}

enum err store_policy_put(struct store *s, const char *name, const struct policy *p)
{
    struct policy_record r = {.p = *p};
    struct decision d = {.table = TABLE_POLICY, .record = &r};
    enum err err = name[0] == '\0' || strlen(name) >= sizeof r.name ? ERR_SYNTAX : key_box(name, &d.key);

    store_text(r.name, sizeof r.name, name);
    return err == ERR_OK ? run_decision(s, &d) : err;
}

/* ---- entries ------------------------------------------------------------------------------------------- */

static enum err entry_key(const char *mailbox, enum entry_kind kind, const char *value,
                          struct record_key *out)
{
    if (mailbox[0] == '\0' || value[0] == '\0' || (unsigned)kind >= ENTRY_KIND_COUNT)
        return ERR_SYNTAX;
    return key_in_box(mailbox, (int)kind, value, out);
}

enum err store_entry_put(struct store *s, const struct entry *e)
{
    struct decision d = {.table = TABLE_ENTRY, .record = e};
    enum err err = entry_key(e->mailbox, e->kind, e->value, &d.key);

    return err == ERR_OK ? run_decision(s, &d) : err;
}

enum err store_entry_remove(struct store *s, const char *mailbox, enum entry_kind kind, const char *value)
{
    struct decision d = {.table = TABLE_ENTRY};
    enum err err = entry_key(mailbox, kind, value, &d.key);

    return err == ERR_OK ? run_decision(s, &d) : err;
}

static bool over(int64_t until_s, int64_t now_s)
{
    return until_s != 0 && until_s < now_s;
}

enum err store_entry_get(struct store *s, const char *mailbox, enum entry_kind kind, const char *value,
                         int64_t now_s, struct entry *out)
{
    struct record_key key;
    struct entry e;
    enum err err = entry_key(mailbox, kind, value, &key);

    memset(&e, 0, sizeof e);
    if (err == ERR_SYNTAX)
        return ERR_NOT_FOUND;
    if (err == ERR_OK)
        err = read_record(s, TABLE_ENTRY, record_key_span(&key), &e);
    if (err == ERR_OK && over(e.until_s, now_s))
        err = ERR_NOT_FOUND;
    if (err == ERR_OK)
        *out = e;
    return err;
}

struct each_entry {
    bool (*each)(void *arg, const struct entry *e);
    void *arg;
};

static bool give_entry(void *record, void *arg)
{
    const struct each_entry *e = arg;

    return e->each(e->arg, record);
}

enum err store_entries(struct store *s, const char *mailbox, bool (*each)(void *arg, const struct entry *e),
                       void *arg)
{
    struct entry e;

    return each_record(s, TABLE_ENTRY, mailbox, &e, sizeof e, give_entry, &(struct each_entry){each, arg});
}

/* ---- correspondents ------------------------------------------------------------------------------------ */

struct correspondent_word {
    struct record_key key;
    const char *mailbox, *address;
    int64_t now_s, until_s;
};

/* A correspondent as it would become; false when what is there says it well enough. */
static bool extend(const struct correspondent_word *w, struct correspondent_record *r)
{
    bool known = r->mailbox[0] != '\0' && !over(r->until_s, w->now_s);

    if (known && w->until_s - r->until_s <= (w->until_s - w->now_s) / 10)
        return false;
    if (!known)
        r->since_s = w->now_s;
    r->until_s = w->until_s;
    store_text(r->mailbox, sizeof r->mailbox, w->mailbox);
    store_text(r->address, sizeof r->address, w->address);
    return true;
}

static enum err correspondent_add(struct change *c, void *arg)
{
    const struct correspondent_word *w = arg;
    struct span key = record_key_span(&w->key);
    struct correspondent_record r;
    int64_t timer_s;
    enum err err;

    memset(&r, 0, sizeof r);
    err = change_get(c, TABLE_CORRESPONDENT, key, &r);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return err;
    timer_s = err == ERR_OK ? r.until_s : 0;
    if (!extend(w, &r))
        return ERR_OK;
    err = timer_s == 0 ? ERR_OK : del_timer(c, TIMER_PURGE_CORRESPONDENT, timer_s, key);
    if (err == ERR_OK)
        err = put_timer(c, TIMER_PURGE_CORRESPONDENT, r.until_s, key);
    return err == ERR_OK ? change_put(c, TABLE_CORRESPONDENT, key, &r) : err;
}

enum err store_correspondent_add(struct store *s, const char *mailbox, const char *address, int64_t now_s,
                                 int64_t until_s)
{
    struct correspondent_word w = {
        .mailbox = mailbox, .address = address, .now_s = now_s, .until_s = until_s};
    struct correspondent_record r;
    enum err err =
        mailbox[0] == '\0' || address[0] == '\0' ? ERR_SYNTAX : key_in_box(mailbox, 0, address, &w.key);

    if (err != ERR_OK)
        return err;
    memset(&r, 0, sizeof r);
    err = read_record(s, TABLE_CORRESPONDENT, record_key_span(&w.key), &r);
    if (err == ERR_OK && !extend(&w, &r))
        return ERR_OK; /* the rule: most letters go to people who were written to lately */
    return err == ERR_OK || err == ERR_NOT_FOUND ? store_change_lazy(s, correspondent_add, &w) : err;
}

enum err store_correspondent_get(struct store *s, const char *mailbox, const char *address, int64_t now_s,
                                 int64_t *since_s)
{
    struct correspondent_record r;
    struct record_key key;
    enum err err;

    memset(&r, 0, sizeof r);
    err = key_in_box(mailbox, 0, address, &key);
    if (err == ERR_OK)
        err = read_record(s, TABLE_CORRESPONDENT, record_key_span(&key), &r);
    if (err == ERR_OK && over(r.until_s, now_s))
        err = ERR_NOT_FOUND;
    if (err == ERR_OK)
        *since_s = r.since_s;
    return err;
}

static enum err correspondent_remove(struct change *c, void *arg)
{
    const struct record_key *key = arg;
    struct correspondent_record r;
    enum err err;

    memset(&r, 0, sizeof r);
    err = change_get(c, TABLE_CORRESPONDENT, record_key_span(key), &r);
    if (err == ERR_OK)
        err = del_timer(c, TIMER_PURGE_CORRESPONDENT, r.until_s, record_key_span(key));
    return err == ERR_OK ? c->s->engine->ops->del(c->txn, TABLE_CORRESPONDENT, record_key_span(key)) : err;
}

enum err store_correspondent_remove(struct store *s, const char *mailbox, const char *address)
{
    struct record_key key;
    enum err err = key_in_box(mailbox, 0, address, &key);

    return err == ERR_OK ? store_change(s, correspondent_remove, &key) : err;
}

enum err change_correspondent_purge(struct change *c, const uint8_t id[SPENT_KEY_BYTES], int64_t timer_s)
{
    struct record_key key = {.len = SPENT_KEY_BYTES};
    struct correspondent_record r;
    enum err err;

    memset(&r, 0, sizeof r);
    memcpy(key.data, id, SPENT_KEY_BYTES);
    err = change_get(c, TABLE_CORRESPONDENT, record_key_span(&key), &r);
    if (err == ERR_OK && r.until_s != timer_s)
        err = ERR_NOT_FOUND; /* written to again meanwhile */
    return err == ERR_OK ? correspondent_remove(c, &key) : err;
}

struct each_correspondent {
    bool (*each)(void *arg, const char *address, int64_t since_s, int64_t until_s);
    void *arg;
};

static bool give_correspondent(void *record, void *arg)
{
    const struct correspondent_record *r = record;
    const struct each_correspondent *e = arg;

    return e->each(e->arg, r->address, r->since_s, r->until_s);
}

enum err store_correspondents(struct store *s, const char *mailbox,
                              bool (*each)(void *arg, const char *address, int64_t since_s, int64_t until_s),
                              void *arg)
{
    struct correspondent_record r;

    return each_record(s, TABLE_CORRESPONDENT, mailbox, &r, sizeof r, give_correspondent,
                       &(struct each_correspondent){each, arg});
}

/* ---- tokens -------------------------------------------------------------------------------------------- */

enum err store_token_add(struct store *s, const struct token *t)
{
    struct decision d = {.table = TABLE_TOKEN, .record = t, .fresh = true};
    enum err err = t->mailbox[0] == '\0' || t->token[0] == '\0' ? ERR_SYNTAX
                                                                : key_in_box(t->mailbox, 0, t->token, &d.key);

    return err == ERR_OK ? run_decision(s, &d) : err;
}

static enum err token_revoke(struct change *c, void *arg)
{
    const struct record_key *key = arg;
    struct token t;
    enum err err;

    memset(&t, 0, sizeof t);
    err = change_get(c, TABLE_TOKEN, record_key_span(key), &t);
    t.revoked = true;
    if (err == ERR_OK)
        err = change_put(c, TABLE_TOKEN, record_key_span(key), &t);
    if (err == ERR_OK)
        KILL_POINT("policy-commit-before");
    return err;
}

enum err store_token_revoke(struct store *s, const char *mailbox, const char *token)
{
    struct record_key key;
    enum err err = key_in_box(mailbox, 0, token, &key);

    if (err == ERR_OK)
        err = store_change(s, token_revoke, &key);
    KILL_POINT("policy-commit-after");
    return err;
}

enum err store_token_get(struct store *s, const char *mailbox, const char *token, struct token *out)
{
    struct record_key key;
    struct token t;
    enum err err;

    memset(&t, 0, sizeof t);
    err = key_in_box(mailbox, 0, token, &key);
    if (err == ERR_OK)
        err = read_record(s, TABLE_TOKEN, record_key_span(&key), &t);
    if (err == ERR_OK)
        *out = t;
    return err;
}

struct each_token {
    bool (*each)(void *arg, const struct token *t);
    void *arg;
};

static bool give_token(void *record, void *arg)
{
    const struct each_token *e = arg;

    return e->each(e->arg, record);
}

enum err store_tokens(struct store *s, const char *mailbox, bool (*each)(void *arg, const struct token *t),
                      void *arg)
{
    struct token t;

    return each_record(s, TABLE_TOKEN, mailbox, &t, sizeof t, give_token, &(struct each_token){each, arg});
}

bool token_admits(const struct token *t, const char *organisation, int64_t now_s)
{
    return !t->revoked && !over(t->until_s, now_s) &&
           (t->letters_max == 0 || t->letters_used < t->letters_max) &&
           (!t->bind || t->bound[0] == '\0' || span_equal_nocase(span_of(t->bound), span_of(organisation)));
}

enum err change_token_use(struct change *c, const char *mailbox, const char *token, const char *organisation,
                          int64_t now_s)
{
    struct record_key key;
    struct token t;
    enum err err;

    memset(&t, 0, sizeof t);
    err = key_in_box(mailbox, 0, token, &key);
    if (err == ERR_OK)
        err = change_get(c, TABLE_TOKEN, record_key_span(&key), &t);
    if (err == ERR_OK && !token_admits(&t, organisation, now_s))
        err = ERR_FORBIDDEN;
    if (err != ERR_OK)
        return err;
    t.letters_used++;
    t.used_s = now_s;
    if (t.bind && t.bound[0] == '\0')
        store_text(t.bound, sizeof t.bound, organisation);
    return change_put(c, TABLE_TOKEN, record_key_span(&key), &t);
}

/* ---- things for one use -------------------------------------------------------------------------------- */

/* Notes as spent until expires_s; ERR_EXISTS when it is, at now_s. */
static enum err spend(struct change *c, const uint8_t what[SPENT_KEY_BYTES], int64_t expires_s, int64_t now_s)
{
    struct span key = span_bytes(what, SPENT_KEY_BYTES);
    struct spent_record r = {.expires_s = 0};
    enum err err = change_get(c, TABLE_SPENT, key, &r);

    if (err == ERR_OK && r.expires_s >= now_s)
        return ERR_EXISTS;
    if (err == ERR_OK)
        err = del_timer(c, TIMER_PURGE_SPENT, r.expires_s, key);
    else if (err == ERR_NOT_FOUND)
        err = ERR_OK;
    r.expires_s = expires_s;
    if (err == ERR_OK)
        err = put_timer(c, TIMER_PURGE_SPENT, expires_s, key);
    return err == ERR_OK ? change_put(c, TABLE_SPENT, key, &r) : err;
}

enum err change_spent_purge(struct change *c, const uint8_t id[SPENT_KEY_BYTES], int64_t timer_s)
{
    struct span key = span_bytes(id, SPENT_KEY_BYTES);
    struct spent_record r = {.expires_s = 0};
    enum err err = change_get(c, TABLE_SPENT, key, &r);

    if (err == ERR_OK && r.expires_s != timer_s)
        err = ERR_NOT_FOUND;
    if (err == ERR_OK)
        err = del_timer(c, TIMER_PURGE_SPENT, timer_s, key);
    return err == ERR_OK ? c->s->engine->ops->del(c->txn, TABLE_SPENT, key) : err;
}

struct use_word {
    const char *mailbox, *token, *organisation;
    uint8_t what[SPENT_KEY_BYTES];
    int64_t now_s, expires_s;
};

static enum err spend_once(struct change *c, void *arg)
{
    const struct use_word *w = arg;
    /* Nothing ever is over before it is purged: a clock set back spends nothing twice. */
    enum err err = spend(c, w->what, w->expires_s, INT64_MIN);

    if (err == ERR_OK)
        KILL_POINT("spend-commit-before");
    return err;
}

enum err store_spend(struct store *s, const uint8_t what[SPENT_KEY_BYTES], int64_t expires_s)
{
    struct use_word w = {.expires_s = expires_s};
    enum err err;

    memcpy(w.what, what, sizeof w.what);
    err = store_change(s, spend_once, &w);
    KILL_POINT("spend-commit-after");
    return err;
}

static enum err token_use(struct change *c, void *arg)
{
    const struct use_word *w = arg;
    enum err err = spend(c, w->what, w->now_s + USE_REMEMBERED_S, w->now_s);

    if (err == ERR_EXISTS)
        return ERR_OK; /* the same message again */
    if (err == ERR_OK)
        err = change_token_use(c, w->mailbox, w->token, w->organisation, w->now_s);
    if (err == ERR_OK)
        KILL_POINT("token-use-commit-before");
    return err;
}

/* Under which a message's use of a token is spent. */
static enum err use_hash(const char *mailbox, const char *token, const uint8_t use[32],
                         uint8_t out[SPENT_KEY_BYTES])
{
    struct record_key key;
    enum err err = key_in_box(mailbox, 0, token, &key);

    if (err == ERR_OK)
        err = crypt_sha256v((const struct span[]){record_key_span(&key), span_bytes(use, 32)}, 2, out);
    return err;
}

enum err store_token_use(struct store *s, const char *mailbox, const char *token, const char *organisation,
                         const uint8_t use[32], int64_t now_s)
{
    struct use_word w = {.mailbox = mailbox, .token = token, .organisation = organisation, .now_s = now_s};
    enum err err = use_hash(mailbox, token, use, w.what);

    if (err == ERR_OK)
        err = store_change(s, token_use, &w);
    KILL_POINT("token-use-commit-after");
    return err;
}

enum err store_token_used(struct store *s, const char *mailbox, const char *token, const uint8_t use[32],
                          int64_t now_s)
{
    uint8_t what[SPENT_KEY_BYTES];
    struct spent_record r = {.expires_s = 0};
    enum err err = use_hash(mailbox, token, use, what);

    if (err == ERR_OK)
        err = read_record(s, TABLE_SPENT, span_bytes(what, sizeof what), &r);
    return err == ERR_OK && r.expires_s < now_s ? ERR_NOT_FOUND : err;
}

bool policy_row_over(enum engine_table table, struct span value, int64_t before_s)
{
    union {
        struct entry entry;
        struct token token;
        struct seen_record seen;
        struct store_domain domain;
    } r;
    enum err err;

    memset(&r, 0, sizeof r);
    err = table == TABLE_DOMAIN ? domain_record_decode(value, &r.domain)
                                : policy_record_decode(table, value, &r);
    if (err != ERR_OK)
        return false;
    switch (table) {
    case TABLE_ENTRY:
        return over(r.entry.until_s, before_s);
    case TABLE_TOKEN: /* a revoked one stays, so that it is never made again */
        return !r.token.revoked && over(r.token.until_s, before_s);
    case TABLE_DOMAIN:
        return r.domain.asked_s < before_s;
    case TABLE_SEEN:
        return (r.seen.last_s > r.seen.first_s ? r.seen.last_s : r.seen.first_s) < before_s;
    default:
        return false;
    }
}

/* ---- domains seen -------------------------------------------------------------------------------------- */

struct seen_word {
    const char *domain;
    int64_t now_s, first_s;
};

static enum err domain_seen(struct change *c, void *arg)
{
    struct seen_word *w = arg;
    struct seen_record r = {.first_s = 0};
    enum err err = change_get(c, TABLE_SEEN, span_of(w->domain), &r);

    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return err;
    if (err == ERR_NOT_FOUND)
        r.first_s = w->now_s;
    r.last_s = w->now_s;
    w->first_s = r.first_s;
    return change_put(c, TABLE_SEEN, span_of(w->domain), &r);
}

static enum err read_seen(struct store *s, const char *organisation, struct seen_record *r)
{
    memset(r, 0, sizeof *r);
    return strlen(organisation) > ENGINE_KEY_MAX ? ERR_NOT_FOUND
                                                 : read_record(s, TABLE_SEEN, span_of(organisation), r);
}

enum err store_domain_first_seen(struct store *s, const char *organisation, int64_t *first_s)
{
    struct seen_record r;
    enum err err = read_seen(s, organisation, &r);

    if (err == ERR_OK)
        *first_s = r.first_s;
    return err;
}

enum err store_domain_seen(struct store *s, const char *organisation, int64_t now_s, int64_t *first_s)
{
    struct seen_word w = {.domain = organisation, .now_s = now_s};
    struct seen_record r;
    enum err err = read_seen(s, organisation, &r);

    if (err == ERR_OK && now_s - r.last_s < SEEN_AGAIN_S) {
        *first_s = r.first_s;
        return ERR_OK; /* the rule: nothing is written */
    }
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return err;
    if (organisation[0] == '\0' || strlen(organisation) > ENGINE_KEY_MAX)
        return ERR_SYNTAX;
    err = store_change_lazy(s, domain_seen, &w);
    if (err == ERR_OK)
        *first_s = w.first_s;
    return err;
}
