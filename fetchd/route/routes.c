/*
 * routes.c - the table is a sorted array of normal forms: "user@domain" (lower case), "domain", ".domain".
 */
#include "route/routes.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVERYBODY "."                      /* what lies below the root */
#define ROUTES_FILE_MAX (64 * 1024 * 1024) /* bytes */

struct route_entry {
    char *pattern;
    enum route route;
    unsigned line;
};
struct routes {
    pthread_rwlock_t lock; /* guards all below */
    struct route_entry *entry;
    size_t count, room;
};

static const char *const route_words[] = {
    [ROUTE_AUTO] = "auto",
    [ROUTE_PULL] = "pull",
    [ROUTE_PLAIN] = "plain",
};

/* The normal form of a pattern as it is looked up. */
static enum err pattern_key(struct span pattern, char out[ADDRESS_TEXT_MAX])
{
    struct address address;

    if (memchr(pattern.ptr, '@', pattern.len)) {
        if (address_parse(pattern, &address) || address.null)
            return ERR_SYNTAX;
        address_key(&address, out);
        return ERR_OK;
    }
    if (span_is(pattern, EVERYBODY)) {
        memcpy(out, EVERYBODY, sizeof EVERYBODY);
        return ERR_OK;
    }
    if (pattern.ptr[0] == '.') {
        out[0] = '.';
        return domain_normalise((struct span){pattern.ptr + 1, pattern.len - 1}, out + 1);
    }
    return domain_normalise(pattern, out);
}

static enum err add(struct routes *r, const char *pattern, enum route route, unsigned line)
{
    if (r->count == r->room) {
        size_t room = r->room ? r->room * 2 : 64;
        struct route_entry *entry = reallocarray(r->entry, room, sizeof *entry);
        if (!entry)
            return ERR_NOMEM;
        r->entry = entry;
        r->room = room;
    }
    char *copy = strdup(pattern);
    if (!copy)
        return ERR_NOMEM;
    r->entry[r->count++] = (struct route_entry){copy, route, line};
    return ERR_OK;
}

/* One line that is neither empty nor a comment. */
static enum err parse_line(struct routes *r, struct span line, unsigned number, struct buf *why)
{
    char key[ADDRESS_TEXT_MAX];
    size_t end = 0;

    while (end < line.len && line.ptr[end] != ' ' && line.ptr[end] != '\t')
        end++;
    struct span pattern = {line.ptr, end};
    struct span word = {line.ptr + end, line.len - end};
    const char *comment = memchr(word.ptr, '#', word.len);
    if (comment)
        word.len = (size_t)(comment - word.ptr);
    word = span_trim(word);
    if (pattern_key(pattern, key)) {
        buf_append_str(why, "no user@domain, domain or .domain: ");
        buf_append_span(why, pattern);
        return ERR_CONFIG;
    }
    for (size_t i = 0; i < sizeof route_words / sizeof *route_words; i++) {
        if (span_is(word, route_words[i]))
            return add(r, key, (enum route)i, number);
    }
    buf_append_str(why, "must be pull, plain or auto: ");
    buf_append_span(why, word);
    return ERR_CONFIG;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct route_entry *)a)->pattern, ((const struct route_entry *)b)->pattern);
}

static enum err sort(struct routes *r, const char *name, struct buf *why)
{
    if (r->count)
        qsort(r->entry, r->count, sizeof *r->entry, compare);
    for (size_t i = 1; i < r->count; i++) {
        if (compare(&r->entry[i - 1], &r->entry[i]) == 0) {
            unsigned a = r->entry[i - 1].line, b = r->entry[i].line;
            buf_clear(why);
            buf_printf(why, "%s:%u: %s stands in line %u already", name, a > b ? a : b, r->entry[i].pattern,
                       a > b ? b : a);
            return ERR_CONFIG;
        }
    }
    return ERR_OK;
}

