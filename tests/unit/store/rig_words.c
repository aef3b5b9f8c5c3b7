/*
 * rig_words.c - the words of the store as most tests say them.
 */
#include "rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum err rig_try_open(struct rig *r, struct site_keys *keys, char text[200])
{
    struct store *s = NULL;
    struct buf why;
    enum err err;

    buf_init(&why, 1000);
    err = store_open(&r->options, keys, &s, &why);
    snprintf(text, 200, "%s", buf_cstr(&why));
    buf_free(&why);
    store_close(s);
    return err;
}

/* ---- tickets ------------------------------------------------------------------------------------------- */

struct ticket rig_look(struct rig *r, const struct posted *p)
{
    struct ticket t;

    assert_err(ERR_OK, store_ticket_get(r->s, p->ticket.key, &t));
    return t;
}

struct store_counts rig_counts(struct rig *r)
{
    struct store_counts c;

    assert_err(ERR_OK, store_count(r->s, &c));
    return c;
}

struct store_claim rig_claim(const struct posted *p, uint8_t token, int64_t now_s)
{
    struct store_claim c = {.sender = p->ticket.sender,
                            .recipient = p->ticket.recipient,
                            .from = p->ticket.from,
                            .now_s = now_s,
                            .lease_s = 300,
                            .lease_total_s = 3600,
                            .bodies_max = 50};

    memcpy(c.key, p->ticket.key, sizeof c.key);
    memset(c.lease_token, token, sizeof c.lease_token);
    strcpy(c.holder, "192.0.2.7");
    return c;
}

enum ticket_state rig_state(struct rig *r, const struct posted *p)
{
    struct ticket t;

    assert_err(ERR_OK, store_ticket_get(r->s, p->ticket.key, &t));
    return t.state;
}

enum err rig_call(struct rig *r, const struct posted *p, uint8_t token, int64_t now_s,
                  struct store_claimed *out)
{
    struct store_claim c = rig_claim(p, token, now_s);

    memset(out, 0, sizeof *out);
    return store_claim(r->s, &c, out);
}

enum err rig_ack(struct rig *r, const struct posted *p, const struct letter *l, int64_t now_s)
{
    uint8_t digest[32];
    struct ticket t;

    letter_digest(l, digest);
    return store_ack(r->s, p->ticket.key, digest, now_s, &t);
}

enum err rig_nack(struct rig *r, const struct posted *p, uint8_t token, int64_t now_s)
{
    uint8_t bytes[16];
    struct ticket t;

    memset(bytes, token, sizeof bytes);
    return store_nack(r->s, p->ticket.key, bytes, "mta-refused", "550 5.1.1 no such user", now_s, &t);
}

size_t rig_work_due(struct rig *r, int64_t now_s, struct work *out, size_t max)
{
    size_t n = 99;

    assert_err(ERR_OK, store_work_due(r->s, now_s, 60, out, max, &n));
    return n;
}

void rig_send_stubs(struct rig *r, int64_t now_s)
{
    struct work w[100];
    size_t n = rig_work_due(r, now_s, w, 100);

    for (size_t i = 0; i < n; i++)
        if (w[i].kind == WORK_STUB)
            assert_err(ERR_OK, store_work_done(r->s, &w[i], "4bStub", now_s));
}

bool rig_count_ticket(void *arg, const struct ticket *t)
{
    (void)t;
    ++*(size_t *)arg;
    return true;
}

/* ---- jobs ---------------------------------------------------------------------------------------------- */

struct job rig_job(struct rig *r, const uint8_t id[16])
{
    struct job j;

    assert_err(ERR_OK, store_job_get(r->s, id, &j));
    return j;
}

struct job rig_stub(int n, int64_t now_s)
{
    struct job j;

    memset(&j, 0, sizeof j);
    snprintf(j.url, sizeof j.url, "https://a.test/restante/1/%d", n);
    memset(j.ka, 'a', sizeof j.ka);
    memset(j.kd, 'd', sizeof j.kd);
    strcpy(j.stub_from, "alice@a.test");
    strcpy(j.stub_to, "bob@b.test");
    strcpy(j.recipient, "bob@b.test");
    strcpy(j.author, "alice@a.test");
    strcpy(j.organisation, "a.test");
    j.tell = JOB_TELL_HELD;
    j.created_s = j.due_s = now_s;
    j.expires_s = now_s + 7 * 86400;
    return j;
}

struct attempt rig_attempt(const char *mailbox, const char *sender)
{
    struct attempt a;

    memset(&a, 0, sizeof a);
    strcpy(a.mailbox, mailbox);
    strcpy(a.sender, sender);
    strcpy(a.author, sender);
    strcpy(a.verified, "a.test");
    strcpy(a.link_host, "pull.a.test");
    strcpy(a.reason, "known");
    return a;
}

struct job rig_hold(struct rig *r, const char *mailbox, const char *sender, int n, int64_t now_s)
{
    struct attempt a = rig_attempt(mailbox, sender);
    struct job j = rig_stub(n, now_s);
    enum job_added added = JOB_KNOWN_ENDED;

    assert_err(ERR_OK, store_attempt_add(r->s, &a, &j, 10, &added));
    assert_int_equal(added, JOB_NEW);
    assert_int_equal(j.state, JOB_HELD);
    return j;
}

/* ---- another process ----------------------------------------------------------------------------------- */

int rig_run_self(const char *const argv[], const char *kill_at, int kill_ms, struct buf *said)
{
    int fd[2], status;
    char piece[4096];
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(fd), 0);
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fd[1], STDOUT_FILENO);
        close(fd[0]);
        close(fd[1]);
        setenv("RESTANTE_KILL", kill_at, 1);
        execv("/proc/self/exe", (char *const *)argv);
        _exit(127);
    }
    close(fd[1]);
    if (kill_ms >= 0) {
        usleep((useconds_t)kill_ms * 1000);
        kill(pid, SIGKILL);
    }
    while ((n = read(fd[0], piece, sizeof piece)) > 0)
        assert_err(ERR_OK, buf_append(said, piece, (size_t)n));
    close(fd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}
