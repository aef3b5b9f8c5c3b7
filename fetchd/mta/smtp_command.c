/*
 * smtp_command.c - the commands of one transaction (RFC 5321, 3461, 6531, Postfix's XFORWARD).
 */
#include "mta/smtp_command.h"

#include <string.h>

#include "mta/talk.h"

/* An argument that reaches a command line must not end it. */
static bool argument_safe(const char *s)
{
    if (!s)
        return true;
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

/* A parameter's value holds no blank either. */
static bool parameter_safe(const char *s)
{
    return argument_safe(s) && (!s || !strchr(s, ' '));
}

bool smtp_envelope_safe(const struct smtp_envelope *e)
{
    return e->sender && e->recipient && argument_safe(e->sender) && argument_safe(e->recipient) &&
           parameter_safe(e->notify) && parameter_safe(e->orcpt) && parameter_safe(e->ret) &&
           parameter_safe(e->envid) && parameter_safe(e->body) && argument_safe(e->xforward_addr) &&
           argument_safe(e->xforward_name) && argument_safe(e->xforward_helo) &&
           argument_safe(e->xforward_ident);
}

static enum err mail_command(unsigned caps, const struct smtp_envelope *e, struct buf *out)
{
    enum err rc = buf_printf(out, "MAIL FROM:<%s>", e->sender);
    if (rc == ERR_OK && (caps & TALK_SIZE) && e->size_bytes)
        rc = buf_printf(out, " SIZE=%llu", (unsigned long long)e->size_bytes);
    if (rc == ERR_OK && (caps & TALK_8BITMIME) && e->body)
        rc = buf_printf(out, " BODY=%s", e->body);
    if (rc == ERR_OK && e->smtputf8)
        rc = buf_append_str(out, " SMTPUTF8");
    if (rc == ERR_OK && (caps & TALK_DSN) && e->ret && *e->ret)
        rc = buf_printf(out, " RET=%s", e->ret);
    if (rc == ERR_OK && (caps & TALK_DSN) && e->envid && *e->envid)
        rc = buf_printf(out, " ENVID=%s", e->envid);
    return rc == ERR_OK ? buf_append_str(out, "\r\n") : rc;
}

static enum err rcpt_command(unsigned caps, const struct smtp_envelope *e, struct buf *out)
{
    enum err rc = buf_printf(out, "RCPT TO:<%s>", e->recipient);
    if (rc == ERR_OK && (caps & TALK_DSN) && e->notify && *e->notify)
        rc = buf_printf(out, " NOTIFY=%s", e->notify);
    if (rc == ERR_OK && (caps & TALK_DSN) && e->orcpt && *e->orcpt)
        rc = buf_printf(out, " ORCPT=%s", e->orcpt);
    return rc == ERR_OK ? buf_append_str(out, "\r\n") : rc;
}

/* xtext (RFC 3461 4) of an XFORWARD attribute. */
static enum err xforward_attribute(struct buf *out, const char *name, const char *value)
{
    if (!value || !*value)
        return ERR_OK;
    enum err rc = buf_printf(out, " %s=", name);
    for (const char *p = value; rc == ERR_OK && *p; p++) {
        unsigned char c = (unsigned char)*p;
        rc = c > 0x20 && c < 0x7f && c != '+' && c != '=' ? buf_append_char(out, *p)
                                                          : buf_printf(out, "+%02X", c);
    }
    return rc;
}

static enum err xforward_command(const struct smtp_envelope *e, struct buf *out)
{
    size_t before = out->len;
    enum err rc = buf_append_str(out, "XFORWARD");
    size_t empty = out->len;
    if (rc == ERR_OK)
        rc = xforward_attribute(out, "NAME", e->xforward_name);
    if (rc == ERR_OK)
        rc = xforward_attribute(out, "ADDR", e->xforward_addr);
    if (rc == ERR_OK)
        rc = xforward_attribute(out, "HELO", e->xforward_helo);
    if (rc == ERR_OK)
        rc = xforward_attribute(out, "IDENT", e->xforward_ident);
    if (rc == ERR_OK && out->len == empty) {
        out->len = before;
        return ERR_OK;
    }
    return rc == ERR_OK ? buf_append_str(out, "\r\n") : rc;
}

enum err smtp_commands(unsigned caps, const struct smtp_envelope *e, struct buf *out,
                       struct smtp_step steps[SMTP_STEPS_MAX], size_t *count)
{
    size_t n = 0;
    enum err rc = ERR_OK;

    if (caps & TALK_XFORWARD) {
        rc = xforward_command(e, out);
        if (rc == ERR_OK && out->len > 0)
            steps[n++] = (struct smtp_step){"XFORWARD", 2, true, out->len};
    }
    if (rc == ERR_OK)
        rc = mail_command(caps, e, out);
    steps[n++] = (struct smtp_step){"MAIL", 2, false, out->len};
    if (rc == ERR_OK)
        rc = rcpt_command(caps, e, out);
    steps[n++] = (struct smtp_step){"RCPT", 2, false, out->len};
    if (rc == ERR_OK)
        rc = buf_append_str(out, "DATA\r\n");
    steps[n++] = (struct smtp_step){"DATA", 3, false, out->len};
    if (rc == ERR_OK)
        *count = n;
    return rc;
}
