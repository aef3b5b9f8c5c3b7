/*
 * test_backup.c - backups while the store works: full and incremental, broken off, and what comes back from
 * them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "store/backup.h"
#include "store/epochs.h"
#include "store/handover_file.h"
#include "store/recall.h"
#include "store/store_internal.h"

#define DAY_S 86400

/* Beside the rig's own directory. */
static const char *backup_path(struct rig *r)
{
    static char path[100];

    snprintf(path, sizeof path, "%s.backup", r->directory);
    return path;
}

static struct store_backup back_up(struct rig *r)
{
    struct store_backup made = {.number = 0};
    struct buf why;

    buf_init(&why, 4000);
    if (store_backup(r->s, backup_path(r), "0.1", &made, &why) != ERR_OK)
        fail_msg("%s", buf_cstr(&why));
    buf_free(&why);
    return made;
}

static void done_with(struct rig *r)
{
    rig_remove_tree(backup_path(r));
}

/* ---- making ---- */

static void the_first_is_full_and_the_next_add_to_it(struct rig *r)
{
    struct store_backup made;

    rig_post(r, LETTER());
    made = back_up(r);
    assert_true(made.full);
    assert_int_equal(made.number, 1);
    assert_int_equal(made.payloads, 0);
    rig_post(r, LETTER(.message_id = "<2@a.test>", .size = 200000));
    made = back_up(r);
    assert_false(made.full);
    assert_int_equal(made.number, 2);
    assert_int_equal(made.payloads, 1);
    assert_int_equal(made.tally.payloads, 1);
    assert_int_equal(made.tally.files, 1);
    made = back_up(r);
    assert_false(made.full);
    assert_int_equal(made.payloads, 1);
    assert_int_equal(made.tally.payloads, 0);
    rig_close(r); /* a restart forgets nothing */
    rig_open(r);
    made = back_up(r);
    assert_false(made.full);
    done_with(r);
    made = back_up(r); /* and a directory that is empty again gets everything */
    assert_true(made.full);
    done_with(r);
}

static void payloads_that_are_gone_leave_the_backup(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.size = 200000, .notify = "NEVER"));

    back_up(r);
    assert_int_equal(rig_file_count(backup_path(r), "payload"), 1);
    assert_err(ERR_OK, store_nack(r->s, p.ticket.key, NULL, "policy", "", RIG_NOW_S, NULL));
    assert_int_equal(rig_file_count(r->directory, "payload"), 0);
    assert_int_equal(back_up(r).payloads, 0);
    assert_int_equal(rig_file_count(backup_path(r), "payload"), 0);
    done_with(r);
}

static void foreign_directories_are_refused(struct rig *r)
{
    struct store_backup made;
    char path[200];
    struct buf why;
    int fd;

    buf_init(&why, 4000);
    assert_int_equal(mkdir(backup_path(r), 0700), 0);
    snprintf(path, sizeof path, "%s/letter.txt", backup_path(r));
    assert_true((fd = open(path, O_CREAT | O_WRONLY, 0600)) >= 0);
    close(fd);
    assert_err(ERR_EXISTS, store_backup(r->s, backup_path(r), "0.1", &made, &why));
    assert_non_null(strstr(buf_cstr(&why), "letter.txt"));
    assert_int_equal(unlink(path), 0);
    buf_clear(&why);
    snprintf(path, sizeof path, "%s/nowhere/at/all", backup_path(r));
    assert_false(store_backup(r->s, path, "0.1", &made, &why) == ERR_OK);
    assert_true(why.len > 0);
    buf_free(&why);
    done_with(r);
}

static struct site_keys *key_of(uint16_t epoch, uint8_t fill)
{
    uint8_t key[1][SITEKEY_BYTES];
    struct site_keys *k = NULL;

    memset(key, fill, sizeof key);
    assert_err(ERR_OK, site_keys_from_bytes(&epoch, (const uint8_t(*)[SITEKEY_BYTES])key, 1, &k));
    return k;
}

static struct site_keys *both_keys(void)
{
    struct site_key key[2] = {{.epoch = RIG_EPOCH, .line = 1}, {.epoch = RIG_EPOCH + 1, .line = 2}};
    struct site_keys *k = NULL;

    memset(key[0].key, 1, SITEKEY_BYTES);
    memset(key[1].key, 2, SITEKEY_BYTES);
    assert_err(ERR_OK, site_keys_create(key, 2, "site.keys", &k));
    return k;
}

