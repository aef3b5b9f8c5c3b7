/*
 * answer.h - the head of a link host's answer: lines as the HTTP client hands them over, read into one struct
 * (docs/PROTOCOL.md, "Fields"). Pure, thread-safe.
 */
#ifndef CLAIM_ANSWER_H
#define CLAIM_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "seal/seal.h"

#define ANSWER_BYTES_MAX 32768 /* all head lines of one answer, interim ones too */
#define ANSWER_RETRY_AFTER_MAX_S 86400

enum answer_field {
    ANSWER_RESTANTE = 1 << 0, /* and its value is "1" */
    ANSWER_WRAP = 1 << 1,
    ANSWER_SENDER = 1 << 2,
    ANSWER_RECIPIENT = 1 << 3,
    ANSWER_SIZE = 1 << 4,
    ANSWER_VERSION = 1 << 5,
    ANSWER_EXPIRES = 1 << 6,
    ANSWER_NOTIFY = 1 << 7,
    ANSWER_ETAG = 1 << 8,
    ANSWER_CONTENT_LENGTH = 1 << 9,
    ANSWER_CONTENT_RANGE = 1 << 10,
    ANSWER_REASON = 1 << 11,
    ANSWER_RETRY_AFTER = 1 << 12,
    ANSWER_ENCODING = 1 << 13 /* Content-Encoding: identity; another one is bad */
};

struct answer {
    size_t bytes; /* of the head so far */
    int status;   /* of the answer being read; 0 before its first line */
    bool complete;
    unsigned have; /* enum answer_field: came once and well-formed */
    unsigned bad;  /* came twice, or in another form */
    uint8_t wrap[SEAL_WRAP_BYTES];
    char sender[600], recipient[600]; /* decoded */
    uint64_t size, content_length;
    uint64_t range_start, range_end, range_size;
    uint32_t version;
    int64_t expires_s, retry_after_s; /* retry_after_s at most ANSWER_RETRY_AFTER_MAX_S */
    char notify[64], etag[256], reason[32];
};

void answer_reset(struct answer *a);
/* One line with or without its CRLF: a status line begins an answer anew (an interim one, 1xx, is forgotten
 * when the next begins), an empty one completes it. Lines after that (trailers) are counted alone.
 * ERR_TOO_LARGE above ANSWER_BYTES_MAX, ERR_HTTP for what is no status line or field. */
enum err answer_line(struct answer *a, struct span line);
/* All of these fields came, each once and well-formed. */
bool answer_has(const struct answer *a, unsigned fields);

#endif
