/*
 * command.h - restantectl's commands: each is one row, in the file of its family (cmd_*.c). One thread.
 */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#define COMMAND_OPTIONS_MAX 64 /* given in one call */

struct command;

struct command_option {
    const char *name;      /* --name */
    const char *parameter; /* of the query that it becomes; NULL: the command looks at it itself */
    bool flag;             /* without a value */
};
struct command_row {
    const char *name;      /* one word or two: "status", "token add" */
    const char *arguments; /* for the usage */
    const char *help;
    int least, most;                      /* arguments */
    const struct command_option *options; /* ended by a name of NULL; beside --json */
    bool json;
    int (*run)(const struct command *c); /* the exit status */
};
/* Families, each ended by a name of NULL. */
extern const struct command_row commands_of_store[], commands_of_letters[], commands_of_senders[],
    commands_of_tokens[], commands_of_policy[], commands_of_checks[], commands_of_keys[], commands_of_mta[],
    commands_of_backup[];

/* A call as the user typed it. */
struct command {
    const struct command_row *row;
    const char *config;
    bool json;
    int argc; /* what follows the options */
    char **argv;
    size_t count;
    struct {
        const struct command_option *option;
        const char *value; /* "yes" of a flag */
    } given[COMMAND_OPTIONS_MAX];
};
/* The value of an option, the last one counts; NULL when it is not given. */
const char *command_value(const struct command *c, const char *name);
/* An exit status after telling how the command is used. */
int command_usage(const struct command_row *row);

#endif
