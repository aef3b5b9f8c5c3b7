/*
 * log.h - the log: plain lines for the daemons' life, and one key=value summary line a message and side.
 *
 * Goes to the journal (if stderr is it) or to stderr with a time stamp, one line a call, written by one
 * write(2). Text from the network is escaped by the functions here, never by the callers. Secrets are never
 * passed in. Thread-safe.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* program: static string, used as prefix. Lines above the level are dropped. */
void log_open(const char *program, enum log_level level);
void log_set_level(enum log_level level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * A summary line, as in Postfix: "4bXyz: ticket=9f31c2a0 from=<a@a.test> to=<b@b.test> size=81234 delay=1.2
 * status=delivered (250 2.0.0 Ok: queued as 4bXzz)". Keys come from enum log_key alone.
 */
#define LOG_KEYS(X)                                                                                          \
    X(TICKET, "ticket")                                                                                      \
    X(JOB, "job")                                                                                            \
    X(FROM, "from")                                                                                          \
    X(TO, "to")                                                                                              \
    X(MESSAGE_ID, "message-id")                                                                              \
    X(SIZE, "size")                                                                                          \
    X(NRCPT, "nrcpt")                                                                                        \
    X(CLIENT, "client")                                                                                      \
    X(HOST, "host")                                                                                          \
    X(DOMAIN, "domain")                                                                                      \
    X(RELAY, "relay")                                                                                        \
    X(JOURNAL, "journal")                                                                                    \
    X(ATTEMPTS, "attempts")                                                                                  \
    X(NEXT, "next")                                                                                          \
    X(STATE, "state")                                                                                        \
    X(ENTERED, "entered")                                                                                    \
    X(WOULD, "would")                                                                                        \
    X(REASON, "reason")                                                                                      \
    X(DELAY, "delay")                                                                                        \
    X(STATUS, "status")
enum log_key {
#define LOG_ENUM(name, text) LOG_KEY_##name,
    LOG_KEYS(LOG_ENUM)
#undef LOG_ENUM
        LOG_KEY_COUNT
};

struct log_line {
    struct buf text; /* bounded: what does not fit is cut with "..." */
};
void log_line_begin(struct log_line *line, const char *queue_id);                 /* NULL or "": "-" */
void log_line_str(struct log_line *line, enum log_key key, const char *value);    /* escaped */
void log_line_addr(struct log_line *line, enum log_key key, const char *address); /* <escaped> */
void log_line_num(struct log_line *line, enum log_key key, int64_t value);
void log_line_delay(struct log_line *line, int64_t delay_ms);                        /* delay=1.2 */
void log_line_status(struct log_line *line, const char *status, const char *detail); /* status=x (detail) */
void log_line_end(struct log_line *line, enum log_level level);                      /* writes and frees */

#endif
