/*
 * renotify.h - what a look at a ticket of the outbox (WORK_STUB) means: send its stub, for the first time or
 * again, warn its sender, wait, or nothing more; and when the next look is.
 *
 * Pure functions of the ticket as it is stored, the rules and the time. The other side is told again at the
 * times of the schedule, counted from the deposit; after the last of them again and again at that interval.
 * Each time is put off by up to a tenth of the intervals beside it, by the ticket's own random identifier, so
 * that letters of one moment are not told of at one moment, and the same question gets the same answer.
 *
 * What was missed (fetchd or the MTA was away, the wall clock jumped) is made up for by one stub, not by
 * many; times that lie in the future because the clock was wrong count as now. Nothing but what is stored
 * counts, so a look that comes too early, or twice, does no harm. Thread-safe.
 */
#ifndef LIFECYCLE_RENOTIFY_H
#define LIFECYCLE_RENOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "route/discovery.h"
#include "route/routes.h"
#include "store/store.h"

struct renotify_rules {        /* all in seconds */
    const int64_t *schedule_s; /* ascending, from 1; borrowed */
    size_t count;
    int64_t held_fresh_s;
    int64_t delay_warning_s; /* 0: never */
    int64_t lease_total_s;   /* a lease may run so long while its body is sent */
};

enum renotify_act {
    RENOTIFY_STOP,   /* nothing is due any more */
    RENOTIFY_WAIT,   /* not now */
    RENOTIFY_FIRST,  /* the stub goes out for the first time */
    RENOTIFY_AGAIN,  /* it is time to tell again; DNS is asked before (renotify_way) */
    RENOTIFY_RECALL, /* the letter was retracted or replaced while the other side keeps it in sight: the stub
                        goes out at once, so that it looks */
};
struct renotify {
    enum renotify_act act;
    bool warn;      /* the sender's delay warning is due, whatever else */
    int64_t next_s; /* the next look: of WAIT, and of the others when the stub was sent now; 0: none */
};
void renotify_look(const struct ticket *t, const struct renotify_rules *rules, int64_t now_s,
                   struct renotify *out);

enum renotify_way {
    RENOTIFY_STUB,  /* its domain takes stubs */
    RENOTIFY_PLAIN, /* no longer, and the letter may go by plain SMTP */
    RENOTIFY_LATER, /* that is not known now, or no longer and the letter may not go plain */
};
/* Before the other side is told again: what DNS says of the recipient's domain, and the administrator's
 * table. */
enum renotify_way renotify_way(const struct ticket *t, enum route route,
                               const struct discovery_answer *answer);

#endif
