/*
 * reason.c - see reason.h.
 */
#include "admission/reason.h"

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
