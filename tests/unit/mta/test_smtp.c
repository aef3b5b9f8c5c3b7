/*
 * The SMTP client against scripted peers on a socket: what a real MTA does only on its worst day (a lost
 * final answer, a connection that died while it was kept) cannot be asked of one. The real Postfix is in
 * tests/integration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mta/reply.h"
#include "mta/smtp.h"

/* ---- replies ------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *in;
    enum err err;
    size_t used;
    int code;
    const char *enhanced, *text;
} replies[] = {
    {"one_line", "250 ok\r\n", ERR_OK, 8, 250, "", "ok"},
    {"enhanced_code", "550 5.1.1 no such user\r\n", ERR_OK, 24, 550, "5.1.1", "no such user"},
    {"several_lines", "250-mx.test\r\n250-SIZE 1\r\n250 DSN\r\nrest", ERR_OK, 34, 250, "",
     "mx.test\nSIZE 1\nDSN"},
    {"bare_lf_is_understood", "220 hi\n", ERR_OK, 7, 220, "", "hi"},
    {"code_alone", "250\r\n", ERR_OK, 5, 250, "", ""},
    {"incomplete", "250 o", ERR_OK, 0, 0, NULL, NULL},
    {"incomplete_lines", "250-a\r\n250-b\r\n", ERR_OK, 0, 0, NULL, NULL},
    {"codes_that_differ", "250-a\r\n251 b\r\n", ERR_SYNTAX, 0, 0, NULL, NULL},
    {"no_code", "hello\r\n", ERR_SYNTAX, 0, 0, NULL, NULL},
    {"code_out_of_range", "199 x\r\n", ERR_SYNTAX, 0, 0, NULL, NULL},
    {"bad_mark", "250_x\r\n", ERR_SYNTAX, 0, 0, NULL, NULL},
    {"short_line", "25\r\n", ERR_SYNTAX, 0, 0, NULL, NULL},
    {"enhanced_with_two_parts_is_text", "250 2.0 x\r\n", ERR_OK, 11, 250, "", "2.0 x"},
};

static void reply_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        size_t used = 99;
        int code = 0;
        char enhanced[12];
        struct buf text;
        buf_init(&text, 1000);
        enum err e = smtp_reply_parse(span_of(replies[i].in), &used, &code, enhanced, &text);
        if (e != replies[i].err || (e == ERR_OK && used != replies[i].used) ||
            (used > 0 && e == ERR_OK &&
             (code != replies[i].code || strcmp(enhanced, replies[i].enhanced) != 0 ||
              strcmp(buf_cstr(&text), replies[i].text) != 0)))
            fail_msg("%s", replies[i].name);
        buf_free(&text);
    }
}

static void endless_line_is_refused(void **state)
{
    (void)state;
    char line[5000];
    size_t used;
    int code;
    char enhanced[12];
    struct buf text;
    memset(line, 'a', sizeof line);
    memcpy(line, "250 ", 4);
    buf_init(&text, 100);
    assert_int_equal(smtp_reply_parse(span_bytes(line, sizeof line), &used, &code, enhanced, &text),
                     ERR_SYNTAX);
    buf_free(&text);
}

/* ---- conversations ------------------------------------------------------------------------------------- */

/* What the peer says once this much has been read: up to and including `after`, which "" makes at once. */
struct line {
    const char *after, *say; /* say NULL: close the connection */
};
struct script {
    const struct line *lines;
    size_t count;
    int connections; /* the script is played for each */
};

struct peer {
    int listener;
    char address[64];
    struct script script;
    pthread_t thread;
    atomic_bool played; /* all of the script, once */
    char heard[65536];
    size_t heard_len;
};

static void play(struct peer *p, int fd)
{
    size_t from = p->heard_len;
    for (size_t i = 0; i < p->script.count; i++) {
        const struct line *l = &p->script.lines[i];
        while (*l->after && !memmem(p->heard + from, p->heard_len - from, l->after, strlen(l->after))) {
            ssize_t n = read(fd, p->heard + p->heard_len, sizeof p->heard - p->heard_len);
            if (n <= 0)
                return;
            p->heard_len += (size_t)n;
        }
        if (*l->after) {
            const char *at = memmem(p->heard + from, p->heard_len - from, l->after, strlen(l->after));
            from = (size_t)(at - p->heard) + strlen(l->after);
        }
        if (!l->say)
            return;
        if (write(fd, l->say, strlen(l->say)) < 0)
            return;
    }
    atomic_store(&p->played, true);
    /* Whatever else comes is read until the client closes. */
    char rest[4096];
    while (read(fd, rest, sizeof rest) > 0)
        ;
}

