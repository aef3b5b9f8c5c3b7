/*
 * packet.c - between struct dns_answer and the wire. ldns does the encoding; what an answer means is decided
 * here: is it ours, how far does its CNAME chain lead, how long may it be kept, did validation fail.
 */
#include "dns/packet.h"

#include <stdlib.h>
#include <string.h>

#include <ldns/ldns.h>

#include "dns/answer.h"

#define CNAMES_MAX 12
#define HEADER_BYTES 12
#define LABEL_MAX 63

static bool host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool printable(char c)
{
    return c >= ' ' && c <= '~';
}

static enum err normalise(struct span text, bool (*allowed)(char c), char *out)
{
    if (text.len > 0 && text.ptr[text.len - 1] == '.')
        text.len--;
    if (text.len == 0 || text.len > DNS_NAME_MAX)
        return ERR_ADDRESS;
    char name[DNS_NAME_MAX + 1];
    size_t label = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c == '.' ? label == 0 : !allowed(c))
            return ERR_ADDRESS;
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return ERR_ADDRESS;
        name[i] = c;
    }
    if (label == 0)
        return ERR_ADDRESS;
    name[text.len] = '\0';
    memcpy(out, name, text.len + 1);
    return ERR_OK;
}

enum err packet_name(struct span text, char *out)
{
    return normalise(text, host_char, out);
}

enum err packet_any_name(struct span text, char *out)
{
    return normalise(text, printable, out);
}

/* The wire form of a normalised name: nothing in it is an escape, as it would be to ldns's own reader. */
static ldns_rdf *to_dname(const char *name)
{
    uint8_t wire[DNS_NAME_MAX + 2];
    size_t at = 0;
    for (const char *label = name; label != NULL; at++) {
        const char *dot = strchr(label, '.');
        size_t len = dot != NULL ? (size_t)(dot - label) : strlen(label);
        wire[at] = (uint8_t)len;
        memcpy(wire + at + 1, label, len);
        at += len;
        label = dot != NULL ? dot + 1 : NULL;
    }
    wire[at++] = 0;
    return ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, at, wire);
}

/* The other way, "" for the root. False for a dot inside a label, and for what packet_any_name does not take.
 */
static bool from_dname(const ldns_rdf *dname, char out[DNS_NAME_MAX + 1])
{
    char text[LDNS_MAX_DOMAINLEN];
    const uint8_t *wire = ldns_rdf_data(dname);
    size_t size = ldns_rdf_size(dname), len = 0;
    for (size_t at = 0; at < size && wire[at] != 0; at += wire[at] + 1u) {
        if (at + wire[at] >= size || len + wire[at] + 1u > sizeof text ||
            memchr(wire + at + 1, '.', wire[at]) != NULL)
            return false;
        memcpy(text + len, wire + at + 1, wire[at]);
        len += wire[at];
        text[len++] = '.';
    }
    out[0] = '\0';
    return len == 0 || packet_any_name(span_bytes(text, len), out) == ERR_OK;
}

enum err packet_query(const char *name, enum dns_type type, uint16_t id, struct buf *out)
{
    enum err err = ERR_NOMEM;
    ldns_pkt *query = NULL;
    uint8_t *wire = NULL;
    size_t len = 0;
    ldns_rdf *owner = to_dname(name);
    if (owner == NULL)
        return ERR_NOMEM;
    query = ldns_pkt_query_new(owner, (ldns_rr_type)type, LDNS_RR_CLASS_IN, LDNS_RD);
    if (query == NULL) {
        ldns_rdf_deep_free(owner);
        return ERR_NOMEM;
    }
    ldns_pkt_set_id(query, id);
    ldns_pkt_set_ad(query, true);
    ldns_pkt_set_edns_udp_size(query, PACKET_UDP_MAX);
    ldns_pkt_set_edns_do(query, true);
    if (ldns_pkt2wire(&wire, query, &len) == LDNS_STATUS_OK)
        err = buf_append(out, wire, len);
    free(wire);
    ldns_pkt_free(query);
    return err;
}

/* A name as we keep it. NULL for one that cannot be told or, where it must be a host, for other characters.
 */
static char *name_of(const ldns_rdf *dname, bool host)
{
    char text[DNS_NAME_MAX + 1], name[DNS_NAME_MAX + 1];
    if (!from_dname(dname, text) || (host && packet_name(span_of(text), name) != ERR_OK))
        return NULL;
    return strdup(text);
}

