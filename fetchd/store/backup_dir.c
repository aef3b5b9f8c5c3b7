/*
 * backup_dir.c - see backup_dir.h.
 *
 * MANIFEST:
 *   restante-backup 1
 *   id <hex> <number>
 *   time <began> <ended>
 *   program <version>
 *   keys <epoch>...
 *   journal <id in hex> <file> <offset> | journal none
 *   file <name> <path> <bytes> <sha-256 in hex>      one for each
 *   payload <name> <bytes>                           one for each
 *   end <sha-256 in hex of all lines before>
 */
#include "store/backup_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/kill.h"
#include "base/log.h"
#include "base/secret.h"
#include "seal/crypt.h"
#include "store/file_copy.h"

#define MANIFEST "MANIFEST"
#define MANIFEST_NEW "MANIFEST.new"
#define PAYLOAD "payload"
#define MANIFEST_MAX ((size_t)1 << 30)
#define VERSION 1
#define PATH_BYTES 4096

struct backup_dir {
    char path[PATH_BYTES];
    int fd, lock_fd, payload_fd;
    struct backup_manifest last, next, facts; /* facts: without arrays */
    char own[BACKUP_NAME_MAX];                /* "db.3" or "log.4": of the one that is being made */
    char own_path[PATH_BYTES + BACKUP_NAME_MAX];
    size_t file_room, payload_room; /* of next */
    struct backup_tally tally;
};

static enum err failed(struct buf *why, const char *path, const char *what)
{
    int saved = errno;
    enum err err = err_from_errno(saved);

    buf_printf(why, "%s: %s%s%s", path, what, what[0] == '\0' ? "" : ": ", strerror(saved));
    return saved == EACCES || saved == EPERM || saved == EROFS ? ERR_FORBIDDEN : err;
}

void backup_manifest_free(struct backup_manifest *m)
{
    free(m->file);
    free(m->payload);
    memset(m, 0, sizeof *m);
}

/* Room for one more of a growing array. */
static void *more(void *array, size_t count, size_t *room, size_t size)
{
    size_t want = *room == 0 ? 64 : *room * 2;
    void *grown;

    if (count < *room)
        return array;
    grown = reallocarray(array, want, size);
    if (grown != NULL)
        *room = want;
    return grown;
}

static enum err add_file(struct backup_manifest *m, size_t *room, const struct backup_file *f)
{
    struct backup_file *grown;

    for (size_t i = 0; i < m->file_count; i++)
        if (strcmp(m->file[i].name, f->name) == 0) {
            m->file[i] = *f;
            return ERR_OK;
        }
    if ((grown = more(m->file, m->file_count, room, sizeof *grown)) == NULL)
        return ERR_NOMEM;
    m->file = grown;
    m->file[m->file_count++] = *f;
    return ERR_OK;
}

static enum err add_payload(struct backup_manifest *m, size_t *room, const struct backup_payload *p)
{
    struct backup_payload *grown = more(m->payload, m->payload_count, room, sizeof *grown);

    if (grown == NULL)
        return ERR_NOMEM;
    m->payload = grown;
    m->payload[m->payload_count++] = *p;
    return ERR_OK;
}

/* ---- the manifest as text ------------------------------------------------------------------------------ */

static enum err manifest_format(const struct backup_manifest *m, struct buf *out)
{
    char hex[ENCODE_HEX_LEN(32) + 1];
    uint8_t digest[32];
    enum err err;

