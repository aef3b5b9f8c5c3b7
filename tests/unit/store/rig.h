/*
 * rig.h - a store to test: opened on either engine, in a directory of its own, fed with really sealed
 * letters.
 */
#ifndef TEST_STORE_RIG_H
#define TEST_STORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/attempt.h"
#include "store/quota.h"
#include "store/store.h"
#include "store/sweep.h"

struct rig {
    struct store_options options;
    struct site_keys *keys;
    struct store *s;
    char directory[64]; /* BDB: removed by rig_free */
    char handover[80];  /* BDB: in it */
    int failed;         /* how often failed() was called */
    /* of the deposits to come */
    const struct quota_limits *limits;
    bool system_mail;
    struct buf *why;
};

#define RIG_NOW_S 1790000000 /* the start of every case's time, unless it needs the real one */
#define RIG_EPOCH 7

/* Asserts on any failure, as all functions here. */
void rig_init(struct rig *r, enum store_engine engine);
/* Berkeley DB in a directory of the caller's. r was initialised for memory. */
void rig_use(struct rig *r, const char *directory);
void rig_open(struct rig *r);
void rig_close(struct rig *r);
void rig_free(struct rig *r);
/* Keys of RIG_EPOCH, filled with `fill`. */
struct site_keys *rig_keys(uint8_t fill);
void rig_remove_tree(const char *path);
size_t rig_file_count(const char *directory, const char *below); /* files in directory/below */

struct letter {
    const char *sender, *recipient, *from, *message_id, *notify, *subject;
    const char *list_id; /* NULL: none. With one it is bulk */
    size_t size;
    int64_t created_s, expires_s;
    uint8_t fill;
};
/* What a test says nothing of. */
#define LETTER(...)                                                                                          \
    (&(struct letter){.sender = "alice@a.test",                                                              \
                      .recipient = "bob@b.test",                                                             \
                      .from = "alice@a.test",                                                                \
                      .message_id = "<1@a.test>",                                                            \
                      .notify = "",                                                                          \
                      .subject = "",                                                                         \
                      .size = 3000,                                                                          \
                      .created_s = RIG_NOW_S,                                                                \
                      .expires_s = RIG_NOW_S + 7 * 86400,                                                    \
                      .fill = 'x',                                                                           \
                      __VA_ARGS__})

struct posted {
    struct ticket ticket;
    struct ticket_keys keys;
    bool existing;
};
/* Seals and deposits one letter to `count` recipients: the letter's, then r1@b.test, r2@b.test ... */
enum err rig_deposit(struct rig *r, const struct letter *l, size_t count, struct posted *out);
/* Puts another letter in the place of `count` tickets of one; outcome[i] is the i-th one's, and p[i].ticket
 * how it is then, if it is there. */
enum err rig_replace(struct rig *r, struct posted *p, size_t count, const struct letter *l, uint32_t version,
                     bool archive_first, int64_t now_s, enum err *outcome);
/* As if a backup had been restored since the ticket was, perhaps, handed over. */
void rig_set_perhaps(struct rig *r, struct posted *p);
/* One recipient, must succeed. */
struct posted rig_post(struct rig *r, const struct letter *l);
void letter_digest(const struct letter *l, uint8_t out[32]);

/* Tries to open the store once more, with these keys, and closes it; *text gets the reason. */
enum err rig_try_open(struct rig *r, struct site_keys *keys, char text[200]);
/* A letter's ticket as the store has it, and what the store counts. */
struct ticket rig_look(struct rig *r, const struct posted *p);
enum ticket_state rig_state(struct rig *r, const struct posted *p);
struct store_counts rig_counts(struct rig *r);
/* For store_tickets: counts in a size_t. */
bool rig_count_ticket(void *arg, const struct ticket *t);
/* A claim of the designated puller's, whose lease token is 16 times the byte; and the same said. */
struct store_claim rig_claim(const struct posted *p, uint8_t token, int64_t now_s);
enum err rig_call(struct rig *r, const struct posted *p, uint8_t token, int64_t now_s,
                  struct store_claimed *out);
enum err rig_ack(struct rig *r, const struct posted *p, const struct letter *l, int64_t now_s);
/* Refused for good by its recipient's MTA. */
enum err rig_nack(struct rig *r, const struct posted *p, uint8_t token, int64_t now_s);
/* Takes the outbox's entries that are due, for a minute; how many there were. */
size_t rig_work_due(struct rig *r, int64_t now_s, struct work *out, size_t max);
/* Takes all and is done with the stubs among them. */
void rig_send_stubs(struct rig *r, int64_t now_s);
/* Waits until all that was committed is durable, by store_when_durable or store_when_durable_soon in
 * turn. */
enum err rig_durable(struct rig *r);
/* Opens the stored payload with the wrap and compares it with the letter. */
void rig_check_body(struct rig *r, const struct store_claimed *c, const struct posted *p,
                    const struct letter *l);
/* A new sweeper's steps until there is nothing more to do. */
struct store_swept rig_sweep(struct rig *r, int64_t now_s);

/* A job as the store has it. */
struct job rig_job(struct rig *r, const uint8_t id[16]);
/* The n-th stub from alice@a.test to bob@b.test, of whom there is to tell that it is held. */
struct job rig_stub(int n, int64_t now_s);
/* What is known of a proven sender who is not admitted. */
struct attempt rig_attempt(const char *mailbox, const char *sender);
/* That sender's n-th stub is held for a mailbox whose ring has 10 rows. */
struct job rig_hold(struct rig *r, const char *mailbox, const char *sender, int n, int64_t now_s);
/* Keeps a message of `size` times the byte `fill`, as store_attempt_keep does; *out: its job. */
enum err rig_keep(struct rig *r, const struct attempt *facts, uint8_t fill, size_t size, int64_t now_s,
                  uint32_t rows_max, struct job *out);
/* Opens it with its own DEK and compares. */
void rig_check_kept(struct rig *r, const struct job *j, uint8_t fill, size_t size);

#define assert_err(want, expression) assert_string_equal(err_name(expression), err_name(want))

/* Runs this program as another process, which dies at the kill point `kill_at` ("name:nth"), or is killed
 * after kill_ms (-1: not). Appends what it says on its standard output; its wait status. */
int rig_run_self(const char *const argv[], const char *kill_at, int kill_ms, struct buf *said);

/* A case of a table; runs on each engine with a fresh rig. */
struct rig_case {
    const char *name;
    void (*run)(struct rig *r);
};
#define RIG_CASE(name)                                                                                       \
    {                                                                                                        \
#name, name                                                                                          \
    }
int rig_run(const char *group, const struct rig_case *cases, size_t count, bool memory, bool bdb);

#endif
