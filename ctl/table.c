/*
 * table.c - see table.h.
 */
#include "table.h"

#include <stdlib.h>
#include <string.h>

#include "base/encode.h"

#define CELL_MAX 8192

static size_t columns_of(const char *text, size_t len)
{
    size_t columns = 0;

    for (size_t i = 0; i < len; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80; /* a UTF-8 character counts once */
    return columns;
}

/* Cuts to a number of columns, on a character's boundary. */
static void cut(struct buf *cell, size_t columns)
{
    size_t at = 0, seen = 0;
    const char *text = buf_cstr(cell);

    if (columns == 0 || columns_of(text, cell->len) <= columns)
        return;
    while (at < cell->len && (seen < columns - 1 || ((unsigned char)text[at] & 0xc0) == 0x80)) {
        at++;
        seen = columns_of(text, at);
    }
    cell->len = at;
    buf_append_char(cell, '~');
}

static void cell_of(const struct rows *rows, size_t row, const struct table_column *column, struct buf *cell)
{
    char number[32];
    const char *text = rows_get_text(rows, row, column->key);

    if (!text[0] && rows_has_number(rows, row, column->key)) {
        snprintf(number, sizeof number, "%lld", (long long)rows_get_number(rows, row, column->key));
        text = number;
    }
    buf_clear(cell);
    encode_visible(cell, span_of(text[0] ? text : "-"));
    cut(cell, column->cut);
}

static void print_padded(FILE *out, const char *text, size_t width, bool last)
{
    size_t columns = columns_of(text, strlen(text));

    fputs(text, out);
    if (!last)
        fprintf(out, "%*s", (int)(width - columns + 2), "");
}

/* Columns that the widest cell needs; 0: an optional column in which no row has anything, or more than 0. */
static size_t width_of(const struct rows *rows, const struct table_column *column, struct buf *cell)
{
    size_t width = strlen(column->title);
    bool any = !column->optional;

    for (size_t row = 0; row < rows_count(rows); row++) {
        cell_of(rows, row, column, cell);
        size_t wide = columns_of(buf_cstr(cell), cell->len);
        any = any || (strcmp(buf_cstr(cell), "-") != 0 && strcmp(buf_cstr(cell), "0") != 0);
        if (wide > width)
            width = wide;
    }
    return any ? width : 0;
}

void table_print(FILE *out, const struct rows *rows, const struct table_column *columns, size_t count)
{
    struct buf cell;
    size_t last = 0, *width = calloc(count, sizeof *width);

    if (!width)
        return;
    buf_init(&cell, CELL_MAX);
    for (size_t c = 0; c < count; c++) {
        width[c] = width_of(rows, &columns[c], &cell);
        if (width[c])
            last = c;
    }
    for (size_t c = 0; c < count; c++) {
        if (width[c])
            print_padded(out, columns[c].title, width[c], c == last);
    }
    fputc('\n', out);
    for (size_t row = 0; row < rows_count(rows); row++) {
        for (size_t c = 0; c < count; c++) {
            if (!width[c])
                continue;
            cell_of(rows, row, &columns[c], &cell);
            print_padded(out, buf_cstr(&cell), width[c], c == last);
        }
        fputc('\n', out);
    }
    buf_free(&cell);
    free(width);
}

struct entry {
    FILE *out;
    size_t width;
};

static void measure(void *arg, const char *key, const char *value)
{
    struct entry *entry = arg;

    (void)value;
    if (strlen(key) > entry->width)
        entry->width = strlen(key);
}

static void print_member(void *arg, const char *key, const char *value)
{
    struct entry *entry = arg;
    struct buf shown;

    buf_init(&shown, CELL_MAX);
    encode_visible(&shown, span_of(value));
    print_padded(entry->out, key, entry->width, false);
    fprintf(entry->out, "%s\n", buf_cstr(&shown));
    buf_free(&shown);
}

void table_print_entry(FILE *out, const struct rows *rows, size_t row)
{
    struct entry entry = {.out = out};

    rows_each(rows, row, measure, &entry);
    rows_each(rows, row, print_member, &entry);
}
