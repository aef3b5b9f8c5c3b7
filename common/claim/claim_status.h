/*
 * claim_status.h - the one table that says what a link host's HTTP status means for each request
 * (docs/PROTOCOL.md, "Answers"). Pure, thread-safe.
 */
#ifndef CLAIM_CLAIM_STATUS_H
#define CLAIM_CLAIM_STATUS_H

#include "claim/claim.h"

/* ERR_OK for the status that the request hopes for, ERR_HTTP for one that is not in the table. resuming: a
 * GET that goes on with a claim's body. */
enum err claim_status_err(enum claim_verb verb, bool resuming, int status);

#endif
