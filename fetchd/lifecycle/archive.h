/*
 * archive.h - the copy of each letter that goes to the administrator's archive (`journal`) before anything of
 * the letter leaves the house: by ordinary mail, to the byte, under fields with its envelope. Thread-safe.
 */
#ifndef LIFECYCLE_ARCHIVE_H
#define LIFECYCLE_ARCHIVE_H

#include "env/env.h"
#include "store/store.h"

/*
 * Before a ticket's stub, or its letter by plain SMTP, goes out. ERR_OK: the archive has its copy (by this
 * ticket or another of the letter), or none is wanted. ERR_UNARCHIVED: it does not take one now, which is in
 * the log; nothing may go out. Others: as the store's. Blocks while the copy is sent; tickets of one letter
 * wait for each other, and one copy serves all of them. *t is as the store has it afterwards: it may have
 * ended, or have another letter, meanwhile.
 *
 * Dies fetchd between the MTA's 250 and its own mark, there will be a second copy.
 */
enum err archive_first(const struct env *env, struct ticket *t);

/* The fields on top of a copy, as archives read them: the reverse-path, once, and each recipient of the
 * letter who has a ticket. */
#define ARCHIVE_FROM "X-Envelope-From"
#define ARCHIVE_TO "X-Envelope-To"

/* The words that the ticket waits with: the archive is no business of its sender's. */
#define ARCHIVE_WAITS "this site has not sent it yet"

#endif