static void back_up_anothers(struct rig *r, struct site_keys *others)
{
    struct store_options o = r->options;
    struct store_backup made;
    struct store *s = NULL;
    char directory[100];
    struct buf why;

    buf_init(&why, 4000);
    snprintf(directory, sizeof directory, "%s.other", r->directory);
    o.directory = directory;
    o.handover_directory = NULL;
    assert_err(ERR_OK, store_open(&o, others, &s, &why));
    assert_err(ERR_EXISTS, store_backup(s, backup_path(r), "0.1", &made, &why));
    assert_non_null(strstr(buf_cstr(&why), "another site"));
    store_close(s);
    site_keys_free(others);
    buf_free(&why);
    rig_remove_tree(directory);
}

static void another_sites_backup_is_not_replaced(struct rig *r)
{
    back_up(r);
    back_up_anothers(r, rig_keys(2));
    back_up_anothers(r, key_of(RIG_EPOCH - 1, 2)); /* no epoch in common */
    back_up_anothers(r, key_of(RIG_EPOCH + 1, 1));
    assert_int_equal(back_up(r).number, 2);
    done_with(r);
}

/* All keys of the last backup are gone, and the store knows that they were its own. */
static void a_site_whose_keys_have_changed_goes_on(struct rig *r)
{
    struct buf why;

    back_up(r);
    buf_init(&why, 4000);
    assert_err(ERR_OK, store_keys_reload(r->s, both_keys(), RIG_NOW_S, &why));
    assert_err(ERR_OK, store_epoch_retire(r->s, RIG_EPOCH, 0, RIG_NOW_S + 1, &why));
    rig_close(r);
    site_keys_free(r->keys);
    r->keys = key_of(RIG_EPOCH + 1, 2);
    rig_open(r);
    assert_int_equal(back_up(r).number, 2);
    buf_free(&why);
    done_with(r);
}

static void one_that_is_damaged_is_told_and_replaced_by_a_full_one(struct rig *r)
{
    struct backup_dir *b = NULL;
    char path[200];
    struct buf why;
    int fd;

    buf_init(&why, 4000);
    rig_post(r, LETTER());
    back_up(r);
    assert_err(ERR_OK, backup_dir_open(backup_path(r), false, &b, &why));
    assert_err(ERR_OK, backup_dir_verify(b, true, &why));
    snprintf(path, sizeof path, "%s/%s", backup_path(r), backup_dir_last(b)->file[1].path);
    assert_true((fd = open(path, O_WRONLY)) >= 0);
    assert_int_equal(pwrite(fd, "xyz", 3, 5000), 3);
    close(fd);
    assert_err(ERR_OK, backup_dir_verify(b, false, &why));
    assert_err(ERR_STORE, backup_dir_verify(b, true, &why));
    backup_dir_close(b);
    snprintf(path, sizeof path, "%s/MANIFEST", backup_path(r));
    assert_true((fd = open(path, O_WRONLY)) >= 0);
    assert_int_equal(pwrite(fd, "x", 1, 40), 1);
    close(fd);
    buf_clear(&why);
    assert_err(ERR_STORE, backup_dir_open(backup_path(r), false, &b, &why));
    assert_true(back_up(r).full);
    buf_clear(&why);
    assert_err(ERR_OK, backup_dir_open(backup_path(r), false, &b, &why));
    assert_err(ERR_OK, backup_dir_verify(b, true, &why));
    backup_dir_close(b);
    buf_free(&why);
    done_with(r);
}

/* ---- bringing back ---- */

static enum err restore(struct rig *r, bool replace, struct store_restored *out)
{
    struct buf why;
    enum err err;

    buf_init(&why, 4000);
    err = store_restore(&r->options, r->keys, backup_path(r), replace, out, &why);
    if (err != ERR_OK) {
        assert_true(why.len > 0);
        print_message("%s\n", buf_cstr(&why));
    }
    buf_free(&why);
    return err;
}

static void bring_back(struct rig *r, struct store_restored *out)
{
    rig_close(r);
    assert_err(ERR_OK, restore(r, true, out));
    rig_open(r);
}

/* Past the grace of those who asked before. */
static int64_t later(void)
{
    static int64_t now_s = RIG_NOW_S + 400 * DAY_S;

    return now_s += 10;
}

/* The kinds of work that are due for a ticket, as bits. */
static unsigned due(struct rig *r, const struct posted *p)
{
    struct work w[100];
    unsigned kinds = 0;
    size_t count;

    assert_err(ERR_OK, store_work_due(r->s, later(), 0, w, 100, &count));
    for (size_t i = 0; i < count; i++)
        if (memcmp(w[i].key, p->ticket.key, sizeof w[i].key) == 0)
            kinds |= 1U << w[i].kind;
    return kinds;
}

