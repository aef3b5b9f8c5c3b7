/*
 * test_look.c - what store.h promises of looking at tickets and domains, case by case, on every engine.
 */
#include "rig.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"

#define DAY_S 86400

struct seen {
    size_t count, stop_at;
    int64_t last_s;
};

static bool see(void *arg, const struct ticket *t)
{
    struct seen *seen = arg;

    assert_true(seen->count == 0 || t->created_s <= seen->last_s);
    seen->last_s = t->created_s;
    seen->count++;
    return seen->count != seen->stop_at;
}

static size_t list(struct rig *r, const struct store_filter *f, size_t limit)
{
    struct seen seen = {.count = 0};

    assert_err(ERR_OK, store_tickets(r->s, f, limit, see, &seen));
    return seen.count;
}

static void tickets_are_listed_and_filtered(struct rig *r)
{
    struct posted p[700];
    struct store_filter f = {.state = -1};
    char hex[33];

    for (int i = 0; i < 700; i++) {
        char id[20], to[32];

        snprintf(id, sizeof id, "<%d>", i);
        snprintf(to, sizeof to, "r%d@b.test", i % 7);
        p[i] = rig_post(r, LETTER(.message_id = id, .recipient = to, .size = 10,
                                  .created_s = RIG_NOW_S + (i * 37) % 1000));
    }
    assert_err(ERR_OK, rig_nack(r, &p[5], 1, RIG_NOW_S));
    assert_int_equal(list(r, NULL, 1000), 700);
    assert_int_equal(list(r, &f, 1000), 700);
    assert_int_equal(list(r, &f, 300), 300);
    assert_int_equal(list(r, &f, 0), 0);
    f.recipient = "r3@b.test";
    assert_int_equal(list(r, &f, 1000), 100);
    f.sender = "nobody@a.test";
    assert_int_equal(list(r, &f, 1000), 0);
    f = (struct store_filter){.message_id = "<77>", .state = -1};
    assert_int_equal(list(r, &f, 1000), 1);
    f = (struct store_filter){.queue_id = "4bXyz", .state = TICKET_REFUSED};
    assert_int_equal(list(r, &f, 1000), 1);
    encode_hex(p[7].keys.a, 16, hex);
    f = (struct store_filter){.id_prefix = hex, .state = -1};
    assert_int_equal(list(r, &f, 1000), 1);
    hex[16] = '\0';
    f.id_prefix = hex + 4;
    assert_int_equal(list(r, &f, 1000), 1);
    struct seen seen = {.stop_at = 4};
    assert_err(ERR_OK, store_tickets(r->s, NULL, 1000, see, &seen));
    assert_int_equal(seen.count, 4);
}

static void a_lease_that_is_over_reads_as_lapsed(struct rig *r)
{
    int64_t now_s = clock_now_s();
    struct posted p = rig_post(r, LETTER(.created_s = now_s, .expires_s = now_s + DAY_S));
    struct store_claimed c;
    struct ticket t;

    assert_err(ERR_OK, rig_call(r, &p, 1, now_s, &c));
    assert_int_equal(rig_state(r, &p), TICKET_LEASED);
    assert_err(ERR_OK, rig_call(r, &p, 1, now_s - 1000, &c)); /* renewed long ago, as it were */
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
    assert_int_equal(t.state, TICKET_LAPSED);
    assert_int_equal(t.lapses, 1);
    assert_err(ERR_OK, rig_call(r, &p, 2, now_s, &c));
    assert_int_equal(c.ticket.lapses, 1); /* counted once */
}

static void domains_are_remembered(struct rig *r)
{
    struct store_domain d;
    char longest[600];

    assert_err(ERR_NOT_FOUND, store_domain_get(r->s, "b.test", &d));
    assert_err(ERR_OK, store_domain_put(r->s, "b.test", &(struct store_domain){true, 5}));
    assert_err(ERR_OK, store_domain_get(r->s, "b.test", &d));
    assert_true(d.takes_stubs);
    assert_int_equal(d.asked_s, 5);
    assert_err(ERR_OK, store_domain_put(r->s, "b.test", &(struct store_domain){false, 6}));
    assert_err(ERR_OK, store_domain_get(r->s, "b.test", &d));
    assert_false(d.takes_stubs);
    memset(longest, 'a', sizeof longest);
    longest[599] = '\0';
    assert_err(ERR_SYNTAX, store_domain_put(r->s, longest, &d));
    assert_err(ERR_NOT_FOUND, store_domain_get(r->s, longest, &d));
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(tickets_are_listed_and_filtered),
        RIG_CASE(a_lease_that_is_over_reads_as_lapsed),
        RIG_CASE(domains_are_remembered),
    };

    return rig_run("store looks", cases, sizeof cases / sizeof *cases, true, true);
}
