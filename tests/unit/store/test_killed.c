/*
 * test_killed.c - the process is killed while sixteen threads are at work, and the store on disk is opened
 * again: what was answered with ERR_OK is true.
 *
 * The child is this same program, and says on a pipe what was answered.
 */
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 16 };

static struct rig crowd;

/* What is said after each deposit and ack that returned ERR_OK; a pipe takes it whole. */
struct said {
    char what; /* 'd' or 'a' */
    int number;
    uint8_t a[TICKET_A_BYTES];
};

static void say(char what, int number, const struct posted *p)
{
    struct said line = {.what = what, .number = number};

    memcpy(line.a, p->keys.a, sizeof line.a);
    if (write(STDOUT_FILENO, &line, sizeof line) != (ssize_t)sizeof line)
        _exit(4);
}

static struct letter crowd_letter(int number, char id[32])
{
    struct letter l = *LETTER();

    snprintf(id, 32, "<%d>", number);
    l.message_id = id;
    l.size = number % 8 == 0 ? 70000 : 2000;
    l.fill = (uint8_t)number;
    return l;
}

static void *crowd_worker(void *arg)
{
    int thread = *(int *)arg;

    for (int i = 0; i < 1000000; i++) {
        int number = thread * 1000000 + i;
        char id[32];
        struct letter l = crowd_letter(number, id);
        struct store_claimed c;
        struct store_claim q;
        struct posted p;
        uint8_t digest[32];
        struct ticket t;

        if (rig_deposit(&crowd, &l, 1, &p) != ERR_OK)
            _exit(3);
        say('d', number, &p);
        if (i % 2 == 0)
            continue;
        q = rig_claim(&p, 1, RIG_NOW_S);
        letter_digest(&l, digest);
        /* At once or in two halves. */
        if (i % 4 == 1 && (store_claim(crowd.s, &q, &c) != ERR_OK ||
                           store_ack(crowd.s, p.ticket.key, digest, RIG_NOW_S, &t) != ERR_OK))
            _exit(3);
        if (i % 4 == 3 && (store_claim_begin(crowd.s, &q, &c) != ERR_OK ||
                           store_ack_begin(crowd.s, p.ticket.key, digest, RIG_NOW_S, &t) != ERR_OK ||
                           rig_durable(&crowd) != ERR_OK))
            _exit(3);
        say('a', number, &p);
    }
    return NULL;
}

static int run_crowd(const char *directory)
{
    static int number[THREADS];
    pthread_t thread[THREADS];
    struct buf why;

    buf_init(&why, 1000);
    rig_init(&crowd, STORE_MEMORY);
    rig_use(&crowd, directory);
    if (store_open(&crowd.options, crowd.keys, &crowd.s, &why) != ERR_OK)
        return 3;
    for (int i = 0; i < THREADS; i++) {
        number[i] = i;
        if (pthread_create(&thread[i], NULL, crowd_worker, &number[i]) != 0)
            return 3;
    }
    pthread_join(thread[0], NULL);
    return 3; /* it is to be killed long before */
}

static void what_was_said_in_a_crowd_is_true(void **state)
{
    size_t said_count = 0;

    (void)state;
    for (int round = 0; round < 4; round++) {
        struct store_counts counts;
        struct quota_use use;
        struct rig r;
        struct buf said;
        uint64_t living;

        rig_init(&r, STORE_BDB);
        buf_init(&said, 8 << 20);
        assert_true(
            WIFSIGNALED(rig_run_self((const char *[]){"test_store_killed", "crowd", r.directory, NULL},
                                     "none:1", 200 + 150 * round, &said)));
        rig_open(&r);
        for (size_t at = 0; at + sizeof(struct said) <= said.len; at += sizeof(struct said), said_count++) {
            struct said line;
            struct posted p;
            struct letter l;
            char id[32];

            memcpy(&line, said.data + at, sizeof line);
            l = crowd_letter(line.number, id);
            assert_err(ERR_OK, store_ticket_by_a(r.s, line.a, &p.ticket));
            assert_string_equal(p.ticket.message_id, id);
            if (line.what == 'a') {
                assert_int_equal(p.ticket.state, TICKET_DELIVERED);
            } else if (!ticket_state_ended(p.ticket.state)) {
                struct store_claim q = rig_claim(&p, 1, RIG_NOW_S);
                struct store_claimed c;

                assert_err(ERR_OK, ticket_derive(r.keys, line.a, &p.keys));
                assert_err(ERR_OK, store_claim(r.s, &q, &c));
                rig_check_body(&r, &c, &p, &l);
            }
        }
        /* One letter, one ticket, one payload: none without the other. */
        assert_err(ERR_OK, store_count(r.s, &counts));
        living =
            counts.tickets[TICKET_WAITING] + counts.tickets[TICKET_LEASED] + counts.tickets[TICKET_LAPSED];
        assert_int_equal(living, counts.payloads);
        assert_int_equal(living, counts.work);
        assert_err(ERR_OK, store_quota(r.s, "alice@a.test", &use));
        assert_int_equal(living, use.letters);
        rig_free(&r);
        buf_free(&said);
    }
    print_message("%zu answers checked\n", said_count);
    assert_true(said_count > 100);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_said_in_a_crowd_is_true),
    };

    if (argc == 3)
        return run_crowd(argv[2]);
    return cmocka_run_group_tests_name("store killed", tests, NULL, NULL);
}
