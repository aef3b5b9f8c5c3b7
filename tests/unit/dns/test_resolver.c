/* test_resolver.c - questions to a name server that answers well, badly, late, or not at all. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "dns/resolver.h"
#include "responder.h"

#define R(text) (text), sizeof(text) - 1
#define ADDR R("\xc0\x00\x02\x01")

static const struct zone_row zone[] = {
    {"plain.test", DNS_A, PLAIN, 300, ADDR},
    {"zero.test", DNS_A, PLAIN, 0, ADDR},
    {"forged-id.test", DNS_A, WRONG_ID_FIRST, 300, ADDR},
    {"forged-question.test", DNS_A, WRONG_QUESTION_FIRST, 300, ADDR},
    {"only-forged.test", DNS_A, WRONG_ID_ONLY, 300, ADDR},
    {"large.test", DNS_A, TRUNCATED, 300, ADDR},
    {"too-large.test", DNS_A, TRUNCATED_TWICE, 300, ADDR},
    {"late.test", DNS_A, SILENT_ONCE, 300, ADDR},
    {"silent.test", DNS_A, SILENT, 300, ADDR},
    {"malformed.test", DNS_A, MALFORMED, 300, ADDR},
    {"failed.test", DNS_A, SERVFAIL, 300, ADDR},
    {"bogus.test", DNS_A, SERVFAIL_BOGUS, 300, ADDR},
    {"none.test", DNS_A, NXDOMAIN, 0, R("")},
    {"empty.test", DNS_A, NODATA, 0, R("")},
    {"bare.test", DNS_A, NODATA_BARE, 0, R("")},
    {"six.test", DNS_AAAA, PLAIN, 300, R("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01")},
    {"text.test", DNS_TXT, PLAIN, 300,
     R("\x03"
       "ab;"
       "\x02"
       "c\0")},
    {"mail.test", DNS_MX, PLAIN, 300, R("\0\x0a\x03MX1\x04test\0")},
    {"oddmx.test", DNS_MX, PLAIN, 300,
     R("\0\x0a\x06"
       "a:b/c\\"
       "\x04test\0")},
    {"oddmx.test", DNS_MX, PLAIN, 300,
     R("\0\x0a\x03"
       "d.e"
       "\x04test\0")},
    {"oddmx.test", DNS_MX, PLAIN, 300, R("\0\x14\x03mx2\x04test\0")},
    {"a:b/c\\.test", DNS_A, PLAIN, 300, ADDR},
    {"two  blanks%20.test", DNS_A, PLAIN, 300, ADDR},
    {"nullmx.test", DNS_MX, PLAIN, 300, R("\0\0\0")},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, PLAIN, 300, R("\x02mx\x04test\0")},
    {"_443._tcp.tlsa.test", DNS_TLSA, PLAIN, 300, R("\x03\x01\x01\xaa\xbb")},
    {"a.test", DNS_A, PLAIN, 300, ADDR},
    {"b.test", DNS_A, PLAIN, 300, ADDR},
    {"c.test", DNS_A, PLAIN, 300, ADDR},
    {NULL, 0, PLAIN, 0, NULL, 0},
};

struct fixture {
    struct responder *server;
    struct resolver *resolver;
};

static struct resolver *make_resolver(struct responder *server, size_t cache_max)
{
    char where[32];
    struct resolver *r;
    snprintf(where, sizeof where, "127.0.0.1:%u", responder_port(server));
    const struct resolver_options o = {.server = where,
                                       .timeout_ms = 300,
                                       .cache_max = cache_max,
                                       .ttl_max_s = 86400,
                                       .negative_ttl_max_s = 300};
    assert_int_equal(resolver_create(&o, &r), ERR_OK);
    return r;
}

static int set_up(void **state)
{
    static struct fixture f;
    f.server = responder_start(zone);
    f.resolver = make_resolver(f.server, 1000);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    resolver_free(f->resolver);
    responder_stop(f->server);
    return 0;
}

static enum err ask(struct resolver *r, const char *name, enum dns_type type, struct dns_answer **out)
{
    *out = NULL;
    return resolver_query(r, name, type, clock_mono_ms() + 5000, out);
}

static const struct {
    const char *what, *name;
    enum err err;
    bool exists;
    size_t count;
} manners[] = {
    {"an answer is taken", "plain.test", ERR_OK, true, 1},
    {"names have no case and may end with a dot", "PLAIN.Test.", ERR_OK, true, 1},
    {"another ID is not ours", "forged-id.test", ERR_OK, true, 1},
    {"another question is not ours", "forged-question.test", ERR_OK, true, 1},
    {"forged answers alone are none", "only-forged.test", ERR_DNS_TEMPORARY, false, 0},
    {"a truncated answer is asked for again over TCP", "large.test", ERR_OK, true, 1},
    {"truncated over TCP is a failure", "too-large.test", ERR_DNS_TEMPORARY, false, 0},
    {"a lost query is sent again", "late.test", ERR_OK, true, 1},
    {"silence is temporary", "silent.test", ERR_DNS_TEMPORARY, false, 0},
    {"after silence the server is asked as before", "b.test", ERR_OK, true, 1},
    {"malformed is temporary", "malformed.test", ERR_DNS_TEMPORARY, false, 0},
    {"SERVFAIL is temporary", "failed.test", ERR_DNS_TEMPORARY, false, 0},
    {"a validation failure is told apart", "bogus.test", ERR_DNS_BOGUS, false, 0},
    {"NXDOMAIN is an answer", "none.test", ERR_OK, false, 0},
    {"no data is an answer", "empty.test", ERR_OK, true, 0},
    {"a name with a blank cannot be asked", "a b.test", ERR_ADDRESS, false, 0},
    {"an empty name cannot be asked", "", ERR_ADDRESS, false, 0},
};

static void manners_of_servers(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(manners); i++) {
        struct dns_answer *a;
        enum err err = ask(f->resolver, manners[i].name, DNS_A, &a);
        if (err != manners[i].err)
            fail_msg("%s: %s", manners[i].what, err_name(err));
        if (err != ERR_OK)
            continue;
        if (a->exists != manners[i].exists || a->count != manners[i].count || !a->secure)
            fail_msg("%s: exists %d count %zu", manners[i].what, a->exists, a->count);
        if (a->count > 0) {
            char text[NETADDR_TEXT_MAX];
            netaddr_text(&a->record[0].addr, text);
            assert_string_equal(text, "192.0.2.1");
        }
        dns_answer_free(a);
    }
    assert_int_equal(responder_tcp_queries(f->server), 2);
}

static void records_of_each_type_are_read(void **state)
{
    struct fixture *f = *state;
    struct dns_answer *a;
    char text[NETADDR_TEXT_MAX];
    assert_int_equal(ask(f->resolver, "six.test", DNS_AAAA, &a), ERR_OK);
    netaddr_text(&a->record[0].addr, text);
    assert_string_equal(text, "2001:db8::1");
    dns_answer_free(a);
    assert_int_equal(ask(f->resolver, "text.test", DNS_TXT, &a), ERR_OK);
    assert_int_equal(a->record[0].txt.len, 5);
    assert_memory_equal(a->record[0].txt.data, "ab;c\0", 5);
    dns_answer_free(a);
    assert_int_equal(ask(f->resolver, "mail.test", DNS_MX, &a), ERR_OK);
    assert_int_equal(a->record[0].mx.preference, 10);
    assert_string_equal(a->record[0].mx.host, "mx1.test");
    dns_answer_free(a);
    assert_int_equal(ask(f->resolver, "nullmx.test", DNS_MX, &a), ERR_OK);
    assert_string_equal(a->record[0].mx.host, "");
    dns_answer_free(a);
    assert_int_equal(ask(f->resolver, "1.2.0.192.in-addr.arpa", DNS_PTR, &a), ERR_OK);
    assert_string_equal(a->record[0].host, "mx.test");
    dns_answer_free(a);
    assert_int_equal(ask(f->resolver, "_443._tcp.tlsa.test", DNS_TLSA, &a), ERR_OK);
    assert_int_equal(a->record[0].tlsa.usage, 3);
    assert_int_equal(a->record[0].tlsa.len, 2);
    assert_memory_equal(a->record[0].tlsa.data, "\xaa\xbb", 2);
    dns_answer_free(a);
}

static void queries_ask_for_validation(void **state)
{
    struct fixture *f = *state;
    struct dns_answer *a;
    uint8_t query[512];
    assert_int_equal(ask(f->resolver, "plain.test", DNS_A, &a), ERR_OK);
    dns_answer_free(a);
    size_t len = responder_latest(f->server, query);
    assert_int_equal(query[2] & 0x81, 0x01); /* a query, recursion desired */
    assert_int_equal(query[3] & 0x30, 0x20); /* AD, not CD */
    const uint8_t *opt = query + len - 11;
    assert_memory_equal(opt, "\0\0\x29\x04\xd0\0\0\x80\0\0\0", 11); /* EDNS0, 1232 octets, DO */
}

