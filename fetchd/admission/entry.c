/*
 * entry.c - see entry.h.
 */
#include "admission/entry.h"

#include <stdio.h>
#include <string.h>

#include "mail/address.h"
#include "mail/header.h"

#define ENVELOPE "envelope:"
#define LIST "list:"

static enum err bad(struct buf *why, const char *what)
{
    (void)buf_append_str(why, what);
    return ERR_SYNTAX;
}

static enum err parse_address(struct span text, enum entry_kind kind, struct entry *out, struct buf *why)
{
    struct address a;
    /* It would be dropped: what is written shall be what is kept. */
    bool route =
        text.len > 1 && (text.ptr[0] == '@' || text.ptr[1] == '@') && memchr(text.ptr, ':', text.len);

    if (route || text.len == 0 || address_parse(text, &a) != ERR_OK || a.null)
        return bad(why, text.len > 1 && text.ptr[0] == '@' && !memchr(text.ptr + 1, '@', text.len - 1)
                            ? "a domain is written without @"
                            : "no address: user@domain, without comments");
    if (strcmp(a.local, "*") == 0)
        return bad(why, "there are no patterns: a.example is a domain, .a.example what is below it");
    out->kind = kind;
    address_key(&a, out->value);
    return ERR_OK;
}

static enum err parse_domain(struct span text, enum entry_kind kind, struct entry *out, struct buf *why)
{
    char domain[ADDRESS_DOMAIN_MAX + 1];

    /* A name of one label is a user without a domain rather than all of a country. */
    if (domain_normalise(text, domain) != ERR_OK || (kind == ENTRY_DOMAIN && !strchr(domain, '.')))
        return bad(why, "neither an address nor a domain nor a <list-id>");
    out->kind = kind;
    snprintf(out->value, sizeof out->value, "%s", domain);
    return ERR_OK;
}

/* The identifier alone, without <>. */
static enum err parse_list(struct span text, struct entry *out, struct buf *why)
{
    char id[HEADER_LIST_ID_MAX + 1], field[HEADER_LIST_ID_MAX + 3];

    int len = snprintf(field, sizeof field, "<%.*s>", (int)text.len, text.ptr);
    if (len < 0 || (size_t)len >= sizeof field || (size_t)len != text.len + 2 || strchr(field + 1, '<') ||
        header_list_id(span_of(field), id) != ERR_OK)
        return bad(why, "no list-id: <name.domain>");
    out->kind = ENTRY_LIST;
    snprintf(out->value, sizeof out->value, "%s", id);
    return ERR_OK;
}

static struct span behind(struct span text, const char *prefix)
{
    return span_bytes(text.ptr + strlen(prefix), text.len - strlen(prefix));
}

static enum err parse(struct span text, struct entry *out, struct buf *why)
{
    bool brackets = text.len > 2 && text.ptr[0] == '<' && text.ptr[text.len - 1] == '>';

    if (span_starts_nocase(text, ENVELOPE))
        return parse_address(behind(text, ENVELOPE), ENTRY_ENVELOPE, out, why);
    if (span_starts_nocase(text, LIST)) {
        struct span id = behind(text, LIST);
        brackets = id.len > 2 && id.ptr[0] == '<' && id.ptr[id.len - 1] == '>';
        return parse_list(brackets ? span_bytes(id.ptr + 1, id.len - 2) : id, out, why);
    }
    if (memchr(text.ptr, '@', text.len))
        return parse_address(text, ENTRY_ADDRESS, out, why);
    if (brackets)
        return parse_list(span_bytes(text.ptr + 1, text.len - 2), out, why);
    if (text.len && text.ptr[0] == '.')
        return parse_domain(behind(text, "."), ENTRY_SUBDOMAINS, out, why);
    return parse_domain(text, ENTRY_DOMAIN, out, why);
}

enum err entry_parse(const char *text, struct entry *out, struct buf *why)
{
    enum err e = parse(span_trim(span_of(text)), out, why);

    if (!e)
        out->domain[0] = '\0';
    return e;
}

void entry_text(const struct entry *e, char out[ENTRY_TEXT_MAX])
{
    static const char *const before[ENTRY_KIND_COUNT] = {[ENTRY_ADDRESS] = "",
                                                         [ENTRY_ENVELOPE] = ENVELOPE,
                                                         [ENTRY_DOMAIN] = "",
                                                         [ENTRY_SUBDOMAINS] = ".",
                                                         [ENTRY_LIST] = "<"};

    snprintf(out, ENTRY_TEXT_MAX, "%s%s%s", before[e->kind], e->value, e->kind == ENTRY_LIST ? ">" : "");
}

static const char *text_or_empty(const char *s)
{
    return s ? s : "";
}

/* "" when there is none. The last @: a quoted local part may have others. */
static const char *domain_of(const char *address)
{
    const char *at = strrchr(address, '@');

    return at ? at + 1 : "";
}

static bool is_below(const char *domain, const char *parent)
{
    size_t len = strlen(domain), parent_len = strlen(parent);

    return parent_len > 0 && len > parent_len + 1 && domain[len - parent_len - 1] == '.' &&
           strcmp(domain + len - parent_len, parent) == 0;
}

static bool address_fits(const struct entry *e, const char *address)
{
    const char *domain = domain_of(address);

    if (!*address)
        return false;
    switch (e->kind) {
    case ENTRY_ADDRESS:
    case ENTRY_ENVELOPE:
        return strcmp(e->value, address) == 0;
    case ENTRY_DOMAIN:
        return strcmp(e->value, domain) == 0;
    case ENTRY_SUBDOMAINS:
        return is_below(domain, e->value);
    default:
        return false;
    }
}

/* A list may send from a domain below the one that it is known by. */
static bool list_fits(const struct entry *e, const char *list_id, const char *verified)
{
    if (!*list_id || strcmp(e->value, list_id) != 0)
        return false;
    return (e->deny && !e->domain[0]) || strcmp(e->domain, verified) == 0 || is_below(verified, e->domain);
}

bool entry_matches(const struct entry *e, const struct entry_subject *s)
{
    const char *author = text_or_empty(s->author), *originator = text_or_empty(s->originator);

    if (e->kind == ENTRY_LIST)
        return list_fits(e, text_or_empty(s->list_id), text_or_empty(s->verified));
    if (e->deny)
        return address_fits(e, author) || address_fits(e, originator);
    if (e->kind == ENTRY_ENVELOPE)
        return address_fits(e, originator);
    return s->aligned && address_fits(e, author);
}
