/*
 * test_epochs.c - site keys that come and go while the store is open: old tickets keep working, records are
 * sealed anew, an epoch of which nothing is left is retired, and wrong keys are refused.
 */
#include "rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/epochs.h"
#include "store/records.h"

#define DAY_S 86400
#define QUIET_S (14 * DAY_S)
#define FIRST RIG_EPOCH
#define SECOND (RIG_EPOCH + 1)
#define THIRD (RIG_EPOCH + 2)

/* As from a file whose n-th line has the n-th of these epochs (0: none); the key is filled as rig_keys(fill).
 */
static struct site_keys *keys_of(uint16_t a, uint8_t fill_a, uint16_t b, uint8_t fill_b)
{
    struct site_key key[2] = {{.epoch = a, .line = 1}, {.epoch = b, .line = 2}};
    struct site_keys *k = NULL;

    memset(key[0].key, fill_a, SITEKEY_BYTES);
    memset(key[1].key, fill_b, SITEKEY_BYTES);
    assert_err(ERR_OK, site_keys_create(key, b == 0 ? 1 : 2, "site.keys", &k));
    return k;
}

static enum err reload(struct rig *r, struct site_keys *fresh, int64_t now_s, char text[200])
{
    struct buf why;
    enum err err;

    buf_init(&why, 200);
    err = store_keys_reload(r->s, fresh, now_s, &why);
    snprintf(text, 200, "%s", buf_cstr(&why));
    buf_free(&why);
    return err;
}

static void rotate(struct rig *r, int64_t now_s)
{
    char why[200];

    assert_err(ERR_OK, reload(r, keys_of(FIRST, 1, SECOND, 2), now_s, why));
    assert_int_equal(site_keys_current(r->keys), SECOND);
}

static enum err retire(struct rig *r, uint16_t epoch, int64_t now_s, char text[200])
{
    struct buf why;
    enum err err;

    buf_init(&why, 200);
    err = store_epoch_retire(r->s, epoch, QUIET_S, now_s, &why);
    snprintf(text, 200, "%s", buf_cstr(&why));
    buf_free(&why);
    return err;
}

static struct store_epoch epoch_of(struct rig *r, uint16_t epoch)
{
    struct store_epoch *list, found = {.epoch = 0};
    size_t count;

    assert_err(ERR_OK, store_epochs(r->s, &list, &count));
    for (size_t i = 0; i < count; i++)
        if (list[i].epoch == epoch)
            found = list[i];
    free(list);
    assert_int_equal(found.epoch, epoch);
    return found;
}

/* The keys go. */
static enum err try_open(struct rig *r, struct site_keys *keys, char text[200])
{
    enum err err = rig_try_open(r, keys, text);

    site_keys_free(keys);
    return err;
}

static void a_ticket_from_before_a_rotation_is_claimed_after_it(struct rig *r)
{
    const struct letter *old = LETTER(.message_id = "<o>", .subject = "s"),
                        *new = LETTER(.message_id = "<n>");
    struct posted p = rig_post(r, old), q;
    struct store_claimed c;
    struct store_claim k;
    struct ticket t;

    rotate(r, RIG_NOW_S);
    q = rig_post(r, new);
    assert_int_equal(p.ticket.a[1], FIRST);
    assert_int_equal(q.ticket.a[1], SECOND);
    assert_err(ERR_OK, store_ticket_by_a(r->s, p.ticket.a, &t));
    assert_string_equal(t.subject, "s");
    k = rig_claim(&p, 1, RIG_NOW_S);
    assert_err(ERR_OK, store_claim(r->s, &k, &c));
    rig_check_body(r, &c, &p, old);
    k = rig_claim(&q, 1, RIG_NOW_S);
    assert_err(ERR_OK, store_claim(r->s, &k, &c));
    rig_check_body(r, &c, &q, new);
}

