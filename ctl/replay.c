/*
 * replay.c - see replay.h.
 */
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/netaddr.h"
#include "base/secret.h"
#include "local/api.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/stub.h"

#define HEADER_MAX (4 * 1024 * 1024)
#define STUB_SIZE 1000 /* octets of the letter of a stub made here */
#define STUB_LIFE_S 86400

/* As the milter shows them (milter/message.c). */
static const struct {
    const char *name;
    size_t repeats;
} shown[] = {
    {"From", API_FIELDS_MAX},          {"Sender", API_FIELDS_MAX},       {"Message-ID", API_FIELDS_MAX},
    {"Date", API_FIELDS_MAX},          {"Content-Type", API_FIELDS_MAX}, {"Auto-Submitted", API_FIELDS_MAX},
    {STUB_FIELD_NAME, API_FIELDS_MAX}, {"List-Id", API_FIELD_REPEATS},   {"Precedence", API_FIELD_REPEATS},
    {"Received", API_RECEIVED_MAX},    {"Subject", API_FIELD_REPEATS},
};
#define SHOWN_COUNT (sizeof shown / sizeof shown[0])

/* ---- the file */

/* The header with CRLF line ends; a line "From " of an mbox in front goes. */
static enum err read_header(struct span message, struct buf *out)
{
    struct span line, rest = message;
    bool first = true;
    enum err e = ERR_OK;

    while (rest.len && !e) {
        span_cut(rest, '\n', &line, &rest);
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0)
            break;
        if (!first || !span_starts_nocase(line, "from ")) {
            if (!(e = buf_append_span(out, line)))
                e = buf_append_str(out, "\r\n");
        }
        first = false;
    }
    return e;
}

/* The unfolded value of the first field of a name, owned; NULL when there is none. */
static char *field_text(struct span header, const char *name)
{
    struct header_field f;
    struct buf value;
    char *text = NULL;

    buf_init(&value, HEADER_MAX);
    while (!text && header_next(&header, &f)) {
        if (span_is_nocase(f.name, name) && header_unfold(f.value, &value) == ERR_OK)
            text = span_dup(buf_span(&value));
        buf_clear(&value);
    }
    buf_free(&value);
    return text;
}

/* ---- the session */

/* "from helo (name [192.0.2.1]) by ...": the word behind from, and the address. */
static void read_received(const char *value, char **helo, char **client)
{
    struct netaddr address;
    struct span word, rest, open;

    if (strncmp(value, "from ", 5) != 0)
        return;
    span_cut(span_of(value + 5), ' ', &word, &rest);
    if (!span_cut(rest, '[', &open, &rest) || !span_cut(rest, ']', &open, &rest))
        return;
    if (span_starts_nocase(open, "ipv6:"))
        open = span_bytes(open.ptr + 5, open.len - 5);
    if (netaddr_parse(open, &address))
        return;
    *helo = span_dup(word);
    *client = span_dup(open);
}

/* How the message came here, as its topmost fields say. All owned. */
struct arrival {
    char *helo, *client; /* NULL: not known */
    char *link_host;     /* of the stub in whose place the letter came; NULL: it came as it is */
    size_t received;     /* so many Received fields are ours: the milter had not seen them yet */
};

static void arrival_free(struct arrival *a)
{
    free(a->helo);
    free(a->client);
    free(a->link_host);
}

static bool is_loopback(const char *text)
{
    struct netaddr address;

    return netaddr_parse(span_of(text), &address) == ERR_OK &&
           (address.family == AF_INET ? address.byte[12] == 127
                                      : IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)address.byte));
}

/* The value behind "name=" in our own Authentication-Results, with or without quotes. NULL: it is not there.
 */
static char *result_value(const char *results, const char *name)
{
    const char *at = strstr(results, name);

    while (at && (at == results ||
                  !strchr(" \t", at[-1]))) /* within another value, which a sender may have chosen */
        at = strstr(at + 1, name);
    if (!at)
        return NULL;
    at += strlen(name);
    at += *at == '"';
    return span_dup(span_bytes(at, strcspn(at, " \t;\"")));
}

