/*
 * ticket_rows.h - tickets as rows of the local API's answers. No key, no URL of a payload and no lease token
 * is ever shown. Thread-safe.
 */
#ifndef LOCAL_TICKET_ROWS_H
#define LOCAL_TICKET_ROWS_H

#include "local/rows.h"
#include "store/store.h"

/* What a list shows of a ticket. */
void ticket_row(struct rows *r, const struct ticket *t);
/* The same, and what is of interest when one asks for it alone. */
void ticket_row_whole(struct rows *r, const struct ticket *t);
/* As much as tells letters apart. The row is left open for more. */
void ticket_row_short(struct rows *r, const struct ticket *t);
/* A row for each thing that happened to it, oldest first: time, event, and with the newest of its kind what
 * the ticket remembers of it (who called, why it was refused...). */
void ticket_event_rows(struct rows *r, const struct ticket *t);

#endif
