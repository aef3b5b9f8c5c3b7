/*
 * test_handover.c - the handover journal: what is noted, what a crash, a torn end and damage leave of it, and
 * which times it covers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "rig.h"
#include "store/handover.h"
#include "store/handover_file.h"
#include "store/store_internal.h"

#define KEEP_S (60 * 86400)

struct journal {
    char directory[64];
    struct handover *h;
    uint8_t id[HANDOVER_ID_BYTES];
    bool known;
    int64_t last_s;
};

static int setup(void **state)
{
    struct journal *j = calloc(1, sizeof *j);

    strcpy(j->directory, "/tmp/restante-handover-XXXXXX");
    assert_non_null(mkdtemp(j->directory));
    *state = j;
    return 0;
}

static int teardown(void **state)
{
    struct journal *j = *state;

    handover_free(j->h);
    rig_remove_tree(j->directory);
    free(j);
    return 0;
}

static void begin(struct journal *j)
{
    const struct handover_options o = {.directory = j->directory, .keep_s = KEEP_S};
    struct handover_position at;
    struct buf why;

    buf_init(&why, 1000);
    assert_err(ERR_OK, handover_open(&o, j->known ? j->id : NULL, &j->h, &j->last_s, &why));
    buf_free(&why);
    handover_position(j->h, &at);
    memcpy(j->id, at.id, sizeof j->id);
    j->known = true;
}

static void end(struct journal *j)
{
    handover_free(j->h);
    j->h = NULL;
}

static struct handover_position position(struct journal *j)
{
    struct handover_position at;

    handover_position(j->h, &at);
    return at;
}

static void note(struct journal *j, uint32_t number, const char *body)
{
    const struct handover_entry e = {
        .what = HANDOVER_REFUSED, .arg = number, .at_s = 1000 + number, .key = {7}, .body = span_of(body)};
    struct buf bytes;

    buf_init(&bytes, 70000);
    assert_err(ERR_OK, handover_encode(&e, &bytes));
    handover_add(j->h, buf_span(&bytes));
    buf_free(&bytes);
}

static void sync_it(struct journal *j)
{
    assert_true(handover_sync(j->h));
    assert_err(ERR_OK, handover_synced(j->h));
}

struct seen {
    uint32_t number[1000];
    size_t count;
    char body[100];
};

static enum err see(void *arg, const struct handover_entry *e)
{
    struct seen *s = arg;

    assert_int_equal(e->what, HANDOVER_REFUSED);
    assert_int_equal(e->key[0], 7);
    assert_int_equal(e->at_s, 1000 + e->arg);
    assert_true(s->count < 1000);
    s->number[s->count++] = e->arg;
    snprintf(s->body, sizeof s->body, "%.*s", (int)(e->body.len < 99 ? e->body.len : 99), e->body.ptr);
    return ERR_OK;
}

static enum err read_since(struct journal *j, const struct handover_position *since, struct seen *s)
{
    struct buf why;
    enum err err;

    memset(s, 0, sizeof *s);
    buf_init(&why, 1000);
    err = handover_read(j->directory, since, see, s, &why);
    if (err == ERR_NOT_FOUND)
        assert_true(why.len > 0);
    buf_free(&why);
    return err;
}

/* The path of the newest file but `back`. */
static const char *file_path(struct journal *j, uint64_t number)
{
    static char path[200];
    char name[HANDOVER_NAME_MAX];

    handover_file_name(number, name);
    snprintf(path, sizeof path, "%s/%s", j->directory, name);
    return path;
}

static void alter(struct journal *j, uint64_t number, off_t offset, const void *bytes, size_t len)
{
    int fd = open(file_path(j, number), O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, offset), len);
    close(fd);
}

/* As a killed process leaves it: no END, zeros ahead. */
static void copy_as_killed(struct journal *j)
{
    char command[500];

    snprintf(command, sizeof command, "cp -a %s %s.killed", j->directory, j->directory);
    assert_int_equal(system(command), 0);
    end(j);
    snprintf(command, sizeof command, "rm -r %s && mv %s.killed %s", j->directory, j->directory,
             j->directory);
    assert_int_equal(system(command), 0);
}

/* ---- cases */

static void what_was_synced_is_read_from_a_position_on(void **state)
{
    struct journal *j = *state;
    struct handover_position first, second;
    struct seen s;

    begin(j);
    first = position(j);
    note(j, 1, "one");
    sync_it(j);
    second = position(j);
    note(j, 2, "");
    note(j, 3, "drei");
    sync_it(j);
    assert_false(handover_sync(j->h));
    assert_err(ERR_OK, read_since(j, &first, &s));
    assert_int_equal(s.count, 3);
    assert_string_equal(s.body, "drei");
    assert_err(ERR_OK, read_since(j, &second, &s));
    assert_int_equal(s.count, 2);
    assert_int_equal(s.number[0], 2);
}

