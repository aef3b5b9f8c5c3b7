/*
 * story.c - see story.h.
 */
#include "lifecycle/story.h"

#include "base/encode.h"

void story_id(const uint8_t a[TICKET_A_BYTES], char out[STORY_ID_LEN + 1])
{
    encode_hex(a + 2, STORY_ID_LEN / 2, out); /* the first two bytes are the epoch */
}

void story_begin(struct log_line *line, const char *queue_id, const struct ticket *t)
{
    char id[STORY_ID_LEN + 1];

    story_id(t->a, id);
    log_line_begin(line, queue_id ? queue_id : t->queue_id);
    log_line_str(line, LOG_KEY_TICKET, id);
    log_line_addr(line, LOG_KEY_FROM, t->sender);
    log_line_addr(line, LOG_KEY_TO, t->recipient);
}
