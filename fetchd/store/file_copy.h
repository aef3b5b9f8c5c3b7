/*
 * file_copy.h - whole files, for backups: copied, linked, read, synced. Thread-safe. Errors: those of
 * err_from_errno, ERR_NOT_FOUND, ERR_FORBIDDEN; *why gets a sentence.
 */
#ifndef STORE_FILE_COPY_H
#define STORE_FILE_COPY_H

#include <stdint.h>

#include "base/buf.h"

/* Copies a file, which may still grow (what it has now is taken), into one that must not be there yet or is
 * written over; synced. *bytes and the SHA-256 are of what was copied. */
enum err file_copy(int from_fd, const char *from, int to_fd, const char *to, uint64_t *bytes,
                   uint8_t digest[32], struct buf *why);
/* An immutable file under the same name in another directory: another name for the same bytes where both are
 * on one file system, else a copy, synced. */
enum err file_link_or_copy(int from_fd, const char *name, int to_fd, struct buf *why);
enum err file_digest(const char *path, uint64_t *bytes, uint8_t digest[32], struct buf *why);
/* The same, synced first. */
enum err file_sync_digest(const char *path, uint64_t *bytes, uint8_t digest[32], struct buf *why);
/* Appends all of it; ERR_TOO_LARGE past the buffer's maximum. */
enum err file_read_all(int directory_fd, const char *name, struct buf *out);
enum err file_write_all(int fd, const void *data, size_t len);

#endif
