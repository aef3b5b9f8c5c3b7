/*
 * backup_dir.h - a directory that holds a backup of the store, as files: one that is complete, and perhaps
 * the beginnings of the next. What its bytes mean to an engine the engine knows.
 *
 *   MANIFEST      what belongs to the complete backup; replaced by rename when the next one is complete
 *   lock          held by flock while a backup is made or restored
 *   db.<number>   tables and logs of a full backup
 *   log.<number>  the logs that an incremental one added
 *   payload/      large payloads: immutable, linked or copied once, those that are gone removed
 *
 * The manifest is text, one thing a line (backup_manifest.h), and ends with its own SHA-256. What it does not
 * name is left over from a backup that was broken off, and goes when the next is complete. The site keys are
 * not in it.
 *
 * A struct backup_dir belongs to one thread. Errors besides those named: ERR_IO, ERR_DISK_FULL, ERR_NOMEM,
 * with *why for people.
 */
#ifndef STORE_BACKUP_DIR_H
#define STORE_BACKUP_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/backup_manifest.h"

struct backup_dir;
/* Opens a directory, takes its lock (ERR_BUSY: a backup is being made there) and reads the manifest. create:
 * it is to be written; it is made if it is missing and refused if it has other files (ERR_EXISTS). Else
 * ERR_NOT_FOUND without a manifest; ERR_STORE: the manifest is damaged. ERR_STORE_FORMAT: of a later version.
 */
enum err backup_dir_open(const char *path, bool create, struct backup_dir **out, struct buf *why);
void backup_dir_close(struct backup_dir *b);
/* What is complete there. Borrows. */
const struct backup_manifest *backup_dir_last(const struct backup_dir *b);

/* What the next one's manifest will say: began_s, program, epochs and journal of `of`. */
void backup_dir_facts(struct backup_dir *b, const struct backup_manifest *of);
/* Begins the next one: full in a new row, or incremental: with all files of the last but those that are added
 * again. *path: where its own files are to be put (borrows). */
enum err backup_dir_begin(struct backup_dir *b, bool full, const char **path, struct buf *why);
/* A file that was put into that place. */
enum err backup_dir_add(struct backup_dir *b, const char *name, struct buf *why);
/* The same of a copy that this makes, of what `from` has now. */
enum err backup_dir_copy(struct backup_dir *b, const char *from, const char *name, struct buf *why);
/* A payload: an immutable file in the directory from_fd. ERR_NOT_FOUND. */
enum err backup_dir_payload(struct backup_dir *b, int from_fd, const char *name, struct buf *why);
/* How much was added, and how many payloads were not there yet. */
struct backup_tally {
    uint64_t bytes, files, payload_bytes, payloads;
};
void backup_dir_tally(const struct backup_dir *b, struct backup_tally *out);
/* Complete: everything is synced, then the manifest takes the last one's place, then what it does not name is
 * removed. */
enum err backup_dir_finish(struct backup_dir *b, struct buf *why);

/* Whether all that the last manifest names is there, with its size; deep: files also with their digests.
 * ERR_STORE says in *why what is not. */
enum err backup_dir_verify(const struct backup_dir *b, bool deep, struct buf *why);
/* Puts its files into one directory and its payloads into another, which exist and are empty; synced. */
enum err backup_dir_restore(const struct backup_dir *b, const char *files, const char *payloads,
                            struct buf *why);

#endif
