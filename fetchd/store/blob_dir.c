/*
 * blob_dir.c - payload files. The order in blob_dir_keep is what makes them safe: bytes, then name, then the
 * directory's entry, and only then may a record speak of the file.
 */
#include "store/blob_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/kill.h"
#include "base/log.h"

#define NAME_LEN ENCODE_HEX_LEN(ENGINE_BLOB_ID_BYTES)

struct blob_dir {
    int fd;
};

struct engine_blob {
    struct blob_dir *d;
    int fd;
};

struct engine_blob_walk {
    DIR *dir;
};

enum err blob_dir_open(const char *path, struct blob_dir **out)
{
    struct blob_dir *d = calloc(1, sizeof *d);

    if (d == NULL)
        return ERR_NOMEM;
    if ((mkdir(path, 0700) != 0 && errno != EEXIST) ||
        (d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        enum err err = err_from_errno(errno);

        log_error("store: %s: %s", path, strerror(errno));
        free(d);
        return err;
    }
    *out = d;
    return ERR_OK;
}

void blob_dir_close(struct blob_dir *d)
{
    if (d == NULL)
        return;
    close(d->fd);
    free(d);
}

/* Errors of the disk are the store's, but a full one is called so. */
static enum err disk_err(const char *what)
{
    enum err err = err_from_errno(errno);

    if (err == ERR_IO) {
        log_error("store: payload file: %s: %s", what, strerror(errno));
        err = ERR_STORE;
    }
    return err;
}

enum err blob_dir_create(struct blob_dir *d, struct engine_blob **out)
{
    struct engine_blob *b = calloc(1, sizeof *b);
    enum err err;

    if (b == NULL)
        return ERR_NOMEM;
    b->d = d;
    b->fd = openat(d->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (b->fd < 0) {
        err = disk_err("O_TMPFILE");
        free(b);
        return err;
    }
    *out = b;
    return ERR_OK;
}

enum err blob_dir_write(struct engine_blob *b, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = write(b->fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return disk_err("write");
        at += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

enum err blob_dir_patch(struct engine_blob *b, const void *data, size_t len)
{
    ssize_t n = pwrite(b->fd, data, len, 0);

    if (n < 0)
        return disk_err("pwrite");
    return (size_t)n == len ? ERR_OK : ERR_STORE;
}

enum err blob_dir_read(struct engine_blob *b, uint64_t offset, void *out, size_t len)
{
    ssize_t n = pread(b->fd, out, len, (off_t)offset);

    if (n < 0)
        return disk_err("pread");
    return (size_t)n == len ? ERR_OK : ERR_STORE;
}

void blob_dir_abort(struct engine_blob *b)
{
    if (b == NULL)
        return;
    close(b->fd); /* it never had a name */
    free(b);
}

enum err blob_dir_keep(struct engine_blob *b, const uint8_t id[ENGINE_BLOB_ID_BYTES])
{
    char name[NAME_LEN + 1], self[64];
    enum err err = ERR_OK;

    encode_hex(id, ENGINE_BLOB_ID_BYTES, name);
    snprintf(self, sizeof self, "/proc/self/fd/%d", b->fd);
    KILL_POINT("payload-fdatasync-before");
    /* A name without its bytes would be served as a letter after a power cut. */
    if (fdatasync(b->fd) != 0) {
        err = disk_err("fdatasync");
        goto out;
    }
    KILL_POINT("payload-fdatasync-after");
    if (linkat(AT_FDCWD, self, b->d->fd, name, AT_SYMLINK_FOLLOW) != 0) {
        err = disk_err("linkat");
        goto out;
    }
    KILL_POINT("payload-linkat-after");
    /* Without its name on disk the record would speak of a file that is gone after a power cut. */
    if (fsync(b->d->fd) != 0) {
        err = disk_err("fsync of the directory");
        unlinkat(b->d->fd, name, 0);
    }
    KILL_POINT("payload-dirsync-after");
out:
    blob_dir_abort(b);
    return err;
}

enum err blob_dir_open_blob(struct blob_dir *d, const uint8_t id[ENGINE_BLOB_ID_BYTES], int *fd,
                            uint64_t *size)
{
    char name[NAME_LEN + 1];
    struct stat st;
    int opened;

    encode_hex(id, ENGINE_BLOB_ID_BYTES, name);
    opened = openat(d->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0 && errno == ENOENT)
        return ERR_NOT_FOUND;
    if (opened < 0 && errno == ELOOP) /* a link: nothing that was put there by us */
        return disk_err("open");
    if (opened < 0) { /* rights, descriptors: says nothing about the letter */
        log_error("store: payload file %s: %s", name, strerror(errno));
        return err_from_errno(errno);
    }
    if (fstat(opened, &st) != 0) {
        close(opened);
        return disk_err("fstat");
    }
    *fd = opened;
    *size = (uint64_t)st.st_size;
    return ERR_OK;
}

enum err blob_dir_remove(struct blob_dir *d, const uint8_t id[ENGINE_BLOB_ID_BYTES])
{
    char name[NAME_LEN + 1];

    encode_hex(id, ENGINE_BLOB_ID_BYTES, name);
    /* No fsync: a name that comes back after a power cut is swept some time. */
    if (unlinkat(d->fd, name, 0) == 0)
        return ERR_OK;
    return errno == ENOENT ? ERR_NOT_FOUND : disk_err("unlink");
}

enum err blob_dir_walk_begin(struct blob_dir *d, struct engine_blob_walk **out)
{
    struct engine_blob_walk *w = calloc(1, sizeof *w);
    int fd = w == NULL ? -1 : openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (w == NULL)
        return ERR_NOMEM;
    if (fd < 0 || (w->dir = fdopendir(fd)) == NULL) {
        enum err err = disk_err("opendir");

        if (fd >= 0)
            close(fd);
        free(w);
        return err;
    }
    *out = w;
    return ERR_OK;
}

enum err blob_dir_walk_next(struct engine_blob_walk *w, uint8_t id[ENGINE_BLOB_ID_BYTES])
{
    const struct dirent *entry;

    while (errno = 0, (entry = readdir(w->dir)) != NULL)
        /* Whatever has another name is not ours to judge. */
        if (strlen(entry->d_name) == NAME_LEN &&
            decode_hex(span_of(entry->d_name), id, ENGINE_BLOB_ID_BYTES) == ERR_OK)
            return ERR_OK;
    return errno == 0 ? ERR_NOT_FOUND : disk_err("readdir");
}

void blob_dir_walk_end(struct engine_blob_walk *w)
{
    if (w == NULL)
        return;
    closedir(w->dir);
    free(w);
}

int blob_dir_fd(const struct blob_dir *d)
{
    return d->fd;
}

enum err blob_dir_space(struct blob_dir *d, uint64_t *free_bytes, uint64_t *total_bytes)
{
    struct statvfs vfs;

    if (fstatvfs(d->fd, &vfs) != 0)
        return disk_err("statvfs");
    *free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    *total_bytes = (uint64_t)vfs.f_blocks * vfs.f_frsize;
    return ERR_OK;
}
