/*
 * file_copy.c - see file_copy.h.
 */
#include "store/file_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "seal/crypt.h"

#define PIECE ((size_t)1 << 20)

static enum err failed(struct buf *why, const char *path)
{
    int saved = errno;

    buf_printf(why, "%s: %s", path, strerror(saved));
    return saved == ENOENT                                       ? ERR_NOT_FOUND
           : saved == EACCES || saved == EPERM || saved == EROFS ? ERR_FORBIDDEN
                                                                 : err_from_errno(saved);
}

enum err file_write_all(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        at += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

enum err file_read_all(int directory_fd, const char *name, struct buf *out)
{
    int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    enum err err = ERR_OK;
    ssize_t n = 1;

    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : err_from_errno(errno);
    while (err == ERR_OK && n != 0) {
        char *room = buf_reserve(out, 65536);

        if (room == NULL)
            err = ERR_TOO_LARGE;
        else if ((n = read(fd, room, 65536)) > 0)
            buf_added(out, (size_t)n);
        else if (n < 0 && errno != EINTR)
            err = err_from_errno(errno);
    }
    close(fd);
    return err;
}

/* Reads on until the end; to < 0: only digests. */
static enum err pump(int from, int to, uint64_t *bytes, uint8_t digest[32])
{
    struct crypt_digest *d = NULL;
    char *piece = malloc(PIECE);
    enum err err = piece == NULL ? ERR_NOMEM : crypt_digest_create(&d);
    ssize_t n = 1;

    *bytes = 0;
    while (err == ERR_OK && n != 0) {
        n = read(from, piece, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err = err_from_errno(errno);
            break;
        }
        err = crypt_digest_update(d, piece, (size_t)n);
        if (err == ERR_OK && to >= 0)
            err = file_write_all(to, piece, (size_t)n);
        *bytes += (uint64_t)n;
    }
    if (err == ERR_OK)
        err = crypt_digest_final(d, digest);
    crypt_digest_free(d);
    free(piece);
    return err;
}

enum err file_copy(int from_fd, const char *from, int to_fd, const char *to, uint64_t *bytes,
                   uint8_t digest[32], struct buf *why)
{
    int in = openat(from_fd, from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out = -1;
    enum err err = in < 0 ? failed(why, from) : ERR_OK;

    if (err == ERR_OK &&
        (out = openat(to_fd, to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
        err = failed(why, to);
    if (err == ERR_OK) {
        if ((err = pump(in, out, bytes, digest)) != ERR_OK)
            buf_printf(why, "%s to %s: %s", from, to, err_text(err));
        else if (fdatasync(out) != 0)
            err = failed(why, to);
    }
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) != 0 && err == ERR_OK)
        err = failed(why, to);
    return err;
}

enum err file_link_or_copy(int from_fd, const char *name, int to_fd, struct buf *why)
{
    char part[NAME_MAX + 1];
    uint8_t digest[32];
    uint64_t bytes;
    enum err err;

    if (linkat(from_fd, name, to_fd, name, 0) == 0)
        return ERR_OK;
    if (snprintf(part, sizeof part, "%s.part", name) >= (int)sizeof part)
        return ERR_TOO_LARGE;
    /* It has its name only when all of it is on disk. */
    err = file_copy(from_fd, name, to_fd, part, &bytes, digest, why);
    if (err == ERR_OK && renameat(to_fd, part, to_fd, name) != 0)
        err = failed(why, name);
    return err;
}

static enum err digest_of(const char *path, bool sync, uint64_t *bytes, uint8_t digest[32], struct buf *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    enum err err = fd < 0 || (sync && fdatasync(fd) != 0) ? failed(why, path) : ERR_OK;

    if (err == ERR_OK && (err = pump(fd, -1, bytes, digest)) != ERR_OK)
        buf_printf(why, "%s: %s", path, err_text(err));
    if (fd >= 0)
        close(fd);
    return err;
}

enum err file_digest(const char *path, uint64_t *bytes, uint8_t digest[32], struct buf *why)
{
    return digest_of(path, false, bytes, digest, why);
}

enum err file_sync_digest(const char *path, uint64_t *bytes, uint8_t digest[32], struct buf *why)
{
    return digest_of(path, true, bytes, digest, why);
}
