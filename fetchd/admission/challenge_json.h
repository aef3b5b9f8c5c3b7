/*
 * challenge_json.h - what is said at a challenge's URL (docs/PROTOCOL.md, "Challenge"): the bodies of answers
 * read, challenges written. Thread-safe.
 */
#ifndef ADMISSION_CHALLENGE_JSON_H
#define ADMISSION_CHALLENGE_JSON_H

#include "admission/altcha.h"
#include "store/policy.h"

#define CHALLENGE_BODY_MAX 4096 /* bytes */

struct challenge_answer {
    bool is_work;
    struct altcha work;                /* is_work */
    char text[POLICY_ANSWERS_MAX + 1]; /* otherwise; UTF-8 */
};

/*
 * A body as a page sends it: JSON {"altcha": "<payload>"} or {"answer": "<text>"}, or the same two as a form
 * (application/x-www-form-urlencoded); other members are ignored. The payload is ALTCHA's: base64 of JSON
 * {algorithm, challenge, number, salt, signature}, whatever else stands in it. ERR_SYNTAX, ERR_NOMEM;
 * ERR_TOO_LARGE above CHALLENGE_BODY_MAX.
 */
enum err challenge_answer_read(struct span body, struct challenge_answer *out);

/* {algorithm, challenge, maxnumber, salt, signature}, appended. */
enum err challenge_work_format(const struct altcha *challenge, struct buf *out);
/* {kind: "question", question}, appended. */
enum err challenge_question_format(const char *question, struct buf *out);
/* {solved: true}, and {error, text}, appended. */
enum err challenge_solved_format(struct buf *out);
enum err challenge_error_format(const char *name, const char *text, struct buf *out);

#endif
