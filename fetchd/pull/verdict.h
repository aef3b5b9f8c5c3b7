/*
 * verdict.h - the one table that tells what a claim's, ack's or nack's outcome means for its job. Pure,
 * thread-safe.
 */
#ifndef PULL_VERDICT_H
#define PULL_VERDICT_H

#include "claim/claim.h"
#include "store/store.h"

enum verdict {
    VERDICT_GO_ON,     /* the step succeeded */
    VERDICT_LATER,     /* try again until the ticket expires */
    VERDICT_CORRUPT,   /* the payload did not open: try again a few times, then refuse it */
    VERDICT_TOO_LARGE, /* above our limit: refused at once */
    VERDICT_ACKED,     /* ended, and the letter is or was delivered */
    VERDICT_ENDED,     /* ended without a word to the sender */
};

enum verdict verdict_of(enum claim_verb verb, const struct claim_outcome *o);

/*
 * Seconds until try number `tries` + 1: min doubled with each try up to max, plus or minus a quarter at
 * random, never less than what the peer asked for (which counts up to a day).
 */
int64_t verdict_backoff_s(uint32_t tries, int64_t min_s, int64_t max_s, int64_t retry_after_s,
                          uint32_t random);
/*
 * Seconds until a host that is left alone for pause_ms may be called again: never before, never at once, and
 * later by up to a quarter at random, so that not all its jobs come back together.
 */
int64_t verdict_pause_s(int64_t pause_ms, uint32_t random);

#endif
