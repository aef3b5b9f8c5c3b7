/*
 * author.c - one rule for the sending and the receiving side, so that a letter opened at the far end is
 * judged exactly as it was when its ticket was made.
 */
#include "mail/author.h"

#include "mail/header.h"

/* The field's address when it stands exactly once and holds one mailbox; else ERR_ADDRESS. */
static enum err one_mailbox(struct span header, const char *name, struct address *out, struct span *value)
{
    struct header_field f;
    size_t count = 0;
    while (header_next(&header, &f)) {
        if (!span_is_nocase(span_trim(f.name), name))
            continue;
        *value = f.value;
        count++;
    }
    return count == 1 ? header_from_address(*value, out) : ERR_ADDRESS;
}

enum err author_of(struct span header, const struct address *reverse_path, struct address *out,
                   struct span *from_value)
{
    struct span value = {NULL, 0};
    struct address a;
    if (from_value)
        *from_value = (struct span){NULL, 0};
    enum err e = one_mailbox(header, "From", &a, &value);
    if (e == ERR_OK && from_value)
        *from_value = value;
    if (e != ERR_OK && !err_temporary(e))
        e = one_mailbox(header, "Sender", &a, &value);
    if (e == ERR_OK)
        *out = a;
    if (e == ERR_OK || err_temporary(e))
        return e;
    if (!reverse_path || reverse_path->null)
        return ERR_ADDRESS;
    *out = *reverse_path;
    return ERR_OK;
}