static struct work entry(struct rig *r, const struct posted *p, enum work_kind kind)
{
    struct work w[100];
    size_t count;

    assert_err(ERR_OK, store_work_due(r->s, later(), 0, w, 100, &count));
    for (size_t i = 0; i < count; i++)
        if (w[i].kind == kind && memcmp(w[i].key, p->ticket.key, sizeof w[i].key) == 0)
            return w[i];
    fail();
    return w[0];
}

static const struct letter *nth(int i)
{
    static struct letter l[20];
    static char id[20][40];

    snprintf(id[i], sizeof id[i], "<%d@a.test>", i);
    l[i] =
        *LETTER(.message_id = id[i], .notify = "SUCCESS,FAILURE,DELAY", .size = i % 2 == 0 ? 3000 : 200000);
    return &l[i];
}

static struct store_claimed claim_it(struct rig *r, const struct posted *p, uint8_t token, int64_t now_s)
{
    struct store_claimed out;

    assert_err(ERR_OK, rig_call(r, p, token, now_s, &out));
    return out;
}

static void ack_it(struct rig *r, const struct posted *p, int i, int64_t now_s)
{
    assert_err(ERR_OK, rig_ack(r, p, nth(i), now_s));
}

enum {
    UNTOUCHED,
    CLAIMED,
    ACKED,
    ACKED_TOLD,
    REFUSED,
    RETRACTED,
    PLAIN,
    PLAIN_SENT,
    EXPIRED,
    HELD_LEGALLY,
    WARNED,
    LETTERS
};

/* What happens to each of them after the backup. */
static void live_on(struct rig *r, struct posted p[LETTERS])
{
    struct work w;

    claim_it(r, &p[CLAIMED], 1, RIG_NOW_S + 10);
    claim_it(r, &p[ACKED], 1, RIG_NOW_S + 10);
    ack_it(r, &p[ACKED], ACKED, RIG_NOW_S + 11);
    claim_it(r, &p[ACKED_TOLD], 1, RIG_NOW_S + 10);
    ack_it(r, &p[ACKED_TOLD], ACKED_TOLD, RIG_NOW_S + 11);
    w = entry(r, &p[ACKED_TOLD], WORK_NOTIFY);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4b", RIG_NOW_S + 12));
    assert_err(ERR_OK,
               store_nack(r->s, p[REFUSED].ticket.key, NULL, "policy", "no thanks", RIG_NOW_S + 13, NULL));
    assert_err(ERR_OK,
               store_retract(r->s, p[RETRACTED].ticket.key, false, RIG_NOW_S + 14, &p[RETRACTED].ticket));
    assert_err(ERR_OK, store_plain(r->s, p[PLAIN].ticket.key, "", RIG_NOW_S + 15, &p[PLAIN].ticket));
    assert_err(ERR_OK,
               store_plain(r->s, p[PLAIN_SENT].ticket.key, "", RIG_NOW_S + 15, &p[PLAIN_SENT].ticket));
    w = entry(r, &p[PLAIN_SENT], WORK_PLAIN);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4b", RIG_NOW_S + 16));
    assert_err(ERR_OK, store_hold(r->s, p[HELD_LEGALLY].ticket.key, true, "court", RIG_NOW_S + 17,
                                  &p[HELD_LEGALLY].ticket));
    assert_err(ERR_OK, store_delay_due(r->s, p[WARNED].ticket.key, RIG_NOW_S + 18));
    w = entry(r, &p[WARNED], WORK_DELAY);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4b", RIG_NOW_S + 19));
}

static void post_all(struct rig *r, struct posted p[LETTERS])
{
    for (int i = 0; i < LETTERS; i++) {
        struct letter l = *nth(i);

        if (i == EXPIRED)
            l.expires_s = RIG_NOW_S + 100;
        p[i] = rig_post(r, &l);
    }
}

