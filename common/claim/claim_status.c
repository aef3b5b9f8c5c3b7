/*
 * claim_status.c - see claim_status.h. Only 410 is final; what else ends a job (a mismatch) or is retried is
 * the caller's to say.
 */
#include "claim/claim_status.h"

enum request { CLAIM = 1, RESUME = 2, ACK = 4, NACK = 8, STATUS = 16, HEAD = 32, ALL = 63 };

static const struct {
    int status;
    unsigned requests;
    enum err err;
} rows[] = {
    {200, CLAIM | RESUME, ERR_OK},
    {206, RESUME, ERR_OK},
    {204, ACK | NACK | STATUS | HEAD, ERR_OK},
    {400, ALL, ERR_SYNTAX},
    {401, ALL, ERR_AUTH_REQUIRED},
    {403, ALL, ERR_FORBIDDEN},
    {404, ALL, ERR_NOT_FOUND},
    {410, ALL, ERR_GONE},
    {429, ALL, ERR_RATE},
    {503, ALL, ERR_UNAVAILABLE},
    {423, CLAIM, ERR_LEASED},
    {409, CLAIM, ERR_CLAIM_MISMATCH},
    {409, RESUME | NACK | STATUS, ERR_LEASE_ENDED},
    {409, ACK, ERR_NEVER_CLAIMED},
    {416, RESUME, ERR_LEASE_ENDED},
    {422, ACK, ERR_WRONG_DIGEST},
};

static enum request request_of(enum claim_verb verb, bool resuming)
{
    switch (verb) {
    case CLAIM_CLAIM:
        return resuming ? RESUME : CLAIM;
    case CLAIM_ACK:
        return ACK;
    case CLAIM_NACK:
        return NACK;
    case CLAIM_STATUS:
        return STATUS;
    case CLAIM_HEAD:
        break;
    }
    return HEAD;
}

enum err claim_status_err(enum claim_verb verb, bool resuming, int status)
{
    enum request request = request_of(verb, resuming);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status && (rows[i].requests & request) != 0)
            return rows[i].err;
    return ERR_HTTP;
}
