/*
 * blast_smtp.c - a crowd of SMTP clients, each with an address of its own: for benchmarks of what floods
 * cost.
 *
 * blast_smtp TARGET PORT COUNT AT_ONCE BASE ADDRESSES STEP FROM TO MESSAGE
 *
 * Sends COUNT messages to TARGET (IPv4), each in a session of its own, AT_ONCE at a time, from ADDRESSES
 * source addresses in turn, BASE the first of them (the namespace must have them). {n} in FROM and in the
 * file MESSAGE (with CRLF, dots stuffed) is the message's number, {h} its number as 32 hex digits. Ends on
 * the first line of standard input too (for floods beside something else). Prints one JSON object: seconds,
 * and how often the sessions ended with which answer ("550 5.7.1", "451 4.4.3" ... or "-" for a broken
 * connection).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define OUTCOMES_MAX 64
#define OUTCOME_TEXT 16
#define SESSION_MS 60000

enum step { BANNER, EHLO, ENVELOPE, LETTER };

struct session {
    int fd;
    enum step step;
    unsigned answers; /* still to come in this step */
    long number;
    int64_t began_ms;
    struct buf out;
    size_t sent, got;
    char in[4096];
};

static struct {
    struct sockaddr_in target;
    uint32_t base;
    long count, addresses, stride, begun, ended;
    size_t at_once;
    const char *from, *to;
    char *message;
    int epoll;
    struct session *session;
    struct {
        char text[OUTCOME_TEXT];
        long times;
    } outcome[OUTCOMES_MAX];
} all;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    if (!f || !text)
        fail(path);
    if (fread(text, 1, (1 << 20) - 1, f) == 0)
        fail(path);
    fclose(f);
    return text;
}

static void put(struct buf *b, const char *text, long number)
{
    const char *brace;
    for (; (brace = strchr(text, '{')) != NULL; text = brace + 1) {
        buf_append(b, text, (size_t)(brace - text));
        if (strncmp(brace, "{n}", 3) == 0 || strncmp(brace, "{h}", 3) == 0) {
            buf_printf(b, brace[1] == 'n' ? "%ld" : "%032lx", number);
            brace += 2;
        } else {
            buf_append(b, "{", 1);
        }
    }
    buf_append_str(b, text);
}

static void want(struct session *s, uint32_t events, int how)
{
    struct epoll_event e = {.events = events, .data.ptr = s};
    if (epoll_ctl(all.epoll, how, s->fd, &e) != 0)
        fail("epoll_ctl");
}

/* False when no more are to begin. */
static bool begin(struct session *s)
{
    const int one = 1;
    if (all.begun == all.count)
        return false;
    s->number = all.begun++;
    struct sockaddr_in here = {.sin_family = AF_INET};
    here.sin_addr.s_addr = htonl(all.base + (uint32_t)(s->number % all.addresses * all.stride));
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) != 0 ||
        bind(s->fd, (struct sockaddr *)&here, sizeof here) != 0 ||
        (connect(s->fd, (struct sockaddr *)&all.target, sizeof all.target) != 0 && errno != EINPROGRESS))
        fail("connect");
    s->step = BANNER;
    s->answers = 1;
    s->began_ms = clock_mono_ms();
    s->sent = s->got = 0;
    buf_clear(&s->out);
    want(s, EPOLLIN, EPOLL_CTL_ADD);
    return true;
}

static void count(const char *text)
{
    for (size_t i = 0; i < OUTCOMES_MAX; i++) {
        if (all.outcome[i].times && strcmp(all.outcome[i].text, text) != 0)
            continue;
        snprintf(all.outcome[i].text, OUTCOME_TEXT, "%s", text);
        all.outcome[i].times++;
        return;
    }
}

static void end(struct session *s, const char *outcome)
{
    count(outcome);
    close(s->fd);
    s->fd = -1;
    all.ended++;
    begin(s);
}