static void an_epoch_goes_with_its_last_tombstone(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;
    struct store_claim k = rig_claim(&p, 1, RIG_NOW_S);
    struct ticket t;
    uint8_t digest[32];
    size_t count;
    char why[200];
    int64_t end_s = RIG_NOW_S + 60 * DAY_S;

    assert_err(ERR_FORBIDDEN, retire(r, FIRST, end_s, why));
    assert_string_equal(why, "epoch 7 is the current one");
    assert_true(epoch_of(r, FIRST).current);
    rotate(r, RIG_NOW_S);
    assert_err(ERR_NOT_FOUND, retire(r, THIRD, end_s, why));
    assert_err(ERR_BUSY, retire(r, FIRST, RIG_NOW_S + QUIET_S - 1, why));
    assert_non_null(strstr(why, "epoch 7 is not retired before 2026-10-05T"));
    assert_err(ERR_BUSY, retire(r, FIRST, RIG_NOW_S + QUIET_S, why));
    assert_string_equal(why, "epoch 7 is in use");
    assert_true(epoch_of(r, FIRST).used);

    letter_digest(LETTER(), digest);
    assert_err(ERR_OK, store_claim(r->s, &k, &c));
    assert_err(ERR_OK, store_ack(r->s, p.ticket.key, digest, RIG_NOW_S, &t));
    assert_err(ERR_BUSY, retire(r, FIRST, RIG_NOW_S + QUIET_S, why)); /* its tombstone is there */
    assert_err(ERR_OK, store_purge(r->s, end_s, 100, &count));
    assert_false(epoch_of(r, FIRST).used);
    assert_err(ERR_OK, retire(r, FIRST, end_s, why));
    assert_int_equal(epoch_of(r, FIRST).retired_s, end_s);
    assert_false(site_keys_has(r->keys, FIRST));
    assert_true(site_keys_has(r->keys, SECOND));
    assert_err(ERR_OK, retire(r, FIRST, end_s + 1, why)); /* once more */
    assert_int_equal(epoch_of(r, FIRST).retired_s, end_s);
    assert_err(ERR_FORBIDDEN, retire(r, SECOND, end_s, why));
    assert_int_equal(epoch_of(r, SECOND).since_s, RIG_NOW_S);
}

static struct attempt stranger(void)
{
    struct attempt a;

    memset(&a, 0, sizeof a);
    strcpy(a.mailbox, "bob@b.test");
    strcpy(a.sender, "alice@a.test");
    strcpy(a.name, "Alice");
    return a;
}

static void jobs_payloads_and_attempts_hold_an_epoch(struct rig *r)
{
    struct attempt facts = stranger();
    struct job j;
    uint32_t went;
    size_t count;
    char why[200];
    int64_t end_s = RIG_NOW_S + 100 * DAY_S;

    assert_err(ERR_OK, rig_keep(r, &facts, 'k', 5000, RIG_NOW_S, 10, &j));
    rotate(r, RIG_NOW_S);
    rig_check_kept(r, &j, 'k', 5000);
    assert_err(ERR_OK, store_reseal(r->s, &count));
    assert_int_equal(count, 1);
    assert_err(ERR_OK, store_reseal(r->s, &count));
    assert_int_equal(count, 0);
    assert_err(ERR_BUSY, retire(r, FIRST, end_s, why)); /* job and payload */
    assert_err(ERR_OK,
               store_attempt_drop(r->s, "bob@b.test", "alice@a.test", false, NULL, NULL, RIG_NOW_S, &went));
    assert_err(ERR_OK, store_purge(r->s, end_s, 100, &count));
    assert_err(ERR_OK, retire(r, FIRST, end_s, why));
}

static bool note_attempt(void *arg, const struct attempt *a)
{
    *(struct attempt *)arg = *a;
    return true;
}

static void a_row_of_attempts_outlives_the_key_it_was_sealed_under(struct rig *r)
{
    struct attempt facts = stranger(), seen;
    struct job j;
    size_t count;

    assert_err(ERR_OK, rig_keep(r, &facts, 'k', 5000, RIG_NOW_S, 10, &j));
    rotate(r, RIG_NOW_S);
    assert_err(ERR_OK, store_reseal(r->s, &count));
    assert_err(ERR_OK, site_keys_forget(r->keys, FIRST));
    memset(&seen, 0, sizeof seen);
    assert_err(ERR_OK, store_attempts(r->s, "bob@b.test", 10, note_attempt, &seen));
    assert_string_equal(seen.name, "Alice");
}