    encode_hex(m->id, sizeof m->id, hex);
    err = buf_printf(out,
                     "restante-backup %d\nid %s %" PRIu64 "\ntime %" PRId64 " %" PRId64 "\nprogram %s\nkeys",
                     VERSION, hex, m->number, m->began_s, m->ended_s, m->program);
    for (size_t i = 0; i < m->epoch_count && err == ERR_OK; i++)
        err = buf_printf(out, " %" PRIu32, m->epoch[i]);
    encode_hex(m->at.id, sizeof m->at.id, hex);
    if (err == ERR_OK && m->journal)
        err = buf_printf(out, "\njournal %s %" PRIu64 " %" PRIu64 "\n", hex, m->at.file, m->at.offset);
    else if (err == ERR_OK)
        err = buf_append_str(out, "\njournal none\n");
    for (size_t i = 0; i < m->file_count && err == ERR_OK; i++) {
        const struct backup_file *f = &m->file[i];

        encode_hex(f->digest, sizeof f->digest, hex);
        err = buf_printf(out, "file %s %s %" PRIu64 " %s\n", f->name, f->path, f->bytes, hex);
    }
    for (size_t i = 0; i < m->payload_count && err == ERR_OK; i++)
        err = buf_printf(out, "payload %s %" PRIu64 "\n", m->payload[i].name, m->payload[i].bytes);
    if (err == ERR_OK)
        err = crypt_sha256(buf_span(out), digest);
    if (err != ERR_OK)
        return err;
    encode_hex(digest, sizeof digest, hex);
    return buf_printf(out, "end %s\n", hex);
}

/* Names from a manifest become paths: nothing else may stand in them. */
static bool plain_name(const char *name, int slashes)
{
    for (const char *p = name; *p != '\0'; p++) {
        if (*p == '/' && (p == name || p[1] == '\0' || slashes-- == 0))
            return false;
        if (*p == '.' && (p == name || p[-1] == '/'))
            return false;
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789._-/", *p) == NULL)
            return false;
    }
    return name[0] != '\0';
}

/* A manifest that is being read. */
struct reading {
    struct backup_manifest *m;
    size_t file_room, payload_room;
    enum err err;
};

/* Copies a word; false: it does not fit. */
static bool take(struct span word, char *out, size_t size)
{
    if (word.len >= size)
        return false;
    memcpy(out, word.ptr, word.len);
    out[word.len] = '\0';
    return true;
}

static bool take_name(struct span word, int slashes, char *out, size_t size)
{
    return take(word, out, size) && plain_name(out, slashes);
}

static bool take_time(struct span word, int64_t *out)
{
    uint64_t time_s;

    if (!span_to_u64(word, INT64_MAX, &time_s))
        return false;
    *out = (int64_t)time_s;
    return true;
}

static bool read_id(struct reading *x, const struct span *word)
{
    return decode_hex(word[0], x->m->id, sizeof x->m->id) == ERR_OK &&
           span_to_u64(word[1], UINT64_MAX, &x->m->number) && x->m->number > 0;
}

static bool read_time(struct reading *x, const struct span *word)
{
    return take_time(word[0], &x->m->began_s) && take_time(word[1], &x->m->ended_s);
}

static bool read_program(struct reading *x, const struct span *word)
{
    return take(word[0], x->m->program, sizeof x->m->program);
}

static bool read_no_journal(struct reading *x, const struct span *word)
{
    (void)x;
    return span_is(word[0], "none");
}

static bool read_journal(struct reading *x, const struct span *word)
{
    struct handover_position *at = &x->m->at;

    x->m->journal = true;
    return decode_hex(word[0], at->id, sizeof at->id) == ERR_OK &&
           span_to_u64(word[1], UINT64_MAX, &at->file) && span_to_u64(word[2], UINT64_MAX, &at->offset);
}

static bool read_file(struct reading *x, const struct span *word)
{
    struct backup_file f;

    if (!take_name(word[0], 0, f.name, sizeof f.name) || !take_name(word[1], 1, f.path, sizeof f.path) ||
        !span_to_u64(word[2], UINT64_MAX, &f.bytes) ||
        decode_hex(word[3], f.digest, sizeof f.digest) != ERR_OK)
        return false;
    x->err = add_file(x->m, &x->file_room, &f);
    return true;
}

