/*
 * store_letter.c - see store_letter.h.
 */
#include "store/store_letter.h"

#include <stdlib.h>
#include <string.h>

#include "seal/crypt.h"
#include "store/ticket_state.h"

#define SINCE_KEY "letters"
#define DAY_S 86400
#define DAY_BYTES 4
#define MESSAGE_BYTES 8 /* of its hash: who looks reads the ticket itself */
#define SAME_BYTES 16   /* of ticket_record.dedupe; the ticket has all of it */
#define ROW_BYTES (DAY_BYTES + MESSAGE_BYTES + SAME_BYTES)
#define FOUND_MAX 1000000 /* tickets of one Message-ID and day */

static const uint8_t never_the_same[sizeof((struct ticket_record *)NULL)->dedupe];

/* ---- rows ---------------------------------------------------------------------------------------------- */

static uint32_t day_of(int64_t time_s)
{
    return time_s < 0 ? 0 : (uint32_t)(time_s / DAY_S);
}

static void add(struct record_key *k, const void *data, size_t len)
{
    memcpy(k->data + k->len, data, len);
    k->len += len;
}

static void add_day(struct record_key *k, uint32_t day)
{
    uint8_t be[8];

    codec_put_be64(be, day);
    add(k, be + sizeof be - DAY_BYTES, DAY_BYTES);
}

/* What all rows of one Message-ID of one day begin with. */
static enum err message_key(uint32_t day, const char *message_id, struct record_key *out)
{
    uint8_t hash[CRYPT_SHA256_BYTES];
    enum err err = crypt_sha256(span_bytes(message_id, strlen(message_id)), hash);

    out->len = 0;
    add_day(out, day);
    add(out, hash, MESSAGE_BYTES);
    return err;
}

static enum err newest_key(uint32_t day, const struct ticket_record *r, struct record_key *out)
{
    enum err err = message_key(day, r->t.message_id, out);

    add(out, r->dedupe, SAME_BYTES);
    return err;
}

/* A row that cannot be read is none: what it stood for is then at worst taken twice, and never refused for
 * ever. Whoever puts its key writes over it, and a check finds the ticket that misses it. */
static enum err decode(struct span value, struct dedupe_record *out)
{
    enum err err;

    memset(out, 0, sizeof *out);
    err = dedupe_record_decode(value, out);
    if (err != ERR_STORE && err != ERR_STORE_FORMAT)
        return err;
    memset(out, 0, sizeof *out);
    return ERR_NOT_FOUND;
}

bool letter_row_ticket(struct span key, struct span value, uint8_t ticket[TICKET_STORE_KEY_BYTES])
{
    struct dedupe_record d;

    if ((key.len != ROW_BYTES && key.len != ROW_BYTES + TICKET_STORE_KEY_BYTES) ||
        decode(value, &d) != ERR_OK)
        return false;
    memcpy(ticket, d.key, sizeof d.key);
    return true;
}

bool letter_row_is_of(struct span key, struct span value, const struct ticket_record *r)
{
    uint8_t ticket[TICKET_STORE_KEY_BYTES];
    struct record_key k;

    if (!letter_row_ticket(key, value, ticket) || memcmp(ticket, r->t.key, sizeof ticket) != 0 ||
        newest_key(day_of(r->t.created_s), r, &k) != ERR_OK)
        return false;
    if (key.len > k.len)
        add(&k, r->t.key, sizeof r->t.key);
    return key.len == k.len && memcmp(key.ptr, k.data, k.len) == 0;
}

static enum err get(struct change *c, enum engine_table table, struct span key, struct dedupe_record *out)
{
    enum err err = c->s->engine->ops->get(c->txn, table, key, true, &c->value);

    memset(out, 0, sizeof *out);
    return err == ERR_OK ? decode(buf_span(&c->value), out) : err;
}

static enum err put(struct change *c, const struct record_key *key, const struct dedupe_record *d)
{
    enum err err;

    buf_clear(&c->value);
    err = dedupe_record_encode(d, &c->value);
    return err == ERR_OK
               ? c->s->engine->ops->put(c->txn, TABLE_LETTER, record_key_span(key), buf_span(&c->value))
               : err;
}