static void it_goes_on_after_each_start(void **state)
{
    struct journal *j = *state;
    struct handover_position first;
    uint8_t id[HANDOVER_ID_BYTES];
    struct seen s;

    begin(j);
    first = position(j);
    memcpy(id, j->id, sizeof id);
    for (uint32_t i = 1; i <= 5; i++) {
        note(j, i, "");
        if (i % 2 == 0) {
            sync_it(j);
            copy_as_killed(j);
        } else {
            end(j); /* writes what was added */
        }
        begin(j);
        assert_memory_equal(j->id, id, sizeof id);
        assert_int_equal(j->last_s, 1000 + i);
    }
    assert_err(ERR_OK, read_since(j, &first, &s));
    assert_int_equal(s.count, 5);
}

static void a_torn_end_is_no_gap(void **state)
{
    struct journal *j = *state;
    struct handover_position first, last;
    struct seen s;
    struct stat st;

    begin(j);
    first = position(j);
    note(j, 1, "");
    sync_it(j);
    last = position(j);
    note(j, 2, "a longer body that is cut off in the middle of it");
    sync_it(j);
    copy_as_killed(j);
    assert_int_equal(truncate(file_path(j, last.file), (off_t)last.offset + 120), 0);
    assert_err(ERR_OK, read_since(j, &first, &s));
    assert_int_equal(s.count, 1);
    begin(j);
    assert_memory_equal(j->id, first.id, sizeof j->id);
    assert_int_equal(stat(file_path(j, last.file), &st), 0);
    assert_int_equal(st.st_size, (off_t)last.offset + HANDOVER_END_BYTES);
    note(j, 3, "");
    sync_it(j);
    assert_err(ERR_OK, read_since(j, &first, &s));
    assert_int_equal(s.count, 2);
    assert_int_equal(s.number[1], 3);
}

static void damage_before_the_end_is_a_gap(void **state)
{
    struct journal *j = *state;
    struct handover_position first, second;
    struct seen s;

    begin(j);
    first = position(j);
    note(j, 1, "");
    sync_it(j);
    second = position(j);
    note(j, 2, "");
    note(j, 3, "");
    sync_it(j);
    copy_as_killed(j);
    alter(j, first.file, (off_t)second.offset + 30, "xyz", 3);
    assert_err(ERR_NOT_FOUND, read_since(j, &first, &s));
    assert_int_equal(s.count, 1);
    begin(j); /* nothing that is noted from now on is taken for the whole */
    assert_memory_not_equal(j->id, first.id, sizeof j->id);
    assert_err(ERR_NOT_FOUND, read_since(j, &first, &s));
    first = position(j);
    assert_err(ERR_OK, read_since(j, &first, &s));
}

static void damage_in_an_older_file_is_a_gap(void **state)
{
    struct journal *j = *state;
    struct handover_position first;
    struct seen s;

    begin(j);
    first = position(j);
    note(j, 1, "");
    end(j);
    begin(j);
    note(j, 2, "");
    end(j);
    assert_err(ERR_OK, read_since(j, &first, &s));
    assert_int_equal(s.count, 2);
    alter(j, first.file, (off_t)first.offset + 20, "x", 1);
    assert_err(ERR_NOT_FOUND, read_since(j, &first, &s));
}

static void a_missing_file_is_a_gap(void **state)
{
    struct journal *j = *state;
    struct handover_position first;
    struct seen s;

    begin(j);
    first = position(j);
    end(j);
    begin(j);
    end(j);
    begin(j);
    assert_err(ERR_OK, read_since(j, &first, &s));
    assert_int_equal(unlink(file_path(j, first.file + 1)), 0);
    assert_err(ERR_NOT_FOUND, read_since(j, &first, &s));
    assert_int_equal(unlink(file_path(j, first.file)), 0);
    assert_err(ERR_NOT_FOUND, read_since(j, &first, &s));
}

static void one_that_is_older_than_the_position_covers_nothing(void **state)
{
    struct journal *j = *state;
    struct handover_position first;
    struct seen s;
    char command[500];

    begin(j);
    snprintf(command, sizeof command, "cp -a %s %s.old", j->directory, j->directory);
    assert_int_equal(system(command), 0);
    note(j, 1, "");
    sync_it(j);
    first = position(j);
    end(j);
    snprintf(command, sizeof command, "rm -r %s && mv %s.old %s", j->directory, j->directory, j->directory);
    assert_int_equal(system(command), 0);
    assert_err(ERR_NOT_FOUND, read_since(j, &first, &s));
}

