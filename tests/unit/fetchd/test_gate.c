/* Who may wait on DNS: places, who gives way, guests, and who waited in vain lately. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "local/gate.h"
#include "../dns/responder.h"

#define ADDR "\xc0\x00\x02\x01", 4

static const struct zone_row zone[] = {
    {"_restante.slow.test", DNS_TXT, SILENT, 300, ADDR},
    {"7.113.0.203.in-addr.arpa", DNS_PTR, SILENT, 300, ADDR},
    {NULL, 0, PLAIN, 0, NULL, 0},
};

static const struct netaddr nobody;

struct fixture {
    struct responder *server;
    struct resolver *resolver;
    struct gate *gate;
};

static int set_up(void **state)
{
    static struct fixture f;
    char where[32];

    f.server = responder_start(zone);
    snprintf(where, sizeof where, "127.0.0.1:%u", responder_port(f.server));
    const struct resolver_options o = {.server = where, .timeout_ms = 5000, .cache_max = 100};
    *state = &f;
    return resolver_create(&o, &f.resolver) || gate_create(f.resolver, &f.gate) ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    gate_free(f->gate);
    resolver_free(f->resolver);
    responder_stop(f->server);
    return 0;
}

static struct netaddr addr(const char *text)
{
    struct netaddr a;

    if (netaddr_parse(span_of(text), &a) != ERR_OK)
        fail_msg("%s", text);
    return a;
}

static enum err enter(struct gate *g, const char *client, const char *domain, struct gate_pass *p)
{
    struct netaddr a = client ? addr(client) : nobody;

    return gate_enter(g, &a, domain, 5000, p);
}

static bool is_guest(const struct gate_pass *p)
{
    return p->place < 0 && p->deadline_mono_ms <= p->began_mono_ms + GATE_GUEST_MS;
}

static void rest(int64_t ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

static void a_network_has_two_places(void **state)
{
    struct fixture *f = *state;
    struct gate_pass p[6];

    assert_int_equal(enter(f->gate, "192.0.2.1", "a.test", &p[0]), ERR_OK);
    assert_int_equal(enter(f->gate, "192.0.2.200", "b.test", &p[1]), ERR_OK);
    assert_int_equal(enter(f->gate, "192.0.2.1", "c.test", &p[2]), ERR_BUSY);
    gate_leave(f->gate, &p[0]);
    assert_int_equal(enter(f->gate, "192.0.2.1", "c.test", &p[2]), ERR_OK);
    assert_int_equal(enter(f->gate, "2001:db8:1:1::1", "d.test", &p[3]), ERR_OK);
    assert_int_equal(enter(f->gate, "2001:db8:1:2::1", "e.test", &p[4]), ERR_OK);
    assert_int_equal(enter(f->gate, "2001:db8:1:3::1", "f.test", &p[5]), ERR_BUSY);
    assert_int_equal(enter(f->gate, "2001:db8:2::1", "f.test", &p[5]), ERR_OK);
    for (size_t i = 1; i < COUNT(p); i++)
        gate_leave(f->gate, &p[i]);
}

static void an_organisation_has_two_places_and_guests_for_a_moment(void **state)
{
    struct fixture *f = *state;
    struct gate_pass p[2 + GATE_GUESTS], more;

    assert_int_equal(enter(f->gate, "192.0.2.1", "a.test", &p[0]), ERR_OK);
    assert_int_equal(enter(f->gate, "192.0.3.1", "mail.a.test", &p[1]), ERR_OK);
    assert_false(is_guest(&p[0]) || is_guest(&p[1]));
    for (size_t i = 2; i < COUNT(p); i++) {
        assert_int_equal(enter(f->gate, "192.0.2.1", i % 2 ? "a.test" : "news.a.test", &p[i]), ERR_OK);
        assert_true(is_guest(&p[i]));
    }
    assert_int_equal(enter(f->gate, "192.0.4.1", "a.test", &more), ERR_BUSY);
    gate_leave(f->gate, &p[5]);
    assert_int_equal(enter(f->gate, "192.0.4.1", "a.test", &p[5]), ERR_OK);
    rest(GATE_GUEST_MS + 20);
    gate_leave(f->gate, &p[5]);
    assert_int_equal(enter(f->gate, "192.0.4.1", "a.test", &p[5]), ERR_BUSY); /* these look-ups are slow */
    assert_int_equal(enter(f->gate, "192.0.4.1", "b.test", &p[5]), ERR_OK);
    for (size_t i = 0; i < COUNT(p); i++)
        gate_leave(f->gate, &p[i]);
    assert_int_equal(enter(f->gate, "192.0.4.1", "a.test", &more), ERR_OK); /* nobody waited in vain */
    gate_leave(f->gate, &more);
}

