/*
 * callbacks.c - libmilter's callbacks, each a few lines around a step of session.c.
 *
 * Right for libmilter with and without its worker pool: the callbacks of one connection may run in different
 * threads, one after another, so the session is kept by smfi_setpriv alone.
 *
 * We promise no reply to HELO, MAIL, RCPT and header fields (SMFIP_NR_*), which saves a round trip each; what
 * goes wrong there is told at the end of the header. The body keeps its replies: libmilter does not come to
 * xxfi_eom when a last body chunk came with the end of message and was not answered "continue".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

#include "base/err.h"
#include "base/kill.h"
#include "base/log.h"
#include "milter/callbacks.h"
#include "milter/reply.h"

#define ACTIONS (SMFIF_DELRCPT | SMFIF_SETSYMLIST)
/* Without the leading blank of a value no letter could be rebuilt to the byte. */
#define STEPS_NEEDED (SMFIP_HDR_LEADSPC)
/* libmilter answers for us where an MTA does not know these. */
#define STEPS_WANTED                                                                                         \
    (SMFIP_NODATA | SMFIP_NOUNKNOWN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_HDR)

/* How long an MTA may be silent: longer than any SMTP client may be (RFC 5321 4.5.3.2). */
#define MTA_SILENCE_S 7200

static const struct session_site *site; /* set once, before smfi_main */

static const struct {
    int place;
    const char *macros;
} symbol_lists[] = {
    {SMFIM_CONNECT, "j {daemon_name} {client_addr} {client_port} {restante_domains}"},
    {SMFIM_ENVFROM, "i {auth_authen} {auth_type} {mail_addr}"},
    {SMFIM_ENVRCPT, "i {rcpt_mailer} {rcpt_host} {rcpt_addr}"},
    {SMFIM_EOH, "i"},
    {SMFIM_EOM, "i"},
};

/* libmilter's prototypes take char * for what it only reads. */
static char *unconst(const char *text)
{
    return (char *)text;
}

static const char *macro(SMFICTX *ctx, const char *name)
{
    return smfi_getsymval(ctx, unconst(name));
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long f2,
                             unsigned long f3, unsigned long *want_actions, unsigned long *want_steps,
                             unsigned long *want_f2, unsigned long *want_f3)
{
    (void)f2, (void)f3;
    if ((actions & ACTIONS) != ACTIONS || (steps & STEPS_NEEDED) != STEPS_NEEDED) {
        log_error("this MTA cannot be served: actions 0x%lx, steps 0x%lx", actions, steps);
        return SMFIS_REJECT;
    }
    for (size_t i = 0; i < sizeof symbol_lists / sizeof *symbol_lists; i++)
        if (smfi_setsymlist(ctx, symbol_lists[i].place, unconst(symbol_lists[i].macros)) != MI_SUCCESS)
            return SMFIS_REJECT;
    *want_actions = ACTIONS;
    *want_steps = STEPS_NEEDED | (STEPS_WANTED & steps);
    *want_f2 = *want_f3 = 0;
    return SMFIS_CONTINUE;
}

static sfsistat answer(SMFICTX *ctx, struct session *s, enum session_step step)
{
    char code[4], text[REPLY_TEXT_MAX];
    const struct api_reply *r;

    switch (step) {
    case SESSION_CONTINUE:
        return SMFIS_CONTINUE;
    case SESSION_PASS:
        return SMFIS_ACCEPT;
    case SESSION_SKIP:
        return SMFIS_SKIP;
    case SESSION_DISCARD:
        return SMFIS_DISCARD;
    case SESSION_REFUSE:
        break;
    }
    r = session_refusal(s);
    snprintf(code, sizeof code, "%d", r->smtp);
    reply_milter_text(r, text);
    if (smfi_setreply(ctx, code, unconst(r->enhanced), text) != MI_SUCCESS)
        log_error("libmilter does not take the reply %s %s", code, r->enhanced);
    return r->smtp >= 500 ? SMFIS_REJECT : SMFIS_TEMPFAIL;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *peer)
{
    const char *domains = macro(ctx, "{restante_domains}");
    struct session *s = NULL;

    session_close(smfi_getpriv(ctx));
    smfi_setpriv(ctx, NULL);
    if (!domains || !domains[strspn(domains, ", \t")])
        return SMFIS_ACCEPT; /* not enabled in this MTA */
    if (session_open(site, host, peer, domains, &s) != ERR_OK)
        return SMFIS_TEMPFAIL;
    if (smfi_setpriv(ctx, s) != MI_SUCCESS) {
        session_close(s);
        return SMFIS_TEMPFAIL;
    }
    return SMFIS_CONTINUE;
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
    struct session *s = smfi_getpriv(ctx);
    if (s)
        session_helo(s, name);
    return SMFIS_NOREPLY;
}

