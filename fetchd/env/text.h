/*
 * text.h - copying text into the bounded strings of records. Thread-safe.
 */
#ifndef FETCHD_TEXT_H
#define FETCHD_TEXT_H

#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* from NULL: leaves "". ERR_TOO_LARGE, and nothing copied, when it does not fit. */
static inline enum err text_set(char *to, size_t room, const char *from)
{
    size_t len = from ? strlen(from) : 0;

    if (len >= room)
        return ERR_TOO_LARGE;
    if (len)
        memcpy(to, from, len);
    to[len] = '\0';
    return ERR_OK;
}
/* For an array: its own size is the bound. */
#define TEXT_SET(field, from) text_set(field, sizeof field, from)
/* What is only for the record may be cut. */
#define TEXT_CUT(field, from) ((void)snprintf(field, sizeof field, "%s", (from) ? (from) : ""))

#endif
