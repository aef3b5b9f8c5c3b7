/*
 * reason.c - see reason.h.
 */
#include "admission/reason.h"

#include <string.h>

static const struct {
    const char *code, *text;
    enum err err;
} rows[REASON_COUNT] = {
#define REASON_ROW(name, code, error, text) [REASON_##name] = {code, text, ERR_##error},
    REASONS(REASON_ROW)
#undef REASON_ROW
};

const char *reason_code(enum reason r)
{
    return (unsigned)r < REASON_COUNT ? rows[r].code : "unknown";
}

const char *reason_text(enum reason r)
{
    return (unsigned)r < REASON_COUNT ? rows[r].text : "unknown";
}

enum err reason_err(enum reason r)
{
    return (unsigned)r < REASON_COUNT ? rows[r].err : ERR_INTERNAL;
}

enum reason reason_of(const char *code)
{
    for (unsigned r = 0; r < REASON_COUNT; r++)
        if (strcmp(rows[r].code, code) == 0)
            return (enum reason)r;
    return REASON_NONE;
}