/* Before the first row of that day is put, and also when none is in the end. */
static void may_have(struct store *s, uint32_t day)
{
    uint_fast32_t last = atomic_load(&s->letters_last_day);

    while (last < day && !atomic_compare_exchange_weak(&s->letters_last_day, &last, day))
        ;
}

/* ---- in a change --------------------------------------------------------------------------------------- */

/* `other` was the newest so far; zeroed: there was none. */
static enum err put_newest(struct change *c, const struct ticket_record *r, const struct dedupe_record *other)
{
    struct dedupe_record mine = {.created_s = r->t.created_s};
    struct record_key k;
    enum err err = newest_key(day_of(r->t.created_s), r, &k);

    memcpy(mine.key, r->t.key, sizeof mine.key);
    if (err == ERR_OK && other->created_s != 0 && memcmp(other->key, mine.key, sizeof mine.key) != 0) {
        struct record_key earlier = k;

        add(&earlier, other->key, sizeof other->key);
        err = put(c, &earlier, other);
    }
    return err == ERR_OK ? put(c, &k, &mine) : err;
}

enum err change_letter_put(struct change *c, const struct ticket_record *r)
{
    struct dedupe_record mine = {.created_s = r->t.created_s}, other;
    struct record_key k;
    enum err err;

    if (r->t.message_id[0] == '\0')
        return ERR_OK;
    memcpy(mine.key, r->t.key, sizeof mine.key);
    may_have(c->s, day_of(r->t.created_s));
    if ((err = newest_key(day_of(r->t.created_s), r, &k)) != ERR_OK)
        return err;
    err = get(c, TABLE_LETTER, record_key_span(&k), &other);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return err;
    if (other.created_s <= mine.created_s && memcmp(r->dedupe, never_the_same, sizeof r->dedupe) != 0)
        return put_newest(c, r, &other);
    add(&k, mine.key, sizeof mine.key);
    return put(c, &k, &mine);
}

/* Where r's row is; *table is DEDUPE when it came before there was this one. ERR_NOT_FOUND. */
static enum err find(struct change *c, const struct ticket_record *r, enum engine_table *table,
                     struct record_key *k)
{
    struct dedupe_record d;
    enum err err = newest_key(day_of(r->t.created_s), r, k);

    *table = TABLE_LETTER;
    if (err == ERR_OK)
        err = get(c, TABLE_LETTER, record_key_span(k), &d);
    if (err == ERR_OK && memcmp(d.key, r->t.key, sizeof d.key) == 0)
        return ERR_OK;
    if (err == ERR_OK || err == ERR_NOT_FOUND) {
        add(k, r->t.key, sizeof r->t.key);
        err = get(c, TABLE_LETTER, record_key_span(k), &d);
    }
    if (err != ERR_NOT_FOUND || r->t.created_s >= c->s->letters_since_s)
        return err;
    *table = TABLE_DEDUPE;
    k->len = 0;
    add(k, r->dedupe, sizeof r->dedupe);
    err = get(c, TABLE_DEDUPE, record_key_span(k), &d);
    return err == ERR_OK && memcmp(d.key, r->t.key, sizeof d.key) != 0 ? ERR_NOT_FOUND : err;
}

enum err change_letter_del(struct change *c, const struct ticket_record *r)
{
    enum engine_table table;
    struct record_key k;
    enum err err = r->t.message_id[0] == '\0' ? ERR_NOT_FOUND : find(c, r, &table, &k);

    if (err == ERR_OK)
        err = c->s->engine->ops->del(c->txn, table, record_key_span(&k));
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err change_letter_missing(struct change *c, const struct ticket_record *r)
{
    bool before = r->t.created_s < c->s->letters_since_s;
    enum engine_table table;
    struct record_key k;
    struct dedupe_record d;
    enum err err;

    if (r->t.message_id[0] == '\0' || (before && ticket_state_ended(r->t.state)) ||
        (before && memcmp(r->dedupe, never_the_same, sizeof r->dedupe) == 0))
        return ERR_OK;
    err = find(c, r, &table, &k);
    /* The same letter again may stand there in its place. */
    return err == ERR_NOT_FOUND && before ? get(c, TABLE_DEDUPE, span_bytes(r->dedupe, sizeof r->dedupe), &d)
                                          : err;
}

/* ---- the same again ------------------------------------------------------------------------------------ */

static enum err same_ticket(struct change *c, const struct ticket_record *r, const struct dedupe_record *d,
                            struct ticket_record *out)
{
    enum err err;

