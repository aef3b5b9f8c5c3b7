/*
 * attempt_row.c - a row stands in ATTEMPT under its mailbox and sender, and twice in ATTEMPT_TIME by when it
 * was heard of last: among all rows, and in its mailbox's ring, whose length is in ATTEMPT_BOX.
 */
#include "store/attempt_row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/netaddr.h"
#include "store/store_job.h"

static const struct engine_ops *ops(const struct change *c)
{
    return c->s->engine->ops;
}

enum index { RING = 'm', ALL = 'a' };

enum err attempt_row_key(const char *mailbox, const char *sender, struct record_key *out)
{
    return key_in_box(mailbox, 0, sender, out);
}

/* RING: kind, mailbox, time, sender; ALL: kind, time, mailbox, sender. */
static struct record_key index_key(enum index kind, const uint8_t row[ATTEMPT_ROW_BYTES], int64_t last_s)
{
    struct record_key k = {.data = {(uint8_t)kind}, .len = 1};
    size_t before = kind == RING ? KEY_HASH_BYTES : 0;

    memcpy(k.data + k.len, row, before);
    k.len += before;
    codec_put_be64(k.data + k.len, last_s < 0 ? 0 : (uint64_t)last_s);
    k.len += 8;
    memcpy(k.data + k.len, row + before, ATTEMPT_ROW_BYTES - before);
    k.len += ATTEMPT_ROW_BYTES - before;
    return k;
}

bool attempt_index_parse(struct span key, uint8_t row[ATTEMPT_ROW_BYTES], int64_t *last_s)
{
    const uint8_t *at = (const uint8_t *)key.ptr + 1;
    size_t before;

    if (key.len != 1 + 8 + ATTEMPT_ROW_BYTES)
        return false;
    before = key.ptr[0] == RING ? KEY_HASH_BYTES : 0;
    memcpy(row, at, before);
    *last_s = (int64_t)codec_get_be64(at + before);
    memcpy(row + before, at + before + 8, ATTEMPT_ROW_BYTES - before);
    return true;
}

void attempt_index_range(const struct record_key *box, struct record_key *from, struct record_key *until)
{
    struct record_key prefix = {.data = {box == NULL ? ALL : RING}, .len = 1};

    if (box != NULL) {
        memcpy(prefix.data + 1, box->data, box->len);
        prefix.len += box->len;
    }
    key_box_range(&prefix, from, until);
}

void attempt_index_before(int64_t time_s, struct record_key *from, struct record_key *until)
{
    static const uint8_t nothing[ATTEMPT_ROW_BYTES];

    *from = index_key(ALL, nothing, 0);
    *until = index_key(ALL, nothing, time_s);
}

enum err attempt_index_put(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES], int64_t last_s)
{
    struct record_key ring = index_key(RING, row, last_s), all = index_key(ALL, row, last_s);
    enum err err = ops(c)->put(c->txn, TABLE_ATTEMPT_TIME, record_key_span(&ring), span_bytes(NULL, 0));

    return err == ERR_OK ? ops(c)->put(c->txn, TABLE_ATTEMPT_TIME, record_key_span(&all), span_bytes(NULL, 0))
                         : err;
}

enum err attempt_index_del(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES], int64_t last_s)
{
    struct record_key ring = index_key(RING, row, last_s), all = index_key(ALL, row, last_s);
    enum err err = absent_is_fine(ops(c)->del(c->txn, TABLE_ATTEMPT_TIME, record_key_span(&ring)));

    return err == ERR_OK ? absent_is_fine(ops(c)->del(c->txn, TABLE_ATTEMPT_TIME, record_key_span(&all)))
                         : err;
}

void attempt_crowd(const struct attempt *facts, char *out, size_t size)
{
    const char *domain = facts->organisation[0] != '\0' ? facts->organisation : facts->verified;
    char network[NETADDR_TEXT_MAX] = "";
    struct netaddr a;

    if (domain[0] != '\0') {
        snprintf(out, size, "%s", domain);
        return;
    }
    if (netaddr_parse(span_of(facts->client_address), &a) == ERR_OK) {
        a = netaddr_network(&a);
        netaddr_text(&a, network);
    }
    snprintf(out, size, "[%s]", network);
}

