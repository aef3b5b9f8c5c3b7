/*
 * The body of an answer to a challenge, and the judgement of a proof of work.
 *
 * covers: fetchd/admission/challenge_json.c
 * covers: fetchd/admission/altcha.c
 */
#include <stdlib.h>
#include <string.h>

#include "admission/challenge_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An answer that is right is exactly what salt and number give. */
static void judge(const struct altcha *answer)
{
    static const uint8_t key[ALTCHA_KEY_BYTES] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                                  11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                                  22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    struct altcha want;
    int64_t expires_s = 0;
    if (altcha_verify(key, answer, 0, &expires_s) == ERR_OK &&
        (altcha_compute(key, answer->salt, answer->number, &want) != ERR_OK ||
         strcmp(want.signature, answer->signature) != 0 || expires_s < 0))
        abort();
}

static void write(const struct challenge_answer *a)
{
    static const uint8_t key[ALTCHA_KEY_BYTES];
    struct altcha made;
    struct buf out;
    buf_init(&out, 65536);
    if ((a->is_work ? challenge_work_format(&a->work, &out) : challenge_question_format(a->text, &out)) !=
            ERR_OK &&
        a->is_work)
        abort();
    if (challenge_error_format("answer", "the answer is wrong", &out) != ERR_OK ||
        challenge_solved_format(&out) != ERR_OK || altcha_make(key, 10, 1800000000, &made) != ERR_OK)
        abort();
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct challenge_answer a;
    if (challenge_answer_read(span_bytes(data, size), &a) != ERR_OK)
        return 0;
    if (a.is_work)
        judge(&a.work);
    write(&a);
    return 0;
}