    if (r->t.created_s - d->created_s > c->s->dedupe_s || d->created_s - r->t.created_s > c->s->dedupe_s)
        return ERR_NOT_FOUND;
    memset(out, 0, sizeof *out);
    if ((err = change_ticket_get(c, d->key, out)) != ERR_OK)
        return err;
    return ticket_stands(&out->t, out->plain_due_s != 0, r->t.created_s) &&
                   memcmp(out->dedupe, r->dedupe, sizeof r->dedupe) == 0
               ? ERR_OK
               : ERR_NOT_FOUND;
}

/* In the order of their keys: concurrent deposits lock in one order. Later days have rows only when the clock
 * went back, or where somebody else's clock was read after ours: he says that his day has rows before he
 * looks at ours, so who gets our row's lock after him sees that, and who gets it before him is seen. */
enum err change_letter_new(struct change *c, const struct ticket_record *r,
                           const struct dedupe_record *before, struct ticket_record *same)
{
    uint32_t today = day_of(r->t.created_s), last = day_of(r->t.created_s + c->s->dedupe_s);
    struct dedupe_record of_day, newest = {.created_s = 0};
    struct record_key k;
    enum err err = ERR_NOT_FOUND;

    if (r->t.message_id[0] == '\0')
        return ERR_OK;
    may_have(c->s, today);
    for (uint32_t day = day_of(r->t.created_s - c->s->dedupe_s);
         day <= last && day <= atomic_load(&c->s->letters_last_day) && err == ERR_NOT_FOUND; day++) {
        if ((err = newest_key(day, r, &k)) == ERR_OK)
            err = get(c, TABLE_LETTER, record_key_span(&k), &of_day);
        if (err == ERR_OK && day == today)
            newest = of_day;
        if (err == ERR_OK)
            err = same_ticket(c, r, &of_day, same);
    }
    if (err == ERR_NOT_FOUND && before->created_s != 0)
        err = same_ticket(c, r, before, same);
    if (err == ERR_NOT_FOUND)
        return put_newest(c, r, &newest);
    return err == ERR_OK ? ERR_EXISTS : err;
}

enum err store_letter_before(struct store *s, const struct ticket_record *r, struct dedupe_record *out)
{
    struct buf value;
    enum err err = ERR_NOT_FOUND;