static void check_fates(struct rig *r, struct posted p[LETTERS])
{
    struct store_claimed c;

    assert_int_equal(rig_look(r, &p[UNTOUCHED]).state, TICKET_WAITING);
    assert_int_equal(rig_look(r, &p[CLAIMED]).state, TICKET_LAPSED);
    assert_int_equal(rig_look(r, &p[CLAIMED]).handed_over_s, RIG_NOW_S + 10);
    assert_int_equal(rig_look(r, &p[ACKED]).state, TICKET_DELIVERED);
    assert_int_equal(rig_look(r, &p[ACKED]).changed_s, RIG_NOW_S + 11);
    assert_int_equal(due(r, &p[ACKED]), 1U << WORK_NOTIFY);
    assert_int_equal(rig_look(r, &p[ACKED_TOLD]).state, TICKET_DELIVERED);
    assert_int_equal(due(r, &p[ACKED_TOLD]), 0);
    assert_int_equal(rig_look(r, &p[REFUSED]).state, TICKET_REFUSED);
    assert_string_equal(rig_look(r, &p[REFUSED]).remote_text, "no thanks");
    assert_int_equal(due(r, &p[REFUSED]), 1U << WORK_NOTIFY);
    assert_int_equal(rig_look(r, &p[RETRACTED]).state, TICKET_RETRACTED);
    assert_int_equal(rig_look(r, &p[PLAIN]).state, TICKET_PLAIN);
    assert_int_equal(due(r, &p[PLAIN]), 1U << WORK_PLAIN);
    assert_int_equal(rig_look(r, &p[PLAIN_SENT]).state, TICKET_PLAIN);
    assert_int_equal(due(r, &p[PLAIN_SENT]), 0);
    assert_int_equal(rig_look(r, &p[EXPIRED]).state, TICKET_EXPIRED);
    assert_true(rig_look(r, &p[HELD_LEGALLY]).hold);
    assert_string_equal(rig_look(r, &p[HELD_LEGALLY]).hold_note, "court");
    assert_int_equal(rig_look(r, &p[WARNED]).delay_told_s, RIG_NOW_S + 19);
    /* Whoever had it may have it again, nobody else may be told that it was taken back. */
    assert_err(ERR_HANDED_OVER,
               store_retract(r->s, p[CLAIMED].ticket.key, false, RIG_NOW_S + 50, &p[CLAIMED].ticket));
    c = claim_it(r, &p[CLAIMED], 1, RIG_NOW_S + 60);
    rig_check_body(r, &c, &p[CLAIMED], nth(CLAIMED));
    c = claim_it(r, &p[UNTOUCHED], 1, RIG_NOW_S + 60);
    rig_check_body(r, &c, &p[UNTOUCHED], nth(UNTOUCHED));
}

static void what_happened_since_is_known(struct rig *r)
{
    struct posted p[LETTERS];
    struct store_restored restored;
    size_t count;

    post_all(r, p);
    back_up(r);
    live_on(r, p);
    assert_err(ERR_OK, store_expire(r->s, RIG_NOW_S + 200, 100, &count));
    assert_int_equal(count, 1);
    bring_back(r, &restored);
    assert_true(restored.covered);
    assert_int_equal(restored.perhaps, 0);
    assert_int_equal(restored.lost, 0);
    check_fates(r, p);
    assert_false(rig_look(r, &p[UNTOUCHED]).perhaps);
    done_with(r);
}

/* The journal knows all of it the second time, too; and the backup can be added to a row of others. */
static void it_can_be_restored_again_and_from_a_row(struct rig *r)
{
    struct posted p[LETTERS];
    struct store_restored restored;
    size_t count;

    back_up(r);
    post_all(r, p);
    assert_false(back_up(r).full);
    rig_close(r);
    rig_open(r);
    rig_post(r, LETTER(.message_id = "<more@a.test>", .sender = "carol@a.test"));
    assert_false(back_up(r).full);
    live_on(r, p);
    assert_err(ERR_OK, store_expire(r->s, RIG_NOW_S + 200, 100, &count));
    for (int i = 0; i < 2; i++) {
        bring_back(r, &restored);
        assert_true(restored.covered);
    }
    check_fates(r, p);
    assert_true(back_up(r).full);
    done_with(r);
}

static void without_a_journal_everything_is_perhaps_handed_over(struct rig *r)
{
    struct posted p[LETTERS];
    struct store_restored restored;

    post_all(r, p);
    back_up(r);
    live_on(r, p);
    rig_remove_tree(r->options.handover_directory);
    bring_back(r, &restored);
    assert_false(restored.covered);
    assert_true(restored.gap[0] != '\0');
    assert_int_equal(restored.perhaps, LETTERS);
    for (int i = 0; i < LETTERS; i++) {
        assert_int_equal(rig_look(r, &p[i]).state, TICKET_WAITING);
        assert_true(rig_look(r, &p[i]).perhaps);
        assert_err(ERR_RESTORED, store_retract(r->s, p[i].ticket.key, false, RIG_NOW_S + 50, &p[i].ticket));
        assert_err(ERR_RESTORED, store_plain(r->s, p[i].ticket.key, "", RIG_NOW_S + 50, &p[i].ticket));
    }
    done_with(r);
}