static void fill(struct gate *g, struct gate_pass p[GATE_PLACES])
{
    char domain[32];

    for (int i = 0; i < GATE_PLACES; i++) {
        snprintf(domain, sizeof domain, "d%d.test", i);
        assert_int_equal(enter(g, NULL, domain, &p[i]), ERR_OK);
    }
}

static void who_has_waited_longest_gives_way(void **state)
{
    struct fixture *f = *state;
    struct gate_pass p[GATE_PLACES], more;

    fill(f->gate, p);
    gate_leave(f->gate, &p[0]);
    rest(20);
    assert_int_equal(enter(f->gate, NULL, "d0.test", &p[0]), ERR_OK);
    assert_int_equal(enter(f->gate, NULL, "more.test", &more), ERR_BUSY); /* all have just come */
    rest(GATE_REST_MS + 20);
    assert_int_equal(enter(f->gate, NULL, "more.test", &more), ERR_OK);
    gate_leave(f->gate, &p[1]);
    assert_true(p[1].gave_way);
    for (int i = 0; i < GATE_PLACES; i++) {
        if (i == 1)
            continue;
        gate_leave(f->gate, &p[i]);
        assert_false(p[i].gave_way);
    }
    gate_leave(f->gate, &more);
    fill(f->gate, p);
    for (int i = 0; i < GATE_PLACES; i++)
        gate_leave(f->gate, &p[i]);
}

struct slow {
    struct fixture *f;
    const char *client, *question;
    enum dns_type type;
    bool left;
    int64_t took_ms;
};

static void *wait_slowly(void *arg)
{
    struct slow *s = arg;
    struct gate_pass p;
    struct dns_answer *a = NULL;
    int64_t began = clock_mono_ms();

    if (enter(s->f->gate, s->client, "slow.test", &p) == ERR_OK) {
        enum err e = resolver_query(s->f->resolver, s->question, s->type, p.deadline_mono_ms, &a);
        gate_leave(s->f->gate, &p);
        s->left = e == ERR_DNS_TEMPORARY && p.gave_way;
    }
    s->took_ms = clock_mono_ms() - began;
    return NULL;
}

/* One waits for the question, the others come, and he gives way at once. */
static void give_way(struct fixture *f, struct slow *s)
{
    struct gate_pass p[GATE_PLACES];
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, wait_slowly, s), 0);
    while (responder_queries(f->server) == 0)
        rest(5);
    rest(GATE_REST_MS + 20);
    fill(f->gate, p);
    pthread_join(thread, NULL);
    assert_true(s->left);
    assert_true(s->took_ms < 4000);
    for (int i = 0; i < GATE_PLACES; i++)
        gate_leave(f->gate, &p[i]);
}

static void an_organisation_that_kept_others_waiting_gets_no_place(void **state)
{
    struct fixture *f = *state;
    struct slow s = {.f = f, .client = "192.0.2.1", .question = "_restante.slow.test", .type = DNS_TXT};
    struct gate_pass p;

    give_way(f, &s);
    assert_int_equal(enter(f->gate, "198.51.100.1", "mail.slow.test", &p), ERR_BUSY);
    assert_int_equal(enter(f->gate, "198.51.100.1", "a.test", &p), ERR_OK);
    assert_false(is_guest(&p));
    gate_leave(f->gate, &p);
    assert_int_equal(enter(f->gate, "192.0.2.2", "a.test", &p), ERR_OK); /* the network's fault, perhaps */
    assert_true(is_guest(&p));
    gate_leave(f->gate, &p);
}

static void a_slow_reverse_name_is_not_the_senders_fault(void **state)
{
    struct fixture *f = *state;
    struct slow s = {
        .f = f, .client = "203.0.113.7", .question = "7.113.0.203.in-addr.arpa", .type = DNS_PTR};
    struct gate_pass p;

    give_way(f, &s);
    assert_int_equal(enter(f->gate, "198.51.100.1", "slow.test", &p), ERR_OK);
    assert_false(is_guest(&p));
    gate_leave(f->gate, &p);
    assert_int_equal(enter(f->gate, "203.0.113.9", "slow.test", &p), ERR_OK);
    assert_true(is_guest(&p));
    gate_leave(f->gate, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_network_has_two_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_organisation_has_two_places_and_guests_for_a_moment, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_has_waited_longest_gives_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_organisation_that_kept_others_waiting_gets_no_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_slow_reverse_name_is_not_the_senders_fault, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
