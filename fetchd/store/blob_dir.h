/*
 * blob_dir.h - blobs as files in one directory, for engines on a local disk. A file has its name only when
 * all of its bytes are on disk; until then it is anonymous and a crash leaves nothing. Thread-safe; one
 * engine_blob belongs to one thread at a time.
 */
#ifndef STORE_BLOB_DIR_H
#define STORE_BLOB_DIR_H

#include "store/engine.h"

struct blob_dir;
/* Opens (creates, mode 0700) the directory. Paths are borrowed for the call only. */
enum err blob_dir_open(const char *path, struct blob_dir **out);
void blob_dir_close(struct blob_dir *d);

/* As the functions of the same names in struct engine_ops. */
enum err blob_dir_create(struct blob_dir *d, struct engine_blob **out);
enum err blob_dir_write(struct engine_blob *b, const void *data, size_t len);
enum err blob_dir_patch(struct engine_blob *b, const void *data, size_t len);
enum err blob_dir_read(struct engine_blob *b, uint64_t offset, void *out, size_t len);
enum err blob_dir_keep(struct engine_blob *b, const uint8_t id[ENGINE_BLOB_ID_BYTES]);
void blob_dir_abort(struct engine_blob *b);
enum err blob_dir_open_blob(struct blob_dir *d, const uint8_t id[ENGINE_BLOB_ID_BYTES], int *fd,
                            uint64_t *size);
enum err blob_dir_remove(struct blob_dir *d, const uint8_t id[ENGINE_BLOB_ID_BYTES]);
enum err blob_dir_walk_begin(struct blob_dir *d, struct engine_blob_walk **out);
enum err blob_dir_walk_next(struct engine_blob_walk *w, uint8_t id[ENGINE_BLOB_ID_BYTES]);
void blob_dir_walk_end(struct engine_blob_walk *w);
/* Its descriptor; borrows. */
int blob_dir_fd(const struct blob_dir *d);
enum err blob_dir_space(struct blob_dir *d, uint64_t *free_bytes, uint64_t *total_bytes);

#endif
