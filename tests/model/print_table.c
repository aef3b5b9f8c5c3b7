/*
 * print_table.c - the code's own tables of states, for the model: as macros of Promela (table.pml), or with
 * `print_table steps` every step that they allow, as lines `ticket FROM TO` and `job FROM TO`. What follows
 * when a ticket came back from a backup is not in the model.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "store/store_job.h"
#include "store/ticket_state.h"

static bool ticket_may(int from, int to)
{
    return ticket_state_may((enum ticket_state)from, false, (enum ticket_state)to);
}

static bool job_may(int from, int to)
{
    return job_state_may((enum job_state)from, (enum job_state)to);
}

static const char *ticket_name(int state)
{
    return ticket_state_name((enum ticket_state)state);
}

static const char *job_name(int state)
{
    return job_state_name((enum job_state)state);
}

static const struct kind {
    const char *word, *macro, *prefix;
    int count;
    const char *(*name)(int state);
    bool (*may)(int from, int to);
} kinds[] = {
    {"ticket", "TICKET_MAY", "", TICKET_STATE_COUNT, ticket_name, ticket_may},
    {"job", "JOB_MAY", "JOB_", JOB_STATE_COUNT, job_name, job_may},
};

static void print_steps(const struct kind *k)
{
    for (int from = 0; from < k->count; from++)
        for (int to = 0; to < k->count; to++)
            if (k->may(from, to))
                printf("%s %d %d %s %s\n", k->word, from, to, k->name(from), k->name(to));
}

static void print_macros(const struct kind *k)
{
    for (int state = 0; state < k->count; state++) {
        printf("#define %s", k->prefix);
        for (const char *p = k->name(state); *p != '\0'; p++)
            putchar(*p == '-' ? '_' : toupper((unsigned char)*p));
        printf(" %d\n", state);
    }
    printf("#define %s(from, to) (false", k->macro);
    for (int from = 0; from < k->count; from++) {
        printf(" \\\n    || (from == %d && (false", from);
        for (int to = 0; to < k->count; to++)
            if (k->may(from, to))
                printf(" || to == %d", to);
        printf("))");
    }
    printf(")\n");
}

int main(int argc, char **argv)
{
    bool steps = argc == 2 && strcmp(argv[1], "steps") == 0;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        (steps ? print_steps : print_macros)(&kinds[i]);
    if (steps)
        return 0;
    printf("#define JOB_NONE %d\n#define TICKET_ENDED(state) (false", JOB_STATE_COUNT);
    for (int state = 0; state < TICKET_STATE_COUNT; state++)
        if (ticket_state_ended((enum ticket_state)state))
            printf(" || state == %d", state);
    printf(")\n");
    return 0;
}
