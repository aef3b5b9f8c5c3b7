/*
 * err.h - the one list of errors of the project, and what each means to the outside.
 *
 * Whether something is temporary is decided in this table and nowhere else. Functions return enum err;
 * results come back through out parameters that are set only on ERR_OK. An unclear outcome is always a
 * temporary error: the letter then stays with whoever holds it.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

/* X(name, temporary, SMTP code, enhanced status code (RFC 3463), HTTP status, text) */
#define ERR_TABLE(X)                                                                                         \
    X(OK, false, 250, "2.0.0", 200, "ok")                                                                    \
    /* our own house */                                                                                      \
    X(NOMEM, true, 451, "4.3.0", 503, "out of memory")                                                       \
    X(INTERNAL, true, 451, "4.3.0", 500, "internal error")                                                   \
    X(IO, true, 451, "4.3.0", 500, "input/output error")                                                     \
    X(DISK_FULL, true, 452, "4.3.1", 503, "insufficient storage")                                            \
    X(STORE, true, 452, "4.3.1", 503, "the store failed")                                                    \
    X(STORE_FORMAT, true, 451, "4.3.5", 503, "the store has a format that this version does not read")       \
    X(UNAVAILABLE, true, 451, "4.3.2", 503, "the service is not available")                                  \
    X(BUSY, true, 451, "4.3.2", 503, "too much waits already")                                               \
    X(TIMEOUT, true, 451, "4.4.2", 504, "timed out")                                                         \
    X(CANCELLED, true, 451, "4.4.2", 500, "cancelled")                                                       \
    X(CONFIG, false, 451, "4.3.5", 500, "configuration error")                                               \
    X(QUOTA, true, 452, "4.2.2", 503, "the sender's quota is used up")                                       \
    X(KEPT_FULL, true, 452, "4.2.2", 503, "there is no room for more mail from unknown senders")             \
    /* what somebody gave us */                                                                              \
    X(SYNTAX, false, 550, "5.6.0", 400, "syntax error")                                                      \
    X(BAD_BYTES, false, 550, "5.6.0", 400, "bare CR, bare LF, NUL or control character")                     \
    X(ADDRESS, false, 553, "5.1.3", 400, "bad address")                                                      \
    X(TOO_LARGE, false, 552, "5.3.4", 413, "too large")                                                      \
    X(KEPT_TOO_LARGE, false, 552, "5.3.4", 413,                                                              \
      "too large to be kept for those who do not know its sender; send it to the others alone")              \
    X(NOT_FOUND, false, 550, "5.1.1", 404, "not found")                                                      \
    X(EXISTS, false, 550, "5.0.0", 409, "exists already")                                                    \
    X(RETENTION, false, 550, "5.6.0", 400,                                                                   \
      "Restante-Retention asks for no time that this site keeps letters")                                    \
    X(AUTH_REQUIRED, false, 550, "5.7.0", 401, "authorisation required")                                     \
    X(FORBIDDEN, false, 550, "5.7.1", 403, "not allowed")                                                    \
    X(RATE, true, 450, "4.7.1", 429, "too many requests")                                                    \
    /* stubs and designation */                                                                              \
    X(STUB_SYNTAX, false, 550, "5.6.0", 400, "malformed stub")                                               \
    X(STUB_MISMATCH, false, 550, "5.7.1", 409, "the stub does not agree with its envelope")                  \
    X(STUB_EXPIRED, false, 550, "5.4.7", 410, "the stub has expired")                                        \
    X(NOT_DESIGNATED, false, 550, "5.7.1", 403, "the host is not designated by the sender's domain")         \
    /* the sender's domain and the recipient's word (RFC 7372, RFC 7505) */                                  \
    X(SENDER_NO_MX, false, 550, "5.1.8", 403, "the sender's domain has no MX record")                        \
    X(SENDER_NULL_MX, false, 550, "5.7.27", 403, "the sender's domain has a null MX")                        \
    X(SENDER_NO_DOMAIN, false, 550, "5.1.8", 403, "the sender's domain does not exist")                      \
    X(SPF, false, 550, "5.7.23", 403, "SPF does not permit this client")                                     \
    X(SPF_RECORD, false, 550, "5.7.24", 403, "the SPF record is in error")                                   \
    X(SPF_TEMPORARY, true, 451, "4.7.24", 503, "SPF could not be asked")                                     \
    X(RDNS, false, 550, "5.7.25", 403, "the client has no confirmed reverse DNS")                            \
    X(RDNS_TEMPORARY, true, 451, "4.7.25", 503, "the client's reverse DNS could not be asked")               \
    X(DENIED, false, 550, "5.7.1", 403, "the recipient takes nothing from this sender")                      \
    X(LEGACY_REFUSED, false, 550, "5.7.1", 403, "ordinary mail is not accepted here")                        \
    X(ANSWER, false, 550, "5.7.1", 422, "the answer is wrong")                                               \
    X(DNS_TEMPORARY, true, 451, "4.4.3", 503, "a DNS look-up failed")                                        \
    X(WOULD_WAIT, true, 451, "4.4.3", 503, "a DNS look-up is needed")                                        \
    X(DNS_BOGUS, true, 451, "4.7.5", 503, "a DNS answer did not validate")                                   \
    X(NO_STUBS_KNOWN, true, 451, "4.4.3", 503, "whether the domain takes stubs is not known yet")            \
    /* tickets */                                                                                            \
    X(LEASED, true, 451, "4.2.0", 423, "leased by another")                                                  \
    X(LEASE_ENDED, true, 451, "4.2.0", 409, "wrong or ended lease")                                          \
    X(NEVER_CLAIMED, false, 550, "5.5.0", 409, "never claimed")                                              \
    X(CLAIM_MISMATCH, false, 550, "5.7.1", 409, "sender, recipient or From differ from the ticket")          \
    X(WRONG_DIGEST, false, 550, "5.6.0", 422, "wrong digest")                                                \
    X(GONE, false, 550, "5.4.7", 410, "the ticket has ended")                                                \
    X(HANDED_OVER, false, 550, "5.5.0", 409, "the letter was handed over already")                           \
    X(ON_HOLD, false, 550, "5.7.1", 409, "the letter is on hold")                                            \
    X(RESTORED, false, 550, "5.5.0", 409,                                                                    \
      "the store was restored, and the letter perhaps handed over since")                                    \
    X(UNARCHIVED, true, 451, "4.3.2", 503, "the archive has no copy of the letter yet")                      \
    X(AMBIGUOUS, false, 550, "5.5.0", 409, "more than one letter is meant")                                  \
    X(TOO_MANY_BODIES, true, 450, "4.7.1", 429, "the payload was sent too often")                            \
    /* a sealed payload */                                                                                   \
    X(SEAL_FORMAT, true, 451, "4.6.0", 502, "sealed payload: bad header")                                    \
    X(SEAL_LENGTH, true, 451, "4.6.0", 502, "sealed payload: length does not fit")                           \
    X(SEAL_COMMITMENT, true, 451, "4.6.0", 502, "sealed payload: key commitment differs")                    \
    X(SEAL_TAG, true, 451, "4.6.0", 502, "sealed payload: authentication failed")                            \
    X(SEAL_TRUNCATED, true, 451, "4.6.0", 502, "sealed payload: truncated")                                  \
    X(SEAL_TRAILING, true, 451, "4.6.0", 502, "sealed payload: trailing bytes")                              \
    X(SEAL_WRAP, true, 451, "4.6.0", 502, "sealed payload: the wrapped key does not open")                   \
    /* the calling side */                                                                                   \
    X(CONNECT, true, 451, "4.4.1", 502, "no connection")                                                     \
    X(ADDRESS_SPECIAL, true, 451, "4.7.1", 502, "the host's address is in a special-purpose range")          \
    X(TLS, true, 451, "4.7.5", 502, "TLS failed")                                                            \
    X(CERT_REVOKED, true, 451, "4.7.5", 502, "the certificate is revoked")                                   \
    X(REVOCATION_UNKNOWN, true, 451, "4.7.5", 503, "whether the certificate is revoked cannot be told")      \
    X(DANE, true, 451, "4.7.5", 502, "the certificate does not agree with DNS (DANE)")                       \
    X(NOT_RESTANTE, true, 451, "4.4.0", 502, "the host does not answer as Restante")                         \
    X(HTTP, true, 451, "4.5.0", 502, "unexpected HTTP answer")                                               \
    X(SLOW, true, 451, "4.4.2", 502, "the peer was too slow")                                                \
    X(CIRCUIT_OPEN, true, 451, "4.4.1", 503, "the host is left alone for a while")                           \
    X(FROM_CHANGED, false, 550, "5.7.1", 409, "the letter's From differs from what the link host confirmed") \
    /* our MTA */                                                                                            \
    X(SMTP_TEMPORARY, true, 451, "4.3.0", 503, "the MTA refused for now")                                    \
    X(SMTP_PERMANENT, false, 554, "5.0.0", 502, "the MTA refused")                                           \
    X(SMTP_UNCLEAR, true, 451, "4.4.2", 504, "the MTA's final answer was lost")

enum err {
#define ERR_ENUM(name, temporary, smtp, enhanced, http, text) ERR_##name,
    ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
        ERR_COUNT
};

struct err_info {
    const char *name;     /* "DISK_FULL" in lower case with '-', as in JSON and logs: "disk-full" */
    bool temporary;       /* true: try again, nothing is lost */
    int smtp;             /* SMTP reply code */
    const char *enhanced; /* RFC 3463 enhanced status code */
    int http;             /* HTTP status */
    const char *text;     /* one sentence without a period, printable ASCII */
};

/* The row of an error. Never NULL: an unknown value gives the row of ERR_INTERNAL. Thread-safe, static
 * storage. */
const struct err_info *err_info(enum err e);

/* Shorthands for err_info(e)->text, ->name and ->temporary. */
const char *err_text(enum err e);
const char *err_name(enum err e);
bool err_temporary(enum err e);

/* The error of a failed system call: ENOSPC, EDQUOT, EFBIG -> ERR_DISK_FULL, ENOMEM -> ERR_NOMEM, else
 * ERR_IO. */
enum err err_from_errno(int errnum);

#endif