static void *peer_run(void *arg)
{
    struct peer *p = arg;
    for (int i = 0; i < p->script.connections; i++) {
        int fd = accept(p->listener, NULL, NULL);
        if (fd < 0)
            break;
        play(p, fd);
        close(fd);
    }
    return NULL;
}

static struct peer *peer_start(const struct line *lines, size_t count, int connections)
{
    struct peer *p = calloc(1, sizeof *p);
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sin;
    assert_non_null(p);
    p->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(listen(p->listener, 5), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&sin, &len), 0);
    snprintf(p->address, sizeof p->address, "127.0.0.1:%u", ntohs(sin.sin_port));
    p->script = (struct script){lines, count, connections};
    assert_int_equal(pthread_create(&p->thread, NULL, peer_run, p), 0);
    return p;
}

static void peer_stop(struct peer *p)
{
    shutdown(p->listener, SHUT_RDWR);
    close(p->listener);
    pthread_join(p->thread, NULL);
    free(p);
}

static struct smtp_client *client(const struct peer *p)
{
    struct smtp_client *c;
    struct smtp_options o = {.server = p->address,
                             .helo = "mx.a.test",
                             .connect_timeout_ms = 2000,
                             .command_timeout_ms = 2000,
                             .data_timeout_ms = 2000,
                             .final_timeout_ms = 1000,
                             .idle_max = 4};
    assert_int_equal(smtp_client_create(&o, &c), ERR_OK);
    return c;
}

struct text {
    const char *data;
    size_t len;
};

static ssize_t text_read(void *arg, void *out, size_t max)
{
    struct text *t = arg;
    size_t n = t->len < max ? t->len : max;
    n = n > 7 ? 7 : n; /* small pieces, so that CR and LF fall apart */
    memcpy(out, t->data, n);
    t->data += n;
    t->len -= n;
    return (ssize_t)n;
}

static struct smtp_result send_one(struct smtp_client *c, const char *content)
{
    struct smtp_result r;
    struct text t = {content, strlen(content)};
    struct smtp_envelope e = {.sender = "alice@a.test",
                              .recipient = "bob@b.test",
                              .notify = "FAILURE",
                              .orcpt = "rfc822;bob@b.test",
                              .envid = "Q+2B1",
                              .ret = "HDRS",
                              .body = "8BITMIME",
                              .xforward_addr = "192.0.2.7",
                              .xforward_name = "a b"};
    smtp_send(c, &e, text_read, &t, &r);
    return r;
}

struct sending {
    struct smtp_client *client;
    const char *content;
    struct smtp_result result;
};

static void *send_it(void *arg)
{
    struct sending *s = arg;
    s->result = send_one(s->client, s->content);
    return NULL;
}

/* One letter to a peer that plays the script. */
static struct smtp_result converse(const struct line *lines, size_t count, const char *content)
{
    struct peer *p = peer_start(lines, count, 1);
    struct smtp_client *c = client(p);
    struct smtp_result r = send_one(c, content);
    smtp_client_free(c);
    peer_stop(p);
    return r;
}

#define HELLO                                                                                                \
    {"", "220 mx\r\n"},                                                                                      \
    {                                                                                                        \
        "EHLO mx.a.test\r\n",                                                                                \
            "250-mx\r\n250-PIPELINING\r\n250-DSN\r\n250-8BITMIME\r\n250 XFORWARD NAME ADDR\r\n"              \
    }
#define COUNT(lines) (sizeof(lines) / sizeof *(lines))