static bool read_txt(const ldns_rr *rr, struct dns_record *out)
{
    size_t total = 0;
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++)
        total += ldns_rdf_size(ldns_rr_rdf(rr, i));
    char *data = malloc(total + 1);
    if (data == NULL)
        return false;
    size_t len = 0;
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *rdf = ldns_rr_rdf(rr, i);
        if (ldns_rdf_size(rdf) < 1)
            continue;
        memcpy(data + len, ldns_rdf_data(rdf) + 1, ldns_rdf_size(rdf) - 1); /* after the length octet */
        len += ldns_rdf_size(rdf) - 1;
    }
    data[len] = '\0';
    out->txt.data = data;
    out->txt.len = len;
    return true;
}

static bool read_address(const ldns_rr *rr, enum dns_type type, struct dns_record *out)
{
    const ldns_rdf *rdf = ldns_rr_rdf(rr, 0);
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (type == DNS_A && rdf != NULL && ldns_rdf_size(rdf) == 4) {
        memcpy(&v4.sin_addr, ldns_rdf_data(rdf), 4);
        return netaddr_from_sockaddr((const struct sockaddr *)&v4, &out->addr) == ERR_OK;
    }
    if (type == DNS_AAAA && rdf != NULL && ldns_rdf_size(rdf) == 16) {
        memcpy(&v6.sin6_addr, ldns_rdf_data(rdf), 16);
        return netaddr_from_sockaddr((const struct sockaddr *)&v6, &out->addr) == ERR_OK;
    }
    return false;
}

static bool read_tlsa(const ldns_rr *rr, struct dns_record *out)
{
    const ldns_rdf *data = ldns_rr_rdf(rr, 3);
    if (ldns_rr_rd_count(rr) != 4 || data == NULL || ldns_rdf_size(data) == 0)
        return false;
    out->tlsa.data = malloc(ldns_rdf_size(data));
    if (out->tlsa.data == NULL)
        return false;
    memcpy(out->tlsa.data, ldns_rdf_data(data), ldns_rdf_size(data));
    out->tlsa.len = ldns_rdf_size(data);
    out->tlsa.usage = ldns_rdf2native_int8(ldns_rr_rdf(rr, 0));
    out->tlsa.selector = ldns_rdf2native_int8(ldns_rr_rdf(rr, 1));
    out->tlsa.matching = ldns_rdf2native_int8(ldns_rr_rdf(rr, 2));
    return true;
}

static bool read_record(const ldns_rr *rr, enum dns_type type, struct dns_record *out)
{
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        return read_address(rr, type, out);
    case DNS_TXT:
        return read_txt(rr, out);
    case DNS_TLSA:
        return read_tlsa(rr, out);
    case DNS_MX:
        if (ldns_rr_rd_count(rr) != 2)
            return false;
        out->mx.preference = ldns_rdf2native_int16(ldns_rr_rdf(rr, 0));
        out->mx.host = name_of(ldns_rr_rdf(rr, 1), false);
        return out->mx.host != NULL;
    case DNS_PTR:
        out->host = ldns_rr_rd_count(rr) == 1 ? name_of(ldns_rr_rdf(rr, 0), true) : NULL;
        return out->host != NULL;
    }
    return false;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* RFC 2181 8: a TTL with the top bit set is 0. */
static uint32_t ttl_of(const ldns_rr *rr)
{
    uint32_t ttl = ldns_rr_ttl(rr);
    return ttl > INT32_MAX ? 0 : ttl;
}

/* RFC 2308 5: how long "there is none" may be kept; without a SOA not at all. */
static uint32_t negative_ttl(const ldns_pkt *reply)
{
    const ldns_rr_list *authority = ldns_pkt_authority(reply);
    for (size_t i = 0; authority != NULL && i < ldns_rr_list_rr_count(authority); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(authority, i);
        if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_SOA && ldns_rr_rd_count(rr) == 7)
            return smaller(ttl_of(rr), ldns_rdf2native_int32(ldns_rr_rdf(rr, 6)));
    }
    return 0;
}

static const ldns_rr *find_cname(const ldns_rr_list *list, const ldns_rdf *owner)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);
        if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_CNAME && ldns_rr_rd_count(rr) == 1 &&
            ldns_dname_compare(ldns_rr_owner(rr), owner) == 0)
            return rr;
    }
    return NULL;
}