static const struct {
    const char *what, *name;
    unsigned queries; /* for three questions */
    bool cached;
} keeping[] = {
    {"an answer is kept", "plain.test", 1, true},
    {"a TTL of 0 is not kept", "zero.test", 3, false},
    {"NXDOMAIN is kept by its SOA", "none.test", 1, true},
    {"no data is kept by its SOA", "empty.test", 1, true},
    {"no data without a SOA is not kept", "bare.test", 3, false},
    {"a failure is not kept", "failed.test", 3, false},
};

static void answers_are_kept_by_their_ttl(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(keeping); i++) {
        unsigned before = responder_queries(f->server);
        for (int n = 0; n < 3; n++) {
            struct dns_answer *a;
            if (ask(f->resolver, keeping[i].name, DNS_A, &a) == ERR_OK && a->ttl_s > 300)
                fail_msg("%s: TTL %u", keeping[i].what, a->ttl_s);
            dns_answer_free(a);
        }
        if (responder_queries(f->server) - before != keeping[i].queries ||
            resolver_cached(f->resolver, keeping[i].name, DNS_A) != keeping[i].cached)
            fail_msg("%s: %u queries", keeping[i].what, responder_queries(f->server) - before);
    }
}

static void a_full_cache_forgets_what_was_not_used(void **state)
{
    struct fixture *f = *state;
    struct resolver *small = make_resolver(f->server, 2);
    static const char *const order[] = {"a.test", "b.test", "a.test", "c.test"};
    for (size_t i = 0; i < COUNT(order); i++) {
        struct dns_answer *a;
        assert_int_equal(ask(small, order[i], DNS_A, &a), ERR_OK);
        dns_answer_free(a);
    }
    assert_true(resolver_cached(small, "a.test", DNS_A));
    assert_false(resolver_cached(small, "b.test", DNS_A));
    assert_true(resolver_cached(small, "c.test", DNS_A));
    assert_false(resolver_cached(small, "a.test", DNS_AAAA));
    resolver_free(small);
}