static void letter_is_sent_with_its_parameters_and_doubled_dots(void **state)
{
    static const struct line lines[] = {
        HELLO,
        {"DATA\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"},
        {"\r\n.\r\n", "250 2.0.0 Ok: queued as 4bXyz\r\n"},
    };
    (void)state;
    struct peer *p = peer_start(lines, COUNT(lines), 1);
    struct smtp_client *c = client(p);
    struct smtp_result r = send_one(c, "Subject: x\r\n\r\n.\r\n..y\r\n.z\r\n");
    assert_int_equal(r.err, ERR_OK);
    assert_string_equal(r.queue_id, "4bXyz");
    assert_string_equal(r.enhanced, "2.0.0");
    assert_non_null(strstr(p->heard, "MAIL FROM:<alice@a.test> BODY=8BITMIME RET=HDRS ENVID=Q+2B1\r\n"));
    assert_non_null(strstr(p->heard, "RCPT TO:<bob@b.test> NOTIFY=FAILURE ORCPT=rfc822;bob@b.test\r\n"));
    assert_non_null(strstr(p->heard, "XFORWARD NAME=a+20b ADDR=192.0.2.7\r\n"));
    assert_non_null(strstr(p->heard, "\r\n\r\n..\r\n...y\r\n..z\r\n.\r\n"));
    smtp_client_free(c);
    peer_stop(p);
}

/* A send to a peer that says nothing after its lines, and the client is stopped while it waits. */
static struct smtp_result stopped_at(const struct line *lines, size_t count, bool before)
{
    struct smtp_client *c;
    struct sending s = {.content = "Subject: x\r\n\r\ny\r\n"};
    struct peer *p = peer_start(lines, count, 1);
    struct smtp_options o = {.server = p->address,
                             .helo = "mx.a.test",
                             .connect_timeout_ms = 100000,
                             .command_timeout_ms = 100000,
                             .data_timeout_ms = 100000,
                             .final_timeout_ms = 100000};
    pthread_t thread;
    assert_int_equal(smtp_client_create(&o, &c), ERR_OK);
    s.client = c;
    if (before)
        smtp_client_stop(c, 0);
    assert_int_equal(pthread_create(&thread, NULL, send_it, &s), 0);
    if (!before) {
        const char *last = lines[count - 1].after;
        while (!atomic_load(&p->played) && *last)
            usleep(1000);
        smtp_client_stop(c, 200);
    }
    pthread_join(thread, NULL);
    smtp_client_free(c);
    peer_stop(p);
    return s.result;
}

static void stop_gives_up_what_was_not_sent_whole(void **state)
{
    static const struct line silent[] = {{"", ""}},
                             greeted[] = {{"", "220 mx\r\n"}, {"EHLO mx.a.test\r\n", ""}},
                             hello[] = {HELLO, {"DATA\r\n", ""}};
    const struct {
        const struct line *lines;
        size_t count;
        bool before;
    } stages[] = {{silent, 1, false}, {greeted, 2, false}, {hello, 3, false}, {silent, 1, true}};
    (void)state;
    for (size_t i = 0; i < COUNT(stages); i++) {
        struct smtp_result r = stopped_at(stages[i].lines, stages[i].count, stages[i].before);
        assert_int_equal(r.err, ERR_SMTP_TEMPORARY);
        assert_true(r.stopped);
        assert_int_equal(r.code, 0);
    }
}

static void stop_while_the_final_answer_is_waited_for_is_unclear(void **state)
{
    static const struct line lines[] = {
        HELLO,
        {"DATA\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"},
        {"\r\n.\r\n", ""},
    };
    (void)state;
    struct smtp_result r = stopped_at(lines, COUNT(lines), false);
    assert_int_equal(r.err, ERR_SMTP_UNCLEAR);
    assert_false(r.stopped);
}

static void lost_final_answer_is_unclear(void **state)
{
    static const struct line lines[] = {
        HELLO,
        {"DATA\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"},
        {"\r\n.\r\n", NULL},
    };
    (void)state;
    struct smtp_result r = converse(lines, COUNT(lines), "x\r\n");
    assert_int_equal(r.err, ERR_SMTP_UNCLEAR);
}

static void loss_before_the_dot_is_temporary(void **state)
{
    static const struct line lines[] = {HELLO, {"DATA\r\n", "250 ok\r\n250 ok\r\n"}, {"", NULL}};
    (void)state;
    struct smtp_result r = converse(lines, COUNT(lines), "x\r\n");
    assert_int_equal(r.err, ERR_SMTP_TEMPORARY);
}

