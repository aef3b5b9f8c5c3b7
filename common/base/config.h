/*
 * config.h - a small table-driven reader for files in the grammar of Postfix's main.cf.
 *
 * "name = value" at the start of a line; a line that starts with a blank goes on with the one before; '#' at
 * the start of a line (after blanks too) is a comment; no expansion of any kind, so '$' is an error. An
 * unknown name, a name given twice, a value out of range is an error "file:line: message". One row declares a
 * parameter; parser, defaults, the -n dump and the manual page's table come from it.
 *
 * The loaded struct is immutable and may be read by any thread; loading itself is for one thread.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

enum config_type {
    CONFIG_TEXT,     /* char *; owned by the struct; "" when empty */
    CONFIG_NUMBER,   /* int64_t */
    CONFIG_SIZE,     /* int64_t bytes; suffix k, m, g (1024) allowed */
    CONFIG_DURATION, /* int64_t seconds; suffix s, m, h, d, w allowed; s when absent */
    CONFIG_FLAG,     /* bool; yes | no */
    CONFIG_LIST,     /* struct config_list; items separated by commas and/or blanks */
    CONFIG_CHOICE    /* int; index into the words of `choices` */
};

struct config_list {
    char **item; /* owned, NUL-terminated strings */
    size_t count;
};

struct config_row {
    const char *name;
    enum config_type type;
    size_t offset;        /* offsetof() in the settings struct */
    const char *fallback; /* the default, in the file's own grammar */
    int64_t min, max;     /* NUMBER, SIZE, DURATION: the range; LIST: how many items; TEXT: length in bytes */
    const char *choices;  /* CHOICE: "hard soft" */
    const char *unit;     /* for the manual page: "bytes", "seconds", ... or "" */
    const char *help;     /* one or two sentences */
    unsigned programs;    /* bit mask of the programs that use it; meaning belongs to the table's owner */
};

#define CONFIG_FILE_MAX 1048576L /* bytes of a file */
#define CONFIG_WHY_MAX 512       /* a good maximum for *why */

/*
 * Sets every row's default in *settings, then reads the file (NULL: defaults alone). On error *why
 * (initialised by the caller) holds "file:line: message" without a newline, cut to its maximum; *settings
 * must then still be released with config_free. lines: NULL, or one number a row, set to the line that gave
 * it (0: the default). ERR_CONFIG, ERR_IO, ERR_NOMEM.
 */
enum err config_load(const char *path, const struct config_row *rows, size_t count, void *settings,
                     unsigned *lines, struct buf *why);
/* The same from memory; file is the name for messages. */
enum err config_parse(struct span text, const char *file, const struct config_row *rows, size_t count,
                      void *settings, unsigned *lines, struct buf *why);
void config_free(const struct config_row *rows, size_t count, void *settings);

/* One duration, as a row of CONFIG_DURATION reads it ("90", "12h", "7d"), in seconds; false for anything
 * else. */
bool config_duration(struct span text, int64_t *out_s);
/* The same the other way: "7d". */
#define CONFIG_DURATION_MAX 32
void config_duration_text(int64_t duration_s, char out[CONFIG_DURATION_MAX]);

/* "name = value" of every row whose programs meet the mask, in the table's order, as config_load would read
 * it back. */
void config_print(FILE *out, const struct config_row *rows, size_t count, const void *settings,
                  unsigned programs);
/* The same rows as an mdoc(7) list for a manual page: name, default, range, unit, help. */
void config_print_mdoc(FILE *out, const struct config_row *rows, size_t count, unsigned programs);

#endif
