/*
 * table.c - chains by hash, and one list in order of use through all entries; links are indices into one
 * block, 0 is none.
 */
#include "base/table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

struct digest {
    uint64_t half[2];
};

struct entry {
    struct digest name;
    uint32_t next;         /* in its chain */
    uint32_t newer, older; /* in order of use */
    int64_t value[];
};

struct table {
    uint64_t key[2];
    size_t max, count, value_bytes, entry_bytes;
    uint32_t mask; /* of heads: their number less one, a power of two */
    uint32_t newest, oldest;
    uint32_t unused; /* the first of those that were removed, by next */
    uint32_t *head;  /* of each chain */
    char *entry;     /* 1 to max */
};

static struct entry *at(const struct table *t, uint32_t i)
{
    return (struct entry *)(void *)(t->entry + i * t->entry_bytes);
}

/* ---- SipHash-2-4 with 128 bits of result (Aumasson and Bernstein) */

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_rounds(struct sip *s, unsigned rounds)
{
    for (; rounds > 0; rounds--) {
        s->v0 += s->v1;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

static void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_rounds(s, 2);
    s->v0 ^= word;
}

static struct digest digest_of(const uint64_t key[2], const void *name, size_t len)
{
    struct digest d;
    const unsigned char *at_byte = name;
    struct sip s = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d ^ 0xee,
                    key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    uint64_t word, last = (uint64_t)len << 56;

    for (; len >= sizeof word; len -= sizeof word, at_byte += sizeof word) {
        memcpy(&word, at_byte, sizeof word);
        sip_word(&s, word);
    }
    for (size_t i = 0; i < len; i++)
        last |= (uint64_t)at_byte[i] << (8 * i);
    sip_word(&s, last);
    s.v2 ^= 0xee;
    sip_rounds(&s, 4);
    d.half[0] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    s.v1 ^= 0xdd;
    sip_rounds(&s, 4);
    d.half[1] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    return d;
}

/* ---- chains and order */

static uint32_t *chain_of(const struct table *t, const struct digest *name)
{
    return &t->head[name->half[0] & t->mask];
}

/* Where the entry is linked from; what is there is 0 when there is none. */
static uint32_t *link_to(const struct table *t, const struct digest *name)
{
    uint32_t *link = chain_of(t, name);

    while (*link && memcmp(&at(t, *link)->name, name, sizeof *name) != 0)
        link = &at(t, *link)->next;
    return link;
}

static void leave_order(struct table *t, const struct entry *e)
{
    *(e->newer ? &at(t, e->newer)->older : &t->newest) = e->older;
    *(e->older ? &at(t, e->older)->newer : &t->oldest) = e->newer;
}

static void become_newest(struct table *t, uint32_t i)
{
    struct entry *e = at(t, i);

    e->newer = 0;
    e->older = t->newest;
    *(t->newest ? &at(t, t->newest)->newer : &t->oldest) = i;
    t->newest = i;
}

static void *use(struct table *t, uint32_t i)
{
    if (t->newest != i) {
        leave_order(t, at(t, i));
        become_newest(t, i);
    }
    return at(t, i)->value;
}

static void drop(struct table *t, uint32_t *link)
{
    uint32_t i = *link;
    struct entry *e = at(t, i);

    *link = e->next;
    leave_order(t, e);
    e->next = t->unused;
    t->unused = i;
    t->count--;
}

/* An entry that is nobody's, in no chain and no order. */
static uint32_t take_unused(struct table *t)
{
    if (t->count == t->max)
        drop(t, link_to(t, &at(t, t->oldest)->name));
    uint32_t i = t->unused;
    if (i)
        t->unused = at(t, i)->next;
    else
        i = (uint32_t)t->count + 1; /* none was ever removed beyond those in use */
    t->count++;
    return i;
}

enum err table_create(size_t entries_max, size_t value_bytes, struct table **out)
{
    size_t heads = 1;
    struct table *t = calloc(1, sizeof *t);

    if (!t)
        return ERR_NOMEM;
    while (heads < entries_max)
        heads *= 2;
    t->max = entries_max;
    t->mask = (uint32_t)(heads - 1);
    t->value_bytes = value_bytes;
    t->entry_bytes = sizeof(struct entry) + (value_bytes + 7) / 8 * 8;
    t->head = calloc(heads, sizeof *t->head);
    t->entry = calloc(entries_max + 1, t->entry_bytes);
    enum err e = t->head && t->entry ? secret_random(t->key, sizeof t->key) : ERR_NOMEM;
    if (e) {
        table_free(t);
        return e;
    }
    *out = t;
    return ERR_OK;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    free(t->head);
    free(t->entry);
    free(t);
}

void *table_find(struct table *t, const void *name, size_t name_len)
{
    struct digest d = digest_of(t->key, name, name_len);
    uint32_t i = *link_to(t, &d);

    return i ? use(t, i) : NULL;
}

void *table_put(struct table *t, const void *name, size_t name_len, bool *made)
{
    struct digest d = digest_of(t->key, name, name_len);
    uint32_t i = *link_to(t, &d);

    if (made)
        *made = i == 0;
    if (i)
        return use(t, i);
    i = take_unused(t);
    struct entry *e = at(t, i);
    uint32_t *chain = chain_of(t, &d);
    e->name = d;
    e->next = *chain;
    *chain = i;
    memset(e->value, 0, t->value_bytes);
    become_newest(t, i);
    return e->value;
}

void table_remove(struct table *t, const void *name, size_t name_len)
{
    struct digest d = digest_of(t->key, name, name_len);
    uint32_t *link = link_to(t, &d);

    if (*link)
        drop(t, link);
}

size_t table_count(const struct table *t)
{
    return t->count;
}
