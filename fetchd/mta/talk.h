/*
 * talk.h - one connection to an MTA: opened with EHLO, written to, replies read, each within its time; and
 * all talks of a client given up in time when the house closes. Inside this room.
 *
 * A talk belongs to one thread at a time; a stop is thread-safe.
 */
#ifndef MTA_TALK_H
#define MTA_TALK_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/buf.h"

enum talk_capability {
    TALK_PIPELINING = 1,
    TALK_SIZE = 2,
    TALK_DSN = 4,
    TALK_8BITMIME = 8,
    TALK_SMTPUTF8 = 16,
    TALK_XFORWARD = 32,
};

/* When its talks end at the latest. The answer to a final dot is waited for longer than anything before it:
 * what is given up then may have been taken. */
struct talk_stop {
    int fd; /* readable once it was said: wakes who waits */
    atomic_int_fast64_t until_mono_ms, answer_until_mono_ms;
};
enum err talk_stop_init(struct talk_stop *s);
/* Half of grace_ms for what was not sent whole, all of it for an answer to what was. */
void talk_stop_say(struct talk_stop *s, int64_t grace_ms);
/* True: what has not begun, or not come to its final dot, shall not any more. */
bool talk_stop_over(const struct talk_stop *s);
void talk_stop_free(struct talk_stop *s);

struct talk_peer {
    const struct sockaddr *address;
    socklen_t address_len;
    const char *helo;
    int64_t connect_timeout_ms, command_timeout_ms;
};

struct talk {
    int fd;
    struct talk_stop *stop; /* borrowed */
    struct buf in;
    unsigned caps;      /* enum talk_capability */
    bool waits_for_dot; /* the final dot was said: a stop grants it more time */
    unsigned transactions;
    int64_t idle_since_ms;
    struct talk *next;
};

struct talk_reply {
    int code;
    char enhanced[12];
    struct buf text;
};
void talk_reply_init(struct talk_reply *r);

/* Errors of all: ERR_CONNECT, ERR_TIMEOUT, ERR_IO, ERR_NOMEM, ERR_SYNTAX (no reply), ERR_CANCELLED (a stop
 * was said). Opening: ERR_SMTP_TEMPORARY with the MTA's refusal in *r. */
enum err talk_open(const struct talk_peer *peer, struct talk_stop *stop, struct talk **out,
                   struct talk_reply *r);
/* Writes all; while it waits for the socket it does not read: replies are few and small. */
enum err talk_write(struct talk *k, const char *data, size_t len, int64_t timeout_ms);
enum err talk_read(struct talk *k, int64_t timeout_ms, struct talk_reply *r);
void talk_close(struct talk *k); /* NULL is fine */

#endif