/* When one of two refuses it afterwards, the other may well have delivered it. */
static void that_several_collected_it_is_known(struct rig *r)
{
    struct posted before = rig_post(r, nth(1)), since = rig_post(r, nth(2)), one = rig_post(r, nth(3));
    struct store_restored restored;

    claim_it(r, &before, 1, RIG_NOW_S);
    back_up(r);
    claim_it(r, &before, 2, RIG_NOW_S + 400);
    claim_it(r, &since, 1, RIG_NOW_S);
    claim_it(r, &since, 2, RIG_NOW_S + 400);
    claim_it(r, &one, 1, RIG_NOW_S);
    claim_it(r, &one, 1, RIG_NOW_S + 400);
    bring_back(r, &restored);
    assert_true(restored.covered);
    assert_true(rig_look(r, &before).several);
    assert_true(rig_look(r, &since).several);
    assert_false(rig_look(r, &one).several);
    done_with(r);
}

static void a_letter_that_was_replaced_is_not_served(struct rig *r)
{
    struct posted one = rig_post(r, nth(1)), two = rig_post(r, nth(2)), three = rig_post(r, nth(3));
    struct store_restored restored;
    struct store_claim c;
    struct store_claimed *out = calloc(1, sizeof *out);
    struct ticket t;
    enum err outcome;

    back_up(r);
    assert_err(ERR_OK, rig_replace(r, &one, 1, nth(4), 2, false, RIG_NOW_S + 5, &outcome));
    assert_err(ERR_OK, rig_replace(r, &two, 1, nth(4), 2, false, RIG_NOW_S + 5, &outcome));
    assert_err(ERR_OK, rig_replace(r, &three, 1, nth(4), 2, false, RIG_NOW_S + 5, &outcome));
    claim_it(r, &two, 1, RIG_NOW_S + 6);
    claim_it(r, &three, 1, RIG_NOW_S + 6);
    ack_it(r, &three, 4, RIG_NOW_S + 7);
    bring_back(r, &restored);
    assert_true(restored.covered);
    assert_int_equal(restored.replaced, 2);
    t = rig_look(r, &one);
    assert_int_equal(t.state, TICKET_BOUNCED);
    assert_int_equal(due(r, &one), 1U << WORK_NOTIFY);
    assert_int_equal(rig_look(r, &two).state, TICKET_UNCONFIRMED);
    assert_int_equal(rig_look(r, &three).state, TICKET_DELIVERED);
    c = rig_claim(&one, 1, RIG_NOW_S + 60);
    assert_err(ERR_GONE, store_claim(r->s, &c, out));
    assert_int_equal(rig_file_count(r->directory, "payload"), 0);
    free(out);
    done_with(r);
}

static void a_letter_that_came_since_is_told_of(struct rig *r)
{
    struct posted lost, collected, confirmed;
    struct store_restored restored;
    struct store_counts n;

    back_up(r);
    lost = rig_post(r, nth(1));
    collected = rig_post(r, nth(2));
    confirmed = rig_post(r, nth(3));
    claim_it(r, &collected, 1, RIG_NOW_S + 10);
    claim_it(r, &confirmed, 1, RIG_NOW_S + 10);
    ack_it(r, &confirmed, 3, RIG_NOW_S + 11);
    bring_back(r, &restored);
    assert_int_equal(restored.lost, 3);
    assert_int_equal(rig_look(r, &lost).state, TICKET_BOUNCED);
    assert_int_equal(due(r, &lost), 1U << WORK_NOTIFY);
    assert_int_equal(rig_look(r, &collected).state, TICKET_UNCONFIRMED);
    assert_int_equal(rig_look(r, &confirmed).state, TICKET_DELIVERED);
    assert_err(ERR_OK, store_count(r->s, &n));
    assert_int_equal(n.tickets[TICKET_BOUNCED], 1);
    assert_int_equal(n.payloads, 0);
    rig_post(r, nth(1)); /* sent again, it is a letter of its own */
    assert_int_equal(rig_look(r, &lost).state, TICKET_BOUNCED);
    done_with(r);
}

