/*
 * smtp_command.h - what is said in one transaction before the content, as the server's capabilities allow.
 * Pure functions, thread-safe.
 */
#ifndef MTA_SMTP_COMMAND_H
#define MTA_SMTP_COMMAND_H

#include "mta/smtp.h"

#define SMTP_STEPS_MAX 4

/* One command, and what its reply must be. */
struct smtp_step {
    const char *name;
    int good;      /* first digit of a reply after which the transaction goes on */
    bool optional; /* it goes on after any reply */
    size_t end;    /* where its command ends among all */
};

/* Whether nothing in the envelope could end a command line or add a parameter. */
bool smtp_envelope_safe(const struct smtp_envelope *e);

/* caps: of enum talk_capability. Appends the commands from XFORWARD (where there is something to forward) to
 * DATA to *out, which must be empty. ERR_TOO_LARGE, ERR_NOMEM. */
enum err smtp_commands(unsigned caps, const struct smtp_envelope *e, struct buf *out,
                       struct smtp_step steps[SMTP_STEPS_MAX], size_t *count);

#endif
