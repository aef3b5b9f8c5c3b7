/*
 * reply.c - SMTP replies of the milter.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "milter/reply.h"

static void make_printable(char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            *text = '?';
}

void reply_set(struct api_reply *r, int smtp, const char *enhanced, const char *format, ...)
{
    va_list ap;
    r->smtp = smtp;
    snprintf(r->enhanced, sizeof r->enhanced, "%s", enhanced);
    va_start(ap, format);
    vsnprintf(r->text, sizeof r->text, format, ap);
    va_end(ap);
    make_printable(r->text);
}

void reply_unavailable(struct api_reply *r)
{
    reply_set(r, 451, "4.3.2", "Restante is not available, try again later");
}

/* "5.7.1": class, subject, detail of at most three digits each. */
static bool enhanced_valid(const char *code, char class)
{
    int parts = 1, digits = 0;
    if (code[0] != class || code[1] != '.')
        return false;
    for (const char *c = code + 2; *c; c++) {
        if (isdigit((unsigned char)*c)) {
            if (digits++ == 0)
                parts++;
            if (digits > 3)
                return false;
        } else if (*c == '.' && digits > 0 && parts == 2) {
            digits = 0;
        } else {
            return false;
        }
    }
    return parts == 3 && digits > 0;
}

bool reply_is_refusal(const struct api_reply *r)
{
    return r->smtp >= 400 && r->smtp <= 599 && enhanced_valid(r->enhanced, (char)('0' + r->smtp / 100));
}

void reply_from_answer(struct api_reply *r, int status, struct span json, bool permanent_fine)
{
    struct api_reply said = {0};
    if (status == 404 || status == 405 || api_reply_parse(json, &said) != ERR_OK ||
        !reply_is_refusal(&said) || (said.smtp >= 500 && !permanent_fine)) {
        reply_unavailable(r);
        return;
    }
    *r = said;
    make_printable(r->text);
}

void reply_milter_text(const struct api_reply *r, char out[REPLY_TEXT_MAX])
{
    size_t len = 0;
    for (const char *c = r->text; *c && len < REPLY_TEXT_MAX - 3; c++) {
        out[len++] = *c < 0x20 || *c > 0x7e ? '?' : *c;
        if (*c == '%')
            out[len++] = '%';
    }
    out[len] = '\0';
    if (len == 0)
        snprintf(out, REPLY_TEXT_MAX, "refused");
}
