#include "base/err.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#define NAME_MAX_LEN 24

static const struct err_row {
    const char *word;
    struct err_info info;
} rows[ERR_COUNT] = {
#define ERR_ROW(name, temporary, smtp, enhanced, http, text)                                                 \
    [ERR_##name] = {#name, {NULL, temporary, smtp, enhanced, http, text}},
    ERR_TABLE(ERR_ROW)
#undef ERR_ROW
};

/* The table with its names turned into lower case with '-', made once. */
static struct err_info info[ERR_COUNT];
static char names[ERR_COUNT][NAME_MAX_LEN];
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void make(void)
{
    for (int e = 0; e < ERR_COUNT; e++) {
        const char *word = rows[e].word;
        size_t i = 0;
        for (; word[i] != '\0' && i + 1 < NAME_MAX_LEN; i++)
            names[e][i] = word[i] == '_' ? '-' : (char)tolower((unsigned char)word[i]);
        names[e][i] = '\0';
        info[e] = rows[e].info;
        info[e].name = names[e];
    }
}

const struct err_info *err_info(enum err e)
{
    (void)pthread_once(&made, make);
    return (unsigned)e < ERR_COUNT ? &info[e] : &info[ERR_INTERNAL];
}

const char *err_text(enum err e)
{
    return err_info(e)->text;
}

const char *err_name(enum err e)
{
    return err_info(e)->name;
}

bool err_temporary(enum err e)
{
    return err_info(e)->temporary;
}

enum err err_from_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_DISK_FULL;
    case ENOMEM:
        return ERR_NOMEM;
    default:
        return ERR_IO;
    }
}
