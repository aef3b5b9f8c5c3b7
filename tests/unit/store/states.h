/*
 * states.h - everything that can be said to a ticket, and what comes of it in every state: the table of
 * test_states.c, and a ticket brought to a state, told a word, looked at and disposed of.
 */
#ifndef TEST_STORE_STATES_H
#define TEST_STORE_STATES_H

#include "rig.h"

#include "store/store_internal.h"
#include "store/ticket_state.h"

/* One ticket, alone in its store, as a word meets it. */
struct scene {
    struct rig *r;
    struct posted p;
    int64_t now_s;
};

#define LIVING (TICKET_LAPSED + 1) /* that many states, the first, are of living tickets */

/* What comes of a word: "=": ERR_OK, and the state is as before; "leased": ERR_OK, and that is the state;
 * "GONE": that error, and nothing at all has changed; "GONE expired": that error, and that is the state. */
struct row {
    const char *name;
    enum err (*say)(struct scene *x);
    const char *commit; /* its kill points; NULL: it has none of its own, another row goes through them */
    /* Of usual tickets: waiting, held, challenged, leased, lapsed; delivered, refused, retracted, expired,
     * unconfirmed, bounced, plain. The living ones also when they were perhaps handed over before a restore,
     * and on hold. */
    const char *usual[TICKET_STATE_COUNT], *perhaps[LIVING], *on_hold[LIVING];
};
extern const struct row rows[];
extern const size_t row_count;

/* Changes of state that scene_say has met: of usual tickets, of those that were perhaps handed over. */
extern bool seen[2][TICKET_STATE_COUNT][TICKET_STATE_COUNT];

/* What is stored; the caller frees r. */
struct raw {
    const uint8_t *key;
    struct ticket_record *r;
    bool wrap, payload;
};
struct raw scene_look(const struct scene *x);
enum ticket_state scene_state_at(const struct raw *raw, int64_t now_s);
enum ticket_state state_named(const char *name);
/* What must be so of every ticket at any time. */
void scene_check_whole(const struct scene *x, const struct raw *raw);

/* Posts the letter, does what leads to that state, and sets the time for the word. */
void scene_bring_to(struct scene *x, enum ticket_state state);
/* Says the word and compares what comes of it with `want`. */
void scene_say(struct scene *x, const struct row *row, const char *want, bool perhaps);
/* Puts the ticket on hold. */
void scene_hold(struct scene *x);
/* Whatever the word left, it comes to an end, and then nothing is left of it. */
void scene_dispose(struct scene *x);

#endif
