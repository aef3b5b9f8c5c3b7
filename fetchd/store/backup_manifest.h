/*
 * backup_manifest.h - what a directory of backups holds that is complete, as text:
 *
 *   restante-backup 1
 *   id <hex> <number>
 *   time <began> <ended>
 *   program <version>
 *   keys <epoch>...
 *   key <epoch> <fingerprint in hex>                 one for each; earlier ones lack them
 *   journal <id in hex> <file> <offset> | journal none
 *   file <name> <path> <bytes> <sha-256 in hex>      one for each
 *   payload <name> <bytes>                           one for each
 *   end <sha-256 in hex of all lines before>
 */
#ifndef STORE_BACKUP_MANIFEST_H
#define STORE_BACKUP_MANIFEST_H

#include "base/buf.h"
#include "store/handover.h"
#include "ticket/sitekey.h"

#define BACKUP_ID_BYTES 16
#define BACKUP_NAME_MAX 64
#define BACKUP_EPOCHS_MAX 64

struct backup_file {
    char name[BACKUP_NAME_MAX]; /* as the engine calls it: "ticket.db" */
    char path[BACKUP_NAME_MAX]; /* below the directory: "db.3/ticket.db" */
    uint64_t bytes;
    uint8_t digest[32]; /* SHA-256 */
};
struct backup_payload {
    char name[BACKUP_NAME_MAX];
    uint64_t bytes;
};
struct backup_manifest {
    uint8_t id[BACKUP_ID_BYTES]; /* of the row of backups that a full one began */
    uint64_t number;             /* counts up with each; 0: there is none */
    int64_t began_s, ended_s;
    char program[32];                  /* version of Restante */
    uint32_t epoch[BACKUP_EPOCHS_MAX]; /* of the site keys that it needs */
    size_t epoch_count;
    uint8_t fingerprint[BACKUP_EPOCHS_MAX][SITEKEY_FINGERPRINT_BYTES]; /* of these keys, as far as: */
    bool known[BACKUP_EPOCHS_MAX];
    bool journal; /* the journal's position before the first byte was copied */
    struct handover_position at;
    struct backup_file *file; /* owned */
    size_t file_count;
    struct backup_payload *payload; /* owned */
    size_t payload_count;
    size_t file_room, payload_room; /* of these arrays: this module's */
};
/* Leaves an empty one. */
void backup_manifest_free(struct backup_manifest *m);
/* Adds a file, or takes the place of the one of the same name; adds a payload. ERR_NOMEM. */
enum err backup_manifest_add_file(struct backup_manifest *m, const struct backup_file *f);
enum err backup_manifest_add_payload(struct backup_manifest *m, const struct backup_payload *p);

/* Whether a name may stand in a manifest, with so many slashes at most: it becomes a path. */
bool backup_manifest_name(const char *name, int slashes);

/* Appends it as text; the other way round, into an empty one. ERR_STORE: damaged; ERR_STORE_FORMAT: of a
 * later version, which *why says. */
enum err backup_manifest_format(const struct backup_manifest *m, struct buf *out);
enum err backup_manifest_parse(const struct buf *text, struct backup_manifest *m, struct buf *why);

#endif
