/*
 * A letter's header: walked, its fields read, and filtered. Cutting the letter elsewhere changes nothing, and
 * what the filter takes out is less than it was.
 *
 * covers: common/mail/header.c
 * covers: common/mail/header_filter.c
 * covers: common/mail/encoded_word.c
 */
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "mail/encoded_word.h"
#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* What is written as encoded words reads as it was. */
static void write_words(struct span text)
{
    struct buf written, read;
    buf_init(&written, 16 * text.len + 64);
    buf_init(&read, 48 * text.len + 192);
    require(encoded_word_append(text, &written) == ERR_OK);
    require(encoded_word_decode(buf_span(&written), &read) == ERR_OK);
    if (utf8_valid(text) && (text.len == 0 || memchr(text.ptr, '\0', text.len) == NULL))
        require(span_equal(buf_span(&read), text));
    buf_free(&written);
    buf_free(&read);
}

static void read_field(const struct header_field *f)
{
    struct address a;
    struct span id;
    struct buf text, read;
    char out[ADDRESS_TEXT_MAX], list[HEADER_LIST_ID_MAX + 1];
    buf_init(&text, f->value.len + 1);
    require(header_unfold(f->value, &text) == ERR_OK);
    buf_init(&read, 3 * f->value.len + 1);
    require(encoded_word_decode(buf_span(&text), &read) == ERR_OK);
    require(read.len == 0 || memchr(read.data, '\0', read.len) == NULL ||
            memchr(text.data, '\0', text.len) != NULL);
    buf_free(&read);
    write_words(buf_span(&text));
    buf_clear(&text);
    if (header_from_address(f->value, &a) == ERR_OK) {
        require(!a.null);
        address_text(&a, out);
        require(strchr(out, '@') != NULL);
    }
    if (header_message_id(f->value, &id) == ERR_OK)
        require(id.len > 0 && memchr(id.ptr, '>', id.len) == NULL);
    if (header_list_id(f->value, list) == ERR_OK)
        require(list[0] != '\0' && strpbrk(list, "<> \t\r\n") == NULL);
    (void)header_says_bulk(f->name, f->value);
    (void)header_is_report(f->value);
    if (header_authserv_id(f->value, &id) == ERR_OK)
        require(id.len > 0);
    (void)header_parameter(f->value, "boundary", &text);
    buf_free(&text);
}

static void filter(struct span letter, size_t piece, struct buf *out)
{
    struct header_filter *f = NULL;
    require(header_filter_create("mx.b.example", &f) == ERR_OK);
    for (size_t at = 0; at < letter.len; at += piece)
        require(header_filter_feed(f, letter.ptr + at, letter.len - at < piece ? letter.len - at : piece,
                                   false, out) == ERR_OK);
    require(header_filter_feed(f, NULL, 0, true, out) == ERR_OK);
    header_filter_free(f);
    header_filter_free(NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span letter = span_bytes(data, size), rest = letter;
    struct header_field f;
    struct buf whole, pieces;
    while (header_next(&rest, &f))
        read_field(&f);
    buf_init(&whole, size + 1);
    buf_init(&pieces, size + 1);
    filter(letter, size + 1, &whole);
    filter(letter, 1 + size % 7 + size / 500, &pieces);
    require(span_equal(buf_span(&whole), buf_span(&pieces)));
    require(whole.len <= size);
    require(whole.len == size || size > strlen("Authentication-Results:"));
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
