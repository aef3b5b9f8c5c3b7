#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zone.h"

#define CNAME 5

/* Text as character-strings of 255 octets. */
static size_t put_text(char *out, const char *text)
{
    size_t len = strlen(text), at = 0;
    do {
        size_t piece = len < 255 ? len : 255;
        out[at] = (char)piece;
        memcpy(out + at + 1, text, piece);
        at += piece + 1;
        text += piece;
        len -= piece;
    } while (len > 0);
    return at;
}

static size_t put_name(char *out, const char *name)
{
    size_t at = 0;
    while (*name != '\0') {
        size_t label = strcspn(name, ".");
        out[at] = (char)label;
        memcpy(out + at + 1, name, label);
        at += label + 1;
        name += label + (name[label] == '.');
    }
    out[at] = 0;
    return at + 1;
}

static size_t put_data(char *out, uint16_t type, const char *data)
{
    struct netaddr a;
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        assert_int_equal(netaddr_parse(span_of(data), &a), ERR_OK);
        memcpy(out, a.byte + (type == DNS_A ? 12 : 0), type == DNS_A ? 4 : 16);
        return type == DNS_A ? 4 : 16;
    case DNS_MX:
        memcpy(out, "\0\x0a", 2);
        return 2 + put_name(out + 2, data);
    case DNS_PTR:
    case CNAME:
        return put_name(out, data);
    default:
        return put_text(out, data);
    }
}

void zone_start(struct zone *z, const struct zone_line *line, size_t count)
{
    char where[32];
    z->count = count;
    z->row = calloc(count + 1, sizeof *z->row);
    assert_non_null(z->row);
    for (size_t i = 0; i < count; i++) {
        const char *data = line[i].data != NULL ? line[i].data : "";
        char *rdata = malloc(strlen(data) * 2 + 64);
        assert_non_null(rdata);
        size_t len = line[i].data != NULL ? put_data(rdata, line[i].type, data) : 0;
        z->row[i] = (struct zone_row){line[i].name, line[i].type, line[i].manner, 300, rdata, len};
    }
    z->server = responder_start(z->row);
    snprintf(where, sizeof where, "127.0.0.1:%u", responder_port(z->server));
    const struct resolver_options o = {
        .server = where, .timeout_ms = 300, .cache_max = 1000, .ttl_max_s = 86400, .negative_ttl_max_s = 300};
    assert_int_equal(resolver_create(&o, &z->resolver), ERR_OK);
}

void zone_stop(struct zone *z)
{
    resolver_free(z->resolver);
    responder_stop(z->server);
    for (size_t i = 0; i < z->count; i++)
        free((char *)(uintptr_t)z->row[i].rdata);
    free(z->row);
}
