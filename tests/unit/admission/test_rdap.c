/* test_rdap.c - a registry asked over real TLS and DNS: registry.py, and the name server of the DNS tests. */
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "../certificate/pki.h"
#include "../dns/responder.h"
#include "admission/rdap.h"
#include "base/clock.h"

#define SCRIPT "tests/unit/admission/registry.py"
#define REGISTERED 808372800

static const struct zone_row zone[] = {
    {"rdap.test", DNS_A, PLAIN, 300, "\x7f\0\0\x01", 4},
    {"inside.test", DNS_A, PLAIN, 300, "\x0a\0\0\x01", 4},
    {"wrong.test", DNS_A, PLAIN, 300, "\x7f\0\0\x01", 4},
    {NULL, 0, PLAIN, 0, NULL, 0},
};

struct fixture {
    char folder[64], ca[128], certificate[128], key[128];
    struct responder *names;
    struct resolver *resolver;
    struct netprefix loopback;
    pid_t registry;
    int to, port;
};

static void save(const struct identity *i, const char *certificate, const char *key)
{
    FILE *f = fopen(certificate, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, i->certificate), 1);
    (void)fclose(f);
    f = fopen(key, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_PrivateKey(f, i->key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(f);
}

static void make_certificates(struct fixture *f)
{
    static const struct extension ca[] = {{"basicConstraints", "critical,CA:TRUE"}, {NULL, NULL}},
                                  server[] = {{"subjectAltName", "DNS:rdap.test,DNS:inside.test"},
                                              {NULL, NULL}};
    struct identity authority = pki_issue(NULL, "Test CA", -NOW + DAY, 20000 * DAY, ca);
    struct identity leaf = pki_issue(&authority, "rdap.test", -NOW + DAY, 20000 * DAY, server);
    save(&authority, f->ca, f->key);
    save(&leaf, f->certificate, f->key);
    pki_free(&leaf);
    pki_free(&authority);
}

static void start_registry(struct fixture *f)
{
    int in[2], out[2];
    char text[16] = "";
    assert_int_equal(pipe(in) | pipe(out), 0);
    f->registry = fork();
    assert_true(f->registry >= 0);
    if (f->registry == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        execl("/usr/bin/python3", "python3", "-B", SCRIPT, f->certificate, f->key, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    assert_true(read(out[0], text, sizeof text - 1) > 0);
    close(out[0]);
    f->to = in[1];
    f->port = (int)strtol(text, NULL, 10);
}

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char server[32];
    strcpy(f->folder, "/tmp/test_rdap.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->ca, sizeof f->ca, "%s/ca", f->folder);
    snprintf(f->certificate, sizeof f->certificate, "%s/crt", f->folder);
    snprintf(f->key, sizeof f->key, "%s/key", f->folder);
    make_certificates(f);
    start_registry(f);
    f->names = responder_start(zone);
    snprintf(server, sizeof server, "127.0.0.1:%u", responder_port(f->names));
    const struct resolver_options o = {
        .server = server, .timeout_ms = 1000, .cache_max = 100, .ttl_max_s = 60, .negative_ttl_max_s = 60};
    assert_int_equal(resolver_create(&o, &f->resolver), ERR_OK);
    assert_int_equal(netprefix_parse(SPAN_LITERAL("127.0.0.0/8"), &f->loopback), ERR_OK);
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    close(f->to);
    waitpid(f->registry, NULL, 0);
    resolver_free(f->resolver);
    responder_stop(f->names);
    unlink(f->ca);
    unlink(f->certificate);
    unlink(f->key);
    rmdir(f->folder);
    free(f);
    return 0;
}

static struct rdap *open_rdap(struct fixture *f, const char *host)
{
    char url[64];
    struct rdap *r = NULL;
    snprintf(url, sizeof url, "https://%s:%d/", host, f->port);
    const struct rdap_options o = {.base_url = url,
                                   .fetch = {.resolver = f->resolver,
                                             .ca_file = f->ca,
                                             .allowed_special = &f->loopback,
                                             .allowed_special_count = 1},
                                   .domains_max = 64};
    assert_int_equal(rdap_create(&o, &r), ERR_OK);
    return r;
}

static const struct {
    const char *domain;
    enum err want;
} cases[] = {
    {"good.test", ERR_OK},           {"missing.test", ERR_NOT_FOUND},
    {"undated.test", ERR_NOT_FOUND}, {"future.test", ERR_SYNTAX},
    {"other.test", ERR_SYNTAX},      {"huge.test", ERR_TOO_LARGE},
    {"broken.test", ERR_HTTP},       {"busy.test", ERR_BUSY},
    {"moved.test", ERR_SYNTAX}, /* names another */
    {"there.test", ERR_OK},          {"round.test", ERR_HTTP},
    {"plain.test", ERR_SYNTAX},      {"inside.test", ERR_ADDRESS_SPECIAL},
    {"number.test", ERR_SYNTAX},     {"empty.test", ERR_SYNTAX},
};

static void a_registry_is_believed_when_it_answers_rightly(void **state)
{
    struct rdap *r = open_rdap(*state, "rdap.test");
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t at_s = 0, again_s = 0;
        enum err kept = ERR_INTERNAL;
        assert_false(rdap_remembered(r, cases[i].domain, &kept, &again_s));
        enum err err = rdap_registered(r, cases[i].domain, clock_mono_ms() + 10000, &at_s);
        if (err != cases[i].want)
            fail_msg("%s: %s", cases[i].domain, err_name(err));
        assert_int_equal(at_s, err == ERR_OK ? REGISTERED : 0);
        assert_true(rdap_remembered(r, cases[i].domain, &kept, &again_s));
        assert_int_equal(kept, err);
        assert_int_equal(again_s, at_s);
    }
    rdap_free(r);
}

static void names_that_are_none_are_not_asked_for(void **state)
{
    static const char *const names[] = {"",        "a.test/../x", "a.test?x", "A.test", ".test",
                                        "a..test", "a.test.",     "a b",      "a%00"};
    struct rdap *r = open_rdap(*state, "rdap.test");
    int64_t at_s = 0;
    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(rdap_registered(r, names[i], clock_mono_ms() + 10000, &at_s), ERR_ADDRESS);
    rdap_free(r);
}

static void a_slow_registry_costs_no_more_than_the_deadline(void **state)
{
    struct rdap *r = open_rdap(*state, "rdap.test");
    int64_t at_s = 0, began = clock_mono_ms();
    assert_int_equal(rdap_registered(r, "slow.test", began + 300, &at_s), ERR_TIMEOUT);
    assert_true(clock_mono_ms() - began < 4000);
    rdap_free(r);
}

static void a_registry_without_its_name_in_its_certificate_is_none(void **state)
{
    struct rdap *r = open_rdap(*state, "wrong.test");
    int64_t at_s = 0;
    assert_int_equal(rdap_registered(r, "good.test", clock_mono_ms() + 10000, &at_s), ERR_TLS);
    rdap_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_registry_is_believed_when_it_answers_rightly),
        cmocka_unit_test(names_that_are_none_are_not_asked_for),
        cmocka_unit_test(a_slow_registry_costs_no_more_than_the_deadline),
        cmocka_unit_test(a_registry_without_its_name_in_its_certificate_is_none),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, start, stop);
}
