/*
 * reason.h - the one list of admission's reasons. The codes are stable: they stand in the log (reason=), in
 * Authentication-Results (reason="..."), in `restantectl explain`, and in docs/OPERATIONS.md.
 */
#ifndef ADMISSION_REASON_H
#define ADMISSION_REASON_H

#include "base/err.h"

/* X(name, code, error whose SMTP code and enhanced status code a refusal has, sentence) */
#define REASONS(X)                                                                                           \
    X(NONE, "none", OK, "nothing against it")                                                                \
    /* rate */                                                                                               \
    X(RATE_CLIENT, "rate-client", RATE, "too much from this client's network")                               \
    X(RATE_DOMAIN, "rate-domain", RATE, "too much from this sender's domain")                                \
    X(RATE_ORGANISATION, "rate-organisation", RATE, "too much from this sender's organisation")              \
    X(RATE_HOST, "rate-host", RATE, "too much for this link host")                                           \
    X(BUSY, "busy", BUSY, "too many wait for DNS answers already")                                           \
    /* form */                                                                                               \
    X(FORM, "form", STUB_SYNTAX, "malformed stub")                                                           \
    X(MISMATCH, "mismatch", STUB_MISMATCH, "the stub does not agree with its envelope")                      \
    X(EXPIRED, "expired", STUB_EXPIRED, "the stub has expired")                                              \
    X(TOO_LARGE, "too-large", TOO_LARGE, "the letter is too large")                                          \
    /* the sender's domain */                                                                                \
    X(NO_MX, "no-mx", SENDER_NO_MX, "the sender's domain has no MX record")                                  \
    X(NULL_MX, "null-mx", SENDER_NULL_MX, "the sender's domain has a null MX")                               \
    X(NO_DOMAIN, "no-domain", SENDER_NO_DOMAIN, "the sender's domain does not exist")                        \
    X(SPF_NONE, "spf-none", SPF, "the sender's domain has no SPF record")                                    \
    X(SPF_NEUTRAL, "spf-neutral", SPF, "SPF of the sender's domain is neutral on this client")               \
    X(SPF_SOFTFAIL, "spf-softfail", SPF,                                                                     \
      "SPF of the sender's domain does not permit this client (softfail)")                                   \
    X(SPF_FAIL, "spf-fail", SPF, "SPF of the sender's domain does not permit this client")                   \
    X(SPF_PERMERROR, "spf-permerror", SPF_RECORD, "the SPF record of the sender's domain is in error")       \
    X(SPF_TEMPERROR, "spf-temperror", SPF_TEMPORARY, "SPF of the sender's domain could not be asked")        \
    X(RDNS_NONE, "rdns-none", RDNS, "the client's address has no reverse DNS")                               \
    X(RDNS_UNCONFIRMED, "rdns-unconfirmed", RDNS,                                                            \
      "the client's reverse DNS is not confirmed by its address")                                            \
    X(RDNS_TEMPERROR, "rdns-temperror", RDNS_TEMPORARY, "the client's reverse DNS could not be asked")       \
    X(DNS_TEMPORARY, "dns-temporary", DNS_TEMPORARY, "a DNS look-up failed")                                 \
    X(DNS_BOGUS, "dns-bogus", DNS_BOGUS, "a DNS answer did not validate")                                    \
    X(NOT_DESIGNATED, "not-designated", NOT_DESIGNATED,                                                      \
      "the link host is not designated by the sender's domain")                                              \
    X(NO_DESIGNATION, "no-designation", NOT_DESIGNATED, "the sender's domain designates no link host")       \
    X(TESTING, "testing", NOT_DESIGNATED, "the sender's domain is testing: passed on as ordinary mail")      \
    /* who it is */                                                                                          \
    X(YOUNG, "young", FORBIDDEN, "the sender's domain is young")                                             \
    X(UNALIGNED, "unaligned", FORBIDDEN, "From does not align with the verified domain")                     \
    X(UNVERIFIED, "unverified", FORBIDDEN, "nothing proves the sender's domain")                             \
    /* the recipient's word */                                                                               \
    X(ROLE, "role", OK, "this mailbox is always open")                                                       \
    X(DENIED, "denied", DENIED, "the recipient takes nothing from this sender")                              \
    X(ALLOWED, "allowed", OK, "on the recipient's allow list")                                               \
    X(LIST, "list", OK, "a mailing list on the recipient's allow list")                                      \
    X(SOLVED, "solved", OK, "the sender has answered the recipient's challenge")                             \
    X(TOKEN, "token", OK, "sent to a token of the recipient's")                                              \
    X(CORRESPONDENT, "correspondent", OK, "the recipient wrote to this sender")                              \
    X(OPEN, "open", OK, "the mailbox is open")                                                               \
    X(NO_STUB, "no-stub", NOT_FOUND, "no stub has this reverse-path")                                        \
    X(STRANGER, "stranger", FORBIDDEN, "the recipient does not know this sender")                            \
    X(CHALLENGE, "challenge", FORBIDDEN, "the sender is asked to prove himself")                             \
    /* whole messages */                                                                                     \
    X(LEGACY_ACCEPT, "legacy-accept", OK, "ordinary mail is accepted")                                       \
    X(LEGACY_ATTEMPT, "legacy-attempt", FORBIDDEN,                                                           \
      "ordinary mail from strangers is kept as a contact attempt")                                           \
    X(LEGACY_REJECT, "legacy-reject", LEGACY_REFUSED,                                                        \
      "ordinary mail is not accepted here: send by Restante")                                                \
    X(INTERNAL, "internal", INTERNAL, "an internal error")

enum reason {
#define REASON_ENUM(name, code, error, text) REASON_##name,
    REASONS(REASON_ENUM)
#undef REASON_ENUM
        REASON_COUNT
};

const char *reason_code(enum reason r);
const char *reason_text(enum reason r);
enum err reason_err(enum reason r);
/* The other way round; REASON_NONE for "" and what is no code. */
enum reason reason_of(const char *code);

#endif
