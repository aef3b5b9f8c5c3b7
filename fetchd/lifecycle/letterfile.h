/*
 * letterfile.h - reads a stored letter back in the clear, piece by piece and verified: for delivery status
 * notifications, and to release what was kept. Belongs to one thread at a time.
 */
#ifndef LIFECYCLE_LETTERFILE_H
#define LIFECYCLE_LETTERFILE_H

#include <sys/types.h>

#include "store/attempt.h"
#include "store/store.h"

struct letterfile;
/* The store's errors; ERR_NOT_FOUND or ERR_GONE when the letter is destroyed already. The caller owns *out.
 */
enum err letterfile_open(struct store *store, const struct ticket *t, struct letterfile **out);
/* The same of a message that is kept here (store/attempt.h). */
enum err letterfile_open_kept(struct store *store, const struct job *j, struct letterfile **out);
void letterfile_close(struct letterfile *f); /* wipes */
/* The next bytes in the clear; 0 at the end (all of it verified then), -1 on error. */
ssize_t letterfile_read(struct letterfile *f, void *out, size_t max);
/* In place of reading: the letter's header, with its last CRLF and without the empty line, appended; a longer
 * one is cut between fields. ERR_IO when the letter is damaged. */
#define LETTERFILE_HEADER_MAX (256 * 1024) /* bytes */
enum err letterfile_header(struct letterfile *f, struct buf *out);

#endif
