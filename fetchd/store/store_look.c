/*
 * store_look.c - looking at tickets: one by its key or its A, or many by what they have in common.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/secret.h"
#include "store/store_handover.h"
#include "store/store_letter.h"
#include "store/store_word.h"
#include "store/ticket_state.h"

enum err store_key_of_a(struct store *s, const uint8_t a[TICKET_A_BYTES], uint8_t key[TICKET_STORE_KEY_BYTES])
{
    struct ticket_keys keys;
    enum err err = ticket_derive(s->keys, a, &keys);

    if (err == ERR_OK)
        err = ticket_store_key(keys.a, keys.b, key);
    ticket_wipe(&keys);
    return err;
}

/* As it reads now: a lease that is over shows as a lapse, which the next word will count. */
static void derive(struct ticket_record *r)
{
    if (ticket_state_at(&r->t, clock_now_s(), 0, r->lease_hard_s) == TICKET_LAPSED &&
        r->t.state == TICKET_LEASED) {
        r->t.state = TICKET_LAPSED;
        r->t.lapses++;
        ticket_event_add(&r->t, TICKET_LAPSED, ticket_lease_end_s(&r->t, 0, r->lease_hard_s));
    }
}

/* The archive's copy is of the letter, so its payload knows of it. One that cannot be read has none: then
 * nothing goes out before it is there. */
static void read_archived(struct store *s, struct ticket *t, struct buf *value)
{
    struct payload_record p;

    memset(&p, 0, sizeof p);
    if (store_read(s, TABLE_PAYLOAD, span_bytes(t->payload_id, sizeof t->payload_id), value) == ERR_OK &&
        payload_record_decode(buf_span(value), &p) == ERR_OK)
        t->archived = p.archived;
    secret_wipe(&p, sizeof p);
}

/* What is not sealed of it. */
static enum err read_record(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES],
                            struct ticket_record *r, struct buf *value)
{
    memset(r, 0, sizeof *r);
    enum err err = store_read(s, TABLE_TICKET, span_bytes(key, TICKET_STORE_KEY_BYTES), value);
    if (err == ERR_OK)
        err = ticket_record_decode(buf_span(value), key, r);
    if (err == ERR_OK) {
        derive(r);
        r->t.look_s = r->stub_due_s;
    }
    return err;
}

static enum err complete(struct store *s, struct ticket_record *r, struct buf *value)
{
    enum err err = ticket_record_open(s->keys, r);

    if (err == ERR_OK && !r->t.archived)
        read_archived(s, &r->t, value);
    return err;
}

static enum err read_ticket(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES],
                            struct ticket_record *r)
{
    struct buf value;
    enum err err;

    buf_init(&value, STORE_VALUE_MAX);
    err = read_record(s, key, r, &value);
    if (err == ERR_OK)
        err = complete(s, r, &value);
    buf_free(&value);
    return err;
}

enum err store_ticket_get(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], struct ticket *out)
{
    struct ticket_record *r = malloc(sizeof *r);
    enum err err;

    if (r == NULL)
        return ERR_NOMEM;
    err = read_ticket(s, key, r);
    /* An end is a final answer: it must not be told before it is durable. */
    if (err == ERR_OK && ticket_state_ended(r->t.state))
        err = store_flush(s);
    if (err == ERR_OK)
        *out = r->t;
    free(r);
    return err;
}

enum err store_ticket_by_a(struct store *s, const uint8_t a[TICKET_A_BYTES], struct ticket *out)
{
    uint8_t key[TICKET_STORE_KEY_BYTES];
    enum err err = store_key_of_a(s, a, key);

    return err == ERR_OK ? store_ticket_get(s, key, out) : err;
}

static bool text_matches(const char *want, const char *have)
{
    return want == NULL || strcmp(want, have) == 0;
}

/* They were created at one time. */
enum err store_letter_recipients(struct store *s, const struct ticket *t,
                                 enum err (*each)(void *arg, const char *recipient), void *arg)
{
    struct ticket_record *r = malloc(sizeof *r);
    struct walk w;
    struct span key, value;
    uint8_t id[TICKET_STORE_KEY_BYTES];
    int64_t created_s;
    struct buf record;
    enum err err = ERR_OK;