    memset(out, 0, sizeof *out);
    buf_init(&value, STORE_VALUE_MAX);
    if (r->t.created_s - s->dedupe_s < s->letters_since_s)
        err = store_read(s, TABLE_DEDUPE, span_bytes(r->dedupe, sizeof r->dedupe), &value);
    if (err == ERR_OK)
        err = decode(buf_span(&value), out);
    buf_free(&value);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err store_letter_known(struct store *s, const struct ticket_record *r, bool *known)
{
    struct record_key k;
    struct dedupe_record d;
    struct buf value;
    enum err err = newest_key(day_of(r->t.created_s), r, &k);

    buf_init(&value, STORE_VALUE_MAX);
    if (err == ERR_OK)
        err = store_read(s, TABLE_LETTER, record_key_span(&k), &value);
    if (err == ERR_OK)
        err = decode(buf_span(&value), &d);
    if (err == ERR_NOT_FOUND || (err == ERR_OK && memcmp(d.key, r->t.key, sizeof d.key) != 0)) {
        add(&k, r->t.key, sizeof r->t.key);
        err = store_read(s, TABLE_LETTER, record_key_span(&k), &value);
    }
    buf_free(&value);
    *known = err == ERR_OK;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- by Message-ID ------------------------------------------------------------------------------------- */

/* The last day before `before` that has rows. ERR_NOT_FOUND. */
static enum err last_day(struct store *s, const struct record_key *before, uint32_t *day)
{
    const struct record_key all = {.len = 0};
    struct walk w;
    struct span key, value;
    enum err err;

    walk_init(&w, s, TABLE_LETTER, all, *before, true);
    w.page = 1;
    err = walk_next(&w, &key, &value);
    if (err == ERR_OK && key.len < DAY_BYTES)
        err = ERR_STORE;
    if (err == ERR_OK) {
        uint8_t be[8] = {0};

        memcpy(be + sizeof be - DAY_BYTES, key.ptr, DAY_BYTES);
        *day = (uint32_t)codec_get_be64(be);
    }
    walk_free(&w);
    return err;
}

static int newest_first(const void *a, const void *b)
{
    const struct dedupe_record *x = a, *y = b;

    return x->created_s != y->created_s ? (x->created_s < y->created_s ? 1 : -1)
                                        : memcmp(y->key, x->key, sizeof x->key);
}

/* The rows of one day. */
static enum err read_day(struct store *s, uint32_t day, const char *message_id, struct buf *out)
{
    struct record_key from, until;
    struct walk w;
    struct span key, value;
    enum err err = message_key(day, message_id, &from);

    if (err != ERR_OK)
        return err;
    until = from;
    memset(until.data + until.len, 0xff, ROW_BYTES + TICKET_STORE_KEY_BYTES + 1 - until.len);
    until.len = ROW_BYTES + TICKET_STORE_KEY_BYTES + 1;
    buf_clear(out);
    walk_init(&w, s, TABLE_LETTER, from, until, false);
    while ((err = walk_next(&w, &key, &value)) == ERR_OK) {
        struct dedupe_record d;

        if (decode(value, &d) == ERR_OK && (err = buf_append(out, &d, sizeof d)) != ERR_OK)
            break;
    }
    walk_free(&w);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err store_letter_each(struct store *s, const char *message_id,
                           enum err (*each)(void *arg, const uint8_t key[TICKET_STORE_KEY_BYTES]), void *arg)
{
    struct record_key before = {.len = 0};
    uint32_t day;
    struct buf found;
    enum err err;

    buf_init(&found, FOUND_MAX * sizeof(struct dedupe_record));
    while ((err = last_day(s, &before, &day)) == ERR_OK &&
           (err = read_day(s, day, message_id, &found)) == ERR_OK) {
        struct dedupe_record *d = (struct dedupe_record *)(void *)found.data;
        size_t count = found.len / sizeof *d;

        if (count > 1)
            qsort(d, count, sizeof *d, newest_first);
        for (size_t i = 0; i < count && err == ERR_OK; i++)
            err = each(arg, d[i].key);
        if (err != ERR_OK || day == 0)
            break;
        before.len = 0;
        add_day(&before, day);
    }
    buf_free(&found);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static enum err put_since(struct change *c, void *arg)
{
    const int64_t *since_s = arg;
    uint8_t be[8];

    codec_put_be64(be, (uint64_t)*since_s);
    return c->s->engine->ops->put(c->txn, TABLE_META, SPAN_LITERAL(SINCE_KEY), span_bytes(be, sizeof be));
}

/* A second behind the newest ticket. */
static enum err find_since(struct store *s, int64_t *since_s)
{
    const struct record_key all = {.len = 0};
    uint8_t id[TICKET_STORE_KEY_BYTES];
    struct walk w;
    struct span key, value;
    enum err err;

    *since_s = 0;
    walk_init(&w, s, TABLE_CREATED, all, all, true);
    w.page = 1;
    err = walk_next(&w, &key, &value);
    if (err == ERR_OK && record_key_time_parse(key, sizeof id, since_s, id))
        ++*since_s;
    walk_free(&w);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err find_last_day(struct store *s)
{
    const struct record_key all = {.len = 0};
    uint32_t day = 0;
    enum err err = last_day(s, &all, &day);

    atomic_store(&s->letters_last_day, err == ERR_STORE ? UINT32_MAX : day); /* no day: any */
    return err == ERR_NOT_FOUND || err == ERR_STORE ? ERR_OK : err;
}

enum err store_letter_open(struct store *s)
{
    struct buf value;
    enum err err = find_last_day(s);

    if (err != ERR_OK)
        return err;
    buf_init(&value, STORE_VALUE_MAX);
    err = store_read(s, TABLE_META, SPAN_LITERAL(SINCE_KEY), &value);
    if (err == ERR_OK && value.len == 8) {
        s->letters_since_s = (int64_t)codec_get_be64((const uint8_t *)value.data);
    } else if (err == ERR_OK || err == ERR_NOT_FOUND) {
        err = find_since(s, &s->letters_since_s);
        if (err == ERR_OK)
            err = store_change(s, put_since, &s->letters_since_s);
    }
    buf_free(&value);
    return err;
}
