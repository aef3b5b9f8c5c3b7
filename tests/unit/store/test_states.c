/*
 * test_states.c - every state of a ticket against everything that can be said to it, on every engine: one
 * table says what comes of it. And the table of transitions against that: what it allows is what happens.
 *
 * Then the same through crashes: a child (this same program) says the word and dies at a kill point on the
 * way. The ticket is found as it was or as the word makes it, never between; as the word makes it if the
 * child was answered; and if it is as it was, the word can be said again and comes to the same.
 */
#include "states.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_scene(struct rig *r, const struct row *row, enum ticket_state state, bool perhaps,
                      bool on_hold)
{
    const char *want = perhaps ? row->perhaps[state] : on_hold ? row->on_hold[state] : row->usual[state];
    struct scene x = {.r = r};

    scene_bring_to(&x, state);
    if (perhaps)
        rig_set_perhaps(r, &x.p);
    if (on_hold)
        scene_hold(&x);
    if (getenv("TEST_STATES_SHOW") != NULL)
        print_message("%s: %s%s%s -> %s\n", row->name, ticket_state_name(state), perhaps ? " perhaps" : "",
                      on_hold ? " on hold" : "", want);
    scene_say(&x, row, want, perhaps);
    scene_dispose(&x);
}

static void every_state_meets_every_word(struct rig *r)
{
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < row_count; i++) {
        for (int state = 0; state < TICKET_STATE_COUNT; state++)
            run_scene(r, &rows[i], (enum ticket_state)state, false, false);
        for (int state = 0; state < LIVING; state++) {
            run_scene(r, &rows[i], (enum ticket_state)state, true, false);
            run_scene(r, &rows[i], (enum ticket_state)state, false, true);
        }
    }
    /* By time alone, whatever was said. */
    seen[0][TICKET_LEASED][TICKET_LAPSED] = seen[1][TICKET_LEASED][TICKET_LAPSED] = true;
    for (int perhaps = 0; perhaps < 2; perhaps++)
        for (int from = 0; from < TICKET_STATE_COUNT; from++)
            for (int to = 0; to < TICKET_STATE_COUNT; to++)
                if (seen[perhaps][from][to] !=
                    ticket_state_may((enum ticket_state)from, perhaps, (enum ticket_state)to))
                    fail_msg("%s -> %s%s: the table says otherwise than what happens",
                             ticket_state_name((enum ticket_state)from),
                             ticket_state_name((enum ticket_state)to), perhaps ? " (perhaps)" : "");
}

/* ---- through crashes ----------------------------------------------------------------------------------- */

static bool take(void *arg, const struct ticket *t)
{
    *(struct ticket *)arg = *t;
    return false;
}

/* The child: `word DIRECTORY ROW TIME`. It says 'o' when the store is open, 'd' when the word has answered.
 */
static int say_word(char **argv)
{
    const struct row *row = &rows[atoi(argv[3])];
    struct rig r;
    struct scene x = {.r = &r, .now_s = atoll(argv[4])};

    rig_init(&r, STORE_MEMORY);
    rig_use(&r, argv[2]);
    rig_open(&r);
    assert_err(ERR_OK, store_tickets(r.s, NULL, 1, take, &x.p.ticket));
    assert_err(ERR_OK, ticket_derive(r.keys, x.p.ticket.a, &x.p.keys));
    if (write(STDOUT_FILENO, "o", 1) != 1)
        return 4;
    row->say(&x);
    return write(STDOUT_FILENO, "d", 1) == 1 ? 0 : 4;
}

/* What the child said before it died, or was done: "", "o" or "od". */
static size_t run_child(const struct scene *x, size_t row, const char *kill_at)
{
    char number[20], time[30];
    const char *const argv[] = {"test_store_states", "word", x->r->directory, number, time, NULL};
    struct buf said;
    size_t len;
    int status;

    snprintf(number, sizeof number, "%zu", row);
    snprintf(time, sizeof time, "%lld", (long long)x->now_s);
    buf_init(&said, 100);
    status = rig_run_self(argv, kill_at, -1, &said);
    len = said.len;
    buf_free(&said);
    assert_true(len == 2 ? WIFEXITED(status) && WEXITSTATUS(status) == 0
                         : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return len;
}

/* One death in one cell; whether it died on the way through the word. */
static bool die_in_cell(struct rig *r, size_t number, enum ticket_state state, bool perhaps,
                        const char *point)
{
    const struct row *row = &rows[number];
    const char *want = perhaps ? row->perhaps[state] : row->usual[state];
    struct scene x = {.r = r};
    struct raw raw;
    size_t said = 0;

    scene_bring_to(&x, state);
    if (perhaps)
        rig_set_perhaps(r, &x.p);
    rig_close(r);
    /* At the first pass in the word, and not on the way to it. */
    for (int nth = 1; said == 0; nth++) {
        char kill_at[60];

        snprintf(kill_at, sizeof kill_at, "%s:%d", point, nth);
        said = run_child(&x, number, kill_at);
    }
    rig_open(r);
    raw = scene_look(&x);
    scene_check_whole(&x, &raw);
    if (raw.r->t.state == state_named(want))
        ; /* all of it is there */
    else if (said == 2 || scene_state_at(&raw, x.now_s) != state)
        fail_msg("%s of a ticket that is %s, dead at %s: it is %s", row->name, ticket_state_name(state),
                 point, ticket_state_name(raw.r->t.state));
    else
        scene_say(&x, row, want, perhaps);
    free(raw.r);
    scene_dispose(&x);
    return said == 1;
}

static void every_change_of_state_is_whole_after_a_crash(struct rig *r)
{
    size_t kills = 0;

    for (size_t i = 0; i < row_count; i++)
        for (int cell = 0; rows[i].commit != NULL && cell < TICKET_STATE_COUNT + LIVING; cell++) {
            bool perhaps = cell >= TICKET_STATE_COUNT;
            int state = perhaps ? cell - TICKET_STATE_COUNT : cell;
            const char *want = perhaps ? rows[i].perhaps[state] : rows[i].usual[state];
            char points[3][60];

            if (want[0] == '=' || (want[0] >= 'A' && want[0] <= 'Z'))
                continue;
            snprintf(points[0], sizeof *points, "%s-commit-before", rows[i].commit);
            snprintf(points[1], sizeof *points, "store-flush-before");
            snprintf(points[2], sizeof *points, "%s-commit-after", rows[i].commit);
            for (int k = 0; k < 3; k++)
                kills += die_in_cell(r, i, (enum ticket_state)state, perhaps, points[k]);
        }
    print_message("%zu kills\n", kills);
    assert_true(kills > 100);
}

int main(int argc, char **argv)
{
    static const struct rig_case cases[] = {
        RIG_CASE(every_state_meets_every_word),
    };
    static const struct rig_case crashes[] = {
        RIG_CASE(every_change_of_state_is_whole_after_a_crash),
    };

    if (argc == 5 && strcmp(argv[1], "word") == 0)
        return say_word(argv);
    return rig_run("ticket states", cases, sizeof cases / sizeof *cases, true, true) +
           rig_run("ticket states through crashes", crashes, sizeof crashes / sizeof *crashes, false, true);
}
