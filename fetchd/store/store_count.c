/*
 * store_count.c - see store_count.h. A row's key is its number and 0; behind it, in the table's order, stand
 * rows of padding (number, 1 ...) that make sure that the next row is on another page: engines lock pages.
 */
#include "store/store_count.h"

#include <stdatomic.h>
#include <string.h>

#define STRIPES 16
#define PAD_ROWS 4 /* of PAD_BYTES: together with two rows of counts more than any page of 4 KiB holds */
#define PAD_BYTES 900

/* The row's numbers in order, with room for states to come. What changes together stands together: only the
 * part of a record that changes goes into the log. */
#define OTHER_SLOTS 8
#define TICKET_SLOTS 32
#define JOB_SLOTS 16
#define SLOTS (OTHER_SLOTS + TICKET_SLOTS + JOB_SLOTS)
_Static_assert(TICKET_STATE_COUNT <= TICKET_SLOTS && JOB_STATE_COUNT <= JOB_SLOTS, "no slot for a state");

struct row {
    uint64_t slot[SLOTS]; /* differences in modular arithmetic: a ticket is made here and ends there */
};

static void to_row(const struct store_counts *n, struct row *out)
{
    const uint64_t other[] = {n->work, n->payloads, n->payload_bytes, n->attempts, n->removed};

    memset(out, 0, sizeof *out);
    memcpy(out->slot, other, sizeof other);
    memcpy(out->slot + OTHER_SLOTS, n->tickets, sizeof n->tickets);
    memcpy(out->slot + OTHER_SLOTS + TICKET_SLOTS, n->jobs, sizeof n->jobs);
}

static void from_row(const struct row *r, struct store_counts *out)
{
    memset(out, 0, sizeof *out);
    out->work = r->slot[0];
    out->payloads = r->slot[1];
    out->payload_bytes = r->slot[2];
    out->attempts = r->slot[3];
    out->removed = r->slot[4];
    memcpy(out->tickets, r->slot + OTHER_SLOTS, sizeof out->tickets);
    memcpy(out->jobs, r->slot + OTHER_SLOTS + TICKET_SLOTS, sizeof out->jobs);
}

static bool add_bytes(struct row *r, struct span bytes)
{
    if (bytes.len != SLOTS * 8)
        return false;
    for (size_t i = 0; i < SLOTS; i++)
        r->slot[i] += codec_get_be64((const uint8_t *)bytes.ptr + 8 * i);
    return true;
}

static enum err put_row(struct change *c, uint8_t stripe, const struct row *r)
{
    const uint8_t key[2] = {stripe, 0};
    uint8_t bytes[SLOTS * 8];

    for (size_t i = 0; i < SLOTS; i++)
        codec_put_be64(bytes + 8 * i, r->slot[i]);
    return c->s->engine->ops->put(c->txn, TABLE_TALLY, span_bytes(key, sizeof key),
                                  span_bytes(bytes, sizeof bytes));
}

static uint8_t my_stripe(void)
{
    static atomic_uint next;
    static _Thread_local unsigned mine; /* 0: none yet */

    if (mine == 0)
        mine = atomic_fetch_add(&next, 1) % STRIPES + 1;
    return (uint8_t)(mine - 1);
}

enum err change_counts_write(struct change *c)
{
    static const struct row nothing;
    const uint8_t key[2] = {my_stripe(), 0};
    struct row r;
    enum err err;

    to_row(&c->counts, &r);
    if (memcmp(&r, &nothing, sizeof r) == 0)
        return ERR_OK;
    err = c->s->engine->ops->get(c->txn, TABLE_TALLY, span_bytes(key, sizeof key), true, &c->value);
    /* Opening has read it: it is there. */
    if (err == ERR_NOT_FOUND || (err == ERR_OK && !add_bytes(&r, buf_span(&c->value))))
        err = ERR_STORE;
    return err == ERR_OK ? put_row(c, key[0], &r) : err;
}

enum err change_counts_create(struct change *c, const struct store_counts *n)
{
    static const uint8_t pad[PAD_BYTES];
    struct row r;
    enum err err = ERR_OK;

    to_row(n, &r);
    for (uint8_t stripe = 0; stripe < STRIPES && err == ERR_OK; stripe++) {
        err = put_row(c, stripe, &r);
        for (uint8_t i = 1; i <= PAD_ROWS && err == ERR_OK; i++)
            err = c->s->engine->ops->put(c->txn, TABLE_TALLY, span_bytes((const uint8_t[]){stripe, i}, 2),
                                         span_bytes(pad, sizeof pad));
        memset(&r, 0, sizeof r); /* the first has it all */
    }
    return err;
}

enum err store_counts_read(struct store *s, struct store_counts *out)
{
    struct row r = {.slot = {0}};
    struct buf value;
    enum err err = ERR_OK;

    buf_init(&value, STORE_VALUE_MAX);
    for (uint8_t stripe = 0; stripe < STRIPES && err == ERR_OK; stripe++) {
        err = store_read(s, TABLE_TALLY, span_bytes((const uint8_t[]){stripe, 0}, 2), &value);
        if (err == ERR_NOT_FOUND || (err == ERR_OK && !add_bytes(&r, buf_span(&value))))
            err = ERR_STORE;
    }
    buf_free(&value);
    if (err == ERR_OK)
        from_row(&r, out);
    return err;
}