static void wrong_keys_are_refused_and_the_old_ones_stay(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct ticket_keys again;
    char why[200];

    rotate(r, RIG_NOW_S);
    assert_err(ERR_CONFIG, reload(r, keys_of(FIRST, 3, SECOND, 2), RIG_NOW_S, why));
    assert_string_equal(why,
                        "site.keys:1: the site key of epoch 7 is not the one that the store was made with");
    assert_err(ERR_CONFIG, reload(r, keys_of(FIRST, 1, SECOND, 3), RIG_NOW_S, why));
    assert_string_equal(why,
                        "site.keys:2: the site key of epoch 8 is not the one that the store was made with");
    assert_err(ERR_CONFIG, reload(r, keys_of(SECOND, 2, THIRD, 3), RIG_NOW_S, why));
    assert_string_equal(why, "site.keys: the site key of epoch 7 is missing, and not retired");
    /* An old copy of the file: what is current must not go back. */
    assert_err(ERR_CONFIG, reload(r, keys_of(FIRST, 1, 0, 0), RIG_NOW_S, why));
    assert_string_equal(why, "site.keys: the site key of epoch 8 is missing, and not retired");
    assert_int_equal(site_keys_current(r->keys), SECOND);
    assert_err(ERR_OK, ticket_derive(r->keys, p.ticket.a, &again));
    assert_memory_equal(again.ka, p.keys.ka, sizeof again.ka);
    assert_err(ERR_OK, reload(r, keys_of(FIRST, 1, SECOND, 2), RIG_NOW_S, why));
}

static void a_retired_epoch_never_comes_back(struct rig *r)
{
    char why[200];

    rotate(r, RIG_NOW_S);
    assert_err(ERR_OK, retire(r, FIRST, RIG_NOW_S + QUIET_S, why));
    /* Its file was not rewritten: it is left out, and another key of that epoch refused. */
    assert_err(ERR_OK, reload(r, keys_of(FIRST, 1, SECOND, 2), RIG_NOW_S, why));
    assert_false(site_keys_has(r->keys, FIRST));
    assert_err(ERR_CONFIG, reload(r, keys_of(FIRST, 3, SECOND, 2), RIG_NOW_S, why));
    assert_non_null(strstr(why, "site.keys:1: the site key of epoch 7 is not the one"));
    assert_err(ERR_OK, reload(r, keys_of(SECOND, 2, 0, 0), RIG_NOW_S, why));
    rig_close(r);
    if (r->options.engine == STORE_BDB) {
        assert_err(ERR_OK, try_open(r, keys_of(FIRST, 1, SECOND, 2), why));
        assert_err(ERR_CONFIG, try_open(r, keys_of(FIRST, 3, SECOND, 2), why));
        assert_non_null(strstr(why, "site.keys:1: "));
        assert_err(ERR_CONFIG, try_open(r, keys_of(FIRST, 1, 0, 0), why));
        assert_string_equal(why,
                            "site.keys:1: the site key of epoch 7 is retired: a new key needs a new epoch");
        assert_err(ERR_OK, try_open(r, keys_of(SECOND, 2, 0, 0), why));
    }
    rig_open(r);
}

static void a_missing_key_is_missed_only_by_what_it_made(struct rig *r)
{
    char why[200];

    rig_close(r);
    assert_err(ERR_OK, try_open(r, keys_of(FIRST, 1, SECOND, 2), why));
    assert_err(ERR_OK, try_open(r, keys_of(SECOND, 2, 0, 0), why)); /* nothing is there: 7 is over */
    assert_err(ERR_CONFIG, try_open(r, keys_of(FIRST, 1, 0, 0), why));
    assert_non_null(strstr(why, "epoch 7 is retired"));
    site_keys_free(r->keys);
    r->keys = keys_of(SECOND, 2, 0, 0);
    rig_open(r);
    rig_post(r, LETTER());
    rig_close(r);
    assert_err(ERR_CONFIG, try_open(r, keys_of(THIRD, 3, 0, 0), why));
    assert_string_equal(why,
                        "site.keys: the store holds records under the site key of epoch 8, which is missing");
    rig_open(r);
    assert_true(epoch_of(r, SECOND).current);
}

