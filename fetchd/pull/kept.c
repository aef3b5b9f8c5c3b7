/*
 * kept.c - a message without a stub that was kept as a contact attempt, and whose recipient has let its
 * sender in: out of the store into our own MTA. Nobody is called, and nobody is told: its sender was answered
 * when it came. See flight.h.
 */
#include <stdio.h>

#include "base/kill.h"
#include "base/log.h"
#include "env/env.h"
#include "lifecycle/letterfile.h"
#include "pool/pool.h"
#include "pull/flight.h"
#include "pull/inject.h"

/* The MTA has it: a store that fails now would have it delivered again, so this does not give up soon. */
static void close_delivered(struct flight *f, const char *text)
{
    for (int tries = 0; tries < FLIGHT_MARK_TRIES; tries++) {
        enum err e = flight_close_job(f, JOB_ACKED, "delivered", text);
        if (e == ERR_OK || e == ERR_GONE || e == ERR_NOT_FOUND || !puller_pause(f->puller))
            return;
    }
}

static void release(struct flight *f, struct letterfile *letter)
{
    struct smtp_result result;
    char text[STORE_TEXT_MAX];

    KILL_POINT("kept-inject-before");
    inject_kept(f->env, &f->job, letter, &result);
    if (result.stopped)
        return; /* the job stays as it is, for the next start */
    snprintf(text, sizeof text, "%d %s%s%.400s", result.code, result.enhanced, result.enhanced[0] ? " " : "",
             result.text);
    switch (result.err) {
    case ERR_OK:
        /* As with a letter that was called for: a crash between the MTA's 250 and this mark delivers twice.
         */
        KILL_POINT("kept-mta-250");
        close_delivered(f, text);
        break;
    case ERR_SMTP_PERMANENT:
    case ERR_BAD_BYTES:
        /* No report goes to a sender whom nothing proves: it stays visible here. */
        flight_close_job(f, JOB_FAILED, "failed", result.code ? text : result.text);
        break;
    default:
        flight_later(f, false, 0, result.code ? text : result.text);
        break;
    }
}

/* The injection pool's thread: MTA and store may block here. */
static void on_inject_pool(void *arg)
{
    struct flight *f = arg;
    struct letterfile *letter;
    enum err e = letterfile_open_kept(f->env->store, &f->job, &letter);

    if (e == ERR_OK) {
        release(f, letter);
        letterfile_close(letter);
    } else if (e == ERR_NOT_FOUND || e == ERR_GONE) {
        flight_close_job(f, JOB_FAILED, "failed", "the message is not in the store any more");
    } else {
        flight_later(f, false, 0, err_text(e));
    }
    flight_end(f);
}

void kept_start(struct flight *f)
{
    if (pool_submit(f->inject, on_inject_pool, f) != ERR_OK)
        flight_end(f); /* due again soon */
}
