/*
 * Addresses and domain names: what is read is written, and reads back as the same address.
 *
 * covers: common/mail/address.c
 */
#include <stdlib.h>
#include <string.h>

#include "mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check(const struct address *a)
{
    struct address again;
    struct span user, detail;
    char text[ADDRESS_TEXT_MAX], domain[ADDRESS_DOMAIN_MAX + 1];
    address_text_given(a, text);
    require(address_parse(span_of(text), &again) == ERR_OK && address_equal(a, &again));
    address_text(a, text);
    require(address_parse(span_of(text), &again) == ERR_OK && address_equal(a, &again) &&
            address_equal_nocase(a, &again));
    require(a->null ||
            (domain_normalise(span_of(a->domain), domain) == ERR_OK && strcmp(domain, a->domain) == 0));
    for (const char *c = text; *c != '\0'; c++)
        require((unsigned char)*c >= ' ' && *c != 0x7f);
    address_key(a, text);
    for (const char *c = text; *c != '\0'; c++)
        require(*c < 'A' || *c > 'Z');
    address_detail(a, '+', &user, &detail);
    require(user.len + detail.len <= strlen(a->local));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct address a;
    char domain[ADDRESS_DOMAIN_MAX + 1];
    struct span text = span_bytes(data, size);
    if (address_parse(text, &a) == ERR_OK)
        check(&a);
    if (domain_normalise(text, domain) == ERR_OK)
        require(strlen(domain) > 0 && strlen(domain) <= 253);
    return 0;
}
