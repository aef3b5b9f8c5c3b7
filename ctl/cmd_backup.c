/*
 * cmd_backup.c - the whole store: copies of it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ask.h"
#include "local/api.h"

/* fetchd has another working directory. */
static bool absolute(const char *path, char out[PATH_MAX])
{
    char here[PATH_MAX];
    int len = path[0] == '/'              ? snprintf(out, PATH_MAX, "%s", path)
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

const struct command_row commands_of_backup[] = {
    {"backup", "DIRECTORY",
     "copies the store into a directory while it works: all of it at first, then what is new; not the site "
     "keys",
     1, 1, NULL, true, command_backup},
    {.name = NULL},
};