static void a_deadline_that_is_over_gives_only_what_is_kept(void **state)
{
    struct fixture *f = *state;
    struct dns_answer *a = NULL;
    assert_int_equal(resolver_query(f->resolver, "plain.test", DNS_A, clock_mono_ms() - 1, &a),
                     ERR_DNS_TEMPORARY);
    assert_int_equal(ask(f->resolver, "plain.test", DNS_A, &a), ERR_OK);
    dns_answer_free(a);
    assert_int_equal(resolver_query(f->resolver, "plain.test", DNS_A, clock_mono_ms() - 1, &a), ERR_OK);
    dns_answer_free(a);
}

static void the_cache_alone_is_asked_without_waiting(void **state)
{
    struct fixture *f = *state;
    struct dns_answer *a = NULL;
    assert_int_equal(resolver_query(f->resolver, "plain.test", DNS_A, DNS_CACHED_ONLY, &a), ERR_WOULD_WAIT);
    assert_int_equal(resolver_query(f->resolver, "none.test", DNS_A, DNS_CACHED_ONLY, &a), ERR_WOULD_WAIT);
    assert_int_equal(resolver_query(f->resolver, "a b.test", DNS_A, DNS_CACHED_ONLY, &a), ERR_ADDRESS);
    assert_int_equal(responder_queries(f->server), 0);
    assert_int_equal(ask(f->resolver, "plain.test", DNS_A, &a), ERR_OK);
    dns_answer_free(a);
    assert_int_equal(ask(f->resolver, "none.test", DNS_A, &a), ERR_OK);
    dns_answer_free(a);
    assert_int_equal(resolver_query(f->resolver, "plain.test", DNS_A, DNS_CACHED_ONLY, &a), ERR_OK);
    dns_answer_free(a);
    assert_int_equal(resolver_query(f->resolver, "none.test", DNS_A, DNS_CACHED_ONLY, &a), ERR_OK);
    assert_false(a->exists);
    dns_answer_free(a);
}