static sfsistat on_mail(SMFICTX *ctx, char **argv)
{
    struct session *s = smfi_getpriv(ctx);
    if (s) {
        session_mail(s, argv, macro(ctx, "{auth_authen}"));
        session_queue_id(s, macro(ctx, "i"));
    }
    return SMFIS_NOREPLY;
}

static sfsistat on_rcpt(SMFICTX *ctx, char **argv)
{
    struct session *s = smfi_getpriv(ctx);
    if (s)
        session_rcpt(s, argv, macro(ctx, "{rcpt_mailer}"), macro(ctx, "{rcpt_addr}"));
    return SMFIS_NOREPLY;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
    struct session *s = smfi_getpriv(ctx);
    if (s)
        session_field(s, name, value);
    return SMFIS_NOREPLY;
}

static sfsistat on_header_end(SMFICTX *ctx)
{
    struct session *s = smfi_getpriv(ctx);
    if (!s)
        return SMFIS_ACCEPT;
    session_queue_id(s, macro(ctx, "i"));
    return answer(ctx, s, session_header_end(s));
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *data, size_t len)
{
    struct session *s = smfi_getpriv(ctx);
    return s ? answer(ctx, s, session_body(s, data, len)) : SMFIS_ACCEPT;
}

static void show_progress(void *arg)
{
    smfi_progress(arg);
}

static bool remove_recipients(SMFICTX *ctx, const struct session *s)
{
    const char *recipient;
    for (size_t i = 0; (recipient = session_removal(s, i)); i++) {
        KILL_POINT("milter-delrcpt-before");
        if (smfi_delrcpt(ctx, unconst(recipient)) != MI_SUCCESS)
            return false;
        KILL_POINT("milter-delrcpt-after");
    }
    return true;
}

static sfsistat on_message_end(SMFICTX *ctx)
{
    struct session *s = smfi_getpriv(ctx);
    enum session_step step;
    if (!s)
        return SMFIS_ACCEPT;
    session_queue_id(s, macro(ctx, "i"));
    step = session_message_end(s, show_progress, ctx);
    if (step == SESSION_CONTINUE)
        step = session_removed(s, remove_recipients(ctx, s));
    return answer(ctx, s, step);
}

static sfsistat on_abort(SMFICTX *ctx)
{
    struct session *s = smfi_getpriv(ctx);
    if (s)
        session_abort(s);
    return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *ctx)
{
    session_close(smfi_getpriv(ctx));
    smfi_setpriv(ctx, NULL);
    return SMFIS_CONTINUE;
}

/* Removes the socket that a milter left which is no more. ERR_EXISTS: one is there and answers, or it is no
 * socket. */
static enum err remove_stale(const char *path, struct buf *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    int fd, rc;

    if (strlen(path) >= sizeof address.sun_path) {
        buf_printf(why, "%s: the path is too long for a socket", path);
        return ERR_CONFIG;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (lstat(path, &st) != 0)
        return ERR_OK; /* none, or a folder that bind(2) will complain about */
    if (!S_ISSOCK(st.st_mode)) {
        buf_printf(why, "%s: is there and is no socket", path);
        return ERR_EXISTS;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_IO;
    rc = connect(fd, (const struct sockaddr *)&address, sizeof address);
    close(fd);
    if (rc == 0) {
        buf_printf(why, "%s: another milter serves this socket", path);
        return ERR_EXISTS;
    }
    if (unlink(path) != 0) {
        buf_printf(why, "%s: %s", path, strerror(errno));
        return ERR_IO;
    }
    return ERR_OK;
}

enum err callbacks_open(const struct session_site *shared, const char *where, struct buf *why)
{
    struct smfiDesc milter = {
        .xxfi_name = unconst("restante-milter"),
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = ACTIONS,
        .xxfi_connect = on_connect,
        .xxfi_helo = on_helo,
        .xxfi_envfrom = on_mail,
        .xxfi_envrcpt = on_rcpt,
        .xxfi_header = on_header,
        .xxfi_eoh = on_header_end,
        .xxfi_body = on_body,
        .xxfi_eom = on_message_end,
        .xxfi_abort = on_abort,
        .xxfi_close = on_close,
        .xxfi_negotiate = on_negotiate,
    };
    enum err e;

    site = shared;
    if (strncmp(where, "unix:", 5) == 0 && (e = remove_stale(where + 5, why)))
        return e;
    if (smfi_register(milter) != MI_SUCCESS || smfi_setconn(unconst(where)) != MI_SUCCESS ||
        smfi_settimeout(MTA_SILENCE_S) != MI_SUCCESS) {
        buf_printf(why, "libmilter does not take the socket %s", where);
        return ERR_CONFIG;
    }
    if (smfi_opensocket(false) != MI_SUCCESS) {
        buf_printf(why, "cannot open %s: %s", where, strerror(errno));
        return ERR_IO;
    }
    return ERR_OK;
}

enum err callbacks_run(void)
{
    return smfi_main() == MI_SUCCESS ? ERR_OK : ERR_IO;
}