/* Follows the CNAME chain from the question and takes the records at its end. */
static enum err collect(const ldns_pkt *reply, const ldns_rdf *question, struct dns_answer *a)
{
    const ldns_rr_list *list = ldns_pkt_answer(reply);
    const ldns_rdf *owner = question;
    uint32_t ttl = UINT32_MAX;
    for (int hops = 0; list != NULL; hops++) {
        const ldns_rr *cname = find_cname(list, owner);
        if (cname == NULL)
            break;
        if (hops == CNAMES_MAX)
            return ERR_DNS_TEMPORARY;
        ttl = smaller(ttl, ttl_of(cname));
        owner = ldns_rr_rdf(cname, 0);
    }
    for (size_t i = 0; list != NULL && a->exists && i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);
        if (ldns_rr_get_type(rr) != (ldns_rr_type)a->type || ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN ||
            ldns_dname_compare(ldns_rr_owner(rr), owner) != 0)
            continue;
        struct dns_record *record = answer_add(a);
        if (record == NULL)
            return ERR_NOMEM;
        if (!read_record(rr, a->type, record))
            a->count--; /* nothing was allocated for it */
        ttl = smaller(ttl, ttl_of(rr));
    }
    if (a->count == 0)
        ttl = smaller(ttl, negative_ttl(reply));
    a->ttl_s = ttl;
    return ERR_OK;
}

/* RFC 8914: extended errors 6 to 12 are failures of DNSSEC validation. */
static bool validation_failed(const ldns_pkt *reply)
{
    const ldns_rdf *options = ldns_pkt_edns_data(reply);
    if (options == NULL)
        return false;
    const uint8_t *at = ldns_rdf_data(options), *end = at + ldns_rdf_size(options);
    while (end - at >= 4) {
        unsigned code = (unsigned)(at[0] << 8 | at[1]), len = (unsigned)(at[2] << 8 | at[3]);
        at += 4;
        if (len > (size_t)(end - at))
            return false;
        if (code == LDNS_EDNS_EDE && len >= 2) {
            unsigned info = (unsigned)(at[0] << 8 | at[1]);
            if (info >= LDNS_EDE_DNSSEC_BOGUS && info <= LDNS_EDE_NSEC_MISSING)
                return true;
        }
        at += len;
    }
    return false;
}

static bool same_question(const ldns_pkt *reply, const ldns_rdf *name, enum dns_type type)
{
    const ldns_rr_list *questions = ldns_pkt_question(reply);
    if (questions == NULL || ldns_rr_list_rr_count(questions) != 1)
        return false;
    const ldns_rr *q = ldns_rr_list_rr(questions, 0);
    return ldns_rr_get_type(q) == (ldns_rr_type)type && ldns_rr_get_class(q) == LDNS_RR_CLASS_IN &&
           ldns_dname_compare(ldns_rr_owner(q), name) == 0; /* ldns compares without case */
}

static enum packet_kind read_reply(const ldns_pkt *reply, const ldns_rdf *name, enum dns_type type,
                                   const struct packet_limits *limits, struct dns_answer **out)
{
    if (!ldns_pkt_qr(reply) || ldns_pkt_get_opcode(reply) != LDNS_PACKET_QUERY ||
        !same_question(reply, name, type))
        return PACKET_FOREIGN;
    if (ldns_pkt_tc(reply))
        return PACKET_TRUNCATED;
    ldns_pkt_rcode code = ldns_pkt_get_rcode(reply);
    if (ldns_pkt_edns_extended_rcode(reply) != 0 ||
        (code != LDNS_RCODE_NOERROR && code != LDNS_RCODE_NXDOMAIN))
        return validation_failed(reply) ? PACKET_BOGUS : PACKET_FAILED;
    struct dns_answer *a = answer_create(type);
    if (a == NULL)
        return PACKET_FAILED;
    a->exists = code == LDNS_RCODE_NOERROR;
    a->secure = ldns_pkt_ad(reply);
    if (collect(reply, name, a) != ERR_OK) {
        dns_answer_free(a);
        return PACKET_FAILED;
    }
    a->ttl_s = smaller(a->ttl_s, limits->ttl_max_s);
    if (a->count == 0)
        a->ttl_s = smaller(a->ttl_s, limits->negative_ttl_max_s);
    *out = a;
    return PACKET_ANSWER;
}

enum packet_kind packet_read(struct span wire, uint16_t id, const char *name, enum dns_type type,
                             const struct packet_limits *limits, struct dns_answer **out)
{
    const uint8_t *octet = (const uint8_t *)wire.ptr;
    if (wire.len < HEADER_BYTES || (octet[0] << 8 | octet[1]) != id)
        return PACKET_FOREIGN;
    enum packet_kind kind = PACKET_FAILED;
    ldns_pkt *reply = NULL;
    ldns_rdf *owner = to_dname(name);
    if (owner != NULL && ldns_wire2pkt(&reply, octet, wire.len) == LDNS_STATUS_OK)
        kind = read_reply(reply, owner, type, limits, out);
    else if (octet[2] & 0x02)
        kind = PACKET_TRUNCATED; /* cut in the middle of a record: some servers do that */
    ldns_pkt_free(reply);
    ldns_rdf_deep_free(owner);
    return kind;
}