static enum err ask_any(struct resolver *r, const char *name, enum dns_type type, struct dns_answer **out)
{
    *out = NULL;
    return resolver_query_any(r, name, type, clock_mono_ms() + 5000, out);
}

static void names_that_are_no_hosts_can_be_asked(void **state)
{
    struct fixture *f = *state;
    struct dns_answer *a;
    static const char *const names[] = {"A:b/c\\.Test.", "two  blanks%20.test"};
    static const char *const bad[] = {"",          ".", "a..test", ".test", "a\tb.test", "\xc3\xa9.test",
                                      "a\x7f.test"};
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(ask_any(f->resolver, names[i], DNS_A, &a), ERR_OK);
        assert_int_equal(a->count, 1);
        dns_answer_free(a);
        assert_int_equal(ask(f->resolver, names[i], DNS_A, &a), ERR_ADDRESS); /* kept, and yet no host */
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(ask_any(f->resolver, bad[i], DNS_A, &a), ERR_ADDRESS);
    assert_int_equal(ask_any(f->resolver, "oddmx.test", DNS_MX, &a), ERR_OK);
    assert_int_equal(a->count, 2);
    assert_string_equal(a->record[0].mx.host, "a:b/c\\.test");
    assert_string_equal(a->record[1].mx.host, "mx2.test");
    dns_answer_free(a);
    assert_int_equal(ask(f->resolver, "oddmx.test", DNS_MX, &a), ERR_OK);
    assert_int_equal(a->count, 1);
    assert_string_equal(a->record[0].mx.host, "mx2.test");
    dns_answer_free(a);
}

static void *ask_many(void *arg)
{
    static const char *const names[] = {"a.test", "b.test", "c.test", "zero.test", "none.test", "large.test"};
    struct resolver *r = arg;
    for (size_t i = 0; i < 60; i++) {
        struct dns_answer *a;
        if (ask(r, names[i % COUNT(names)], DNS_A, &a) != ERR_OK)
            return arg;
        dns_answer_free(a);
    }
    return NULL;
}

static void many_threads_may_ask_at_once(void **state)
{
    struct fixture *f = *state;
    struct resolver *small = make_resolver(f->server, 2);
    pthread_t thread[6];
    for (size_t i = 0; i < COUNT(thread); i++)
        assert_int_equal(pthread_create(&thread[i], NULL, ask_many, small), 0);
    for (size_t i = 0; i < COUNT(thread); i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        assert_null(failed);
    }
    resolver_free(small);
}

struct one {
    struct resolver *resolver;
    const char *name;
    struct dns_wait *wait; /* NULL: none */
    enum err err;
};

static void *ask_once(void *arg)
{
    struct one *one = arg;
    struct dns_answer *a = NULL;
    if (one->wait != NULL)
        resolver_wait_begin(one->wait);
    one->err = ask(one->resolver, one->name, DNS_A, &a);
    resolver_wait_over();
    dns_answer_free(a);
    return NULL;
}