/* As after a power cut that the database's log survived and the journal did not. */
static void forget_since(struct rig *r, const struct handover_position *at)
{
    char path[200], name[HANDOVER_NAME_MAX];

    rig_close(r);
    handover_file_name(at->file, name);
    snprintf(path, sizeof path, "%s/%s", r->options.handover_directory, name);
    assert_int_equal(truncate(path, (off_t)at->offset), 0);
    rig_open(r);
}

/* Nobody was told of it before that, and when the same letter came again somebody was. */
static void a_letter_whose_note_a_crash_took_is_told_of_when_it_came_again(struct rig *r)
{
    enum { WAITS, COLLECTED, CLOSED, CONFIRMED, SENT, PERHAPS, ALL };
    struct posted p[ALL];
    struct store_restored restored;
    struct handover_position at;
    struct work w;

    back_up(r);
    handover_position(r->s->handover, &at);
    for (int i = 0; i < ALL; i++)
        p[i] = rig_post(r, nth(i));
    forget_since(r, &at);
    claim_it(r, &p[COLLECTED], 1, RIG_NOW_S + 10);
    claim_it(r, &p[CONFIRMED], 1, RIG_NOW_S + 10);
    ack_it(r, &p[CONFIRMED], CONFIRMED, RIG_NOW_S + 11);
    assert_err(ERR_OK, store_plain(r->s, p[CLOSED].ticket.key, "", RIG_NOW_S + 12, NULL));
    assert_err(ERR_OK, store_plain(r->s, p[SENT].ticket.key, "", RIG_NOW_S + 12, NULL));
    w = entry(r, &p[SENT], WORK_PLAIN);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4b", RIG_NOW_S + 13));
    rig_set_perhaps(r, &p[PERHAPS]);
    for (int i = 0; i < ALL; i++)
        assert_true(rig_post(r, nth(i)).existing);
    bring_back(r, &restored);
    assert_true(restored.covered);
    assert_int_equal(restored.lost, ALL);
    assert_int_equal(rig_look(r, &p[WAITS]).state, TICKET_BOUNCED);
    assert_int_equal(due(r, &p[WAITS]), 1U << WORK_NOTIFY);
    assert_int_equal(rig_look(r, &p[COLLECTED]).state, TICKET_UNCONFIRMED);
    assert_int_equal(rig_look(r, &p[CLOSED]).state, TICKET_BOUNCED);
    assert_int_equal(rig_look(r, &p[CONFIRMED]).state, TICKET_DELIVERED);
    assert_int_equal(rig_look(r, &p[SENT]).state, TICKET_PLAIN);
    assert_int_equal(due(r, &p[SENT]), 0);
    assert_int_equal(rig_look(r, &p[PERHAPS]).state, TICKET_UNCONFIRMED);
    assert_int_equal(rig_counts(r).payloads, 0);
    done_with(r);
}

static void fill_job(struct job *j, int i)
{
    memset(j, 0, sizeof *j);
    snprintf(j->url, sizeof j->url, "https://pull.a.test/restante/1/%d", i);
    strcpy(j->stub_from, "alice@a.test");
    strcpy(j->stub_to, "bob@b.test");
    strcpy(j->recipient, "bob@b.test");
    j->ka[0] = (uint8_t)i;
    j->created_s = j->due_s = RIG_NOW_S;
    j->expires_s = RIG_NOW_S + 7 * DAY_S;
}

static void a_letter_that_was_delivered_here_is_not_delivered_again(struct rig *r)
{
    struct job old, new, waiting;
    struct store_restored restored;
    const uint8_t digest[32] = {9};
    enum job_added added;

    fill_job(&old, 1);
    fill_job(&waiting, 2);
    fill_job(&new, 3);
    assert_err(ERR_OK, store_job_add(r->s, &old, &added));
    assert_err(ERR_OK, store_job_add(r->s, &waiting, &added));
    back_up(r);
    assert_err(ERR_OK, store_job_delivered(r->s, old.id, digest, 1000, "4b", "250", RIG_NOW_S + 5));
    assert_err(ERR_OK, store_job_add(r->s, &new, &added));
    assert_err(ERR_OK, store_job_delivered(r->s, new.id, digest, 1000, "4b", "250", RIG_NOW_S + 5));
    assert_err(ERR_OK, store_job_end(r->s, new.id, JOB_ACKED, "", RIG_NOW_S + 6));
    bring_back(r, &restored);
    assert_int_equal(restored.jobs, 2);
    assert_err(ERR_OK, store_job_get(r->s, old.id, &old));
    assert_int_equal(old.state, JOB_DELIVERED);
    assert_memory_equal(old.digest, digest, sizeof digest);
    assert_err(ERR_OK, store_job_get(r->s, new.id, &new));
    assert_int_equal(new.state, JOB_ACKED);
    assert_err(ERR_OK, store_job_get(r->s, waiting.id, &waiting));
    assert_int_equal(waiting.state, JOB_WAITING);
    fill_job(&new, 3); /* its stub comes again: the ack goes out again, nothing else */
    assert_err(ERR_OK, store_job_add(r->s, &new, &added));
    assert_int_equal(added, JOB_KNOWN_ENDED);
    assert_err(ERR_OK, store_job_get(r->s, new.id, &new));
    assert_int_equal(new.state, JOB_DELIVERED);
    done_with(r);
}

