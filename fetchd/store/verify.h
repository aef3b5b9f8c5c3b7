/*
 * verify.h - whether everything in the store agrees: each record can be read and opened, has what it needs,
 * and stands in its indexes; each index row has its record; references and sums are what they count. And
 * putting right what does not.
 *
 * Each record is looked at in a transaction of its own, so nothing that is under way is taken for a mistake;
 * sums are only said to be wrong when they are wrong twice and nothing changed meanwhile. Thread-safe, beside
 * all other words.
 */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "store/store.h"

struct verify_finding {
    const char *what;  /* "payload-missing": see docs/OPERATIONS.md */
    const char *table; /* the table's name */
    char key[129];     /* the record's, in hex; a name for what a quota counts */
    const char *text;  /* for people */
    bool repaired;
    const char *quarantine; /* the name of the file that has what was taken out; "" when nothing was */
};
struct verify_options {
    bool repair; /* indexes and sums are made anew; what cannot be right is taken out and put into: */
    const char *quarantine; /* a directory, made when it is needed; with findings.json, a line for each. NULL:
                             * what would have to be taken out stays */
    bool deep;              /* every sealed byte is opened, and not only each payload's head */
    void (*each)(void *arg, const struct verify_finding *f);
    void *arg;
};
struct verify_result {
    uint64_t records, rows; /* looked at */
    uint64_t findings, repaired;
    bool sums; /* false: so much changed meanwhile that they could not be compared */
};
/* Before it is opened, which no process may have done: whether the tables' files are there and whole. When
 * findings are left that were not repaired, opening it may end in anything. A repair has emptied what
 * store_verify then makes anew, and until that has ended well with a repair the store opens with the option
 * repair alone. Adds to *out. Errors of store_open, with *why; ERR_IO: a file could not be looked at. */
enum err store_verify_tables(const struct store_options *o, const struct verify_options *options,
                             struct verify_result *out, struct buf *why);
/* Everything. A letter that is not there any more ends its ticket with a repair, and its sender is told. */
enum err store_verify(struct store *s, const struct verify_options *o, struct verify_result *out);

#endif
