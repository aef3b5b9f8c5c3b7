#include "base/config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"

struct suffix {
    char letter;
    int64_t factor;
};
/* Largest first: printing takes the first that divides. */
static const struct suffix size_suffixes[] = {{'g', 1073741824}, {'m', 1048576}, {'k', 1024}, {0, 0}};
static const struct suffix duration_suffixes[] = {{'w', 604800}, {'d', 86400}, {'h', 3600},
                                                  {'m', 60},     {'s', 1},     {0, 0}};

static const struct suffix *suffixes_of(enum config_type type)
{
    static const struct suffix none[] = {{0, 0}};
    return type == CONFIG_SIZE ? size_suffixes : type == CONFIG_DURATION ? duration_suffixes : none;
}

static void *field(const struct config_row *row, void *settings)
{
    return (char *)settings + row->offset;
}

static const void *const_field(const struct config_row *row, const void *settings)
{
    return (const char *)settings + row->offset;
}

/* Where messages come from and go to. */
struct context {
    const char *file;
    unsigned line;
    struct buf *why;
};

static enum err complain(const struct context *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum err complain(const struct context *c, const char *format, ...)
{
    char message[CONFIG_WHY_MAX];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(message, sizeof message, format, ap);
    va_end(ap);
    buf_clear(c->why);
    (void)buf_printf(c->why, "%s:%u: ", c->file, c->line);
    size_t len = strlen(message), room = c->why->max - c->why->len;
    (void)buf_append(c->why, message, len < room ? len : room);
    return ERR_CONFIG;
}

/* A value as it may stand in a message: printable, and short. The caller frees the buffer. */
static const char *shown(struct buf *b, struct span s)
{
    buf_init(b, 400);
    if (s.len > 80)
        s.len = 80;
    (void)encode_printable(b, s);
    return buf_cstr(b);
}

/* --- one value */

static void list_free(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->item[i]);
    free(list->item);
    *list = (struct config_list){NULL, 0};
}