static void many_who_ask_the_same_wait_for_one_look_up(void **state)
{
    struct fixture *f = *state;
    struct one one[20];
    pthread_t thread[COUNT(one)];
    for (size_t i = 0; i < COUNT(one); i++) {
        one[i] = (struct one){.resolver = f->resolver, .name = "late.test"};
        assert_int_equal(pthread_create(&thread[i], NULL, ask_once, &one[i]), 0);
    }
    for (size_t i = 0; i < COUNT(one); i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(one[i].err, ERR_OK);
    }
    assert_int_equal(responder_queries(f->server), 2); /* the first is lost */
}

static void until(const char *what, bool (*is)(struct fixture *f), struct fixture *f)
{
    const struct timespec moment = {0, 5000000};
    for (int i = 0; !is(f); i++) {
        if (i == 1000)
            fail_msg("%s", what);
        nanosleep(&moment, NULL);
    }
}

static bool was_asked(struct fixture *f)
{
    return responder_queries(f->server) > 0;
}

static bool late_is_kept(struct fixture *f)
{
    return resolver_cached(f->resolver, "late.test", DNS_A);
}

static void waiting_can_be_ended_and_the_question_goes_on(void **state)
{
    struct fixture *f = *state;
    struct dns_wait wait;
    struct dns_answer *a = NULL;
    struct one one = {.resolver = f->resolver, .name = "late.test", .wait = &wait, .err = ERR_OK};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask_once, &one), 0);
    until("a query", was_asked, f);
    resolver_wait_end(f->resolver, &wait);
    pthread_join(thread, NULL);
    assert_int_equal(one.err, ERR_DNS_TEMPORARY);
    assert_true(wait.ended);
    assert_string_equal(wait.vain, "late.test");
    until("an answer", late_is_kept, f);
    resolver_wait_begin(&wait);
    resolver_wait_end(f->resolver, &wait);
    assert_int_equal(ask(f->resolver, "late.test", DNS_A, &a), ERR_OK);
    dns_answer_free(a);
    assert_int_equal(ask(f->resolver, "plain.test", DNS_A, &a), ERR_DNS_TEMPORARY);
    resolver_wait_over();
    assert_int_equal(ask(f->resolver, "plain.test", DNS_A, &a), ERR_OK);
    dns_answer_free(a);
}

static void a_server_is_an_address(void **state)
{
    (void)state;
    static const struct {
        const char *server;
        enum err err;
    } cases[] = {{"127.0.0.1", ERR_OK},        {"127.0.0.1:5353", ERR_OK}, {"::1", ERR_OK},
                 {"[::1]:5353", ERR_OK},       {"ns.example", ERR_CONFIG}, {"127.0.0.1:0", ERR_CONFIG},
                 {"ns.example:53", ERR_CONFIG}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct resolver_options o = {.server = cases[i].server, .timeout_ms = 100, .cache_max = 1};
        struct resolver *r = NULL;
        enum err err = resolver_create(&o, &r);
        if (err != cases[i].err)
            fail_msg("%s: %s", cases[i].server, err_name(err));
        resolver_free(r);
    }
}

static void a_port_where_nobody_listens_is_temporary(void **state)
{
    struct fixture *f = *state;
    struct responder *gone = responder_start(zone);
    struct resolver *r = make_resolver(gone, 10);
    struct dns_answer *a;
    (void)f;
    responder_stop(gone);
    assert_int_equal(ask(r, "plain.test", DNS_A, &a), ERR_DNS_TEMPORARY);
    resolver_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(manners_of_servers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_of_each_type_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(queries_ask_for_validation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_are_kept_by_their_ttl, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_cache_forgets_what_was_not_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deadline_that_is_over_gives_only_what_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_cache_alone_is_asked_without_waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_that_are_no_hosts_can_be_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_threads_may_ask_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_who_ask_the_same_wait_for_one_look_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waiting_can_be_ended_and_the_question_goes_on, set_up, tear_down),
        cmocka_unit_test(a_server_is_an_address),
        cmocka_unit_test_setup_teardown(a_port_where_nobody_listens_is_temporary, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
