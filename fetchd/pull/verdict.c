/*
 * verdict.c - 410 is the only final answer of a link host, a mismatch ends the job here without harming the
 * ticket, and all else is tried again until expiry.
 */
#include "pull/verdict.h"

#include <string.h>

#define RETRY_AFTER_MAX_S 86400

static const struct {
    enum err err;
    enum verdict claim, confirm; /* confirm: ack and nack */
} verdicts[] = {
    {ERR_OK, VERDICT_GO_ON, VERDICT_GO_ON},
    {ERR_GONE, VERDICT_ENDED, VERDICT_ENDED}, /* "acked" is told apart below */
    {ERR_CLAIM_MISMATCH, VERDICT_ENDED, VERDICT_LATER},
    {ERR_TOO_LARGE, VERDICT_TOO_LARGE, VERDICT_LATER},
    {ERR_SEAL_FORMAT, VERDICT_CORRUPT, VERDICT_LATER},
    {ERR_SEAL_LENGTH, VERDICT_CORRUPT, VERDICT_LATER},
    {ERR_SEAL_COMMITMENT, VERDICT_CORRUPT, VERDICT_LATER},
    {ERR_SEAL_TAG, VERDICT_CORRUPT, VERDICT_LATER},
    {ERR_SEAL_TRUNCATED, VERDICT_CORRUPT, VERDICT_LATER},
    {ERR_SEAL_TRAILING, VERDICT_CORRUPT, VERDICT_LATER},
    {ERR_SEAL_WRAP, VERDICT_CORRUPT, VERDICT_LATER},
};

enum verdict verdict_of(enum claim_verb verb, const struct claim_outcome *o)
{
    if (o->err == ERR_GONE && strcmp(o->reason, "acked") == 0)
        return VERDICT_ACKED;
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
        if (verdicts[i].err == o->err)
            return verb == CLAIM_CLAIM ? verdicts[i].claim : verdicts[i].confirm;
    return VERDICT_LATER;
}

int64_t verdict_backoff_s(uint32_t tries, int64_t min_s, int64_t max_s, int64_t retry_after_s,
                          uint32_t random)
{
    int64_t wait = min_s > 0 ? min_s : 1;
    for (uint32_t i = 0; i < tries && wait < max_s; i++)
        wait *= 2;
    if (wait > max_s)
        wait = max_s;
    int64_t quarter = wait / 4;
    if (quarter > 0)
        wait += (int64_t)(random % (uint64_t)(2 * quarter + 1)) - quarter;
    if (retry_after_s > RETRY_AFTER_MAX_S)
        retry_after_s = RETRY_AFTER_MAX_S;
    return wait > retry_after_s ? wait : retry_after_s;
}

int64_t verdict_pause_s(int64_t pause_ms, uint32_t random)
{
    int64_t wait = pause_ms > 0 ? (pause_ms + 999) / 1000 : 1;
    return wait + (int64_t)(random % (uint64_t)(wait / 4 + 2));
}