    if (r == NULL)
        return ERR_NOMEM;
    buf_init(&record, STORE_VALUE_MAX);
    walk_init(&w, s, TABLE_CREATED, record_key_time(t->created_s, NULL, 0),
              record_key_time(t->created_s + 1, NULL, 0), false);
    while (err == ERR_OK && (err = walk_next(&w, &key, &value)) == ERR_OK) {
        if (!record_key_time_parse(key, sizeof id, &created_s, id)) {
            err = ERR_STORE;
            break;
        }
        err = read_record(s, id, r, &record);
        if (err == ERR_OK && memcmp(r->t.payload_id, t->payload_id, sizeof r->t.payload_id) == 0)
            err = each(arg, r->t.recipient);
        else if (err == ERR_NOT_FOUND || err == ERR_STORE)
            err = ERR_OK; /* purged meanwhile; damaged: said so at opening */
    }
    walk_free(&w);
    buf_free(&record);
    free(r);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static bool address_matches(const char *want, const char *have)
{
    return want == NULL || ticket_address_equal(want, have);
}

static bool id_matches(const struct store_filter *f, const uint8_t a[TICKET_A_BYTES])
{
    const char *prefix = f == NULL ? NULL : f->id_prefix;
    char hex[ENCODE_HEX_LEN(TICKET_A_BYTES) + 1];
    size_t len = prefix == NULL ? 0 : strlen(prefix);

    encode_hex(a, TICKET_A_BYTES, hex);
    /* People leave out the epoch's two bytes: they are the same in most tickets. */
    return len == 0 || strncmp(hex, prefix, len) == 0 || strncmp(hex + ENCODE_HEX_LEN(2), prefix, len) == 0;
}

static bool matches(const struct store_filter *f, const struct ticket *t)
{
    return f == NULL ||
           (address_matches(f->sender, t->sender) && address_matches(f->recipient, t->recipient) &&
            text_matches(f->queue_id, t->queue_id) && text_matches(f->message_id, t->message_id) &&
            (f->state < 0 || (int)t->state == f->state));
}

/* A look at many. */
struct look {
    struct store *s;
    const struct store_filter *filter;
    size_t limit;
    bool (*each)(void *arg, const struct ticket *t);
    void *arg;
    bool unindexed; /* passes over those that the index has given */
    struct ticket_record *r;
    struct buf record;
};

/* ERR_CANCELLED: enough. */
static enum err look_at(void *arg, const uint8_t key[TICKET_STORE_KEY_BYTES])
{
    struct look *l = arg;
    bool known = false;
    /* Most are not meant: nothing of them is opened. */
    enum err err = read_record(l->s, key, l->r, &l->record);

    if (err == ERR_OK && (!matches(l->filter, &l->r->t) || !id_matches(l->filter, l->r->t.a)))
        return ERR_OK;
    if (err == ERR_OK && l->unindexed)
        err = store_letter_known(l->s, l->r, &known);
    if (err == ERR_OK && known)
        return ERR_OK;
    if (err == ERR_OK)
        err = complete(l->s, l->r, &l->record);
    if (err == ERR_NOT_FOUND || err == ERR_STORE)
        return ERR_OK; /* purged meanwhile; damaged: said so at opening */
    if (err == ERR_OK && (!l->each(l->arg, &l->r->t) || --l->limit == 0))
        err = ERR_CANCELLED;
    return err;
}

/* Those that were created before; 0: all. */
static enum err look_through(struct look *l, int64_t before_s)
{
    struct record_key all = {.len = 0};
    struct walk w;
    struct span key, value;
    uint8_t id[TICKET_STORE_KEY_BYTES];
    int64_t created_s;
    enum err err = ERR_OK;

    walk_init(&w, l->s, TABLE_CREATED, all, before_s == 0 ? all : record_key_time(before_s, NULL, 0), true);
    while (err == ERR_OK && (err = walk_next(&w, &key, &value)) == ERR_OK) {
        if (!record_key_time_parse(key, sizeof id, &created_s, id) || value.len != TICKET_A_BYTES)
            err = ERR_STORE;
        else if (id_matches(l->filter, (const uint8_t *)value.ptr))
            err = look_at(l, id);
    }
    walk_free(&w);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err store_tickets(struct store *s, const struct store_filter *f, size_t limit,
                       bool (*each)(void *arg, const struct ticket *t), void *arg)
{
    struct look l = {.s = s, .filter = f, .limit = limit, .each = each, .arg = arg};
    bool indexed = f != NULL && f->message_id != NULL && f->message_id[0] != '\0';
    enum err err = ERR_OK;

    if (limit == 0)
        return ERR_OK;
    if ((l.r = malloc(sizeof *l.r)) == NULL)
        return ERR_NOMEM;
    buf_init(&l.record, STORE_VALUE_MAX);
    if (indexed)
        err = store_letter_each(s, f->message_id, look_at, &l);
    l.unindexed = indexed;
    if (err == ERR_OK && (!indexed || s->letters_since_s > 0))
        err = look_through(&l, indexed ? s->letters_since_s : 0);
    buf_free(&l.record);
    free(l.r);
    return err == ERR_CANCELLED ? ERR_OK : err;
}