enum err routes_parse(const char *name, struct span text, struct routes **out, struct buf *why)
{
    enum err e = ERR_OK;
    struct buf reason;
    struct routes *r = calloc(1, sizeof *r);

    if (!r)
        return ERR_NOMEM;
    pthread_rwlock_init(&r->lock, NULL);
    buf_init(&reason, 2048);
    for (unsigned number = 1; text.len && !e; number++) {
        struct span line, rest;
        span_cut(text, '\n', &line, &rest);
        text = rest;
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        line = span_trim(line);
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        e = parse_line(r, line, number, &reason);
        if (e == ERR_CONFIG) {
            buf_printf(why, "%s:%u: ", name, number);
            buf_append_span(why, buf_span(&reason));
        }
    }
    if (!e)
        e = sort(r, name, why);
    buf_free(&reason);
    if (e) {
        routes_free(r);
        return e;
    }
    *out = r;
    return ERR_OK;
}

enum err routes_load(const char *path, struct routes **out, struct buf *why)
{
    enum err e = ERR_OK;
    struct buf text;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno != ENOENT) {
        buf_printf(why, "%s: %s", path, strerror(errno));
        return ERR_IO;
    }
    buf_init(&text, ROUTES_FILE_MAX);
    while (fd >= 0 && !e) {
        char *to = buf_reserve(&text, 65536);
        ssize_t got = to ? read(fd, to, 65536) : -1;
        if (!to) {
            e = ERR_TOO_LARGE;
            buf_printf(why, "%s: too large", path);
        } else if (got < 0) {
            e = ERR_IO;
            buf_printf(why, "%s: %s", path, strerror(errno));
        } else if (got == 0) {
            break;
        } else {
            buf_added(&text, (size_t)got);
        }
    }
    if (!e)
        e = routes_parse(path, buf_span(&text), out, why);
    if (fd >= 0)
        close(fd);
    buf_free(&text);
    return e;
}

void routes_free(struct routes *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        free(r->entry[i].pattern);
    free(r->entry);
    pthread_rwlock_destroy(&r->lock);
    free(r);
}

enum err routes_reload(struct routes *r, const char *path, struct buf *why)
{
    struct routes *fresh;
    enum err e = routes_load(path, &fresh, why);

    if (e)
        return e;
    pthread_rwlock_wrlock(&r->lock);
    struct route_entry *entry = r->entry;
    size_t count = r->count;
    r->entry = fresh->entry;
    r->count = fresh->count;
    r->room = fresh->room;
    pthread_rwlock_unlock(&r->lock);
    fresh->entry = entry;
    fresh->count = count;
    routes_free(fresh);
    return ERR_OK;
}

static const struct route_entry *look_up(const struct routes *r, char *pattern)
{
    struct route_entry wanted = {.pattern = pattern};

    return r->count ? bsearch(&wanted, r->entry, r->count, sizeof *r->entry, compare) : NULL;
}

static enum route find(const struct routes *r, const struct address *recipient)
{
    char key[ADDRESS_TEXT_MAX];
    const struct route_entry *found;

    address_key(recipient, key);
    if ((found = look_up(r, key)))
        return found->route;
    snprintf(key, sizeof key, "%s", recipient->domain);
    if ((found = look_up(r, key)))
        return found->route;
    for (char *dot = strchr(key, '.'); dot; dot = strchr(dot + 1, '.')) {
        if ((found = look_up(r, dot)))
            return found->route;
    }
    memcpy(key, EVERYBODY, sizeof EVERYBODY);
    found = look_up(r, key);
    return found ? found->route : ROUTE_AUTO;
}

enum route routes_find(const struct routes *r, const struct address *recipient)
{
    pthread_rwlock_t *lock = (pthread_rwlock_t *)&r->lock; /* the table is what is constant to callers */

    pthread_rwlock_rdlock(lock);
    enum route found = find(r, recipient);
    pthread_rwlock_unlock(lock);
    return found;
}
