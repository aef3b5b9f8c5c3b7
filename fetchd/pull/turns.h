/*
 * turns.h - how many flights each owner of link hosts has under way, and which wait for their turn, so that
 * one who is slow keeps no other's jobs from theirs, however many hosts he has. Not thread-safe: the puller's
 * lock guards it.
 */
#ifndef PULL_TURNS_H
#define PULL_TURNS_H

#include "pull/flight.h"

struct turns;
enum err turns_create(unsigned active_max, struct turns **out); /* under way at once at one owner */
void turns_free(struct turns *h);                               /* with nothing in it but empty owners */

enum turn {
    TURN_GO,    /* it has a place: start it */
    TURN_WAITS, /* turns_leave of another will give it one */
    TURN_FULL   /* too many wait already (or no memory): not taken */
};
/* By f->owner. */
enum turn turns_enter(struct turns *h, struct flight *f);
/* f gives its place back: the flight that has it now and is to be started; NULL for none. */
struct flight *turns_leave(struct turns *h, const struct flight *f);
/* One that waits, taken out of its queue; NULL when none is left. */
struct flight *turns_take_waiting(struct turns *h);
/* How many wait, at all together. */
unsigned turns_waiting(const struct turns *h);

#endif