static void refused_recipient_is_permanent_and_the_first_refusal_counts(void **state)
{
    static const struct line lines[] = {
        HELLO,
        {"DATA\r\n", "250 ok\r\n250 ok\r\n550 5.1.1 unknown\r\n554 5.5.1 no valid recipients\r\n"},
        {"RSET\r\n", "250 ok\r\n"},
    };
    (void)state;
    struct smtp_result r = converse(lines, COUNT(lines), "x\r\n");
    assert_int_equal(r.err, ERR_SMTP_PERMANENT);
    assert_int_equal(r.code, 550);
    assert_string_equal(r.enhanced, "5.1.1");
}

static void closing_mta_is_temporary(void **state)
{
    static const struct line lines[] = {HELLO, {"DATA\r\n", "421 4.3.2 shutting down\r\n"}, {"", NULL}};
    (void)state;
    struct smtp_result r = converse(lines, COUNT(lines), "x\r\n");
    assert_int_equal(r.err, ERR_SMTP_TEMPORARY);
}

static void kept_connection_that_died_is_replaced(void **state)
{
    static const struct line lines[] = {
        HELLO,
        {"DATA\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"},
        {"\r\n.\r\n", "250 2.0.0 Ok: queued as A\r\n"},
        {"MAIL", NULL}, /* closes only when the second letter has begun */
    };
    (void)state;
    struct peer *p = peer_start(lines, COUNT(lines), 2);
    struct smtp_client *c = client(p);
    assert_int_equal(send_one(c, "x\r\n").err, ERR_OK);
    assert_int_equal(send_one(c, "y\r\n").err, ERR_OK);
    smtp_client_free(c);
    peer_stop(p);
}

static void bare_line_ends_never_reach_the_mta(void **state)
{
    static const char *const contents[] = {"a\n.\nb\r\n", "a\rb\r\n", "a\r\r\nb\r\n", "a\r", "\n"};
    (void)state;
    for (size_t i = 0; i < COUNT(contents); i++) {
        static const struct line lines[] = {HELLO, {"DATA\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"}};
        assert_int_equal(converse(lines, COUNT(lines), contents[i]).err, ERR_BAD_BYTES);
    }
}

static void control_characters_in_the_envelope_are_refused(void **state)
{
    (void)state;
    static const struct line lines[] = {HELLO};
    struct peer *p = peer_start(lines, COUNT(lines), 1);
    struct smtp_client *c = client(p);
    struct text t = {"x\r\n", 3};
    struct smtp_result r;
    struct smtp_envelope e = {.sender = "a@a.test", .recipient = "b@b.test>\r\nDATA"};
    smtp_send(c, &e, text_read, &t, &r);
    assert_int_equal(r.err, ERR_BAD_BYTES);
    e = (struct smtp_envelope){.sender = "a@a.test", .recipient = "b@b.test", .orcpt = "x NOTIFY=NEVER"};
    smtp_send(c, &e, text_read, &t, &r);
    assert_int_equal(r.err, ERR_BAD_BYTES);
    smtp_client_free(c);
    peer_stop(p);
}

static void silent_mta_is_given_up(void **state)
{
    static const struct line lines[] = {{"", "220 mx\r\n"}, {"never", NULL}};
    (void)state;
    struct peer *p = peer_start(lines, COUNT(lines), 1);
    struct smtp_client *c = client(p);
    assert_int_equal(send_one(c, "x\r\n").err, ERR_SMTP_TEMPORARY);
    smtp_client_free(c);
    peer_stop(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reply_lines),
        cmocka_unit_test(endless_line_is_refused),
        cmocka_unit_test(letter_is_sent_with_its_parameters_and_doubled_dots),
        cmocka_unit_test(stop_gives_up_what_was_not_sent_whole),
        cmocka_unit_test(stop_while_the_final_answer_is_waited_for_is_unclear),
        cmocka_unit_test(lost_final_answer_is_unclear),
        cmocka_unit_test(loss_before_the_dot_is_temporary),
        cmocka_unit_test(refused_recipient_is_permanent_and_the_first_refusal_counts),
        cmocka_unit_test(closing_mta_is_temporary),
        cmocka_unit_test(kept_connection_that_died_is_replaced),
        cmocka_unit_test(bare_line_ends_never_reach_the_mta),
        cmocka_unit_test(control_characters_in_the_envelope_are_refused),
        cmocka_unit_test(silent_mta_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
