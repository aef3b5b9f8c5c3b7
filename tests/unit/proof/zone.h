/*
 * zone.h - a name server (dns/responder.h) whose table is written as text, and a resolver that asks it.
 */
#ifndef ZONE_H
#define ZONE_H

#include "dns/resolver.h"
#include "dns/responder.h"

struct zone_line {
    const char *name;
    uint16_t type;
    const char *data; /* A, AAAA: the address; MX, PTR, CNAME: the host ("" the root); TXT: the text */
    enum manner manner;
};

struct zone {
    struct responder *server;
    struct resolver *resolver;
    struct zone_row *row;
    size_t count;
};

/* Answers have a TTL of 300 s. Fails the test when something cannot be made. */
void zone_start(struct zone *z, const struct zone_line *line, size_t count);
void zone_stop(struct zone *z);

#endif
