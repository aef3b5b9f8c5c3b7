/*
 * ask.h - one question to restante-fetchd, and what came back for people or as JSON. One thread.
 */
#ifndef CTL_ASK_H
#define CTL_ASK_H

#include <sys/types.h>

#include "base/buf.h"
#include "command.h"
#include "local/client.h"
#include "local/rows.h"
#include "table.h"

struct ask {
    const struct command *command;
    struct buf path, json, why;
    struct rows *rows; /* of the answer; with ERR_AMBIGUOUS the candidates */
    int status;        /* of HTTP; 0: nobody answered */
    enum err err;
    bool patient; /* waits for the answer for hours */
};

/* The path with the options that have a parameter. */
void ask_init(struct ask *a, const struct command *c, const char *path);
void ask_free(struct ask *a);
void ask_add(struct ask *a, const char *parameter, const char *value); /* value NULL: not */
/* The answer is a list called name. False: a->err and a->why say what went wrong. */
bool ask_call(struct ask *a, const char *method, struct span body, const char *name);
bool ask_get(struct ask *a, const char *name);
bool ask_post(struct ask *a, const char *name);
/* The same with a body that is streamed: piece by piece out of read(arg), which gives how many bytes, 0 at
 * the end, or -1 (with a->err and a->why set by it, nothing was done). */
typedef ssize_t (*ask_read)(struct ask *a, void *arg, char *out, size_t max);
bool ask_upload(struct ask *a, ask_read read, void *arg, const char *name);
/* Another list of the answer; the caller owns it. NULL: it has none. */
struct rows *ask_rows(const struct ask *a, const char *name);
/* Prints what went wrong, or the answer as JSON when the user wants that; true: the command prints it for
 * people. */
bool ask_is_for_people(struct ask *a);
/* Frees, and gives the exit status. */
int ask_end(struct ask *a);

/* The whole of a command that asks and prints a list. */
int ask_list(const struct command *c, const char *path, const char *name, const char *parameter,
             const struct table_column *columns, size_t count);
/* ... or the one entry of it. what: for the message when there is none; NULL: it is always there. */
int ask_entry(const struct command *c, const char *path, const char *name, const char *parameter,
              const char *what);

/* A connection to one of fetchd's sockets ("admin.sock"); *why for people. */
enum err ask_connect(const struct command *c, const char *socket, struct local_client **out, struct buf *why);
/* To standard error; gives the exit status. */
int ask_failed(enum err e, const struct buf *why);

#endif