static bool is_separator(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

/* The next item of a list, taken off the front of *s; false at the end. */
static bool next_item(struct span *s, struct span *item)
{
    size_t i = 0;
    while (i < s->len && is_separator(s->ptr[i]))
        i++;
    size_t start = i;
    while (i < s->len && !is_separator(s->ptr[i]))
        i++;
    *item = (struct span){s->ptr + start, i - start};
    *s = (struct span){s->ptr + i, s->len - i};
    return item->len > 0;
}

static enum err parse_list(struct span value, struct config_list *out)
{
    struct config_list list = {NULL, 0};
    struct span rest = value, item;
    size_t count = 0;
    while (next_item(&rest, &item))
        count++;
    if (count > 0) {
        list.item = calloc(count, sizeof *list.item);
        if (list.item == NULL)
            return ERR_NOMEM;
        for (rest = value; next_item(&rest, &item); list.count++) {
            list.item[list.count] = span_dup(item);
            if (list.item[list.count] == NULL) {
                list_free(&list);
                return ERR_NOMEM;
            }
        }
    }
    *out = list;
    return ERR_OK;
}

/* Digits and at most one suffix letter. */
static bool parse_amount(struct span value, enum config_type type, int64_t *out)
{
    int64_t factor = 1;
    if (value.len > 0) {
        char last = value.ptr[value.len - 1];
        for (const struct suffix *s = suffixes_of(type); s->letter != 0; s++) {
            if (last == s->letter || last == s->letter - 'a' + 'A') {
                factor = s->factor;
                value.len--;
                break;
            }
        }
    }
    uint64_t number;
    if (!span_to_u64(value, (uint64_t)(INT64_MAX / factor), &number))
        return false;
    *out = (int64_t)number * factor;
    return true;
}

static void amount_text(int64_t value, enum config_type type, char *out, size_t size)
{
    for (const struct suffix *s = suffixes_of(type); s->letter != 0; s++) {
        if (value != 0 && value % s->factor == 0) {
            (void)snprintf(out, size, "%jd%c", (intmax_t)(value / s->factor), s->letter);
            return;
        }
    }
    (void)snprintf(out, size, "%jd", (intmax_t)value);
}

/* The words of "hard soft": which one value is, or -1. */
static int choice_index(const char *choices, struct span value)
{
    struct span rest = span_of(choices), item;
    for (int i = 0; next_item(&rest, &item); i++)
        if (span_equal(item, value))
            return i;
    return -1;
}

static struct span choice_word(const char *choices, int index)
{
    struct span rest = span_of(choices), item = {"", 0};
    for (int i = 0; i <= index && next_item(&rest, &item); i++)
        ;
    return item;
}

static const char *type_name(enum config_type type)
{
    switch (type) {
    case CONFIG_SIZE:
        return "a size (a number of bytes, or with k, m or g)";
    case CONFIG_DURATION:
        return "a time (a number of seconds, or with s, m, h, d or w)";
    case CONFIG_FLAG:
        return "yes or no";
    case CONFIG_NUMBER:
    case CONFIG_TEXT:
    case CONFIG_LIST:
    case CONFIG_CHOICE:
        break;
    }
    return "a whole number";
}

static enum err out_of_range(const struct context *c, const struct config_row *row, int64_t value)
{
    char is[32], min[32], max[32];
    bool counted = row->type == CONFIG_LIST || row->type == CONFIG_TEXT;
    enum config_type type = counted ? CONFIG_NUMBER : row->type;
    amount_text(value, type, is, sizeof is);
    amount_text(row->min, type, min, sizeof min);
    amount_text(row->max, type, max, sizeof max);
    if (row->type == CONFIG_TEXT && value == 0)
        return complain(c, "%s must not be empty", row->name);
    return complain(c, "%s: %s%s is out of range: %s to %s", row->name, is,
                    row->type == CONFIG_LIST   ? " items"
                    : row->type == CONFIG_TEXT ? " bytes"
                                               : "",
                    min, max);
}

/* Replaces the row's value; the old one stays on error. */
static enum err set_value(const struct context *c, const struct config_row *row, struct span value,
                          void *settings)
{
    void *at = field(row, settings);
    int64_t amount;
    struct config_list list;
    char *text;
    int index;
    enum err e;
    struct buf b;
    switch (row->type) {
    case CONFIG_TEXT:
        if ((int64_t)value.len < row->min || (int64_t)value.len > row->max)
            return out_of_range(c, row, (int64_t)value.len);
        text = span_dup(value);
        if (text == NULL)
            return ERR_NOMEM;
        free(*(char **)at);
        *(char **)at = text;
        return ERR_OK;
    case CONFIG_LIST:
        e = parse_list(value, &list);
        if (e != ERR_OK)
            return e;
        if ((int64_t)list.count < row->min || (int64_t)list.count > row->max) {
            amount = (int64_t)list.count;
            list_free(&list);
            return out_of_range(c, row, amount);
        }
        list_free(at);
        *(struct config_list *)at = list;
        return ERR_OK;
    case CONFIG_NUMBER:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        if (!parse_amount(value, row->type, &amount))
            break;
        if (amount < row->min || amount > row->max)
            return out_of_range(c, row, amount);
        *(int64_t *)at = amount;
        return ERR_OK;
    case CONFIG_FLAG:
        if (!span_is(value, "yes") && !span_is(value, "no"))
            break;
        *(bool *)at = value.len == 3;
        return ERR_OK;
    case CONFIG_CHOICE:
        index = choice_index(row->choices, value);
        if (index < 0) {
            e = complain(c, "%s: \"%s\" is none of: %s", row->name, shown(&b, value), row->choices);
            buf_free(&b);
            return e;
        }
        *(int *)at = index;
        return ERR_OK;
    }
    e = complain(c, "%s: \"%s\" is not %s", row->name, shown(&b, value), type_name(row->type));
    buf_free(&b);
    return e;
}

static void clear_value(const struct config_row *row, void *settings)
{
    void *at = field(row, settings);
    switch (row->type) {
    case CONFIG_TEXT:
        *(char **)at = NULL;
        break;
    case CONFIG_LIST:
        *(struct config_list *)at = (struct config_list){NULL, 0};
        break;
    case CONFIG_NUMBER:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        *(int64_t *)at = 0;
        break;
    case CONFIG_FLAG:
        *(bool *)at = false;
        break;
    case CONFIG_CHOICE:
        *(int *)at = 0;
        break;
    }
}

bool config_duration(struct span text, int64_t *out_s)
{
    return parse_amount(text, CONFIG_DURATION, out_s);
}

void config_duration_text(int64_t duration_s, char out[CONFIG_DURATION_MAX])
{
    amount_text(duration_s, CONFIG_DURATION, out, CONFIG_DURATION_MAX);
}

void config_free(const struct config_row *rows, size_t count, void *settings)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].type == CONFIG_TEXT)
            free(*(char **)field(&rows[i], settings));
        else if (rows[i].type == CONFIG_LIST)
            list_free(field(&rows[i], settings));
        clear_value(&rows[i], settings);
    }
}