static void say(struct session *s)
{
    while (s->sent < s->out.len) {
        ssize_t n = send(s->fd, s->out.data + s->sent, s->out.len - s->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            want(s, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return;
        }
        if (n < 0)
            return; /* reading tells */
        s->sent += (size_t)n;
    }
    want(s, EPOLLIN, EPOLL_CTL_MOD);
}

/* Answer lines as "550 5.7.1": the code, and the enhanced one where there is one. */
static void outcome_of(const char *line, char out[OUTCOME_TEXT])
{
    size_t len = strcspn(line, " -");
    if (line[len] == ' ' && line[len + 1] == line[0] && line[len + 2] == '.')
        len += 1 + strcspn(line + len + 1, " ");
    snprintf(out, OUTCOME_TEXT, "%.*s", (int)len, line);
}

static void go_on(struct session *s)
{
    s->step++;
    s->answers = 1;
    if (s->step == EHLO) {
        buf_append_str(&s->out, "EHLO client.invalid\r\n");
    } else if (s->step == ENVELOPE) {
        s->answers = 3;
        buf_append_str(&s->out, "MAIL FROM:<");
        put(&s->out, all.from, s->number);
        buf_printf(&s->out, ">\r\nRCPT TO:<%s>\r\nDATA\r\n", all.to);
    } else {
        put(&s->out, all.message, s->number);
        buf_append_str(&s->out, ".\r\nQUIT\r\n");
    }
    say(s);
}

/* One whole answer line. False when the session is over. */
static bool answer(struct session *s, const char *line)
{
    char outcome[OUTCOME_TEXT];
    if (strlen(line) > 3 && line[3] == '-')
        return true;
    outcome_of(line, outcome);
    if (s->step == LETTER || line[0] > '3') {
        end(s, outcome);
        return false;
    }
    if (--s->answers == 0)
        go_on(s);
    return true;
}

static void listen_to(struct session *s)
{
    long number = s->number;
    ssize_t n = recv(s->fd, s->in + s->got, sizeof s->in - 1 - s->got, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        end(s, "-");
        return;
    }
    s->got += (size_t)n;
    s->in[s->got] = '\0';
    char *line = s->in, *line_end;
    while ((line_end = strstr(line, "\r\n"))) {
        *line_end = '\0';
        if (!answer(s, line) || s->number != number)
            return;
        line = line_end + 2;
    }
    s->got -= (size_t)(line - s->in);
    memmove(s->in, line, s->got + 1);
    if (s->got == sizeof s->in - 1)
        end(s, "-");
}

static void end_late(void)
{
    int64_t now_ms = clock_mono_ms();
    for (size_t i = 0; i < all.at_once; i++) {
        if (all.session[i].fd >= 0 && now_ms - all.session[i].began_ms > SESSION_MS)
            end(&all.session[i], "-");
    }
}

static void run(void)
{
    struct epoll_event event[64], input = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(all.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input); /* fails for files: then nobody stops it */
    for (size_t i = 0; i < all.at_once; i++) {
        buf_init(&all.session[i].out, 4 << 20);
        all.session[i].fd = -1;
        begin(&all.session[i]);
    }
    while (all.ended < all.begun) {
        int n = epoll_wait(all.epoll, event, 64, 1000);
        for (int i = 0; i < n; i++) {
            struct session *s = event[i].data.ptr;
            if (!s) {
                epoll_ctl(all.epoll, EPOLL_CTL_DEL, STDIN_FILENO, &input);
                all.count = all.begun;
            } else if (s->fd >= 0 && event[i].events & EPOLLOUT) {
                say(s);
            } else if (s->fd >= 0) {
                listen_to(s);
            }
        }
        end_late();
    }
}

int main(int argc, char **argv)
{
    if (argc != 11) {
        fputs("usage: blast_smtp TARGET PORT COUNT AT_ONCE BASE ADDRESSES STEP FROM TO MESSAGE\n", stderr);
        return 2;
    }
    all.target.sin_family = AF_INET;
    all.target.sin_port = htons((uint16_t)atoi(argv[2]));
    if (inet_pton(AF_INET, argv[1], &all.target.sin_addr) != 1)
        fail(argv[1]);
    all.count = atol(argv[3]);
    all.at_once = (size_t)atol(argv[4]);
    all.base = ntohl(inet_addr(argv[5]));
    all.addresses = atol(argv[6]);
    all.stride = atol(argv[7]);
    all.from = argv[8];
    all.to = argv[9];
    all.message = read_file(argv[10]);
    all.epoll = epoll_create1(EPOLL_CLOEXEC);
    all.session = calloc(all.at_once, sizeof *all.session);
    if (!all.session || all.epoll < 0)
        fail("calloc");
    int64_t began_ms = clock_mono_ms();
    run();
    printf("{\"seconds\": %.3f, \"answers\": {", (double)(clock_mono_ms() - began_ms) / 1000);
    for (size_t i = 0; i < OUTCOMES_MAX && all.outcome[i].times; i++)
        printf("%s\"%s\": %ld", i ? ", " : "", all.outcome[i].text, all.outcome[i].times);
    puts("}}");
    return 0;
}
