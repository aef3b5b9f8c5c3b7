/*
 * test_restore.c - restores that fail or are broken off, and fail again: what was to be replaced is there
 * afterwards, whole, or is known to be half.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "store/backup.h"

#define LETTERS 2
#define NO_LIMIT RLIM_INFINITY
#define NO_MARK 0    /* bytes a file may have: not even the mark */
#define NO_COPY 2000 /* the mark, and no table */

static const char *backup_path(const struct rig *r)
{
    static char path[100];

    snprintf(path, sizeof path, "%s.backup", r->directory);
    return path;
}

/* On a disk that has room for files of so many bytes. */
static enum err restore(struct rig *r, bool replace, rlim_t most_bytes)
{
    struct store_restored restored;
    struct rlimit before, limit;
    struct buf why;
    enum err err;

    buf_init(&why, 4000);
    fflush(NULL);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    if (most_bytes != NO_LIMIT)
        limit.rlim_cur = most_bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    err = store_restore(&r->options, r->keys, backup_path(r), replace, &restored, &why);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    if (err != ERR_OK) {
        assert_true(why.len > 0);
        print_message("%s\n", buf_cstr(&why));
    }
    buf_free(&why);
    return err;
}

static void fill_letter(size_t i, struct letter *l)
{
    *l = i == 0 ? *LETTER() : *LETTER(.message_id = "<2@a.test>", .size = 200000);
}

/* A backup that has no letter, and a store that has some. */
static void begin(struct rig *r, struct posted p[LETTERS])
{
    struct store_backup made;
    struct letter l;
    struct buf why;

    buf_init(&why, 4000);
    assert_err(ERR_OK, store_backup(r->s, backup_path(r), "0.1", &made, &why));
    buf_free(&why);
    for (size_t i = 0; i < LETTERS; i++) {
        fill_letter(i, &l);
        p[i] = rig_post(r, &l);
    }
    rig_close(r);
}

static void assert_all_there(struct rig *r, struct posted p[LETTERS])
{
    struct store_claimed c;
    struct letter l;

    rig_open(r);
    for (size_t i = 0; i < LETTERS; i++) {
        fill_letter(i, &l);
        assert_int_equal(rig_look(r, &p[i]).state, TICKET_WAITING);
        assert_err(ERR_OK, rig_call(r, &p[i], 1, RIG_NOW_S + 10, &c));
        rig_check_body(r, &c, &p[i], &l);
    }
    rig_remove_tree(backup_path(r));
}

static void assert_does_not_open(struct rig *r)
{
    char why[200];

    assert_err(ERR_CONFIG, rig_try_open(r, r->keys, why));
    assert_non_null(strstr(why, "restore"));
}

/* ---- failed -------------------------------------------------------------------------------------------- */

static void no_room_for_the_mark(struct rig *r)
{
    struct posted p[LETTERS];

    begin(r, p);
    assert_false(restore(r, true, NO_MARK) == ERR_OK);
    assert_all_there(r, p);
}

static void no_room_for_the_copy(struct rig *r)
{
    struct posted p[LETTERS];

    begin(r, p);
    assert_false(restore(r, true, NO_COPY) == ERR_OK);
    assert_all_there(r, p);
}

/* In a process of its own, for which the part is a mount. False: it may not mount here. */
static bool fails_with_a_mount(struct rig *r, const char *part)
{
    char path[200];
    int status;
    pid_t pid;

    snprintf(path, sizeof path, "%s/%s", r->directory, part);
    fflush(NULL);
    assert_true((pid = fork()) >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            _exit(2);
        if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount(path, path, NULL, MS_BIND, NULL) != 0)
            _exit(2);
        _exit(restore(r, true, NO_LIMIT) == ERR_OK);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
    if (WEXITSTATUS(status) == 2)
        print_message("no mounts may be made here\n");
    return WEXITSTATUS(status) == 0;
}

static void a_part_cannot_go_aside(struct rig *r)
{
    static const char *const part[] = {"db", "payload"};
    struct posted p[LETTERS];

    begin(r, p);
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        fails_with_a_mount(r, part[i]);
    assert_all_there(r, p);
}

/* ---- broken off, and failed again ---------------------------------------------------------------------- */

