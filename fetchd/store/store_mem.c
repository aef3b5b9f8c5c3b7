/*
 * store_mem.c - the engine in memory: a skip list a table, one lock for all, an undo list a transaction. For
 * tests and trials; nothing survives close. With one lock no two transactions ever collide.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "store/engine.h"

#define LEVELS 18 /* fits some hundred thousand rows */

struct node {
    size_t key_len, value_len;
    uint8_t *key, *value; /* owned */
    int levels;
    struct node *next[];
};

struct undo {
    struct undo *older;
    enum engine_table table;
    uint8_t *key, *value; /* owned; value NULL with had false */
    size_t key_len, value_len;
    bool had;
};

struct blob {
    struct blob *next;
    uint8_t id[ENGINE_BLOB_ID_BYTES];
    int fd; /* a memfd */
};

struct mem {
    struct engine engine;
    pthread_mutex_t mutex;
    struct node *head[TABLE_COUNT];
    uint32_t random;
    struct blob *blobs;
};

struct engine_txn {
    struct mem *m;
    struct undo *undo;
};

struct engine_blob {
    struct mem *m;
    int fd;
};

struct engine_blob_walk {
    struct buf ids;
    size_t at;
};

/* ---- skip list ----------------------------------------------------------------------------------------- */

static int compare(const struct node *n, struct span key)
{
    size_t len = n->key_len < key.len ? n->key_len : key.len;
    int c = len == 0 ? 0 : memcmp(n->key, key.ptr, len);

    return c != 0 ? c : n->key_len < key.len ? -1 : n->key_len > key.len;
}

static struct node *node_create(struct span key, int levels)
{
    struct node *n = calloc(1, sizeof *n + (size_t)levels * sizeof n->next[0]);

    if (n == NULL)
        return NULL;
    n->levels = levels;
    n->key_len = key.len;
    if (key.len > 0 && (n->key = malloc(key.len)) == NULL) {
        free(n);
        return NULL;
    }
    if (key.len > 0)
        memcpy(n->key, key.ptr, key.len);
    return n;
}

static void node_free(struct node *n)
{
    if (n == NULL)
        return;
    free(n->key);
    if (n->value != NULL)
        secret_wipe(n->value, n->value_len);
    free(n->value);
    free(n);
}

/* before[i]: the last node of level i whose key is smaller. Returns the first that is not. */
static struct node *seek(struct node *head, struct span key, struct node *before[LEVELS])
{
    struct node *at = head;

    for (int i = LEVELS - 1; i >= 0; i--) {
        while (at->next[i] != NULL && compare(at->next[i], key) < 0)
            at = at->next[i];
        before[i] = at;
    }
    return at->next[0];
}

static int random_levels(struct mem *m)
{
    int levels = 1;

    m->random = m->random * 1664525U + 1013904223U;
    for (uint32_t bits = m->random >> 8; levels < LEVELS && (bits & 3) == 0; bits >>= 2)
        levels++;
    return levels;
}

static enum err set_value(struct node *n, struct span value)
{
    uint8_t *copy = malloc(value.len + 1);

    if (copy == NULL)
        return ERR_NOMEM;
    if (value.len > 0)
        memcpy(copy, value.ptr, value.len);
    if (n->value != NULL)
        secret_wipe(n->value, n->value_len);
    free(n->value);
    n->value = copy;
    n->value_len = value.len;
    return ERR_OK;
}

static enum err list_put(struct mem *m, enum engine_table table, struct span key, struct span value)
{
    struct node *before[LEVELS], *n = seek(m->head[table], key, before);
    enum err err;

    if (n != NULL && compare(n, key) == 0)
        return set_value(n, value);
    if ((n = node_create(key, random_levels(m))) == NULL)
        return ERR_NOMEM;
    if ((err = set_value(n, value)) != ERR_OK) {
        node_free(n);
        return err;
    }
    for (int i = 0; i < n->levels; i++) {
        n->next[i] = before[i]->next[i];
        before[i]->next[i] = n;
    }
    return ERR_OK;
}

