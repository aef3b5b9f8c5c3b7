/*
 * letter.c - a small state machine finds the end of the header across pieces of any size; the header is kept
 * (bounded) and read at the end, the body goes through a digest.
 */
#include "local/letter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/author.h"
#include "mail/header.h"

#define VALUE_MAX 65536

enum scan_state {
    SCAN_LINE_START, /* at the start of the letter or behind CRLF */
    SCAN_IN_LINE,
    SCAN_CR,       /* behind a CR within a line */
    SCAN_EMPTY_CR, /* behind a CR at a line's start: LF ends the header */
    SCAN_BODY,
};

struct letter_scan {
    enum scan_state state;
    bool full; /* the header is longer than what is kept */
    struct buf header;
    struct crypt_digest *body;
};

enum err letter_scan_create(struct letter_scan **out)
{
    enum err e;
    struct letter_scan *s = calloc(1, sizeof *s);

    if (!s)
        return ERR_NOMEM;
    buf_init(&s->header, AUTHOR_HEADER_MAX);
    if ((e = crypt_digest_create(&s->body))) {
        free(s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

void letter_scan_free(struct letter_scan *s)
{
    if (!s)
        return;
    crypt_digest_free(s->body);
    buf_free(&s->header);
    free(s);
}

/* How many of these bytes still belong to the header. */
static size_t header_part(struct letter_scan *s, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = data[i];
        switch (s->state) {
        case SCAN_LINE_START:
            s->state = c == '\r' ? SCAN_EMPTY_CR : SCAN_IN_LINE;
            break;
        case SCAN_IN_LINE:
            if (c == '\r')
                s->state = SCAN_CR;
            break;
        case SCAN_CR:
            s->state = c == '\n' ? SCAN_LINE_START : c == '\r' ? SCAN_CR : SCAN_IN_LINE;
            break;
        case SCAN_EMPTY_CR:
            if (c == '\n') {
                s->state = SCAN_BODY;
                return i + 1;
            }
            s->state = c == '\r' ? SCAN_CR : SCAN_IN_LINE;
            break;
        case SCAN_BODY:
            return i;
        }
    }
    return len;
}

enum err letter_scan_feed(struct letter_scan *s, const char *data, size_t len)
{
    size_t head = s->state == SCAN_BODY ? 0 : header_part(s, data, len);

    if (head && !s->full) {
        enum err e = buf_append(&s->header, data, head);
        if (e == ERR_TOO_LARGE)
            s->full = true;
        else if (e)
            return e;
    }
    return head < len ? crypt_digest_update(s->body, data + head, len - head) : ERR_OK;
}

struct span letter_scan_header(const struct letter_scan *s)
{
    return buf_span(&s->header);
}

/* The value unfolded, with no control character that could end a field or confuse a reader; cut to the room.
 */
static enum err copy_text(struct span value, char *out, size_t room)
{
    struct buf text;

    buf_init(&text, VALUE_MAX);
    enum err e = header_unfold(value, &text);
    if (!e && text.len) {
        size_t len = text.len < room - 1 ? text.len : room - 1;
        while (len < text.len && len && ((unsigned char)text.data[len] & 0xc0) == 0x80)
            len--; /* not within a UTF-8 character */
        for (size_t i = 0; i < len; i++) {
            unsigned char c = (unsigned char)text.data[i];
            out[i] = c < ' ' || c == 0x7f ? ' ' : (char)c;
        }
        out[len] = '\0';
    }
    buf_free(&text);
    return e == ERR_NOMEM ? e : ERR_OK;
}

/* Who wrote it, by the rule that the far end will use on the opened letter, and how the stub is to show him.
 */
static enum err read_author(struct span header, const struct address *reverse_path, struct letter_facts *out)
{
    enum err e;
    struct address author;
    struct span value;
    char text[ADDRESS_TEXT_MAX];

    if ((e = author_of(header, reverse_path, &author, &value)))
        return e;
    address_text(&author, text);
    if (strlen(text) >= sizeof out->from)
        return ERR_ADDRESS;
    strcpy(out->from, text);
    if (value.ptr && (e = copy_text(value, out->from_field, sizeof out->from_field)))
        return e;
    /* A field that had to be cut could end within a quoted string: the address alone is always right. */
    if (!out->from_field[0] || strlen(out->from_field) == sizeof out->from_field - 1)
        snprintf(out->from_field, sizeof out->from_field, "<%s>", out->from);
    return ERR_OK;
}

static enum err read_field(const struct header_field *f, struct letter_facts *out)
{
    struct span id;

    out->bulk = out->bulk || header_says_bulk(f->name, f->value);
    retention_field(&out->retention, f->name, f->value);
    if (span_is_nocase(f->name, "List-Id") && !out->list_id[0])
        (void)header_list_id(f->value, out->list_id); /* one that is none changes nothing */
    if (span_is_nocase(f->name, "Subject") && !out->subject[0])
        return copy_text(f->value, out->subject, sizeof out->subject);
    if (span_is_nocase(f->name, "Message-ID") && !out->message_id[0] &&
        header_message_id(f->value, &id) == ERR_OK)
        return copy_text(id, out->message_id, sizeof out->message_id);
    return ERR_OK;
}

enum err letter_scan_finish(struct letter_scan *s, const struct address *reverse_path,
                            struct letter_facts *out)
{
    enum err e;
    struct header_field field;
    struct span rest = buf_span(&s->header);

    *out = (struct letter_facts){.from = ""};
    if (s->full)
        return ERR_TOO_LARGE;
    e = read_author(rest, reverse_path, out);
    while (!e && header_next(&rest, &field))
        e = read_field(&field, out);
    return e ? e : crypt_digest_final(s->body, out->body_digest);
}