static bool read_payload(struct reading *x, const struct span *word)
{
    struct backup_payload p;

    if (!take_name(word[0], 0, p.name, sizeof p.name) || !span_to_u64(word[1], UINT64_MAX, &p.bytes))
        return false;
    x->err = add_payload(x->m, &x->payload_room, &p);
    return true;
}

#define WORDS_MAX 4
static const struct {
    const char *name;
    size_t words;
    bool (*read)(struct reading *x, const struct span *word);
} line_rows[] = {
    {"id", 2, read_id},           {"time", 2, read_time},
    {"program", 1, read_program}, {"journal", 1, read_no_journal},
    {"journal", 3, read_journal}, {"file", 4, read_file},
    {"payload", 2, read_payload},
};

/* The site keys' epochs are as many words as there are. */
static bool read_keys(struct reading *x, struct span rest)
{
    struct span word;
    uint64_t epoch;
    bool more = rest.len > 0;

    while (more && x->m->epoch_count < BACKUP_EPOCHS_MAX) {
        more = span_cut(rest, ' ', &word, &rest);
        if (!span_to_u64(word, UINT32_MAX, &epoch))
            return false;
        x->m->epoch[x->m->epoch_count++] = (uint32_t)epoch;
    }
    return true;
}

static bool read_line(struct reading *x, struct span line)
{
    struct span name, word[WORDS_MAX], rest;
    size_t words = 0;
    bool more = span_cut(line, ' ', &name, &rest);

    if (span_is(name, "keys"))
        return read_keys(x, rest);
    for (; more && words < WORDS_MAX; words++)
        more = span_cut(rest, ' ', &word[words], &rest);
    for (size_t i = 0; i < sizeof line_rows / sizeof *line_rows && !more; i++)
        if (words == line_rows[i].words && span_is(name, line_rows[i].name))
            return line_rows[i].read(x, word);
    return false;
}

static enum err manifest_parse(const struct buf *text, struct backup_manifest *m, struct buf *why)
{
    size_t end_len = strlen("end \n") + ENCODE_HEX_LEN(32);
    struct reading x = {.m = m};
    char hex[ENCODE_HEX_LEN(32) + 1];
    struct span line, word, rest;
    uint8_t digest[32];
    uint64_t version;

    if (text->len <= end_len || memchr(text->data, 0, text->len) != NULL ||
        crypt_sha256(span_bytes(text->data, text->len - end_len), digest) != ERR_OK)
        return ERR_STORE;
    encode_hex(digest, sizeof digest, hex);
    span_cut(span_bytes(text->data, text->len - end_len), '\n', &line, &rest);
    span_cut(line, ' ', &word, &line);
    if (!span_is(word, "restante-backup") || !span_to_u64(line, UINT32_MAX, &version))
        return ERR_STORE;
    if (version > VERSION) {
        buf_printf(why, "the backup has format %" PRIu64 "; this version of Restante reads format %d",
                   version, VERSION);
        return ERR_STORE_FORMAT;
    }
    if (strncmp(text->data + text->len - end_len, "end ", 4) != 0 ||
        strncmp(text->data + text->len - end_len + 4, hex, ENCODE_HEX_LEN(32)) != 0)
        return ERR_STORE;
    while (x.err == ERR_OK && rest.len > 0) {
        span_cut(rest, '\n', &line, &rest);
        if (!read_line(&x, line))
            x.err = ERR_STORE;
    }
    return x.err == ERR_OK && m->number == 0 ? ERR_STORE : x.err;
}

static enum err manifest_read(struct backup_dir *b, struct buf *why)
{
    struct buf text;
    enum err err;