/* The letter was called for: the stub's client and link host are what admission was told of. */
static void read_results(struct span header, struct arrival *out)
{
    char *results = field_text(header, "Authentication-Results");

    if (results && strstr(results, "restante=")) {
        out->link_host = result_value(results, "policy.host=");
        out->client = result_value(results, "policy.iprev=");
    }
    free(results);
}

/*
 * From top to bottom up to the client that is not this host: what is above it, an after-queue filter or
 * restante-fetchd handed over. A message that never was elsewhere came from the topmost.
 */
static void read_arrival(struct span header, struct arrival *out)
{
    struct header_field f;
    struct buf value;
    struct span rest = header;
    size_t count = 0;

    *out = (struct arrival){.helo = NULL};
    buf_init(&value, HEADER_MAX);
    while (header_next(&rest, &f)) {
        char *helo = NULL, *client = NULL;

        if (!span_is_nocase(f.name, "Received"))
            continue;
        buf_clear(&value);
        if (header_unfold(f.value, &value))
            break;
        count++;
        if (strstr(buf_cstr(&value), " (Restante) with RESTANTE id ")) {
            free(out->helo);
            free(out->client);
            *out = (struct arrival){.received = count};
            read_results(rest, out);
            break;
        }
        read_received(buf_cstr(&value), &helo, &client);
        bool elsewhere = client && !is_loopback(client);
        if (elsewhere || (client && count == 1)) {
            free(out->helo);
            free(out->client);
            *out = (struct arrival){.helo = helo, .client = client, .received = count};
        } else {
            free(helo);
            free(client);
        }
        if (elsewhere || !client)
            break;
    }
    buf_free(&value);
}

static enum err set(char **out, const char *text)
{
    free(*out);
    *out = text ? strdup(text) : NULL;
    return text && !*out ? ERR_NOMEM : ERR_OK;
}

static enum err read_session(const struct replay *r, const struct arrival *arrival, struct api_envelope *out)
{
    const char *client = r->client ? r->client : arrival->client;
    const char *helo = r->helo ? r->helo : r->client ? NULL : arrival->helo;
    enum err e = set(&out->client_address, client);

    return e ? e : set(&out->helo, helo);
}

static enum err read_address(const char *given, const char *found, const char *what, bool may_be_null,
                             char **out, struct buf *why)
{
    struct address address;
    char text[ADDRESS_TEXT_MAX];

    if (!given && !found) {
        buf_printf(why, "the %s is not known: give it with --%s", what, may_be_null ? "from" : "to");
        return ERR_SYNTAX;
    }
    if (address_parse(span_of(given ? given : found), &address) || (address.null && !may_be_null)) {
        buf_printf(why, "%s is no address", given ? given : found);
        return ERR_SYNTAX;
    }
    address_text_given(&address, text);
    return set(out, text);
}

static enum err read_envelope(const struct replay *r, struct span header, const struct arrival *arrival,
                              struct api_envelope *out, struct buf *why)
{
    struct netaddr client;
    char *from = field_text(header, "Return-Path"), *to = field_text(header, "X-Original-To");
    enum err e = ERR_NOMEM;

    if (!to)
        to = field_text(header, "Delivered-To");
    out->recipient = calloc(1, sizeof *out->recipient);
    if (!out->recipient)
        goto out;
    out->recipient_count = 1;
    if ((e = read_address(r->from, from, "sender", true, &out->sender, why)) ||
        (e = read_address(r->to, to, "recipient", false, &out->recipient[0].address, why)) ||
        (e = read_session(r, arrival, out)))
        goto out;
    if (!out->client_address || netaddr_parse(span_of(out->client_address), &client)) {
        buf_append_str(why, out->client_address ? "the client is no IP address"
                                                : "the client is not known: give its address with --client");
        e = ERR_SYNTAX;
    }
out:
    free(from);
    free(to);
    return e;
}

/* ---- fields */

static enum err add_field(struct api_plan *p, struct span name, struct span value)
{
    struct api_field *more = realloc(p->field, (p->field_count + 1) * sizeof *more);

