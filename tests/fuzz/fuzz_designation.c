/*
 * The "_restante" record: what is read stays within its limits, and its hosts are found again.
 *
 * covers: common/dns/designation.c
 */
#include <stdlib.h>
#include <string.h>

#include "dns/designation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check(const struct designation *d)
{
    const char *const trusted[] = {"none.example", "proxy.example"};
    require(d->present && d->host_count <= DESIGNATION_HOSTS_MAX);
    require(d->prefix_count <= DESIGNATION_PREFIXES_MAX);
    for (size_t i = 0; i < d->host_count; i++) {
        const struct designation_host *h = &d->host[i];
        struct netaddr literal;
        const char *const self[] = {h->name};
        require(h->port > 0 && strlen(h->name) <= DNS_NAME_MAX);
        require(netaddr_parse(span_of(h->name), &literal) != ERR_OK);
        require(designation_has_host(d, h->name, h->port, self, 1));
        if (!h->inside && strcmp(h->name, "proxy.example") != 0)
            require(!designation_has_host(d, h->name, h->port, trusted, 2));
    }
    require(!designation_has_host(d, "no.such.example", 443, trusted, 2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span record = span_bytes(data, size);
    struct designation d;
    struct buf why;
    buf_init(&why, 1024);
    if (designation_parse(record, "a.example", &d, &why) == ERR_OK) {
        require(designation_is_candidate(record));
        check(&d);
    } else {
        require(why.len > 0);
    }
    buf_free(&why);
    return 0;
}
