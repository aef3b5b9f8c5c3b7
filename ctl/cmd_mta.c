/*
 * cmd_mta.c - what the MTA runs: the command for what comes to a stub's reverse-path.
 */
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "ask.h"
#include "local/api.h"

static enum err upload_stdin(struct local_upload *u)
{
    char piece[65536];
    ssize_t got;
    enum err e = ERR_OK;

    while (!e && (got = read(STDIN_FILENO, piece, sizeof piece)) != 0) {
        if (got < 0 && errno != EINTR)
            return ERR_IO;
        if (got > 0)
            e = local_upload_write(u, piece, (size_t)got, NULL, NULL);
    }
    return e;
}

static enum err format_head(const struct command *c, struct buf *out)
{
    struct api_recipient recipient = {.address = c->argv[1]};
    const struct api_deposit head = {
        .envelope = {.sender = c->argv[0], .recipient_count = 1, .recipient = &recipient}};
    enum err e = api_deposit_format(&head, out);

    return e ? e : buf_append_char(out, '\n');
}

static enum err send_bounce(const struct command *c, struct api_reply *reply, struct buf *why)
{
    int status = 0;
    struct local_client *client = NULL;
    struct local_upload *u = NULL;
    struct buf head, answer;
    enum err e;

    buf_init(&head, 65536);
    buf_init(&answer, 65536);
    if ((e = format_head(c, &head)) || (e = ask_connect(c, "deposit.sock", &client, why)) ||
        (e = local_upload_begin(client, API_BOUNCE_PATH, &u)))
        goto out;
    if ((e = local_upload_write(u, head.data, head.len, NULL, NULL)) || (e = upload_stdin(u))) {
        local_upload_abort(u);
        goto out;
    }
    e = local_upload_finish(u, NULL, NULL, &status, &answer);
    if (!e)
        e = status == 200 ? api_reply_parse(buf_span(&answer), reply) : ERR_UNAVAILABLE;
out:
    local_client_free(client);
    buf_free(&head);
    buf_free(&answer);
    return e;
}

/* Postfix's pipe(8) reads the exit status and, in front of the text, the enhanced status code. */
static int command_bounce(const struct command *c)
{
    struct api_reply reply = {.smtp = 0};
    struct buf why;
    int status = EX_OK;

    buf_init(&why, 8192);
    enum err e = send_bounce(c, &reply, &why);
    if (e) {
        /* Whatever went wrong, Postfix keeps the message and tries again. */
        printf("4.3.2 %s\n", why.len ? buf_cstr(&why) : err_text(e));
        status = EX_TEMPFAIL;
    } else if (reply.smtp != 250) {
        printf("%s %s\n", reply.enhanced, reply.text);
        status = reply.smtp / 100 == 5 ? EX_UNAVAILABLE : EX_TEMPFAIL;
    }
    buf_free(&why);
    return status;
}

const struct command_row commands_of_mta[] = {
    {"bounce", "SENDER RECIPIENT", "(for Postfix) takes what came to a stub's reverse-path on standard input",
     2, 2, NULL, false, command_bounce},
    {.name = NULL},
};