    if (!more)
        return ERR_NOMEM;
    p->field = more;
    struct api_field *f = &p->field[p->field_count];
    *f = (struct api_field){.name = span_dup(name), .value = span_dup(value)};
    p->field_count++;
    return f->name && f->value ? ERR_OK : ERR_NOMEM;
}

/* own: so many Received fields the milter had not seen yet. */
static enum err add_fields(const struct replay *r, struct span header, size_t own, struct api_plan *p)
{
    size_t seen[SHOWN_COUNT] = {0};
    struct header_field f;
    enum err e = ERR_OK;

    while (!e && header_next(&header, &f)) {
        if (own && span_is_nocase(f.name, "Received")) {
            own--;
            continue;
        }
        if (span_is_nocase(f.name, "From") && r->author)
            continue;
        for (size_t i = 0; i < SHOWN_COUNT && !e; i++) {
            if (!span_is_nocase(f.name, shown[i].name) || seen[i]++ >= shown[i].repeats)
                continue;
            e = add_field(p, f.name, f.value);
        }
    }
    return e;
}

/* ---- what a file would have said */

static enum err make_url(const char *link_host, char out[STUB_URL_MAX + 1])
{
    uint8_t random[32];
    char a[ENCODE_B64_LEN(16) + 1], b[ENCODE_B64_LEN(16) + 1];
    enum err e = secret_random(random, sizeof random);

    if (e)
        return e;
    encode_b64url(random, 16, a);
    encode_b64url(random + 16, 16, b);
    if (snprintf(out, STUB_URL_MAX + 1, "https://%s/restante/1/%s/%s", link_host, a, b) > STUB_URL_MAX)
        return ERR_SYNTAX;
    return ERR_OK;
}

static enum err add_stub(const char *link_host, struct api_plan *p, struct buf *why)
{
    enum err e;
    struct stub stub = {.size_bytes = STUB_SIZE, .expires_s = clock_now_s() + STUB_LIFE_S};
    struct buf field;

    buf_init_secret(&field, STUB_VALUE_MAX + 100);
    if ((e = make_url(link_host, stub.url)) || (e = secret_random(stub.ka, sizeof stub.ka)) ||
        (e = secret_random(stub.kd, sizeof stub.kd)) ||
        (e = address_parse(span_of(p->envelope.sender), &stub.from)) ||
        (e = address_parse(span_of(p->envelope.recipient[0].address), &stub.to)) ||
        (e = stub_format(&stub, &field)))
        goto out;
    size_t name = sizeof STUB_FIELD_NAME; /* with the colon */
    e = add_field(p, span_of(STUB_FIELD_NAME), span_bytes(field.data + name, field.len - name - 2));
out:
    if (e && e != ERR_NOMEM) {
        buf_printf(why, "no stub can be made of %s and link host %s", p->envelope.sender, link_host);
        e = ERR_SYNTAX;
    }
    stub_wipe(&stub);
    buf_free(&field);
    return e;
}

enum err replay_format(const struct replay *r, struct buf *out, struct buf *why)
{
    enum err e;
    struct arrival arrival = {.helo = NULL};
    struct api_plan p = {.field_count = 0};
    struct buf header;

    buf_init(&header, HEADER_MAX);
    if ((e = read_header(r->message, &header)))
        goto out;
    read_arrival(buf_span(&header), &arrival);
    /* Whoever names another client means a message that is still to come, but for the line of ours that
     * called for it. */
    if (r->client && !arrival.link_host)
        arrival.received = 0;
    const char *link_host = r->link_host ? r->link_host : arrival.link_host;
    if ((e = read_envelope(r, buf_span(&header), &arrival, &p.envelope, why)) ||
        (e = add_fields(r, buf_span(&header), arrival.received, &p)))
        goto out;
    if (r->author || !r->message.len)
        e = add_field(&p, SPAN_LITERAL("From"), span_of(r->author ? r->author : p.envelope.sender));
    if (!e && link_host)
        e = add_stub(link_host, &p, why);
    p.header_bytes = header.len;
    if (!e)
        e = api_plan_format(&p, out);
out:
    if (e && !why->len)
        buf_append_str(why, err_text(e));
    arrival_free(&arrival);
    buf_free(&header);
    api_plan_free(&p);
    return e;
}
