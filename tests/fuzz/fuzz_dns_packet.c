/*
 * A DNS answer above ldns: the first octet of the input chooses the type asked for, the rest is what came in
 * for the question "x.a.example" with ID 0x1234.
 *
 * covers: common/dns/packet.c
 * covers: common/dns/answer.c
 */
#include <stdlib.h>
#include <string.h>

#include "dns/answer.h"
#include "dns/packet.h"

#define NAME "x.a.example"
#define ID 0x1234

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum dns_type types[] = {DNS_A, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA, DNS_TLSA};

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Each query of ours can be built, and is no answer to itself. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const struct packet_limits limits = {86400, 300};
    (void)argc;
    (void)argv;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct buf query;
        struct dns_answer *a = NULL;
        buf_init(&query, PACKET_QUERY_MAX);
        require(packet_query(NAME, types[i], ID, &query) == ERR_OK);
        require(packet_read(buf_span(&query), ID, NAME, types[i], &limits, &a) == PACKET_FOREIGN);
        buf_free(&query);
    }
    return 0;
}

static void check_names(const struct dns_answer *a)
{
    char normal[DNS_NAME_MAX + 1];
    for (size_t i = 0; i < a->count; i++) {
        const char *host = a->type == DNS_MX    ? a->record[i].mx.host
                           : a->type == DNS_PTR ? a->record[i].host
                                                : NULL;
        enum err (*form)(struct span, char *) = a->type == DNS_MX ? packet_any_name : packet_name;
        if (host != NULL && host[0] != '\0')
            require(form(span_of(host), normal) == ERR_OK && strcmp(host, normal) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct packet_limits limits = {86400, 300};
    char normal[DNS_NAME_MAX + 1];
    struct dns_answer *a = NULL;
    if (size == 0)
        return 0;
    enum dns_type type = types[data[0] % (sizeof types / sizeof *types)];
    struct span wire = span_bytes(data + 1, size - 1);
    if (packet_read(wire, ID, NAME, type, &limits, &a) == PACKET_ANSWER) {
        struct dns_answer *copy = answer_copy(a);
        require(a->type == type && (a->exists || a->count == 0) && a->ttl_s <= 86400);
        require(copy != NULL && copy->count == a->count && answer_bytes(copy) == answer_bytes(a));
        check_names(copy);
        dns_answer_free(copy);
        dns_answer_free(a);
    } else {
        require(a == NULL);
    }
    if (packet_name(wire, normal) == ERR_OK)
        require(packet_any_name(wire, normal) == ERR_OK);
    return 0;
}