/* --- the file */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Bytes that a text file of an administrator does not have: they would hide in a terminal. */
static enum err check_line(const struct context *c, struct span line)
{
    for (size_t i = 0; i < line.len; i++) {
        unsigned char byte = (unsigned char)line.ptr[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f)
            return complain(c,
                            byte == '\r' ? "carriage return in the line: the file needs plain line ends"
                                         : "control character \\x%02x in the line",
                            byte);
    }
    return utf8_valid(line) ? ERR_OK : complain(c, "the line is not valid UTF-8");
}

/* A parameter's whole text, continuation lines joined by one blank, with the line where it began. */
struct logical {
    struct buf text;
    unsigned line;
};

static enum err set_parameter(struct logical *l, const char *file, const struct config_row *rows,
                              size_t count, void *settings, unsigned *seen, struct buf *why)
{
    const struct context c = {file, l->line, why};
    struct span name, value;
    struct buf b;
    enum err e;
    if (!span_cut(buf_span(&l->text), '=', &name, &value)) {
        e = complain(&c, "\"%s\": expected name = value", shown(&b, name));
        buf_free(&b);
        return e;
    }
    name = span_trim(name);
    value = span_trim(value);
    size_t i = 0;
    while (i < count && !span_is(name, rows[i].name))
        i++;
    if (i == count) {
        e = complain(&c, "unknown parameter \"%s\"", shown(&b, name));
        buf_free(&b);
        return e;
    }
    if (seen[i] != 0)
        return complain(&c, "%s was given already in line %u", rows[i].name, seen[i]);
    if (value.len > 0 && memchr(value.ptr, '$', value.len) != NULL)
        return complain(&c, "%s: '$' in the value: this file expands nothing", rows[i].name);
    seen[i] = l->line;
    return set_value(&c, &rows[i], value, settings);
}

static enum err parse_lines(struct span text, const char *file, const struct config_row *rows, size_t count,
                            void *settings, unsigned *seen, struct buf *why)
{
    struct logical l = {.line = 0};
    struct context c = {file, 0, why};
    enum err e = ERR_OK;
    buf_init(&l.text, CONFIG_FILE_MAX);
    while (e == ERR_OK && text.len > 0) {
        struct span line;
        (void)span_cut(text, '\n', &line, &text);
        c.line++;
        e = check_line(&c, line);
        if (e != ERR_OK)
            break;
        struct span words = span_trim(line);
        if (words.len == 0 || words.ptr[0] == '#')
            continue;
        if (is_blank(line.ptr[0])) {
            if (l.line == 0) {
                e = complain(
                    &c, "the line begins with a blank, but there is no parameter before it to go on with");
                break;
            }
            e = buf_append_char(&l.text, ' ');
        } else {
            if (l.line != 0)
                e = set_parameter(&l, file, rows, count, settings, seen, why);
            buf_clear(&l.text);
            l.line = c.line;
        }
        if (e == ERR_OK)
            e = buf_append_span(&l.text, words);
    }
    if (e == ERR_OK && l.line != 0)
        e = set_parameter(&l, file, rows, count, settings, seen, why);
    buf_free(&l.text);
    return e;
}

enum err config_parse(struct span text, const char *file, const struct config_row *rows, size_t count,
                      void *settings, unsigned *lines, struct buf *why)
{
    struct context c = {"default", 0, why};
    enum err e = ERR_OK;
    for (size_t i = 0; i < count; i++)
        clear_value(&rows[i], settings);
    unsigned *seen = calloc(count > 0 ? count : 1, sizeof *seen);
    if (seen == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        e = set_value(&c, &rows[i], span_of(rows[i].fallback), settings);
        assert(e != ERR_CONFIG); /* a default that its own row refuses is a bug in the table */
    }
    if (e == ERR_OK)
        e = text.len > CONFIG_FILE_MAX ? complain(&(struct context){file, 1, why}, "the file is too large")
                                       : parse_lines(text, file, rows, count, settings, seen, why);
    if (lines != NULL)
        memcpy(lines, seen, count * sizeof *lines);
    free(seen);
    return e;
}