    buf_init(&text, MANIFEST_MAX);
    err = file_read_all(b->fd, MANIFEST, &text);
    if (err == ERR_OK && (err = manifest_parse(&text, &b->last, why)) == ERR_STORE)
        buf_printf(why, "%s/" MANIFEST " is damaged", b->path);
    else if (err != ERR_OK && err != ERR_NOT_FOUND && why->len == 0)
        buf_printf(why, "%s/" MANIFEST ": %s", b->path, err_text(err));
    if (err != ERR_OK)
        backup_manifest_free(&b->last);
    buf_free(&text);
    return err;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static bool is_ours(const char *name)
{
    return strcmp(name, MANIFEST) == 0 || strcmp(name, MANIFEST_NEW) == 0 || strcmp(name, "lock") == 0 ||
           strcmp(name, PAYLOAD) == 0 || strncmp(name, "db.", 3) == 0 || strncmp(name, "log.", 4) == 0;
}

/* Calls back for each name in a directory that is open as fd, until one is an error. */
static enum err each_name(int fd, enum err (*each)(void *arg, const char *name), void *arg)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    const struct dirent *entry;
    enum err err = ERR_OK;

    if (dir == NULL) {
        err = err_from_errno(errno);
        if (own >= 0)
            close(own);
        return err;
    }
    while (err == ERR_OK && (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            err = each(arg, entry->d_name);
    closedir(dir);
    return err;
}

static enum err refuse_foreign(void *arg, const char *name)
{
    if (is_ours(name) || strcmp(name, "lost+found") == 0)
        return ERR_OK;
    buf_printf(arg, "has files that are no backup's, such as %s", name);
    return ERR_EXISTS;
}

static enum err open_for_writing(struct backup_dir *b, struct buf *why)
{
    struct buf what;
    enum err err;

    if (mkdir(b->path, 0700) != 0 && errno != EEXIST)
        return failed(why, b->path, "");
    if ((b->fd = open(b->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return failed(why, b->path, "");
    buf_init(&what, 1000);
    err = each_name(b->fd, refuse_foreign, &what);
    if (err != ERR_OK)
        buf_printf(why, "%s %s", b->path, what.len > 0 ? buf_cstr(&what) : err_text(err));
    buf_free(&what);
    if (err == ERR_OK && mkdirat(b->fd, PAYLOAD, 0700) != 0 && errno != EEXIST)
        err = failed(why, b->path, PAYLOAD);
    return err;
}

enum err backup_dir_open(const char *path, bool create, struct backup_dir **out, struct buf *why)
{
    struct backup_dir *b = calloc(1, sizeof *b);
    enum err err = ERR_OK;

    if (b == NULL)
        return ERR_NOMEM;
    b->fd = b->lock_fd = b->payload_fd = -1;
    if (snprintf(b->path, sizeof b->path, "%s", path) >= (int)sizeof b->path) {
        free(b);
        return ERR_TOO_LARGE;
    }
    if (create)
        err = open_for_writing(b, why);
    else if ((b->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        err = failed(why, path, "");
    /* A copy on a medium that cannot be written has no lock, and nobody writes to it. */
    if (err == ERR_OK &&
        (b->lock_fd = openat(b->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0 && create)
        err = failed(why, path, "lock");
    if (err == ERR_OK && b->lock_fd >= 0 && flock(b->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        buf_printf(why, "%s: a backup is being made or restored there", path);
        err = ERR_BUSY;
    }
    if (err == ERR_OK && (b->payload_fd = openat(b->fd, PAYLOAD, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 &&
        (create || errno != ENOENT))
        err = failed(why, path, PAYLOAD);
    if (err == ERR_OK)
        err = manifest_read(b, why);
    /* A manifest that cannot be read is none: the next backup is a full one. */
    if (create && (err == ERR_NOT_FOUND || err == ERR_STORE)) {
        if (err == ERR_STORE)
            log_warning("backup: %s; a full one is made", buf_cstr(why));
        buf_clear(why);
        err = ERR_OK;
    } else if (err == ERR_NOT_FOUND) {
        buf_printf(why, "%s holds no complete backup", path);
    }
    if (err == ERR_OK)
        *out = b;
    else
        backup_dir_close(b);
    return err;
}

void backup_dir_close(struct backup_dir *b)
{
    if (b == NULL)
        return;
    backup_manifest_free(&b->last);
    backup_manifest_free(&b->next);
    if (b->payload_fd >= 0)
        close(b->payload_fd);
    if (b->lock_fd >= 0)
        close(b->lock_fd);
    if (b->fd >= 0)
        close(b->fd);
    free(b);
}

const struct backup_manifest *backup_dir_last(const struct backup_dir *b)
{
    return &b->last;
}

/* ---- making one ---------------------------------------------------------------------------------------- */

static enum err remove_file(void *arg, const char *name)
{
    const int *fd = arg;

    return unlinkat(*fd, name, 0) == 0 || errno == ENOENT ? ERR_OK : err_from_errno(errno);
}

/* A directory of files; nothing is there: fine. */
static enum err remove_directory(int fd, const char *name)
{
    int own = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    enum err err;

    if (own < 0)
        return errno == ENOENT ? ERR_OK : err_from_errno(errno);
    err = each_name(own, remove_file, &own);
    close(own);
    if (err == ERR_OK && unlinkat(fd, name, AT_REMOVEDIR) != 0)
        err = err_from_errno(errno);
    return err;
}

enum err backup_dir_begin(struct backup_dir *b, bool full, const char **path, struct buf *why)
{
    enum err err = ERR_OK;

    backup_manifest_free(&b->next);
    b->file_room = b->payload_room = 0;
    memset(&b->tally, 0, sizeof b->tally);
    b->next.number = b->last.number + 1;
    if (full) {
        err = secret_random(b->next.id, sizeof b->next.id);
    } else {
        memcpy(b->next.id, b->last.id, sizeof b->next.id);
        for (size_t i = 0; i < b->last.file_count && err == ERR_OK; i++)
            err = add_file(&b->next, &b->file_room, &b->last.file[i]);
    }
    snprintf(b->own, sizeof b->own, "%s.%" PRIu64, full ? "db" : "log", b->next.number);
    snprintf(b->own_path, sizeof b->own_path, "%s/%s", b->path, b->own);
    if (err == ERR_OK)
        err = remove_directory(b->fd, b->own); /* left over */
    if (err == ERR_OK && mkdirat(b->fd, b->own, 0700) != 0)
        return failed(why, b->own_path, "");
    if (err == ERR_OK)
        *path = b->own_path;
    else
        buf_printf(why, "%s: %s", b->own_path, err_text(err));
    return err;
}

static enum err own_file(const struct backup_dir *b, const char *name, struct backup_file *out,
                         char path[PATH_BYTES * 2], struct buf *why)
{
    memset(out, 0, sizeof *out);
    if (!plain_name(name, 0) || snprintf(out->name, sizeof out->name, "%s", name) >= (int)sizeof out->name ||
        snprintf(out->path, sizeof out->path, "%s/%s", b->own, name) >= (int)sizeof out->path) {
        buf_printf(why, "%s: a name that a manifest cannot hold", name);
        return ERR_INTERNAL;
    }
    snprintf(path, (size_t)PATH_BYTES * 2, "%s/%s", b->own_path, name);
    return ERR_OK;
}

static enum err added(struct backup_dir *b, const struct backup_file *f)
{
    b->tally.files++;
    b->tally.bytes += f->bytes;
    return add_file(&b->next, &b->file_room, f);
}

enum err backup_dir_add(struct backup_dir *b, const char *name, struct buf *why)
{
    char path[PATH_BYTES * 2];
    struct backup_file f;
    enum err err = own_file(b, name, &f, path, why);

    if (err == ERR_OK)
        err = file_sync_digest(path, &f.bytes, f.digest, why);
    return err == ERR_OK ? added(b, &f) : err;
}

enum err backup_dir_copy(struct backup_dir *b, const char *from, const char *name, struct buf *why)
{
    char path[PATH_BYTES * 2];
    struct backup_file f;
    enum err err = own_file(b, name, &f, path, why);

    if (err == ERR_OK)
        err = file_copy(AT_FDCWD, from, AT_FDCWD, path, &f.bytes, f.digest, why);
    return err == ERR_OK ? added(b, &f) : err;
}

enum err backup_dir_payload(struct backup_dir *b, int from_fd, const char *name, struct buf *why)
{
    struct backup_payload p = {.bytes = 0};
    struct stat from, to;
    enum err err = ERR_OK;

    if (fstatat(from_fd, name, &from, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? ERR_NOT_FOUND : failed(why, name, "");
    if (snprintf(p.name, sizeof p.name, "%s", name) >= (int)sizeof p.name)
        return ERR_INTERNAL;
    p.bytes = (uint64_t)from.st_size;
    if (fstatat(b->payload_fd, name, &to, AT_SYMLINK_NOFOLLOW) != 0 || to.st_size != from.st_size) {
        err = file_link_or_copy(from_fd, name, b->payload_fd, why);
        b->tally.payloads++;
        b->tally.payload_bytes += p.bytes;
    }
    return err == ERR_OK ? add_payload(&b->next, &b->payload_room, &p) : err;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct backup_payload *)a)->name, ((const struct backup_payload *)b)->name);
}

static enum err write_manifest(struct backup_dir *b, struct buf *why)
{
    struct buf text;
    enum err err;
    int fd = -1;

    buf_init(&text, MANIFEST_MAX);
    err = manifest_format(&b->next, &text);
    if (err == ERR_OK &&
        (fd = openat(b->fd, MANIFEST_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
        err = failed(why, b->path, MANIFEST_NEW);
    if (err == ERR_OK)
        err = file_write_all(fd, text.data, text.len);
    if (err == ERR_OK && fsync(fd) != 0)
        err = failed(why, b->path, MANIFEST_NEW);
    if (fd >= 0)
        close(fd);
    KILL_POINT("backup-manifest-before");
    if (err == ERR_OK && (renameat(b->fd, MANIFEST_NEW, b->fd, MANIFEST) != 0 || fsync(b->fd) != 0))
        err = failed(why, b->path, MANIFEST);
    buf_free(&text);
    return err;
}

static bool names_directory(const struct backup_manifest *m, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < m->file_count; i++)
        if (strncmp(m->file[i].path, name, len) == 0 && m->file[i].path[len] == '/')
            return true;
    return false;
}

static enum err tidy_directory(void *arg, const char *name)
{
    const struct backup_dir *b = arg;

    if ((strncmp(name, "db.", 3) == 0 || strncmp(name, "log.", 4) == 0) && !names_directory(&b->last, name) &&
        remove_directory(b->fd, name) != ERR_OK)
        log_warning("backup: %s/%s cannot be removed", b->path, name);
    return ERR_OK;
}

static enum err tidy_payload(void *arg, const char *name)
{
    const struct backup_dir *b = arg;
    struct backup_payload p = {.bytes = 0};

    if (snprintf(p.name, sizeof p.name, "%s", name) >= (int)sizeof p.name)
        return ERR_OK;
    if ((b->last.payload_count == 0 ||
         bsearch(&p, b->last.payload, b->last.payload_count, sizeof p, by_name) == NULL) &&
        unlinkat(b->payload_fd, name, 0) != 0)
        log_warning("backup: %s/" PAYLOAD "/%s cannot be removed", b->path, name);
    return ERR_OK;
}

void backup_dir_facts(struct backup_dir *b, const struct backup_manifest *of)
{
    b->facts = *of;
}

void backup_dir_tally(const struct backup_dir *b, struct backup_tally *out)
{
    *out = b->tally;
}

enum err backup_dir_finish(struct backup_dir *b, struct buf *why)
{
    int own = openat(b->fd, b->own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct backup_manifest *of = &b->facts;
    enum err err = ERR_OK;

    if (own < 0 || fsync(own) != 0 || fsync(b->payload_fd) != 0)
        err = failed(why, b->own_path, "sync");
    if (own >= 0)
        close(own);
    b->next.began_s = of->began_s;
    b->next.ended_s = clock_now_s();
    memcpy(b->next.program, of->program, sizeof b->next.program);
    memcpy(b->next.epoch, of->epoch, sizeof b->next.epoch);
    b->next.epoch_count = of->epoch_count;
    b->next.journal = of->journal;
    b->next.at = of->at;
    if (b->next.payload_count > 0)
        qsort(b->next.payload, b->next.payload_count, sizeof *b->next.payload, by_name);
    if (err == ERR_OK)
        err = write_manifest(b, why);
    if (err != ERR_OK)
        return err;
    KILL_POINT("backup-manifest-after");
    backup_manifest_free(&b->last);
    b->last = b->next;
    memset(&b->next, 0, sizeof b->next);
    each_name(b->fd, tidy_directory, b);
    each_name(b->payload_fd, tidy_payload, b);
    return ERR_OK;
}

/* ---- bringing it back ---------------------------------------------------------------------------------- */

static enum err verify_file(const struct backup_dir *b, const struct backup_file *f, bool deep,
                            struct buf *why)
{
    char path[PATH_BYTES + BACKUP_NAME_MAX + 1];
    uint8_t digest[32];
    struct stat st;
    uint64_t bytes;
    enum err err = ERR_OK;

    snprintf(path, sizeof path, "%s/%s", b->path, f->path);
    if (lstat(path, &st) != 0)
        return failed(why, path, "");
    if ((uint64_t)st.st_size == f->bytes && deep)
        err = file_digest(path, &bytes, digest, why);
    if (err != ERR_OK)
        return err;
    if ((uint64_t)st.st_size != f->bytes || (deep && memcmp(digest, f->digest, sizeof digest) != 0)) {
        buf_printf(why, "%s is not as it was when the backup was made", path);
        return ERR_STORE;
    }
    return ERR_OK;
}

enum err backup_dir_verify(const struct backup_dir *b, bool deep, struct buf *why)
{
    struct stat st;
    enum err err = ERR_OK;

    for (size_t i = 0; i < b->last.file_count && err == ERR_OK; i++)
        err = verify_file(b, &b->last.file[i], deep, why);
    for (size_t i = 0; i < b->last.payload_count && err == ERR_OK; i++) {
        const struct backup_payload *p = &b->last.payload[i];

        if (b->payload_fd < 0 || fstatat(b->payload_fd, p->name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            (uint64_t)st.st_size != p->bytes) {
            buf_printf(why, "%s/" PAYLOAD "/%s is missing or has another size", b->path, p->name);
            err = ERR_STORE;
        }
    }
    return err;
}

enum err backup_dir_restore(const struct backup_dir *b, const char *files, const char *payloads,
                            struct buf *why)
{
    int to = open(files, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int payload_to = open(payloads, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = to < 0 ? failed(why, files, "") : payload_to < 0 ? failed(why, payloads, "") : ERR_OK;

    for (size_t i = 0; i < b->last.file_count && err == ERR_OK; i++) {
        const struct backup_file *f = &b->last.file[i];
        uint8_t digest[32];
        uint64_t bytes;

        err = file_copy(b->fd, f->path, to, f->name, &bytes, digest, why);
        if (err == ERR_OK && memcmp(digest, f->digest, sizeof digest) != 0) {
            buf_printf(why, "%s/%s is not as it was when the backup was made", b->path, f->path);
            err = ERR_STORE;
        }
        KILL_POINT("restore-copy");
    }
    for (size_t i = 0; i < b->last.payload_count && err == ERR_OK; i++)
        err = file_link_or_copy(b->payload_fd, b->last.payload[i].name, payload_to, why);
    if (err == ERR_OK && (fsync(to) != 0 || fsync(payload_to) != 0))
        err = failed(why, files, "sync");
    if (to >= 0)
        close(to);
    if (payload_to >= 0)
        close(payload_to);
    return err;
}
