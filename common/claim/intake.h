/*
 * intake.h - takes in the sealed body of a claim's answer: counts it, opens it, and writes what is verified
 * to an anonymous file. Belongs to one thread at a time.
 */
#ifndef CLAIM_INTAKE_H
#define CLAIM_INTAKE_H

#include <stdint.h>

#include "base/buf.h"
#include "seal/seal.h"
#include "ticket/ticket.h"

struct intake_terms { /* what the answer's head announced, and the ticket's keys; copied */
    uint64_t letter_bytes;
    uint32_t version;
    uint8_t wrap[SEAL_WRAP_BYTES];
    uint8_t kd[TICKET_KEY_BYTES];
    uint8_t a[TICKET_A_BYTES];
};

struct intake;
/* Makes the file (O_TMPFILE) in the folder. ERR_NOMEM, ERR_IO, ERR_DISK_FULL. */
enum err intake_create(const char *directory, const struct intake_terms *terms, struct intake **out);
void intake_free(struct intake *i); /* wipes, closes the file if it was not taken */
/* Sealed octets in order, in pieces of any size. ERR_SEAL_*; ERR_DISK_FULL, ERR_IO, ERR_NOMEM. The first
 * error stays. */
enum err intake_add(struct intake *i, const void *data, size_t len);
/* Forgets what came so far: the body begins anew. */
enum err intake_restart(struct intake *i);
uint64_t intake_received(const struct intake *i); /* sealed octets taken in */
uint64_t intake_expected(const struct intake *i); /* sealed octets of the whole */
/* After the last octet: *fd (the caller owns it, at offset 0) and the letter's SHA-256. */
enum err intake_finish(struct intake *i, int *fd, uint8_t digest[SEAL_DIGEST_BYTES]);

#endif
