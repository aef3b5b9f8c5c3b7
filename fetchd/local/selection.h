/*
 * selection.h - which tickets somebody means: one by the beginning of its id, or all of one letter by its
 * Message-ID, narrowed to a recipient if he says so. What can mean several letters means none.
 */
#ifndef LOCAL_SELECTION_H
#define LOCAL_SELECTION_H

#include "local/question.h"
#include "store/store.h"

struct selection {
    size_t count;
    uint8_t (*key)[TICKET_STORE_KEY_BYTES]; /* owned; newest first */
};

/*
 * Reads the parameters id or message_id, and recipient. Notes as a mistake: ERR_SYNTAX; ERR_NOT_FOUND;
 * ERR_FORBIDDEN (nothing of what is meant is the asker's; logged); ERR_AMBIGUOUS, with the candidates as the
 * question's answer (question_candidates). A letter is what came in one deposit: tickets that were replaced
 * meanwhile still belong to it.
 */
void selection_find(struct question *q, struct selection *out);
void selection_free(struct selection *s);

/* Whether both came in one deposit; pure. */
bool selection_same_letter(const struct ticket *a, const struct ticket *b);
/* An id's beginning as it is compared, in lower case; out has SELECTION_ID_MAX + 1 bytes. ERR_SYNTAX: no hex
 * digits, or too many. */
#define SELECTION_ID_MAX ((size_t)2 * TICKET_A_BYTES)
enum err selection_id(const char *text, char *out);

#endif
