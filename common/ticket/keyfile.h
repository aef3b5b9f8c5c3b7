/*
 * keyfile.h - the file of the site keys: outside the database, readable by restante-fetchd alone.
 *
 * One "epoch hex64 [since]" a line, since in RFC 3339; '#' comments; epochs ascending, each once; the last is
 * the current one. Thread-safe.
 */
#ifndef TICKET_KEYFILE_H
#define TICKET_KEYFILE_H

#include "ticket/sitekey.h"

/* In the place of a path: a file of $CREDENTIALS_DIRECTORY, which systemd gave the service alone. */
#define KEYFILE_CREDENTIAL "credential:"
bool keyfile_is_credential(const char *path);

/* Reads a file, or a credential. Refuses one that others may read (mode & 077), a malformed or empty one:
 * ERR_CONFIG with "file:line: message" in *why (may be NULL); ERR_IO. The caller owns *out. */
enum err keyfile_load(const char *path, struct site_keys **out, struct buf *why);
/* Creates the file (O_EXCL, mode 0400) with one random key of epoch 1. ERR_EXISTS, ERR_IO. */
enum err keyfile_create(const char *path, int64_t now_s);

struct keyfile_edit {
    uint16_t add;         /* this epoch gets a random key; 0: none */
    int64_t since_s;      /* of that key */
    const uint16_t *drop; /* these lines go; borrowed */
    size_t drop_count;
};
/*
 * Edits the file in one moment: whoever reads it finds the old one or the new one, also after a crash. Owner,
 * mode and all other lines stay; a second editor waits. ERR_CONFIG with *why: the file is not as keyfile_load
 * wants it, the new epoch is not the highest, the current key would go, or the path is a credential; ERR_IO,
 * ERR_DISK_FULL: the old file stands.
 */
enum err keyfile_edit(const char *path, const struct keyfile_edit *edit, struct buf *why);

#endif