/* A damaged count begins anew: the ring is too long then for a while. */
enum err attempt_box_get(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES], uint64_t *rows)
{
    enum err err = ops(c)->get(c->txn, TABLE_ATTEMPT_BOX, span_bytes(row, KEY_HASH_BYTES), true, &c->value);

    *rows = err == ERR_OK && c->value.len == 8 ? codec_get_be64((const uint8_t *)c->value.data) : 0;
    return absent_is_fine(err);
}

enum err attempt_box_put(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES], uint64_t rows)
{
    struct span key = span_bytes(row, KEY_HASH_BYTES);
    uint8_t be[8];

    codec_put_be64(be, rows);
    return rows > 0 ? ops(c)->put(c->txn, TABLE_ATTEMPT_BOX, key, span_bytes(be, sizeof be))
                    : absent_is_fine(ops(c)->del(c->txn, TABLE_ATTEMPT_BOX, key));
}

enum err attempt_row_get(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES], struct attempt_record *r)
{
    enum err err = ops(c)->get(c->txn, TABLE_ATTEMPT, span_bytes(row, ATTEMPT_ROW_BYTES), true, &c->value);

    memset(r, 0, sizeof *r);
    return err == ERR_OK ? attempt_record_decode(buf_span(&c->value), r) : err;
}

enum err attempt_row_put(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES],
                         const struct attempt_record *r)
{
    enum err err;

    buf_clear(&c->value);
    err = attempt_record_encode(r, &c->value);
    return err == ERR_OK
               ? ops(c)->put(c->txn, TABLE_ATTEMPT, span_bytes(row, ATTEMPT_ROW_BYTES), buf_span(&c->value))
               : err;
}

enum err attempt_row_del(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES], int64_t last_s)
{
    uint64_t rows;
    enum err err = attempt_box_get(c, row, &rows);

    if (err == ERR_OK && rows > 0)
        err = attempt_box_put(c, row, rows - 1);
    if (err == ERR_OK)
        err = attempt_index_del(c, row, last_s);
    if (err == ERR_OK)
        err = ops(c)->del(c->txn, TABLE_ATTEMPT, span_bytes(row, ATTEMPT_ROW_BYTES));
    if (err == ERR_OK)
        c->counts.attempts--;
    return err;
}

size_t attempt_jobs_find(const struct attempt_record *r, const uint8_t id[JOB_ID_BYTES])
{
    size_t at = 0;

    while (at < r->jobs.len && memcmp(r->jobs.data + at, id, JOB_ID_BYTES) != 0)
        at += JOB_ID_BYTES;
    return at;
}

void attempt_jobs_remove(struct attempt_record *r, size_t at)
{
    r->jobs.len = (uint16_t)(r->jobs.len - JOB_ID_BYTES);
    memmove(r->jobs.data + at, r->jobs.data + at + JOB_ID_BYTES, r->jobs.len - at);
}

/* The row that a held job stands in. ERR_NOT_FOUND also when it goes in this same change, or is damaged: no
 * reason to keep the job. */
static enum err row_of_job(struct change *c, const struct job *j, struct record_key *key,
                           struct attempt_record *r)
{
    enum err err = ERR_NOT_FOUND;

    memset(r, 0, sizeof *r);
    if (j->attempt[0] != '\0' && attempt_row_key(j->mailbox, j->attempt, key) == ERR_OK)
        err = attempt_row_get(c, key->data, r);
    return err == ERR_STORE ? ERR_NOT_FOUND : err;
}

enum err change_attempt_leave(struct change *c, const struct job *j)
{
    struct attempt_record *r = malloc(sizeof *r);
    struct record_key key;
    size_t at;
    enum err err;

    if (r == NULL)
        return ERR_NOMEM;
    err = row_of_job(c, j, &key, r);
    if (err == ERR_OK && (at = attempt_jobs_find(r, j->id)) < r->jobs.len) {
        attempt_jobs_remove(r, at);
        err = attempt_row_put(c, key.data, r);
    }
    free(r);
    return absent_is_fine(err);
}

enum err change_attempt_empty(struct change *c, const struct job *j)
{
    struct attempt_record *r = malloc(sizeof *r);
    struct record_key key;
    enum err err;

    if (r == NULL)
        return ERR_NOMEM;
    err = row_of_job(c, j, &key, r);
    if (err == ERR_OK && r->jobs.len == 0)
        err = attempt_row_del(c, key.data, r->a.last_s);
    free(r);
    return absent_is_fine(err);
}
