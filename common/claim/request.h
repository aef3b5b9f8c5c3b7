/*
 * request.h - the HTTP fields of each request (docs/PROTOCOL.md, "Fields"); inside this room. Pure,
 * thread-safe.
 */
#ifndef CLAIM_REQUEST_H
#define CLAIM_REQUEST_H

#include "claim/claim.h"

/* Where a resumed body goes on. */
struct request_resume {
    uint64_t offset;
    const char *etag; /* with its quotes */
};

/* Calls add(arg, line) for each "name: value" line; the line is wiped after. resume NULL: the request itself.
 * ERR_SYNTAX, ERR_BAD_BYTES for texts that fit in no field; ERR_NOMEM; what add returns. */
enum err request_fields(const struct claim_request *r, const struct request_resume *resume,
                        enum err (*add)(void *arg, const char *line), void *arg);
/* The method, and the verb's path segment ("" for none). */
const char *request_method(enum claim_verb verb, bool resuming);
const char *request_verb(enum claim_verb verb, bool resuming);

#endif