static void another_journal_covers_nothing(void **state)
{
    struct journal *j = *state;
    struct handover_position first;
    struct seen s;

    begin(j);
    first = position(j);
    end(j);
    j->known = false; /* it was off for a while */
    begin(j);
    assert_memory_not_equal(j->id, first.id, sizeof j->id);
    assert_int_equal(j->last_s, 0);
    assert_err(ERR_NOT_FOUND, read_since(j, &first, &s));
}

static void a_full_file_is_followed_by_the_next(void **state)
{
    struct journal *j = *state;
    struct handover_position first;
    char *body = malloc(60001);
    struct seen *s = calloc(1, sizeof *s);

    memset(body, 'b', 60000);
    body[60000] = '\0';
    begin(j);
    first = position(j);
    for (uint32_t i = 0; i < 600; i++) {
        note(j, i, body);
        if (i % 10 == 9)
            sync_it(j);
    }
    assert_int_equal(position(j).file, first.file + 2);
    assert_err(ERR_OK, read_since(j, &first, s));
    assert_int_equal(s->count, 600);
    free(body);
    free(s);
}

static void what_cannot_be_written_is_an_error_until_it_can(void **state)
{
    struct journal *j = *state;
    struct handover_position first;
    struct seen s;

    begin(j);
    first = position(j);
    end(j);
    begin(j);
    /* A descriptor that takes nothing: the next sync fails, the one after it has another. */
    {
        int wrong = open("/dev/full", O_WRONLY), fd = -1;
        char path[300], link[300];

        for (int i = 3; i < 100 && fd < 0; i++) {
            ssize_t n;

            snprintf(path, sizeof path, "/proc/self/fd/%d", i);
            n = readlink(path, link, sizeof link - 1);
            link[n < 0 ? 0 : n] = '\0';
            if (strcmp(link, file_path(j, first.file + 1)) == 0)
                fd = i;
        }
        assert_true(fd > 0);
        int right = dup(fd);
        assert_int_equal(dup2(wrong, fd), fd);
        note(j, 1, "");
        assert_true(handover_sync(j->h));
        assert_err(ERR_DISK_FULL, handover_synced(j->h));
        note(j, 2, "");
        assert_true(handover_sync(j->h));
        assert_err(ERR_DISK_FULL, handover_synced(j->h));
        assert_int_equal(dup2(right, fd), fd);
        close(right);
        close(wrong);
    }
    sync_it(j);
    assert_err(ERR_OK, read_since(j, &first, &s));
    assert_int_equal(s.count, 2);
}

/* ---- what the store notes */

struct noted {
    unsigned what[100];
    uint32_t arg[100];
    size_t count;
};

static enum err collect(void *arg, const struct handover_entry *e)
{
    struct noted *n = arg;

    assert_true(n->count < 100);
    n->what[n->count] = e->what;
    n->arg[n->count++] = e->arg;
    return ERR_OK;
}

static void assert_noted(struct rig *r, const struct handover_position *since, const unsigned *want,
                         size_t count)
{
    struct noted n = {.count = 0};
    struct buf why;

    buf_init(&why, 1000);
    assert_err(ERR_OK, handover_read(r->options.handover_directory, since, collect, &n, &why));
    buf_free(&why);
    assert_int_equal(n.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(n.what[i], want[i]);
}

static void a_letters_life_is_noted(struct rig *r)
{
    const struct letter *l = LETTER(.notify = "SUCCESS");
    struct posted p;
    struct store_claimed *claimed = calloc(1, sizeof *claimed);
    struct store_claim c;
    struct handover_position since;
    uint8_t digest[32];
    struct work w;
    size_t count;

    handover_position(r->s->handover, &since);
    p = rig_post(r, l);
    c = rig_claim(&p, 1, RIG_NOW_S + 5);
    assert_err(ERR_OK, store_claim_begin(r->s, &c, claimed));
    assert_err(ERR_OK, rig_durable(r));
    assert_noted(r, &since, (const unsigned[]){HANDOVER_DEPOSITED, HANDOVER_CLAIMED}, 2);
    assert_err(ERR_OK, store_claim(r->s, &c, claimed));
    letter_digest(l, digest);
    assert_err(ERR_OK, store_ack(r->s, p.ticket.key, digest, RIG_NOW_S + 6, NULL));
    assert_err(ERR_OK, store_ack(r->s, p.ticket.key, digest, RIG_NOW_S + 7, NULL));
    assert_err(ERR_OK, store_work_due(r->s, RIG_NOW_S + 10, 10, &w, 1, &count));
    assert_int_equal(count, 1);
    assert_int_equal(w.kind, WORK_NOTIFY);
    assert_err(ERR_OK, store_work_done(r->s, &w, "Q", RIG_NOW_S + 11));
    assert_noted(r, &since,
                 (const unsigned[]){HANDOVER_DEPOSITED, HANDOVER_CLAIMED, HANDOVER_CLAIMED, HANDOVER_ACKED,
                                    HANDOVER_ACKED, HANDOVER_TOLD},
                 6);
    free(claimed);
}

static void what_is_refused_is_noted_once_it_is(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.notify = "NEVER"));
    struct handover_position since;
    uint8_t wrong[32] = {0};

    handover_position(r->s->handover, &since);
    assert_err(ERR_NEVER_CLAIMED, store_ack(r->s, p.ticket.key, wrong, RIG_NOW_S, NULL));
    assert_noted(r, &since, NULL, 0);
    assert_err(ERR_OK, store_nack(r->s, p.ticket.key, NULL, "policy", "no", RIG_NOW_S + 1, NULL));
    assert_noted(r, &since, (const unsigned[]){HANDOVER_REFUSED}, 1);
}

