/*
 * responder.h - a name server of a test's own making on 127.0.0.1, over UDP and TCP, that answers from a
 * table and misbehaves where the table says so. One thread.
 */
#ifndef RESPONDER_H
#define RESPONDER_H

#include <stddef.h>
#include <stdint.h>

enum manner {
    PLAIN,
    WRONG_ID_FIRST,       /* a forged answer with another ID comes before the right one */
    WRONG_QUESTION_FIRST, /* the same with another question */
    WRONG_ID_ONLY,
    TRUNCATED,       /* the records only over TCP */
    TRUNCATED_TWICE, /* over TCP too */
    SILENT_ONCE,     /* the first query is not answered */
    SILENT,
    MALFORMED,
    SERVFAIL,
    SERVFAIL_BOGUS, /* with the extended error "DNSSEC Bogus" */
    NXDOMAIN,       /* with a SOA whose minimum is 60 */
    NODATA,         /* the same */
    NODATA_BARE     /* without a SOA */
};

struct zone_row { /* several rows of one name and type are one set */
    const char *name;
    uint16_t type;
    enum manner manner;
    uint32_t ttl_s;
    const char *rdata;
    size_t rdata_len;
};

struct responder;
/* The table must end with a row whose name is NULL; unknown names are NXDOMAIN. */
struct responder *responder_start(const struct zone_row *zone);
void responder_stop(struct responder *r);
uint16_t responder_port(const struct responder *r);
unsigned responder_queries(struct responder *r);     /* over UDP, so far */
unsigned responder_tcp_queries(struct responder *r); /* over TCP */
/* The first octets of the latest query over UDP. Returns its length. */
size_t responder_latest(struct responder *r, uint8_t out[512]);

#endif
