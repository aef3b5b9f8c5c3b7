/*
 * A ticket's URL, path and tag: one spelling each, so what is read is written again octet by octet.
 *
 * covers: common/ticket/ticket.c
 */
#include <stdlib.h>
#include <string.h>

#include "ticket/ticket.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct site_keys *keys;

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint16_t epochs[] = {1, 258};
    static const uint8_t key[][SITEKEY_BYTES] = {{1}, {2}};
    struct ticket_keys t;
    uint8_t hash[TICKET_STORE_KEY_BYTES];
    (void)argc;
    (void)argv;
    require(site_keys_from_bytes(epochs, key, 2, &keys) == ERR_OK);
    require(ticket_create(keys, &t) == ERR_OK);
    require(ticket_store_key(t.a, t.b, hash) == ERR_OK && ticket_ka_hash(t.ka, hash) == ERR_OK);
    ticket_wipe(&t);
    return 0;
}

static void check_url(struct span text)
{
    struct ticket_url u;
    char again[TICKET_URL_MAX + 1];
    if (ticket_url_parse(text, &u) != ERR_OK)
        return;
    require(ticket_url_format(&u, again) == ERR_OK && span_is(text, again));
}

static void check_path(struct span text)
{
    uint8_t a[TICKET_A_BYTES], b[TICKET_B_BYTES];
    struct span verb;
    char tag[TICKET_TAG_LEN + 1];
    struct ticket_keys t;
    if (ticket_path_parse(text, a, b, &verb) != ERR_OK)
        return;
    require(verb.len == 0 || (verb.ptr + verb.len == text.ptr + text.len && verb.ptr[-1] == '/'));
    enum err e = ticket_tag_format(keys, a, tag);
    require(e == ticket_derive(keys, a, &t));
    if (e == ERR_OK)
        require(ticket_tag_parse(keys, span_of(tag), b) == ERR_OK && memcmp(a, b, sizeof a) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_bytes(data, size);
    uint8_t a[TICKET_A_BYTES];
    check_url(text);
    check_path(text);
    if (ticket_tag_parse(keys, text, a) == ERR_OK)
        require(size == TICKET_TAG_LEN);
    return 0;
}