/* A store of an earlier version has fingerprints alone. */
static void an_older_store_learns_since_when(struct rig *r)
{
    static const uint8_t key[] = "site key \0\7";
    struct store_epoch before = epoch_of(r, FIRST);
    struct engine_txn *t;
    struct engine *e;
    struct buf why;

    rig_close(r);
    buf_init(&why, 1000);
    assert_err(ERR_OK, engine_bdb_open(r->directory, 1 << 20, NULL, NULL, &e, &why));
    assert_err(ERR_OK, e->ops->begin(e, &t));
    assert_err(ERR_OK, e->ops->put(t, TABLE_META, span_bytes(key, sizeof key - 1),
                                   span_bytes(before.fingerprint, sizeof before.fingerprint)));
    assert_err(ERR_OK, e->ops->commit(t));
    assert_err(ERR_OK, e->ops->flush(e));
    e->ops->close(e);
    buf_free(&why);
    rig_open(r);
    struct store_epoch after = epoch_of(r, FIRST);
    assert_memory_equal(before.fingerprint, after.fingerprint, sizeof after.fingerprint);
    assert_true(after.since_s >= before.since_s && after.since_s > 0);
}

/* ---- while threads work */

struct crowd {
    struct rig *r;
    unsigned number;
    atomic_bool *stop;
};

static void *post_and_claim(void *arg)
{
    struct crowd *c = arg;

    for (unsigned i = 0; !atomic_load(c->stop); i++) {
        char id[40];
        snprintf(id, sizeof id, "<%u.%u>", c->number, i);
        const struct letter *l = LETTER(.message_id = id, .size = 500);
        struct posted p = rig_post(c->r, l);
        struct store_claim k = rig_claim(&p, 1, RIG_NOW_S);
        struct store_claimed claimed;
        assert_err(ERR_OK, store_claim(c->r->s, &k, &claimed));
        rig_check_body(c->r, &claimed, &p, l);
    }
    return NULL;
}

static void keys_are_reloaded_while_threads_work(struct rig *r)
{
    struct crowd c[2];
    pthread_t thread[2];
    atomic_bool stop = false;
    char why[200];
    size_t count;

    for (unsigned i = 0; i < 2; i++) {
        c[i] = (struct crowd){r, i, &stop};
        assert_int_equal(pthread_create(&thread[i], NULL, post_and_claim, &c[i]), 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        struct store_epoch *list;
        assert_err(ERR_OK, reload(r, i < 10 ? keys_of(FIRST, 1, 0, 0) : keys_of(FIRST, 1, SECOND, 2),
                                  RIG_NOW_S, why));
        assert_err(ERR_CONFIG, reload(r, keys_of(FIRST, 9, THIRD, 2), RIG_NOW_S, why));
        assert_err(ERR_OK, store_reseal(r->s, &count));
        assert_err(ERR_OK, store_epochs(r->s, &list, &count));
        free(list);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
}

int main(void)
{
    static const struct rig_case both[] = {
        RIG_CASE(a_ticket_from_before_a_rotation_is_claimed_after_it),
        RIG_CASE(an_epoch_goes_with_its_last_tombstone),
        RIG_CASE(jobs_payloads_and_attempts_hold_an_epoch),
        RIG_CASE(a_row_of_attempts_outlives_the_key_it_was_sealed_under),
        RIG_CASE(wrong_keys_are_refused_and_the_old_ones_stay),
        RIG_CASE(a_retired_epoch_never_comes_back),
        RIG_CASE(keys_are_reloaded_while_threads_work),
    };
    static const struct rig_case disk[] = {
        RIG_CASE(a_missing_key_is_missed_only_by_what_it_made),
        RIG_CASE(an_older_store_learns_since_when),
    };

    return rig_run("epochs", both, sizeof both / sizeof *both, true, true) +
           rig_run("epochs on disk", disk, sizeof disk / sizeof *disk, false, true);
}
