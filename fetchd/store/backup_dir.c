/*
 * backup_dir.c - see backup_dir.h.
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
#include "base/kill.h"
#include "base/log.h"
#include "base/secret.h"
#include "store/file_copy.h"

#define MANIFEST "MANIFEST"
#define MANIFEST_NEW "MANIFEST.new"
#define PAYLOAD "payload"
#define MANIFEST_MAX ((size_t)1 << 30)
#define PATH_BYTES 4096

struct backup_dir {
    char path[PATH_BYTES];
    int fd, lock_fd, payload_fd;
    struct backup_manifest last, next, facts; /* facts: without arrays */
    char own[BACKUP_NAME_MAX];                /* "db.3" or "log.4": of the one that is being made */
    char own_path[PATH_BYTES + BACKUP_NAME_MAX];
    struct backup_tally tally;
};

static enum err failed(struct buf *why, const char *path, const char *what)
{
    int saved = errno;
    enum err err = err_from_errno(saved);

    buf_printf(why, "%s: %s%s%s", path, what, what[0] == '\0' ? "" : ": ", strerror(saved));
    return saved == EACCES || saved == EPERM || saved == EROFS ? ERR_FORBIDDEN : err;
}

static enum err manifest_read(struct backup_dir *b, struct buf *why)
{
    struct buf text;
    enum err err;

    buf_init(&text, MANIFEST_MAX);
    err = file_read_all(b->fd, MANIFEST, &text);
    if (err == ERR_OK && (err = backup_manifest_parse(&text, &b->last, why)) == ERR_STORE)
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
    memset(&b->tally, 0, sizeof b->tally);
    b->next.number = b->last.number + 1;
    if (full) {
        err = secret_random(b->next.id, sizeof b->next.id);
    } else {
        memcpy(b->next.id, b->last.id, sizeof b->next.id);
        for (size_t i = 0; i < b->last.file_count && err == ERR_OK; i++)
            err = backup_manifest_add_file(&b->next, &b->last.file[i]);
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
    if (!backup_manifest_name(name, 0) ||
        snprintf(out->name, sizeof out->name, "%s", name) >= (int)sizeof out->name ||
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
    return backup_manifest_add_file(&b->next, f);
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
    return err == ERR_OK ? backup_manifest_add_payload(&b->next, &p) : err;
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
    err = backup_manifest_format(&b->next, &text);
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
    memcpy(b->next.fingerprint, of->fingerprint, sizeof b->next.fingerprint);
    memcpy(b->next.known, of->known, sizeof b->next.known);
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