static void a_store_without_its_journal_for_a_while_begins_a_new_one(struct rig *r)
{
    const char *directory = r->options.handover_directory;
    struct handover_position before, after;

    handover_position(r->s->handover, &before);
    rig_close(r);
    rig_open(r);
    handover_position(r->s->handover, &after);
    assert_memory_equal(before.id, after.id, sizeof before.id);
    rig_close(r);
    r->options.handover_directory = NULL;
    rig_open(r);
    assert_null(r->s->handover);
    rig_close(r);
    r->options.handover_directory = directory;
    rig_open(r);
    handover_position(r->s->handover, &after);
    assert_memory_not_equal(before.id, after.id, sizeof before.id);
}

/* As after a power cut that the database's log survived and the journal did not. */
static void ends_that_the_journal_lost_are_noted_at_opening(struct rig *r)
{
    struct handover_position since;
    struct posted p = rig_post(r, LETTER(.notify = "NEVER"));
    uint64_t file;

    handover_position(r->s->handover, &since);
    assert_err(ERR_OK, store_nack(r->s, p.ticket.key, NULL, "policy", "no", RIG_NOW_S + 1, NULL));
    assert_noted(r, &since, (const unsigned[]){HANDOVER_REFUSED}, 1);
    file = since.file;
    rig_close(r);
    {
        char path[200], name[HANDOVER_NAME_MAX];

        handover_file_name(file, name);
        snprintf(path, sizeof path, "%s/%s", r->options.handover_directory, name);
        assert_int_equal(truncate(path, (off_t)since.offset), 0);
    }
    rig_open(r);
    assert_noted(r, &since, (const unsigned[]){HANDOVER_REFUSED}, 1);
}

static void a_letter_that_comes_again_is_noted_again(struct rig *r)
{
    struct handover_position since;
    struct posted p = rig_post(r, LETTER());

    handover_position(r->s->handover, &since);
    assert_true(rig_post(r, LETTER()).existing);
    assert_noted(r, &since, (const unsigned[]){HANDOVER_DEPOSITED}, 1);
    assert_err(ERR_OK, store_nack(r->s, p.ticket.key, NULL, "policy", "no", RIG_NOW_S + 1, NULL));
    assert_false(rig_post(r, LETTER()).existing);
    assert_noted(r, &since, (const unsigned[]){HANDOVER_DEPOSITED, HANDOVER_REFUSED, HANDOVER_DEPOSITED}, 3);
}

static const struct rig_case cases[] = {
    RIG_CASE(a_letter_that_comes_again_is_noted_again),
    RIG_CASE(a_letters_life_is_noted),
    RIG_CASE(what_is_refused_is_noted_once_it_is),
    RIG_CASE(a_store_without_its_journal_for_a_while_begins_a_new_one),
    RIG_CASE(ends_that_the_journal_lost_are_noted_at_opening),
};

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_was_synced_is_read_from_a_position_on),
        CASE(it_goes_on_after_each_start),
        CASE(a_torn_end_is_no_gap),
        CASE(damage_before_the_end_is_a_gap),
        CASE(damage_in_an_older_file_is_a_gap),
        CASE(a_missing_file_is_a_gap),
        CASE(one_that_is_older_than_the_position_covers_nothing),
        CASE(another_journal_covers_nothing),
        CASE(a_full_file_is_followed_by_the_next),
        CASE(what_cannot_be_written_is_an_error_until_it_can),
    };

    return cmocka_run_group_tests_name("handover", tests, NULL, NULL) +
           rig_run("handover", cases, sizeof cases / sizeof *cases, false, true);
}
