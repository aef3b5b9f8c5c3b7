/*
 * session.h - what the milter decides, message by message, in one connection of an MTA.
 *
 * A session belongs to one thread at a time, but its calls may come from different threads: all state is in
 * it, no lock is held between calls. It knows nothing of libmilter; callbacks.c does.
 *
 * When fetchd is asked
 * --------------------
 * In a session for which main.cf names enabled domains ({restante_domains}) fetchd is asked for a plan about
 *   (a) every message with a Restante-Stub field: it may be a stub for one of our users, and a stub is never
 * passed on as mail; (b) every message whose reverse-path is in an enabled domain and whose client may
 * submit: authenticated, in submission_networks, or sendmail(1). Its letter may have to become stubs; where
 * the administrator's table says "pull" it must never go plain, and only fetchd knows; (c) unless the setting
 * legacy_asked says no, every message from other clients with a recipient in an enabled domain: its mailbox
 * may not want mail from strangers. All else cannot concern us and is accepted without a word. If fetchd does
 * not answer where it is asked, the message is refused for now (451 4.3.2).
 *
 * Of a stub that comes from outside for one recipient in an enabled domain a plan could say nothing new:
 * fetchd gets the notice itself, at the end of the header. So a flood of forged ones costs one call each, and
 * the MTA need not show us the body. (The MTA has the whole message by then: what fetchd keeps is accepted.)
 */
#ifndef MILTER_SESSION_H
#define MILTER_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/netaddr.h"
#include "local/client.h"
#include "milter/message.h"

/* What all sessions share; immutable. */
struct session_site {
    struct local_client *fetchd;      /* borrowed; thread-safe */
    const struct netprefix *networks; /* submission_networks; borrowed */
    size_t network_count;
    bool legacy_asked;
};

enum session_step {
    SESSION_CONTINUE,
    SESSION_PASS,    /* this message is none of ours any more: accept it */
    SESSION_SKIP,    /* continue, but show no more of the body */
    SESSION_DISCARD, /* accept and drop: fetchd has it */
    SESSION_REFUSE   /* reply in session_refusal() */
};

struct session;

/* site is borrowed for the session's life. host, peer: of xxfi_connect. domains: {restante_domains}, not
 * empty. ERR_NOMEM. */
enum err session_open(const struct session_site *site, const char *host, const struct sockaddr *peer,
                      const char *domains, struct session **out);
void session_close(struct session *s); /* NULL is fine; an unfinished message is aborted */

/* These cannot answer: what goes wrong in them is told at the end of the header. */
void session_helo(struct session *s, const char *name);
void session_mail(struct session *s, char *const *argv, const char *auth);
void session_rcpt(struct session *s, char *const *argv, const char *mailer, const char *resolved);
void session_field(struct session *s, const char *name, const char *value);
void session_queue_id(struct session *s, const char *id); /* NULL: not known yet */

enum session_step session_header_end(struct session *s);                         /* CONTINUE, PASS, REFUSE */
enum session_step session_body(struct session *s, const void *data, size_t len); /* CONTINUE, SKIP */
/*
 * CONTINUE: remove session_removal(s, 0), (s, 1)... from the envelope, then call session_removed. Everything
 * that can fail at fetchd is done before, so no message is edited and then refused by us but for a failing
 * removal.
 */
enum session_step session_message_end(struct session *s, local_progress progress,
                                      void *arg); /* all but SKIP */
const char *session_removal(const struct session *s,
                            size_t i); /* NULL after the last; borrows until the next call */
/* ok: all were removed. If not, the message must be refused for now: what fetchd took is durable there, and
 * the client's next try gets the same tickets, or is kept once more. */
enum session_step session_removed(struct session *s, bool ok); /* CONTINUE, REFUSE */
void session_abort(struct session *s);
const struct api_reply *session_refusal(const struct session *s); /* of the last REFUSE; borrows */

#endif
