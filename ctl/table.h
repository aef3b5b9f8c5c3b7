/*
 * table.h - lists for people: aligned columns, or one entry with a line a member. One thread.
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "local/rows.h"

struct table_column {
    const char *title;
    const char *key; /* in the row */
    size_t cut;      /* columns at most; 0: as wide as it is */
    bool optional;   /* not shown when no row has it */
};
/* What could move a cursor or turn text around never reaches the terminal (encode_visible). */
void table_print(FILE *out, const struct rows *rows, const struct table_column *columns, size_t count);
void table_print_entry(FILE *out, const struct rows *rows, size_t row);

#endif