static void list_del(struct mem *m, enum engine_table table, struct span key)
{
    struct node *before[LEVELS], *n = seek(m->head[table], key, before);

    if (n == NULL || compare(n, key) != 0)
        return;
    for (int i = 0; i < n->levels; i++)
        before[i]->next[i] = n->next[i];
    node_free(n);
}

/* ---- transactions -------------------------------------------------------------------------------------- */

static enum err mem_begin(struct engine *e, struct engine_txn **out)
{
    struct mem *m = (struct mem *)e;
    struct engine_txn *t = calloc(1, sizeof *t);

    if (t == NULL)
        return ERR_NOMEM;
    t->m = m;
    pthread_mutex_lock(&m->mutex);
    *out = t;
    return ERR_OK;
}

static enum err mem_begin_yielding(struct engine *e, struct engine_txn **out)
{
    return mem_begin(e, out); /* who waits for the one lock has none himself */
}

static struct node *find(struct engine_txn *t, enum engine_table table, struct span key)
{
    struct node *before[LEVELS], *n = seek(t->m->head[table], key, before);

    return n != NULL && compare(n, key) == 0 ? n : NULL;
}

static enum err mem_get(struct engine_txn *t, enum engine_table table, struct span key, bool update,
                        struct buf *out)
{
    const struct node *n = find(t, table, key);

    (void)update; /* nobody else reads meanwhile */
    buf_clear(out);
    return n == NULL ? ERR_NOT_FOUND : buf_append(out, n->value, n->value_len);
}

static void undo_free(struct undo *u)
{
    if (u == NULL)
        return;
    if (u->value != NULL)
        secret_wipe(u->value, u->value_len);
    free(u->key);
    free(u->value);
    free(u);
}

static enum err remember(struct engine_txn *t, enum engine_table table, struct span key)
{
    const struct node *n = find(t, table, key);
    struct undo *u = calloc(1, sizeof *u);

    if (u == NULL)
        return ERR_NOMEM;
    u->table = table;
    u->key_len = key.len;
    u->key = malloc(key.len + 1);
    if (n != NULL) {
        u->had = true;
        u->value_len = n->value_len;
        u->value = malloc(n->value_len + 1);
    }
    if (u->key == NULL || (u->had && u->value == NULL)) {
        undo_free(u);
        return ERR_NOMEM;
    }
    memcpy(u->key, key.ptr, key.len);
    if (u->had)
        memcpy(u->value, n->value, n->value_len);
    u->older = t->undo;
    t->undo = u;
    return ERR_OK;
}

static enum err mem_put(struct engine_txn *t, enum engine_table table, struct span key, struct span value)
{
    enum err err = remember(t, table, key);

    return err == ERR_OK ? list_put(t->m, table, key, value) : err;
}

static enum err mem_del(struct engine_txn *t, enum engine_table table, struct span key)
{
    enum err err;

    if (find(t, table, key) == NULL)
        return ERR_NOT_FOUND;
    if ((err = remember(t, table, key)) == ERR_OK)
        list_del(t->m, table, key);
    return err;
}

static void end(struct engine_txn *t)
{
    pthread_mutex_unlock(&t->m->mutex);
    while (t->undo != NULL) {
        struct undo *u = t->undo;

        t->undo = u->older;
        undo_free(u);
    }
    free(t);
}

static enum err mem_commit(struct engine_txn *t)
{
    end(t);
    return ERR_OK;
}

static void mem_abort(struct engine_txn *t)
{
    for (const struct undo *u = t->undo; u != NULL; u = u->older) {
        struct span key = span_bytes(u->key, u->key_len);

        /* Putting back what was there needs memory only for what a delete gave away just now. */
        if (!u->had)
            list_del(t->m, u->table, key);
        else if (list_put(t->m, u->table, key, span_bytes(u->value, u->value_len)) != ERR_OK)
            abort();
    }
    end(t);
}

static enum err mem_flush(struct engine *e)
{
    (void)e;
    return ERR_OK;
}

