/*
 * inject.h - a letter that was called for goes into our own MTA, for exactly one recipient, with the trace of
 * its way on top. Thread-safe; blocks as long as the MTA may take.
 */
#ifndef PULL_INJECT_H
#define PULL_INJECT_H

#include "claim/claim.h"
#include "env/env.h"
#include "mta/smtp.h"
#include "store/store.h"

struct letterfile; /* lifecycle/ */

/*
 * letter: what the claim gave (its letter_fd is read from the start and stays open). Adds Received: and
 * Authentication-Results:, removes Authentication-Results fields that claim to be this site's (RFC 8601 5),
 * and changes no other byte. NOTIFY is what the sender asked for without SUCCESS.
 */
void inject_letter(const struct env *env, const struct job *job, const struct claim_outcome *letter,
                   struct smtp_result *out);

/* The same for a message that was kept here, from its store, without Restante's word on its sender: the trace
 * tells how it came. Where nothing proves the sender's domain, NOTIFY is NEVER: what the MTA says of it later
 * would go to somebody else. A letter that cannot be read whole is ERR_SMTP_TEMPORARY. */
void inject_kept(const struct env *env, const struct job *job, struct letterfile *letter,
                 struct smtp_result *out);

/* ERR_FROM_CHANGED when the letter's author is another than the one that the link host confirmed. */
enum err inject_check_author(const struct job *job, const struct claim_outcome *letter);

/* NOTIFY for the injection: "" -> "", without SUCCESS; what was SUCCESS alone becomes NEVER. out has 64
 * bytes. */
void inject_notify(const char *asked, char out[64]);

#endif
