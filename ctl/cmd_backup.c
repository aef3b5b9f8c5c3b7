/*
 * cmd_backup.c - the whole store: copies of it.
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ask.h"
#include "local/api.h"

/* fetchd has another working directory. False with errno: there is no such path. */
static bool absolute(const char *path, char out[PATH_MAX])
{
    char here[PATH_MAX];

    errno = path[0] ? ENAMETOOLONG : ENOENT;
    int len = !path[0]                    ? -1
              : path[0] == '/'            ? snprintf(out, PATH_MAX, "%s", path)
              : getcwd(here, sizeof here) ? snprintf(out, PATH_MAX, "%s/%s", here[1] ? here : "", path)
                                          : -1;

    return len >= 0 && len < PATH_MAX;
}

static int command_backup(const struct command *c)
{
    struct ask a;
    char directory[PATH_MAX];

    if (!absolute(c->argv[0], directory)) {
        fprintf(stderr, "restantectl: %s: %s\n", c->argv[0], strerror(errno));
        return EX_USAGE;
    }
    ask_init(&a, c, API_BACKUP_PATH);
    a.patient = true; /* it takes as long as it takes to copy what is new */
    ask_add(&a, "directory", directory);
    ask_post(&a, "backup");
    if (ask_is_for_people(&a))
        table_print_entry(stdout, a.rows, 0);
    return ask_end(&a);
}

/* restante-fetchd: beside this program, or in sbin. */
static bool find_program(char out[PATH_MAX])
{
    static const char *const place[] = {"restante-fetchd", "../sbin/restante-fetchd"};
    char self[PATH_MAX - 64];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    if (len < 0)
        return false;
    self[len] = '\0';
    char *name = strrchr(self, '/');
    if (name)
        name[1] = '\0';
    for (size_t i = 0; i < sizeof place / sizeof *place; i++) {
        snprintf(out, PATH_MAX, "%s%s", self, place[i]);
        if (access(out, X_OK) == 0)
            return true;
    }
    return false;
}

/* What has no daemon that could be asked is a work of its program. Returns only when it cannot be run. */
static int run_program(const struct command *c, const char *const *arguments, size_t count)
{
    char program[PATH_MAX];
    char dash_c[] = "-c", *argv[8] = {program, dash_c, (char *)(uintptr_t)c->config};

    for (size_t i = 0; i < count && i < 4; i++)
        argv[3 + i] = (char *)(uintptr_t)arguments[i];
    if (find_program(program))
        execv(program, argv);
    fprintf(stderr, "restantectl: restante-fetchd cannot be run: %s\n", strerror(errno));
    return EX_UNAVAILABLE;
}

static int command_restore(const struct command *c)
{
    const char *arguments[] = {"--restore", NULL, "--replace"};
    char directory[PATH_MAX];

    if (!absolute(c->argv[0], directory)) {
        fprintf(stderr, "restantectl: %s: %s\n", c->argv[0], strerror(errno));
        return EX_USAGE;
    }
    arguments[1] = directory;
    return run_program(c, arguments, command_value(c, "replace") ? 3 : 2);
}

static void print_findings(const struct ask *a)
{
    for (size_t i = 1; i < rows_count(a->rows); i++) {
        const char *file = rows_get_text(a->rows, i, "quarantine");

        printf("%s: %s %s: %s%s%s%s\n", rows_get_text(a->rows, i, "what"), rows_get_text(a->rows, i, "table"),
               rows_get_text(a->rows, i, "key"), rows_get_text(a->rows, i, "text"),
               strcmp(rows_get_text(a->rows, i, "repaired"), "yes") == 0 ? " (repaired)" : "",
               file[0] ? ": in quarantine as " : "", file);
    }
    printf("%lld records, %lld rows: %lld wrong, %lld repaired; sums %s\n",
           (long long)rows_get_number(a->rows, 0, "records"), (long long)rows_get_number(a->rows, 0, "rows"),
           (long long)rows_get_number(a->rows, 0, "findings"),
           (long long)rows_get_number(a->rows, 0, "repaired"), rows_get_text(a->rows, 0, "sums"));
}

static int command_check(const struct command *c)
{
    const char *arguments[3] = {"--check"};
    size_t count = 1;
    struct ask a;
    bool wrong = false;

    ask_init(&a, c, API_CHECK_PATH);
    a.patient = true;
    ask_post(&a, "check");
    if (a.err == ERR_UNAVAILABLE && !a.json.len) { /* it does not run: its program can look itself */
        ask_free(&a);
        if (command_value(c, "repair"))
            arguments[count++] = "--repair";
        if (command_value(c, "deep"))
            arguments[count++] = "--deep";
        return run_program(c, arguments, count);
    }
    if (!a.err)
        wrong = rows_get_number(a.rows, 0, "findings") > rows_get_number(a.rows, 0, "repaired");
    if (ask_is_for_people(&a))
        print_findings(&a);
    int status = ask_end(&a);
    return status == EX_OK && wrong ? 1 : status;
}

static const struct command_option check_options[] = {
    {"repair", "repair", true}, {"deep", "deep", true}, {NULL, NULL, false}};
static const struct command_option restore_options[] = {{"replace", NULL, true}, {NULL, NULL, false}};

const struct command_row commands_of_backup[] = {
    {"backup", "DIRECTORY",
     "copies the store into a directory while it works: all of it at first, then what is new; not the site "
     "keys",
     1, 1, NULL, true, command_backup},
    {"restore", "DIRECTORY [--replace]",
     "puts a backup in the store's place, while restante-fetchd does not run; --replace moves aside what is "
     "there",
     1, 1, restore_options, false, command_restore},
    {"check", "[--repair] [--deep]",
     "whether everything in the store agrees; --deep opens every letter, --repair puts right what can be, "
     "and moves aside "
     "what cannot",
     0, 0, check_options, true, command_check},
    {.name = NULL},
};