static enum err mem_scan(struct engine *e, enum engine_table table, struct span from, struct span until,
                         bool descending, size_t max, struct engine_rows *rows)
{
    struct mem *m = (struct mem *)e;
    struct node *before[LEVELS], *n;
    struct node **found = NULL;
    size_t count = 0, size = 0;
    enum err err = ERR_OK;

    engine_rows_clear(rows);
    pthread_mutex_lock(&m->mutex);
    n = seek(m->head[table], from, before);
    for (; n != NULL && (until.len == 0 || compare(n, until) < 0) && (descending || count < max);
         n = n->next[0]) {
        if (count == size) {
            struct node **more = reallocarray(found, size = size * 2 + 64, sizeof(struct node *));

            if (more == NULL) {
                err = ERR_NOMEM;
                goto out;
            }
            found = more;
        }
        found[count++] = n;
    }
    for (size_t i = 0; i < count && i < max && err == ERR_OK; i++) {
        n = found[descending ? count - 1 - i : i];
        err = engine_rows_add(rows, span_bytes(n->key, n->key_len), span_bytes(n->value, n->value_len));
    }
out:
    pthread_mutex_unlock(&m->mutex);
    free(found);
    return err;
}

/* ---- blobs --------------------------------------------------------------------------------------------- */

static enum err mem_blob_create(struct engine *e, struct engine_blob **out)
{
    struct engine_blob *b = calloc(1, sizeof *b);

    if (b == NULL)
        return ERR_NOMEM;
    b->m = (struct mem *)e;
    if ((b->fd = memfd_create("payload", MFD_CLOEXEC)) < 0) {
        free(b);
        return err_from_errno(errno);
    }
    *out = b;
    return ERR_OK;
}

static enum err mem_blob_write(struct engine_blob *b, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = write(b->fd, at, len);

        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
    return ERR_OK;
}

static enum err mem_blob_patch(struct engine_blob *b, const void *data, size_t len)
{
    return pwrite(b->fd, data, len, 0) == (ssize_t)len ? ERR_OK : ERR_IO;
}

static enum err mem_blob_read(struct engine_blob *b, uint64_t offset, void *out, size_t len)
{
    return pread(b->fd, out, len, (off_t)offset) == (ssize_t)len ? ERR_OK : ERR_IO;
}

static void mem_blob_abort(struct engine_blob *b)
{
    if (b == NULL)
        return;
    close(b->fd);
    free(b);
}

static enum err mem_blob_keep(struct engine_blob *b, const uint8_t id[ENGINE_BLOB_ID_BYTES])
{
    struct blob *kept = calloc(1, sizeof *kept);

    if (kept == NULL) {
        mem_blob_abort(b);
        return ERR_NOMEM;
    }
    memcpy(kept->id, id, sizeof kept->id);
    kept->fd = b->fd;
    pthread_mutex_lock(&b->m->mutex);
    kept->next = b->m->blobs;
    b->m->blobs = kept;
    pthread_mutex_unlock(&b->m->mutex);
    free(b);
    return ERR_OK;
}

static struct blob **find_blob(struct mem *m, const uint8_t id[ENGINE_BLOB_ID_BYTES])
{
    struct blob **at = &m->blobs;

    while (*at != NULL && memcmp((*at)->id, id, ENGINE_BLOB_ID_BYTES) != 0)
        at = &(*at)->next;
    return at;
}

static enum err mem_blob_open(struct engine *e, const uint8_t id[ENGINE_BLOB_ID_BYTES], int *fd,
                              uint64_t *size)
{
    struct mem *m = (struct mem *)e;
    struct blob *b;
    struct stat st;
    char path[64];
    enum err err = ERR_NOT_FOUND;

    pthread_mutex_lock(&m->mutex);
    b = *find_blob(m, id);
    if (b != NULL) {
        /* Opened anew, so that it has a file offset of its own. */
        snprintf(path, sizeof path, "/proc/self/fd/%d", b->fd);
        *fd = open(path, O_RDONLY | O_CLOEXEC);
        err = *fd >= 0 && fstat(*fd, &st) == 0 ? ERR_OK : ERR_STORE;
        if (err == ERR_OK)
            *size = (uint64_t)st.st_size;
    }
    pthread_mutex_unlock(&m->mutex);
    return err;
}

static enum err mem_blob_remove(struct engine *e, const uint8_t id[ENGINE_BLOB_ID_BYTES])
{
    struct mem *m = (struct mem *)e;
    struct blob **at, *b;

