/*
 * story.h - how a ticket is called in the log: the first words of its summary lines. Thread-safe.
 */
#ifndef LIFECYCLE_STORY_H
#define LIFECYCLE_STORY_H

#include "base/log.h"
#include "store/store.h"

#define STORY_ID_LEN 8
/* Eight hex digits of A's random part: what people type into restantectl. */
void story_id(const uint8_t a[TICKET_A_BYTES], char out[STORY_ID_LEN + 1]);
/* "QUEUEID: ticket=9f31c2a0 from=<> to=<>"; queue_id NULL: the ticket's own. */
void story_begin(struct log_line *line, const char *queue_id, const struct ticket *t);

#endif
