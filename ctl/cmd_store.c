/*
 * cmd_store.c - what lies in the store: status, lists of tickets and jobs, a job.
 */
#include "ask.h"
#include "local/api.h"

static const struct table_column ticket_columns[] = {
    {"TICKET", "id", 0, false},
    {"STATE", "state", 0, false},
    {"SIZE", "letter_bytes", 0, false},
    {"CREATED", "created", 0, false},
    {"QUEUE-ID", "queue_id", 0, false},
    {"SENDER", "sender", 40, false},
    {"RECIPIENT", "recipient", 40, false},
    {"TEXT", "text", 60, false},
};
static const struct table_column job_columns[] = {
    {"JOB", "id", 0, false},
    {"STATE", "state", 0, false},
    {"SIZE", "letter_bytes", 0, false},
    {"CREATED", "created", 0, false},
    {"QUEUE-ID", "queue_id", 0, false},
    {"SENDER", "sender", 40, false},
    {"RECIPIENT", "recipient", 40, false},
    {"REASON", "admission", 0, true},
    {"TEXT", "text", 60, false},
};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static int command_status(const struct command *c)
{
    return ask_entry(c, API_STATUS_PATH, "status", NULL, NULL);
}

static int command_tickets(const struct command *c)
{
    return ask_list(c, API_TICKETS_PATH, "tickets", NULL, ticket_columns, COUNT(ticket_columns));
}

static int command_jobs(const struct command *c)
{
    return ask_list(c, API_JOBS_PATH, "jobs", NULL, job_columns, COUNT(job_columns));
}

static int command_job(const struct command *c)
{
    return ask_entry(c, API_JOBS_PATH, "jobs", "id", "job");
}

static const struct command_option ticket_options[] = {
    {"sender", "sender", false},
    {"recipient", "recipient", false},
    {"state", "state", false},
    {"queue-id", "queue_id", false},
    {"message-id", "message_id", false},
    {"limit", "limit", false},
    {NULL, NULL, false},
};
static const struct command_option job_options[] = {
    {"state", "state", false}, {"limit", "limit", false}, {NULL, NULL, false}};

const struct command_row commands_of_store[] = {
    {"status", "", "what lies in the store, what is under way", 0, 0, NULL, true, command_status},
    {"tickets",
     "[--sender ADDRESS] [--recipient ADDRESS] [--state STATE] [--queue-id ID] [--message-id ID] [--limit N]",
     "letters that wait here, or did", 0, 0, ticket_options, true, command_tickets},
    {"jobs", "[--state STATE] [--limit N]", "letters that are called for, or were", 0, 0, job_options, true,
     command_jobs},
    {"job", "ID", "one of them (a prefix of its id, or what the log calls job=)", 1, 1, NULL, true,
     command_job},
    {.name = NULL},
};
