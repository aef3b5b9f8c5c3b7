/* The server on a UNIX socket with the local client against it: both real, in one process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "local/client.h"
#include "site.h"

#define MIB ((size_t)1024 * 1024)
#define PATTERN 64256 /* bytes of site.c's file before it repeats: 251 * 256 */

static struct site site;
static struct local_client *client;

static int start(void **state)
{
    struct local_options o = {.connect_timeout_ms = 2000,
                              .answer_timeout_ms = 20000,
                              .write_timeout_ms = 20000,
                              .idle_max = 4,
                              .reply_max_bytes = 64 * MIB};
    (void)state;

    site_start(&site, NULL, NULL);
    o.socket_path = site.socket_path;
    return local_client_create(&o, &client) == ERR_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    site_open_gate();
    local_client_free(client);
    site_stop(&site);
    return 0;
}

static int call(const char *method, const char *path, struct span body, struct buf *reply)
{
    int status = 0;

    buf_clear(reply);
    assert_int_equal(local_call(client, method, path, body, NULL, NULL, &status, reply), ERR_OK);
    return status;
}

/* Waits until a counter of the site has reached a value: what happens on other threads is not at once. */
static void reaches(unsigned (*counter)(void), unsigned value)
{
    for (int i = 0; i < 5000 && counter() < value; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(counter(), value);
}

static unsigned sent_complete(void)
{
    return site_sent(true);
}

static unsigned sent_incomplete(void)
{
    return site_sent(false);
}

static void requests_are_routed_and_answered(void **state)
{
    struct buf reply;
    unsigned before = site_sent(true);
    char want[100];
    struct stat st;
    (void)state;

    buf_init(&reply, 1024 * 1024);
    assert_int_equal(call("GET", "/hello", (struct span){0}, &reply), 200);
    assert_string_equal(buf_cstr(&reply), "hello\n");
    reaches(sent_complete, before + 1);
    assert_int_equal(call("POST", "/echo", SPAN_LITERAL("body"), &reply), 200);
    assert_string_equal(buf_cstr(&reply), "body");
    assert_int_equal(call("POST", "/echo", (struct span){0}, &reply), 200);
    assert_int_equal(reply.len, 0);
    assert_int_equal(call("GET", "/nowhere", (struct span){0}, &reply), 404);
    assert_int_equal(call("GET", "/field?:path", (struct span){0}, &reply), 200);
    assert_string_equal(buf_cstr(&reply), "/field?:path");
    assert_int_equal(call("GET", "/field?none", (struct span){0}, &reply), 404);
    assert_int_equal(call("GET", "/peer", (struct span){0}, &reply), 200);
    snprintf(want, sizeof want, "unix listener=0 addr=- port=0 uid=%d pid=%d authority=localhost\n",
             (int)getuid(), (int)getpid());
    assert_string_equal(buf_cstr(&reply), want);
    assert_int_equal(stat(site.socket_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    buf_free(&reply);
}

static void a_head_request_gets_no_body(void **state)
{
    struct buf reply;
    (void)state;

    buf_init(&reply, 1024);
    assert_int_equal(call("HEAD", "/hello", (struct span){0}, &reply), 200);
    assert_int_equal(reply.len, 0);
    buf_free(&reply);
}

static void a_handler_that_errs_gives_500(void **state)
{
    struct buf reply;
    (void)state;

    buf_init(&reply, 1024);
    assert_int_equal(call("POST", "/silent", SPAN_LITERAL("x"), &reply), 500);
    assert_int_equal(call("GET", "/inject", (struct span){0}, &reply), 500);
    assert_int_equal(reply.len, 0);
    assert_int_equal(call("GET", "/hello", (struct span){0}, &reply), 200);
    buf_free(&reply);
}

static void a_handler_may_leave_the_answer_to_another_thread(void **state)
{
    struct buf reply;
    (void)state;

    buf_init(&reply, 1024);
    for (int i = 0; i < 200; i++) {
        buf_clear(&reply);
        assert_int_equal(call("POST", "/hold", SPAN_LITERAL("x"), &reply), 200);
        assert_string_equal(buf_cstr(&reply), "held\n");
    }
    buf_free(&reply);
}

static void a_collected_body_over_its_bound_gets_413(void **state)
{
    char *big = calloc(1, 3 * MIB);
    struct buf reply;
    (void)state;

    buf_init(&reply, 2 * MIB);
    assert_int_equal(call("POST", "/echo", (struct span){big, 1024 * 1024}, &reply), 200);
    assert_int_equal(reply.len, 1024 * 1024);
    assert_int_equal(call("POST", "/echo", (struct span){big, 1024 * 1024 + 1}, &reply), 413);
    assert_int_equal(call("POST", "/echo", (struct span){big, 3 * MIB}, &reply), 413);
    assert_int_equal(call("POST", "/refuse", (struct span){big, 3 * MIB}, &reply), 403);
    buf_free(&reply);
    free(big);
}

static long resident_kib(void)
{
    char line[200] = "", *rest = NULL;
    FILE *f = fopen("/proc/self/statm", "r");

    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    fclose(f);
    strtol(line, &rest, 10); /* the whole address space */
    return strtol(rest, NULL, 10) * (sysconf(_SC_PAGESIZE) / 1024);
}

static enum err upload(const char *path, uint64_t bytes, size_t piece, int *status, struct buf *reply)
{
    static uint8_t block[300000];
    struct local_upload *u = NULL;
    enum err e = local_upload_begin(client, path, &u);

    if (e != ERR_OK)
        return e;
    for (uint64_t at = 0; at < bytes; at += piece) {
        e = local_upload_write(u, block, bytes - at < piece ? (size_t)(bytes - at) : piece, NULL, NULL);
        if (e != ERR_OK) {
            local_upload_abort(u);
            return e;
        }
    }
    return local_upload_finish(u, NULL, NULL, status, reply);
}

static void an_upload_streams_in_constant_memory(void **state)
{
    struct buf reply;
    int status = 0;
    unsigned states = site_states();
    (void)state;

    buf_init(&reply, 1024);
    assert_int_equal(upload("/count", 1000000, 65535, &status, &reply), ERR_OK);
    assert_string_equal(buf_cstr(&reply), "1000000\n");
    long before = resident_kib();
    buf_clear(&reply);
    assert_int_equal(upload("/count", 100000000, 65535, &status, &reply), ERR_OK);
    assert_int_equal(status, 200);
    assert_string_equal(buf_cstr(&reply), "100000000\n");
    assert_true(resident_kib() - before < 8 * 1024L);
    reaches(site_released, states + 2);
    buf_free(&reply);
}

static void pieces_of_any_size_arrive(void **state)
{
    static const size_t piece[] = {1, 100, 16383, 16384, 16385, 40000, 300000};
    struct buf reply;
    int status = 0;
    (void)state;

    buf_init(&reply, 1024);
    for (size_t i = 0; i < sizeof piece / sizeof piece[0]; i++) {
        uint64_t bytes = piece[i] == 1 ? 20000 : 700000;
        char want[32];
        buf_clear(&reply);
        assert_int_equal(upload("/count", bytes, piece[i], &status, &reply), ERR_OK);
        snprintf(want, sizeof want, "%llu\n", (unsigned long long)bytes);
        assert_string_equal(buf_cstr(&reply), want);
    }
    buf_clear(&reply);
    assert_int_equal(upload("/count", 0, 1, &status, &reply), ERR_OK);
    assert_string_equal(buf_cstr(&reply), "0\n");
    buf_free(&reply);
}

static void an_error_during_an_upload_comes_after_it(void **state)
{
    struct buf reply;
    int status = 0;
    (void)state;

    buf_init(&reply, 1024);
    assert_int_equal(upload("/take/100000", 5000000, 65536, &status, &reply), ERR_OK);
    assert_int_equal(status, 452);
    assert_non_null(strstr(buf_cstr(&reply), "disk-full"));
    /* Beyond drain_bytes the server answers at once and resets the stream. */
    buf_clear(&reply);
    assert_int_equal(upload("/take/100000", 20000000, 65536, &status, &reply), ERR_OK);
    assert_int_equal(status, 452);
    assert_non_null(strstr(buf_cstr(&reply), "disk-full"));
    buf_clear(&reply);
    assert_int_equal(upload("/refuse", 20000000, 65536, &status, &reply), ERR_OK);
    assert_int_equal(status, 403);
    buf_free(&reply);
}

static void an_aborted_upload_releases_everything_once(void **state)
{
    unsigned states = site_states(), released = site_released(), incomplete = site_sent(false);
    struct local_upload *u = NULL;
    static uint8_t block[100000];
    (void)state;

    assert_int_equal(local_upload_begin(client, "/count", &u), ERR_OK);
    assert_int_equal(local_upload_write(u, block, sizeof block, NULL, NULL), ERR_OK);
    reaches(site_states, states + 1);
    local_upload_abort(u);
    reaches(site_released, released + 1);
    reaches(sent_incomplete, incomplete + 1);
    assert_int_equal(site_states(), states + 1);
    local_upload_abort(NULL);
}

static void a_file_streams_out_in_constant_memory(void **state)
{
    struct buf reply;
    unsigned before = site_sent(true);
    (void)state;

    buf_init(&reply, 32 * MIB);
    assert_int_equal(call("GET", "/file?10000000", (struct span){0}, &reply), 200);
    assert_int_equal(reply.len, 10000000);
    for (size_t i = 0; i < reply.len; i++)
        if ((uint8_t)reply.data[i] != i % PATTERN * 7 % 251)
            fail_msg("byte %zu differs", i);
    reaches(sent_complete, before + 1);
    assert_int_equal(call("GET", "/file?0", (struct span){0}, &reply), 200);
    assert_int_equal(reply.len, 0);
    buf_free(&reply);
}

static void a_file_that_ends_early_resets_the_stream(void **state)
{
    unsigned before = site_sent(false);
    int status = 0;
    (void)state;

    assert_int_equal(local_call(client, "GET", "/broken", (struct span){0}, NULL, NULL, &status, NULL),
                     ERR_UNAVAILABLE);
    reaches(sent_incomplete, before + 1);
}

static void a_reply_over_the_bound_is_an_error(void **state)
{
    struct local_client *small = NULL;
    struct local_options o = {.socket_path = site.socket_path,
                              .connect_timeout_ms = 2000,
                              .answer_timeout_ms = 5000,
                              .write_timeout_ms = 5000,
                              .idle_max = 1,
                              .reply_max_bytes = 1000};
    int status = 0;
    (void)state;

    assert_int_equal(local_client_create(&o, &small), ERR_OK);
    assert_int_equal(local_call(small, "GET", "/file?1000", (struct span){0}, NULL, NULL, &status, NULL),
                     ERR_OK);
    assert_int_equal(local_call(small, "GET", "/file?1001", (struct span){0}, NULL, NULL, &status, NULL),
                     ERR_TOO_LARGE);
    assert_int_equal(local_call(small, "GET", "/file?1000", (struct span){0}, NULL, NULL, &status, NULL),
                     ERR_OK);
    local_client_free(small);
}

static unsigned progressed;
static void progress(void *arg)
{
    (void)arg;
    progressed++;
}

static void waiting_reports_progress_and_times_out(void **state)
{
    struct local_client *hasty = NULL;
    struct local_options o = {.socket_path = site.socket_path,
                              .connect_timeout_ms = 2000,
                              .answer_timeout_ms = 1300,
                              .write_timeout_ms = 300,
                              .idle_max = 1,
                              .reply_max_bytes = 1000};
    unsigned states = site_states(), released = site_released(), incomplete = site_sent(false);
    struct local_upload *u = NULL;
    static uint8_t block[1024 * 1024];
    int status = 0;
    (void)state;

    assert_int_equal(local_client_create(&o, &hasty), ERR_OK);
    site_close_gate();
    progressed = 0;
    int64_t began = clock_mono_ms();
    assert_int_equal(local_call(hasty, "POST", "/wait", (struct span){0}, progress, NULL, &status, NULL),
                     ERR_TIMEOUT);
    assert_true(clock_mono_ms() - began >= 1300);
    assert_true(progressed >= 1);
    reaches(site_states, states + 1);
    assert_int_equal(site_released(), released); /* the handler still runs */
    site_open_gate();
    reaches(site_released, released + 1);
    reaches(sent_incomplete, incomplete + 1);

    /* /silent never takes anything: the window fills. */
    assert_int_equal(local_upload_begin(hasty, "/silent", &u), ERR_OK);
    assert_int_equal(local_upload_write(u, block, sizeof block, NULL, NULL), ERR_TIMEOUT);
    local_upload_abort(u);
    local_client_free(hasty);
}

static void nobody_listening_is_unavailable(void **state)
{
    struct local_client *lost = NULL;
    struct local_options o = {.socket_path = "/nonexistent/socket",
                              .connect_timeout_ms = 2000,
                              .answer_timeout_ms = 5000,
                              .write_timeout_ms = 300,
                              .idle_max = 1,
                              .reply_max_bytes = 1000};
    struct local_upload *u = NULL;
    int status = 0;
    (void)state;

    assert_int_equal(local_client_create(&o, &lost), ERR_OK);
    assert_int_equal(local_call(lost, "GET", "/", (struct span){0}, NULL, NULL, &status, NULL),
                     ERR_UNAVAILABLE);
    assert_int_equal(local_upload_begin(lost, "/", &u), ERR_UNAVAILABLE);
    local_client_free(lost);
}

static void a_restarted_server_is_found_again(void **state)
{
    struct local_options o = {.connect_timeout_ms = 2000,
                              .answer_timeout_ms = 5000,
                              .write_timeout_ms = 5000,
                              .idle_max = 1,
                              .reply_max_bytes = 1000};
    struct local_client *c = NULL;
    struct local_upload *u = NULL;
    struct site other;
    int status = 0;
    (void)state;

    site_start(&other, NULL, NULL);
    o.socket_path = other.socket_path;
    assert_int_equal(local_client_create(&o, &c), ERR_OK);
    assert_int_equal(local_call(c, "GET", "/hello", (struct span){0}, NULL, NULL, &status, NULL), ERR_OK);
    site_restart(&other);
    assert_int_equal(local_call(c, "POST", "/echo", SPAN_LITERAL("x"), NULL, NULL, &status, NULL), ERR_OK);
    assert_int_equal(status, 200);
    site_restart(&other);
    assert_int_equal(local_upload_begin(c, "/count", &u), ERR_OK);
    assert_int_equal(local_upload_finish(u, NULL, NULL, &status, NULL), ERR_OK);
    assert_int_equal(local_upload_begin(c, "/count", &u), ERR_OK);
    site_stop(&other);
    assert_int_equal(local_upload_finish(u, NULL, NULL, &status, NULL), ERR_UNAVAILABLE);
    assert_int_equal(local_call(c, "GET", "/hello", (struct span){0}, NULL, NULL, &status, NULL),
                     ERR_UNAVAILABLE);
    local_client_free(c);
}

static void *busy_caller(void *arg)
{
    struct buf reply;
    (void)arg;

    buf_init(&reply, 2 * MIB);
    for (int i = 0; i < 30; i++) {
        int status = 0;
        buf_clear(&reply);
        enum err e =
            i % 3 == 0 ? upload("/count", 200000, 50000, &status, &reply)
            : i % 3 == 1
                ? local_call(client, "GET", "/file?100000", (struct span){0}, NULL, NULL, &status, &reply)
                : local_call(client, "POST", "/echo", SPAN_LITERAL("abc"), NULL, NULL, &status, &reply);
        if (e != ERR_OK || status != 200)
            return &client;
    }
    buf_free(&reply);
    return NULL;
}

static void many_threads_call_at_once(void **state)
{
    pthread_t thread[12];
    (void)state;

    for (size_t i = 0; i < sizeof thread / sizeof thread[0]; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, busy_caller, NULL), 0);
    for (size_t i = 0; i < sizeof thread / sizeof thread[0]; i++) {
        void *result = NULL;
        pthread_join(thread[i], &result);
        assert_null(result);
    }
}

static void connections_over_the_cap_are_closed(void **state)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd[80];
    unsigned closed = 0;
    (void)state;

    memcpy(sun.sun_path, site.socket_path, strlen(site.socket_path) + 1);
    for (size_t i = 0; i < 80; i++) {
        fd[i] = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(fd[i], (struct sockaddr *)&sun, sizeof sun), 0);
    }
    for (size_t i = 0; i < 80; i++) {
        char c;
        /* The server's SETTINGS, or the end. */
        if (recv(fd[i], &c, 1, 0) <= 0)
            closed++;
    }
    assert_true(closed >= 80 - site_limits.connections_max);
    for (size_t i = 0; i < 80; i++)
        close(fd[i]);
    struct buf reply;
    int status = 0;
    buf_init(&reply, 100);
    for (int i = 0; i < 100 && status != 200; i++) {
        if (local_call(client, "GET", "/hello", (struct span){0}, NULL, NULL, &status, &reply) != ERR_OK)
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_int_equal(status, 200);
    buf_free(&reply);
}

static void *stop_site(void *arg)
{
    site_stop(arg);
    return NULL;
}

static void stopping_lets_open_exchanges_end(void **state)
{
    struct site other;
    pthread_t thread;
    unsigned released = site_released(), handled = site_handled();
    (void)state;

    site_start(&other, NULL, NULL);
    struct local_options o = {.socket_path = other.socket_path,
                              .connect_timeout_ms = 2000,
                              .answer_timeout_ms = 300,
                              .write_timeout_ms = 5000,
                              .idle_max = 1,
                              .reply_max_bytes = 1000};
    struct local_client *c = NULL;
    int status = 0;
    assert_int_equal(local_client_create(&o, &c), ERR_OK);
    site_close_gate();
    assert_int_equal(local_call(c, "POST", "/wait", (struct span){0}, NULL, NULL, &status, NULL),
                     ERR_TIMEOUT);
    assert_int_equal(site_at_gate(), 1);
    assert_int_equal(pthread_create(&thread, NULL, stop_site, &other), 0);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    site_open_gate();
    pthread_join(thread, NULL);
    assert_int_equal(site_handled(), handled + 1);
    assert_int_equal(site_released(), released + 1);
    local_client_free(c);
}

static void stopping_does_not_wait_for_idle_connections(void **state)
{
    struct site other;
    struct local_client *c = NULL;
    int status = 0;
    (void)state;

    site_start(&other, NULL, NULL);
    struct local_options o = {.socket_path = other.socket_path,
                              .connect_timeout_ms = 2000,
                              .answer_timeout_ms = 2000,
                              .write_timeout_ms = 2000,
                              .idle_max = 1,
                              .reply_max_bytes = 1000};
    assert_int_equal(local_client_create(&o, &c), ERR_OK);
    assert_int_equal(local_call(c, "GET", "/hello", (struct span){0}, NULL, NULL, &status, NULL), ERR_OK);
    int64_t began = clock_mono_ms();
    http_server_stop(other.server, 60000); /* the client keeps its connection and does not look at it */
    assert_true(clock_mono_ms() - began < 30000);
    site_stop(&other);
    local_client_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_routed_and_answered),
        cmocka_unit_test(a_head_request_gets_no_body),
        cmocka_unit_test(a_handler_that_errs_gives_500),
        cmocka_unit_test(a_handler_may_leave_the_answer_to_another_thread),
        cmocka_unit_test(a_collected_body_over_its_bound_gets_413),
        cmocka_unit_test(an_upload_streams_in_constant_memory),
        cmocka_unit_test(pieces_of_any_size_arrive),
        cmocka_unit_test(an_error_during_an_upload_comes_after_it),
        cmocka_unit_test(an_aborted_upload_releases_everything_once),
        cmocka_unit_test(a_file_streams_out_in_constant_memory),
        cmocka_unit_test(a_file_that_ends_early_resets_the_stream),
        cmocka_unit_test(a_reply_over_the_bound_is_an_error),
        cmocka_unit_test(waiting_reports_progress_and_times_out),
        cmocka_unit_test(nobody_listening_is_unavailable),
        cmocka_unit_test(a_restarted_server_is_found_again),
        cmocka_unit_test(many_threads_call_at_once),
        cmocka_unit_test(connections_over_the_cap_are_closed),
        cmocka_unit_test(stopping_lets_open_exchanges_end),
        cmocka_unit_test(stopping_does_not_wait_for_idle_connections),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
