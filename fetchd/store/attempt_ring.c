/*
 * attempt_ring.c - see attempt_ring.h.
 */
#include "store/attempt_ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/netaddr.h"

#define CROWD_LOOK_MAX 4000 /* rows that are looked through for those with whom the new one shares */

static void begin_walk(struct store *s, const struct record_key *key, bool newest_first, struct walk *out)
{
    struct record_key box = {.len = KEY_HASH_BYTES}, from, until;

    memcpy(box.data, key->data, KEY_HASH_BYTES);
    attempt_index_range(&box, &from, &until);
    walk_init(out, s, TABLE_ATTEMPT_TIME, from, until, newest_first);
}

static enum err find_oldest(struct store *s, const struct record_key *key, struct attempt_ring *out)
{
    struct span entry, value;
    struct walk walk;
    enum err err = ERR_OK;

    begin_walk(s, key, false, &walk);
    walk.page = ATTEMPT_EVICT_MAX;
    while (out->oldest_count < ATTEMPT_EVICT_MAX && (err = walk_next(&walk, &entry, &value)) == ERR_OK) {
        struct attempt_ring_row *o = &out->oldest[out->oldest_count];

        if (!attempt_index_parse(entry, o->row, &o->last_s)) {
            err = ERR_STORE;
            break;
        }
        out->oldest_count++;
    }
    walk_free(&walk);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* Whether a row is of those with whom the new one shares a part of the ring. */
static bool is_of_same(const struct attempt *facts, const struct attempt *row)
{
    struct netaddr a, b;
    size_t len = strlen(facts->organisation), row_len = strlen(row->verified);

    if (len > 0)
        return row_len >= len && strcmp(row->verified + row_len - len, facts->organisation) == 0 &&
               (row_len == len || row->verified[row_len - len - 1] == '.');
    if (facts->verified[0] != '\0' || row_len > 0 ||
        netaddr_parse(span_of(facts->client_address), &a) != ERR_OK ||
        netaddr_parse(span_of(row->client_address), &b) != ERR_OK)
        return false;
    a = netaddr_network(&a);
    b = netaddr_network(&b);
    return netaddr_equal(&a, &b);
}

/* There is no row of this sender in the ring, and there can be so many of those with whom he shares. */
static bool takes_a_place(struct store *s, const struct record_key *key, uint32_t share)
{
    struct buf value;
    bool takes;

    buf_init(&value, STORE_VALUE_MAX);
    takes = store_read(s, TABLE_ATTEMPT_BOX, span_bytes(key->data, KEY_HASH_BYTES), &value) == ERR_OK &&
            value.len == 8 && codec_get_be64((const uint8_t *)value.data) >= share;
    buf_clear(&value);
    takes = takes && store_read(s, TABLE_ATTEMPT, record_key_span(key), &value) == ERR_NOT_FOUND;
    buf_free(&value);
    return takes;
}

/* How many of the newest CROWD_LOOK_MAX rows are of those with whom the new one shares, and the oldest of
 * them. What is damaged is none of them. */
static enum err find_same(struct store *s, const struct record_key *key, const struct attempt *facts,
                          uint32_t *count, struct attempt_ring_row *out)
{
    struct attempt_record *r = malloc(sizeof *r);
    struct attempt_ring_row o;
    struct span entry, value;
    struct walk walk;
    enum err err = ERR_OK;

    *count = 0;
    if (r == NULL)
        return ERR_NOMEM;
    begin_walk(s, key, true, &walk);
    for (int i = 0; i < CROWD_LOOK_MAX && (err = walk_next(&walk, &entry, &value)) == ERR_OK; i++) {
        if (attempt_index_parse(entry, o.row, &o.last_s) &&
            attempt_row_read(s, span_bytes(o.row, sizeof o.row), r) == ERR_OK && is_of_same(facts, &r->a)) {
            *out = o;
            ++*count;
        }
    }
    walk_free(&walk);
    free(r);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err attempt_ring_look(struct store *s, const struct record_key *key, const struct attempt *facts,
                           uint32_t rows_max, struct attempt_ring *out)
{
    uint32_t looked = rows_max < CROWD_LOOK_MAX ? rows_max : CROWD_LOOK_MAX;
    uint32_t share = looked < 8 ? 2 : looked / 4, count = 0;
    struct attempt_ring_row o;
    enum err err;

    out->own_place = false;
    out->oldest_count = 0;
    err = find_oldest(s, key, out);
    if (err == ERR_OK && takes_a_place(s, key, share))
        err = find_same(s, key, facts, &count, &o);
    /* Room that a crowd takes beyond its share is room that others have to give later: none is left to it,
     * also while there is some. */
    if (err == ERR_OK && count >= share) {
        out->own_place = true;
        out->oldest_count = 1;
        out->oldest[0] = o;
    }
    return err;
}
