/*
 * answer.c - memory of DNS answers: what packet.c fills, cache.c keeps, and the callers of resolver.h get.
 */
#include "dns/answer.h"

#include <stdlib.h>
#include <string.h>

struct dns_answer *answer_create(enum dns_type type)
{
    struct dns_answer *a = calloc(1, sizeof *a);
    if (a != NULL)
        a->type = type;
    return a;
}

struct dns_record *answer_add(struct dns_answer *a)
{
    struct dns_record *grown = realloc(a->record, (a->count + 1) * sizeof *grown);
    if (grown == NULL)
        return NULL;
    a->record = grown;
    struct dns_record *r = &grown[a->count++];
    memset(r, 0, sizeof *r);
    return r;
}

static void *copy_bytes(const void *data, size_t len)
{
    void *copy = malloc(len > 0 ? len : 1);
    if (copy != NULL && len > 0)
        memcpy(copy, data, len);
    return copy;
}

static bool copy_record(enum dns_type type, const struct dns_record *from, struct dns_record *to)
{
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        to->addr = from->addr;
        return true;
    case DNS_MX:
        to->mx.preference = from->mx.preference;
        to->mx.host = strdup(from->mx.host);
        return to->mx.host != NULL;
    case DNS_PTR:
        to->host = strdup(from->host);
        return to->host != NULL;
    case DNS_TXT:
        to->txt.len = from->txt.len;
        to->txt.data = copy_bytes(from->txt.data, from->txt.len);
        return to->txt.data != NULL;
    case DNS_TLSA:
        to->tlsa = from->tlsa;
        to->tlsa.data = copy_bytes(from->tlsa.data, from->tlsa.len);
        return to->tlsa.data != NULL;
    }
    return false;
}

struct dns_answer *answer_copy(const struct dns_answer *a)
{
    struct dns_answer *copy = answer_create(a->type);
    if (copy == NULL)
        return NULL;
    copy->exists = a->exists;
    copy->secure = a->secure;
    copy->ttl_s = a->ttl_s;
    for (size_t i = 0; i < a->count; i++) {
        struct dns_record *r = answer_add(copy);
        if (r == NULL || !copy_record(a->type, &a->record[i], r)) {
            dns_answer_free(copy);
            return NULL;
        }
    }
    return copy;
}

static size_t record_bytes(enum dns_type type, const struct dns_record *r)
{
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        return sizeof *r;
    case DNS_MX:
        return sizeof *r + strlen(r->mx.host) + 1;
    case DNS_PTR:
        return sizeof *r + strlen(r->host) + 1;
    case DNS_TXT:
        return sizeof *r + r->txt.len;
    case DNS_TLSA:
        return sizeof *r + r->tlsa.len;
    }
    return sizeof *r;
}

size_t answer_bytes(const struct dns_answer *a)
{
    size_t bytes = sizeof *a;
    for (size_t i = 0; i < a->count; i++)
        bytes += record_bytes(a->type, &a->record[i]);
    return bytes;
}

void dns_answer_free(struct dns_answer *a)
{
    if (a == NULL)
        return;
    for (size_t i = 0; i < a->count; i++) {
        struct dns_record *r = &a->record[i];
        if (a->type == DNS_MX)
            free(r->mx.host);
        else if (a->type == DNS_PTR)
            free(r->host);
        else if (a->type == DNS_TXT)
            free(r->txt.data);
        else if (a->type == DNS_TLSA)
            free(r->tlsa.data);
    }
    free(a->record);
    free(a);
}