/* In a process of its own, which dies at a kill point. */
static int child(const char *directory)
{
    struct rig r;

    rig_init(&r, STORE_MEMORY);
    rig_use(&r, directory);
    snprintf(r.directory, sizeof r.directory, "%s", directory);
    return restore(&r, true, NO_LIMIT) != ERR_OK;
}

static void dies_at(struct rig *r, const char *point)
{
    const char *const argv[] = {"test_store_restore", r->directory, NULL};
    struct buf said;
    int status;

    buf_init(&said, 10000);
    status = rig_run_self(argv, point, -1, &said);
    buf_free(&said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void broken_off_and_failed_again(struct rig *r)
{
    static const char *const point[] = {"restore-mark-after:1",  "restore-aside-after:1",
                                        "restore-aside-after:2", "restore-copy:1",
                                        "restore-files-after:1", "restore-recover-after:1"};
    struct posted p[LETTERS];

    begin(r, p);
    for (size_t i = 0; i < sizeof point / sizeof *point; i++) {
        dies_at(r, point[i]);
        assert_does_not_open(r);
        assert_false(restore(r, false, i % 2 == 0 ? NO_MARK : NO_COPY) == ERR_OK);
        rig_open(r);
        for (size_t k = 0; k < LETTERS; k++)
            assert_int_equal(rig_look(r, &p[k]).state, TICKET_WAITING);
        rig_close(r);
    }
    dies_at(r, "restore-aside-after:1");
    fails_with_a_mount(r, "payload");
    assert_all_there(r, p);
}

/* The journal says how letters of the old one ended: it does not come back by itself. */
static void what_was_opened_is_not_undone(struct rig *r)
{
    struct posted p[LETTERS];

    begin(r, p);
    dies_at(r, "restore-replay-after:1");
    assert_does_not_open(r);
    assert_false(restore(r, true, NO_COPY) == ERR_OK);
    assert_does_not_open(r);
    assert_err(ERR_OK, restore(r, true, NO_LIMIT));
    rig_open(r);
    for (size_t i = 0; i < LETTERS; i++)
        assert_int_equal(rig_look(r, &p[i]).state, TICKET_BOUNCED);
    rig_remove_tree(backup_path(r));
}

static void cut_mark(const struct rig *r)
{
    char path[200], text[300];
    ssize_t len;
    int fd;

    snprintf(path, sizeof path, "%s/restoring", r->directory);
    assert_true((fd = open(path, O_RDWR)) >= 0);
    assert_true((len = read(fd, text, sizeof text - 1)) > 0);
    text[len] = '\0';
    assert_int_equal(ftruncate(fd, (off_t)strcspn(text, "\n")), 0);
    close(fd);
}

/* It says where the old one is, and not how far it came. */
static void an_earlier_versions_mark(struct rig *r)
{
    struct posted p[LETTERS];

    begin(r, p);
    dies_at(r, "restore-aside-after:2");
    cut_mark(r);
    assert_false(restore(r, true, NO_COPY) == ERR_OK);
    assert_does_not_open(r);
    assert_err(ERR_OK, restore(r, true, NO_LIMIT));
    rig_open(r);
    rig_remove_tree(backup_path(r));
}

/* Half of a copy is not taken for the store that was there. */
static void onto_nothing(struct rig *r)
{
    struct posted p[LETTERS];
    char path[200];

    begin(r, p);
    snprintf(path, sizeof path, "%s/db", r->directory);
    rig_remove_tree(path);
    snprintf(path, sizeof path, "%s/payload", r->directory);
    rig_remove_tree(path);
    dies_at(r, "restore-files-after:1");
    assert_false(restore(r, false, NO_COPY) == ERR_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/db", r->directory);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_err(ERR_OK, restore(r, false, NO_LIMIT));
    rig_open(r);
    assert_int_equal(rig_look(r, &p[0]).state, TICKET_BOUNCED);
    rig_remove_tree(backup_path(r));
}

static const struct rig_case cases[] = {
    RIG_CASE(no_room_for_the_mark),
    RIG_CASE(no_room_for_the_copy),
    RIG_CASE(a_part_cannot_go_aside),
    RIG_CASE(broken_off_and_failed_again),
    RIG_CASE(what_was_opened_is_not_undone),
    RIG_CASE(an_earlier_versions_mark),
    RIG_CASE(onto_nothing),
};

int main(int argc, char **argv)
{
    if (argc == 2)
        return child(argv[1]);
    return rig_run("restore", cases, sizeof cases / sizeof *cases, false, true);
}