static void a_store_that_is_there_is_not_overwritten(struct rig *r)
{
    struct store_restored restored;
    struct posted p = rig_post(r, LETTER());

    back_up(r);
    assert_err(ERR_BUSY, restore(r, true, &restored)); /* it runs */
    rig_close(r);
    assert_err(ERR_EXISTS, restore(r, false, &restored));
    rig_open(r);
    assert_int_equal(rig_look(r, &p).state, TICKET_WAITING);
    rig_close(r);
    assert_err(ERR_OK, restore(r, true, &restored));
    assert_true(restored.aside[0] != '\0');
    rig_open(r);
    assert_int_equal(rig_look(r, &p).state, TICKET_WAITING);
    done_with(r);
}

static void a_backup_that_is_not_whole_is_not_restored(struct rig *r)
{
    struct store_restored restored;
    struct posted p = rig_post(r, nth(1));
    char command[300];

    back_up(r);
    rig_close(r);
    snprintf(command, sizeof command, "rm %s/payload/*", backup_path(r));
    assert_int_equal(system(command), 0);
    assert_err(ERR_STORE, restore(r, true, &restored));
    rig_open(r);
    assert_int_equal(rig_look(r, &p).state, TICKET_WAITING);
    done_with(r);
}

/* What was to be replaced is in use again. */
static void a_backup_of_another_site_or_damaged_leaves_the_store(struct rig *r)
{
    struct site_keys *others = rig_keys(2), *own = r->keys;
    struct store_restored restored;
    struct posted p = rig_post(r, nth(1));
    char path[300], byte;
    int fd;

    back_up(r);
    rig_close(r);
    r->keys = others;
    assert_err(ERR_CONFIG, restore(r, true, &restored));
    r->keys = own;
    rig_open(r);
    assert_int_equal(rig_look(r, &p).state, TICKET_WAITING);
    rig_close(r);
    snprintf(path, sizeof path, "%s/db.1/ticket.db", backup_path(r));
    assert_true((fd = open(path, O_RDWR)) >= 0);
    assert_int_equal(pread(fd, &byte, 1, 5000), 1);
    byte ^= 0x41;
    assert_int_equal(pwrite(fd, &byte, 1, 5000), 1);
    close(fd);
    assert_err(ERR_STORE, restore(r, true, &restored));
    rig_open(r);
    assert_int_equal(rig_look(r, &p).state, TICKET_WAITING);
    assert_int_equal(rig_file_count(r->directory, "payload"), 1);
    site_keys_free(others);
    done_with(r);
}

/* ---- dying ---- */

/* In a process of its own, which may die at a kill point. */
static int child(const char *word, const char *directory)
{
    struct rig r;

    rig_init(&r, STORE_MEMORY);
    rig_use(&r, directory);
    snprintf(r.directory, sizeof r.directory, "%s", directory);
    if (strcmp(word, "restore") == 0) {
        struct store_restored restored;

        return restore(&r, true, &restored) != ERR_OK;
    }
    rig_open(&r);
    rig_post(&r, LETTER(.message_id = "<3@a.test>", .size = 200000));
    back_up(&r);
    rig_close(&r);
    return 0;
}

