/*
 * Received fields, one a line ("\n" before a blank folds): the host that is found is none of ours, and what
 * stands below its field, or below one that cannot be read, changes nothing.
 *
 * covers: common/proof/entered.c
 */
#include <stdlib.h>
#include <string.h>

#include "proof/entered.h"

#define FIELDS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static size_t split(struct span text, struct span field[FIELDS_MAX])
{
    size_t count = 0, start = 0;
    for (size_t i = 0; i <= text.len && count < FIELDS_MAX; i++) {
        bool folds = i + 1 < text.len && (text.ptr[i + 1] == ' ' || text.ptr[i + 1] == '\t');
        if (i == text.len || (text.ptr[i] == '\n' && !folds)) {
            field[count++] = (struct span){text.ptr + start, i - start};
            start = i + 1;
        }
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char forged[] = "from forged.example (forged.example [203.0.113.66]) by relay.b.example";
    struct netprefix trusted[2];
    struct span field[FIELDS_MAX + 1];
    struct entered all, some;
    if (size == 0)
        return 0;
    size_t count = split(span_bytes(data, size), field);
    require(netprefix_parse(span_of("192.0.2.0/24"), &trusted[0]) == ERR_OK);
    require(netprefix_parse(span_of("2001:db8::/32"), &trusted[1]) == ERR_OK);
    bool known = entered_find(field, count, trusted, 2, &all);
    if (known) {
        require(!entered_is_trusted(&all.client, trusted, 2) && all.field < count);
        for (const char *c = all.helo; *c != '\0'; c++)
            require(*c > ' ' && *c <= '~');
        field[all.field + 1] = span_of(forged);
        require(entered_find(field, all.field + 2, trusted, 2, &some));
        require(memcmp(&all.client, &some.client, sizeof all.client) == 0 && all.field == some.field &&
                strcmp(all.helo, some.helo) == 0);
    } else {
        /* either all of them are ours, and a stranger follows, or one cannot be read, and nothing follows */
        field[count] = span_of(forged);
        require(!entered_find(field, count + 1, trusted, 2, &some) || some.field == count);
    }
    return 0;
}
