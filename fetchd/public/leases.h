/*
 * leases.h - which leases have a body on the wire right now, or had one a moment ago.
 *
 * A lease runs while its body is sent and some minutes after the last byte; the store knows only when it
 * began. This table, in memory alone, knows the rest. After a restart it is empty: bodies are gone then too.
 * Thread-safe.
 */
#ifndef PUBLIC_LEASES_H
#define PUBLIC_LEASES_H

#include <stdint.h>

#include "base/err.h"
#include "ticket/ticket.h"

struct leases;
enum err leases_create(int64_t lease_s, struct leases **out);
void leases_free(struct leases *l);
/* A body of this ticket starts. ERR_NOMEM. Each needs one leases_body_end. */
enum err leases_body_begin(struct leases *l, const uint8_t key[TICKET_STORE_KEY_BYTES]);
void leases_body_end(struct leases *l, const uint8_t key[TICKET_STORE_KEY_BYTES], int64_t now_s);
/* Until when the ticket's lease lives on account of its bodies; 0 when nothing is known of it. */
int64_t leases_live_until(struct leases *l, const uint8_t key[TICKET_STORE_KEY_BYTES], int64_t now_s);

#endif