static enum err read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return ERR_IO;
    enum err e = ERR_OK;
    for (;;) {
        char *at = buf_reserve(out, 4096);
        if (at == NULL) {
            e = out->len + 4096 > out->max ? ERR_OK
                                           : ERR_NOMEM; /* longer than allowed: config_parse says so */
            break;
        }
        size_t n = fread(at, 1, 4096, f);
        buf_added(out, n);
        if (n < 4096) {
            if (ferror(f))
                e = ERR_IO;
            break;
        }
    }
    int saved = errno;
    (void)fclose(f);
    errno = saved;
    return e;
}

enum err config_load(const char *path, const struct config_row *rows, size_t count, void *settings,
                     unsigned *lines, struct buf *why)
{
    struct buf text;
    buf_init(&text, CONFIG_FILE_MAX + 8192);
    enum err e = path == NULL ? ERR_OK : read_file(path, &text);
    if (e == ERR_OK) {
        e = config_parse(buf_span(&text), path == NULL ? "" : path, rows, count, settings, lines, why);
    } else {
        for (size_t i = 0; i < count; i++)
            clear_value(&rows[i], settings);
        (void)complain(&(struct context){path, 0, why}, "%s", e == ERR_IO ? strerror(errno) : err_text(e));
    }
    buf_free(&text);
    return e;
}

/* --- printing */

static void print_value(FILE *out, const struct config_row *row, const void *settings)
{
    const void *at = const_field(row, settings);
    const struct config_list *list;
    struct span word;
    char amount[32];
    switch (row->type) {
    case CONFIG_TEXT:
        (void)fputs(*(char *const *)at, out);
        break;
    case CONFIG_LIST:
        list = at;
        for (size_t i = 0; i < list->count; i++)
            (void)fprintf(out, "%s%s", i > 0 ? ", " : "", list->item[i]);
        break;
    case CONFIG_NUMBER:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        amount_text(*(const int64_t *)at, row->type, amount, sizeof amount);
        (void)fputs(amount, out);
        break;
    case CONFIG_FLAG:
        (void)fputs(*(const bool *)at ? "yes" : "no", out);
        break;
    case CONFIG_CHOICE:
        word = choice_word(row->choices, *(const int *)at);
        (void)fprintf(out, "%.*s", (int)word.len, word.ptr);
        break;
    }
}

void config_print(FILE *out, const struct config_row *rows, size_t count, const void *settings,
                  unsigned programs)
{
    for (size_t i = 0; i < count; i++) {
        if ((rows[i].programs & programs) == 0)
            continue;
        (void)fprintf(out, "%s = ", rows[i].name);
        print_value(out, &rows[i], settings);
        (void)fputc('\n', out);
    }
}

/* Our own help text for roff: a backslash is "\e", and no line may begin with a dot or an apostrophe. */
static void print_roff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        (void)fputs("\\&", out);
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            (void)fputs("\\e", out);
        else
            (void)fputc(*text, out);
    }
}

static void print_range(FILE *out, const struct config_row *row)
{
    char min[32], max[32];
    switch (row->type) {
    case CONFIG_NUMBER:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        if (row->min == row->max)
            break;
        amount_text(row->min, row->type, min, sizeof min);
        amount_text(row->max, row->type, max, sizeof max);
        (void)fprintf(out, "\nFrom %s to %s%s%s.", min, max, row->unit[0] != '\0' ? " " : "", row->unit);
        break;
    case CONFIG_LIST:
        (void)fprintf(out, "\nA list%s%s.", row->unit[0] != '\0' ? " of " : "", row->unit);
        break;
    case CONFIG_CHOICE:
        (void)fprintf(out, "\nOne of: %s.", row->choices);
        break;
    case CONFIG_FLAG:
        (void)fputs("\nyes or no.", out);
        break;
    case CONFIG_TEXT:
        break;
    }
}

void config_print_mdoc(FILE *out, const struct config_row *rows, size_t count, unsigned programs)
{
    (void)fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < count; i++) {
        if ((rows[i].programs & programs) == 0)
            continue;
        (void)fprintf(out, ".It Ic %s Pq \"default: ", rows[i].name);
        print_roff(out, rows[i].fallback[0] != '\0' ? rows[i].fallback : "empty");
        (void)fputs("\"\n", out);
        print_roff(out, rows[i].help);
        print_range(out, &rows[i]);
        (void)fputc('\n', out);
    }
    (void)fputs(".El\n", out);
}