/* True: it died. */
static bool dies_at(struct rig *r, const char *point, const char *word)
{
    const char *const argv[] = {"test_store_backup", word, r->directory, NULL};
    char kill_at[100];
    struct buf said;
    int status;

    snprintf(kill_at, sizeof kill_at, "%s:1", point);
    buf_init(&said, 10000);
    status = rig_run_self(argv, kill_at, -1, &said);
    buf_free(&said);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void assert_usable(struct rig *r, uint64_t number)
{
    struct backup_dir *b = NULL;
    struct buf why;

    buf_init(&why, 4000);
    if (backup_dir_open(backup_path(r), false, &b, &why) != ERR_OK ||
        backup_dir_verify(b, true, &why) != ERR_OK)
        fail_msg("%s", buf_cstr(&why));
    assert_int_equal(backup_dir_last(b)->number, number);
    backup_dir_close(b);
    buf_free(&why);
}

/* The complete one stays complete until the next one is. */
static void one_that_is_broken_off_leaves_the_last(struct rig *r)
{
    static const struct {
        const char *point;
        bool full, complete;
    } row[] = {
        {"backup-table-after", true, false},      {"backup-logs-after", true, false},
        {"backup-logs-after", false, false},      {"backup-manifest-before", true, false},
        {"backup-manifest-before", false, false}, {"backup-manifest-after", true, true},
        {"backup-manifest-after", false, true},
    };
    char state[100];

    snprintf(state, sizeof state, "%s/backup-state", r->directory);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct store_backup made;

        rig_post(r, LETTER(.message_id = "<2@a.test>", .size = 200000));
        made = back_up(r);
        rig_close(r);
        if (row[i].full)
            assert_int_equal(unlink(state), 0);
        assert_true(dies_at(r, row[i].point, "backup"));
        assert_usable(r, made.number + row[i].complete);
        rig_open(r);
        /* What was not written down before it died is a full one's work. */
        assert_int_equal(back_up(r).full, row[i].full || row[i].complete);
        assert_usable(r, made.number + 1 + row[i].complete);
    }
    done_with(r);
}

/* Whatever was broken off is known for what it is, and is begun anew. */
static void a_restore_that_is_broken_off_is_known(struct rig *r)
{
    static const char *const point[] = {"restore-mark-after",    "restore-aside-after",
                                        "restore-copy",          "restore-files-after",
                                        "restore-recover-after", "restore-replay-after"};
    struct posted p[LETTERS];
    struct store_restored restored;
    size_t count;
    struct buf why;

    buf_init(&why, 4000);
    post_all(r, p);
    back_up(r);
    live_on(r, p);
    assert_err(ERR_OK, store_expire(r->s, RIG_NOW_S + 200, 100, &count));
    for (size_t i = 0; i < sizeof point / sizeof *point; i++) {
        rig_close(r);
        assert_true(dies_at(r, point[i], "restore"));
        buf_clear(&why);
        assert_err(ERR_CONFIG, store_open(&r->options, r->keys, &r->s, &why));
        assert_non_null(strstr(buf_cstr(&why), "restore"));
        assert_err(ERR_OK, restore(r, false, &restored));
        assert_true(restored.aside[0] != '\0');
        rig_open(r);
        assert_int_equal(rig_look(r, &p[ACKED]).state, TICKET_DELIVERED);
    }
    check_fates(r, p);
    buf_free(&why);
    done_with(r);
}

static const struct rig_case cases[] = {
    RIG_CASE(the_first_is_full_and_the_next_add_to_it),
    RIG_CASE(payloads_that_are_gone_leave_the_backup),
    RIG_CASE(foreign_directories_are_refused),
    RIG_CASE(another_sites_backup_is_not_replaced),
    RIG_CASE(a_site_whose_keys_have_changed_goes_on),
    RIG_CASE(one_that_is_damaged_is_told_and_replaced_by_a_full_one),
    RIG_CASE(one_that_is_broken_off_leaves_the_last),
    RIG_CASE(what_happened_since_is_known),
    RIG_CASE(it_can_be_restored_again_and_from_a_row),
    RIG_CASE(that_several_collected_it_is_known),
    RIG_CASE(without_a_journal_everything_is_perhaps_handed_over),
    RIG_CASE(a_letter_that_was_replaced_is_not_served),
    RIG_CASE(a_letter_that_came_since_is_told_of),
    RIG_CASE(a_letter_whose_note_a_crash_took_is_told_of_when_it_came_again),
    RIG_CASE(a_letter_that_was_delivered_here_is_not_delivered_again),
    RIG_CASE(a_store_that_is_there_is_not_overwritten),
    RIG_CASE(a_backup_that_is_not_whole_is_not_restored),
    RIG_CASE(a_backup_of_another_site_or_damaged_leaves_the_store),
    RIG_CASE(a_restore_that_is_broken_off_is_known),
};

int main(int argc, char **argv)
{
    if (argc == 3)
        return child(argv[1], argv[2]);
    return rig_run("backup", cases, sizeof cases / sizeof *cases, false, true);
}
