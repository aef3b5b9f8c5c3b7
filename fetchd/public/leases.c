/*
 * leases.c - a small chained hash table of tickets with bodies under way. Entries die one lease time after
 * their last byte; every insertion sweeps one bucket, so the table never grows beyond what is live.
 */
#include "public/leases.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096

struct lease_entry {
    uint8_t key[TICKET_STORE_KEY_BYTES];
    unsigned bodies;
    int64_t last_byte_s;
    struct lease_entry *next;
};

struct leases {
    pthread_mutex_t lock; /* guards all below */
    int64_t lease_s;
    struct lease_entry *bucket[BUCKETS];
};

/* The key is a SHA-256: any bytes of it are a fair hash. */
static size_t bucket_of(const uint8_t *key)
{
    return ((size_t)key[0] << 8 | key[1]) % BUCKETS;
}

static struct lease_entry *find(struct leases *l, const uint8_t *key)
{
    for (struct lease_entry *e = l->bucket[bucket_of(key)]; e; e = e->next)
        if (memcmp(e->key, key, sizeof e->key) == 0)
            return e;
    return NULL;
}

static void sweep(struct leases *l, size_t bucket, int64_t now_s)
{
    for (struct lease_entry **at = &l->bucket[bucket]; *at;) {
        struct lease_entry *e = *at;
        if (e->bodies == 0 && e->last_byte_s + l->lease_s < now_s) {
            *at = e->next;
            free(e);
        } else {
            at = &e->next;
        }
    }
}

enum err leases_create(int64_t lease_s, struct leases **out)
{
    struct leases *l = calloc(1, sizeof *l);
    if (!l)
        return ERR_NOMEM;
    pthread_mutex_init(&l->lock, NULL);
    l->lease_s = lease_s;
    *out = l;
    return ERR_OK;
}

void leases_free(struct leases *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (l->bucket[i]) {
            struct lease_entry *e = l->bucket[i];
            l->bucket[i] = e->next;
            free(e);
        }
    }
    pthread_mutex_destroy(&l->lock);
    free(l);
}

enum err leases_body_begin(struct leases *l, const uint8_t key[TICKET_STORE_KEY_BYTES])
{
    enum err e = ERR_OK;
    pthread_mutex_lock(&l->lock);
    struct lease_entry *entry = find(l, key);
    if (!entry) {
        entry = calloc(1, sizeof *entry);
        if (entry) {
            size_t bucket = bucket_of(key);
            memcpy(entry->key, key, sizeof entry->key);
            entry->next = l->bucket[bucket];
            l->bucket[bucket] = entry;
        } else {
            e = ERR_NOMEM;
        }
    }
    if (entry)
        entry->bodies++;
    pthread_mutex_unlock(&l->lock);
    return e;
}

void leases_body_end(struct leases *l, const uint8_t key[TICKET_STORE_KEY_BYTES], int64_t now_s)
{
    pthread_mutex_lock(&l->lock);
    struct lease_entry *entry = find(l, key);
    if (entry && entry->bodies > 0) {
        entry->bodies--;
        entry->last_byte_s = now_s;
    }
    sweep(l, bucket_of(key), now_s);
    pthread_mutex_unlock(&l->lock);
}

int64_t leases_live_until(struct leases *l, const uint8_t key[TICKET_STORE_KEY_BYTES], int64_t now_s)
{
    int64_t until = 0;
    pthread_mutex_lock(&l->lock);
    struct lease_entry *entry = find(l, key);
    if (entry)
        until = (entry->bodies > 0 ? now_s : entry->last_byte_s) + l->lease_s;
    pthread_mutex_unlock(&l->lock);
    return until;
}
