/*
 * flight.h - a job under way. Private to this folder: pull.c looks for due jobs and keeps the flights,
 * turns.c says whose turn it is, steps.c is what a flight does.
 */
#ifndef PULL_FLIGHT_H
#define PULL_FLIGHT_H

#include "base/log.h"
#include "claim/claim.h"
#include "dns/resolver.h"
#include "store/store.h"

struct env;
struct pool;
struct puller;

struct flight {
    struct puller *puller;
    const struct env *env;
    struct pool *inject;
    uint8_t
        id[16]; /* the job's; never changes, so that the loop may compare it while the job is read again */
    struct job job;
    struct ticket_url url;
    char owner[DNS_NAME_MAX +
               1];        /* the organisation of the link host, who may have many; "" when none is called */
    uint64_t aside_bytes; /* room on the disk that was set aside for its letter */
    enum claim_verb verb;
    struct claim_outcome outcome;
    struct flight *next;         /* in the puller's list of all */
    struct flight *next_waiting; /* waiting for its turn at its owner */
};

/* steps.c: does what the job's state calls for, on the threads that may block for it; then flight_end. */
void flight_start(struct flight *f);
/* steps.c: ends the job and says so in the log; for flights that were not started too. Blocks. */
enum err flight_close_job(struct flight *f, enum job_state state, const char *status, const char *why);
/* steps.c: the job is due again later, by the rules of pulls and says so in the log. retry_after_s: 0, or
 * what the peer asked for. Blocks. */
void flight_later(struct flight *f, bool corrupt, int64_t retry_after_s, const char *why);
/* The same of one that could not be tried: due again in wait_s, and it does not count as a try. Blocks. */
void flight_put_off(struct flight *f, int64_t wait_s, const char *why, enum log_level level);
#define FLIGHT_MARK_TRIES 60 /* a second apart: until then a store that fails may have come to itself */
/* kept.c: a kept message whose sender is admitted goes into the MTA. In place of flight_start. */
void kept_start(struct flight *f);

/* pull.c: the step is over; frees the flight, and gives its owner's place to the next. */
void flight_end(struct flight *f);
/* pull.c: sets room on the disk aside for the flight's letter, until it is over. False: there is none. */
bool puller_has_room(struct flight *f);
/* pull.c: sleeps a second, or less when the puller stops; false then. */
bool puller_pause(struct puller *p);

#endif