    pthread_mutex_lock(&m->mutex);
    at = find_blob(m, id);
    b = *at;
    if (b != NULL)
        *at = b->next;
    pthread_mutex_unlock(&m->mutex);
    if (b == NULL)
        return ERR_NOT_FOUND;
    close(b->fd);
    free(b);
    return ERR_OK;
}

static void mem_blob_walk_end(struct engine_blob_walk *w)
{
    if (w == NULL)
        return;
    buf_free(&w->ids);
    free(w);
}

/* The ids as they are when it begins. */
static enum err mem_blob_walk_begin(struct engine *e, struct engine_blob_walk **out)
{
    struct mem *m = (struct mem *)e;
    struct engine_blob_walk *w = calloc(1, sizeof *w);
    enum err err = ERR_OK;

    if (w == NULL)
        return ERR_NOMEM;
    buf_init(&w->ids, SIZE_MAX);
    pthread_mutex_lock(&m->mutex);
    for (const struct blob *b = m->blobs; b != NULL && err == ERR_OK; b = b->next)
        err = buf_append(&w->ids, b->id, sizeof b->id);
    pthread_mutex_unlock(&m->mutex);
    if (err == ERR_OK)
        *out = w;
    else
        mem_blob_walk_end(w);
    return err;
}

static enum err mem_blob_walk_next(struct engine_blob_walk *w, uint8_t id[ENGINE_BLOB_ID_BYTES])
{
    if (w->at == w->ids.len)
        return ERR_NOT_FOUND;
    memcpy(id, w->ids.data + w->at, ENGINE_BLOB_ID_BYTES);
    w->at += ENGINE_BLOB_ID_BYTES;
    return ERR_OK;
}

/* Memory is given back as rows go. */
static enum err mem_compact(struct engine *e, enum engine_table table, struct buf *at, uint64_t *pages)
{
    (void)e;
    (void)table;
    (void)pages;
    buf_clear(at);
    return ERR_OK;
}

static enum err mem_space(struct engine *e, uint64_t *free_bytes, uint64_t *total_bytes)
{
    (void)e;
    *free_bytes = *total_bytes = 0;
    return ERR_OK;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static void mem_close(struct engine *e)
{
    struct mem *m = (struct mem *)e;

    for (int i = 0; i < TABLE_COUNT; i++)
        for (struct node *n = m->head[i], *next; n != NULL; n = next) {
            next = n->next[0];
            node_free(n);
        }
    for (struct blob *b = m->blobs, *next; b != NULL; b = next) {
        next = b->next;
        close(b->fd);
        free(b);
    }
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

static const struct engine_ops mem_ops = {
    .close = mem_close,
    .begin = mem_begin,
    .begin_yielding = mem_begin_yielding,
    .get = mem_get,
    .put = mem_put,
    .del = mem_del,
    .commit = mem_commit,
    .abort = mem_abort,
    .flush = mem_flush,
    .scan = mem_scan,
    .blob_create = mem_blob_create,
    .blob_write = mem_blob_write,
    .blob_patch = mem_blob_patch,
    .blob_read = mem_blob_read,
    .blob_keep = mem_blob_keep,
    .blob_abort = mem_blob_abort,
    .blob_open = mem_blob_open,
    .blob_remove = mem_blob_remove,
    .blob_walk_begin = mem_blob_walk_begin,
    .blob_walk_next = mem_blob_walk_next,
    .blob_walk_end = mem_blob_walk_end,
    .compact = mem_compact,
    .space = mem_space,
};

enum err engine_mem_open(struct engine **out)
{
    struct mem *m = calloc(1, sizeof *m);

    if (m == NULL)
        return ERR_NOMEM;
    m->engine.ops = &mem_ops;
    m->random = 1;
    pthread_mutex_init(&m->mutex, NULL);
    for (int i = 0; i < TABLE_COUNT; i++)
        if ((m->head[i] = node_create(span_bytes(NULL, 0), LEVELS)) == NULL) {
            mem_close(&m->engine);
            return ERR_NOMEM;
        }
    *out = &m->engine;
    return ERR_OK;
}
