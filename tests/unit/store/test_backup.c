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

/* ---- dying ---- */

/* In a process of its own, which may die at a kill point. */
static int child(const char *word, const char *directory)
{
    struct rig r;

    rig_init(&r, STORE_MEMORY);
    rig_use(&r, directory);
    snprintf(r.directory, sizeof r.directory, "%s", directory);
    rig_open(&r);
    rig_post(&r, LETTER(.message_id = "<3@a.test>", .size = 200000));
    if (strcmp(word, "backup") == 0)
        back_up(&r);
    rig_close(&r);
    return 0;
}

/* True: it died. */
static bool dies_at(struct rig *r, const char *point, const char *word)
{
    char self[300], kill_at[100];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    int status;
    pid_t pid;

    assert_true(len > 0);
    self[len] = '\0';
    snprintf(kill_at, sizeof kill_at, "%s:1", point);
    fflush(NULL);
    assert_true((pid = fork()) >= 0);
    if (pid == 0) {
        setenv("RESTANTE_KILL", kill_at, 1);
        execl(self, self, word, r->directory, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
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

static const struct rig_case cases[] = {
    {"the_first_is_full_and_the_next_add_to_it", the_first_is_full_and_the_next_add_to_it},
    {"payloads_that_are_gone_leave_the_backup", payloads_that_are_gone_leave_the_backup},
    {"foreign_directories_are_refused", foreign_directories_are_refused},
    {"one_that_is_damaged_is_told_and_replaced_by_a_full_one",
     one_that_is_damaged_is_told_and_replaced_by_a_full_one},
    {"one_that_is_broken_off_leaves_the_last", one_that_is_broken_off_leaves_the_last},
};

int main(int argc, char **argv)
{
    if (argc == 3)
        return child(argv[1], argv[2]);
    return rig_run("backup", cases, sizeof cases / sizeof *cases, false, true);
}
