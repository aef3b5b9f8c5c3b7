/*
 * inbound.h - what the milter shows of an arriving message, as admission's facts; and what is kept of one
 * that waits. For stubs and whole messages alike. Thread-safe.
 */
#ifndef LOCAL_INBOUND_H
#define LOCAL_INBOUND_H

#include "admission/admission.h"
#include "local/api.h"
#include "store/attempt.h"

struct settings;

/*
 * Sets what is the same for all recipients: client, names, Received fields (into received, which has room for
 * API_RECEIVED_MAX), List-Id, whether it is a report or bulk, now. The rest of *out is not touched. *out
 * borrows from envelope, field and received.
 */
void inbound_facts(const struct api_envelope *envelope, const struct api_field *field, size_t count,
                   struct span *received, struct facts *out);

/* The one author of a From value (NULL: none); null when there is none or several. */
void inbound_author(const char *from, struct address *out);

/*
 * The row of a contact attempt, from the facts as the checks left them and the reason. from, subject: raw
 * values, NULL for none; kept only with the setting attempts_text. ERR_TOO_LARGE when an address does not
 * fit.
 */
enum err inbound_attempt(const struct settings *s, const struct facts *f, enum reason reason,
                         const char *from, const char *subject, struct attempt *out);

#endif
