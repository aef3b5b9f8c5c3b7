/*
 * arf.c - see arf.h.
 */
#include "mail/arf.h"

#include <stdbool.h>

#include "mail/encoded_word.h"
#include "mail/fold.h"
#include "mail/report.h"

/* "name: before text after", cleaned and in ASCII; nothing for what is not known. */
static enum err put(struct buf *out, const char *name, const char *before, const char *text,
                    const char *after)
{
    struct buf value, clean;
    enum err e = ERR_OK;

    if (!text || !text[0])
        return ERR_OK;
    buf_init(&value, FOLD_FIELD_MAX);
    buf_init(&clean, FOLD_FIELD_MAX);
    if (!(e = buf_append_str(&value, before)) && !(e = fold_clean(text, &clean)))
        e = report_is_ascii(buf_span(&clean)) ? buf_append_span(&value, buf_span(&clean))
                                              : encoded_word_append(buf_span(&clean), &value);
    if (!e && !(e = buf_append_str(&value, after)))
        e = report_field(out, name, &value);
    buf_free(&clean);
    buf_free(&value);
    return e == ERR_TOO_LARGE ? ERR_OK : e; /* left out rather than cut */
}

static enum err put_header(const struct arf *a, const char *boundary, struct buf *out)
{
    enum err e;

    if ((e = put(out, "From", "<", a->from, ">")) || (e = put(out, "To", "<", a->to, ">")) ||
        (e = put(out, "Subject", "Complaint about a message from ", a->domain, "")) ||
        (e = report_date(out, "Date", a->date_s)) || (e = put(out, "Message-ID", "<", a->message_id, ">")))
        return e;
    return buf_printf(out,
                      "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                      "Content-Type: multipart/report; report-type=feedback-report;\r\n\tboundary=\"%s\"\r\n"
                      "Content-Transfer-Encoding: 8bit\r\n\r\n",
                      boundary);
}

static enum err put_machine_part(const struct arf *a, const char *boundary, struct buf *out)
{
    enum err e;
    const struct {
        const char *name, *before, *text, *after;
    } fields[] = {
        {"User-Agent", "", a->user_agent, ""},
        {"Version", "", "1", ""},
        {"Original-Mail-From", "<", a->mail_from, ">"},
        {"Original-Rcpt-To", "<", a->rcpt_to, ">"},
        {"Reporting-MTA", "dns; ", a->reporting_mta, ""},
        {"Source-IP", "", a->source_ip, ""},
        {"Authentication-Results", "", a->authentication_results, ""},
        {"Reported-Domain", "", a->domain, ""},
        {"Reported-URI", "", a->uri, ""},
        {"Restante-Ticket", "", a->ticket, ""},
        {"Restante-Verified-Domain", "", a->verified_domain, ""},
        {"Restante-Link-Host", "", a->link_host, ""},
        {"Restante-Certificate-Issuer", "", a->certificate_issuer, ""},
        {"Restante-Certificate-Serial", "", a->certificate_serial, ""},
    };

    if ((e = buf_printf(out,
                        "\r\n--%s\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n",
                        boundary)))
        return e;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if ((e = put(out, fields[i].name, fields[i].before, fields[i].text, fields[i].after)))
            return e;
    }
    return report_date(out, "Arrival-Date", a->arrival_s);
}

enum err arf_format(const struct arf *a, struct buf *out)
{
    enum err e;
    char boundary[REPORT_BOUNDARY_MAX];

    if ((e = report_boundary(boundary)) || (e = put_header(a, boundary, out)) ||
        (e = report_explanation(boundary, a->explanation, out)) || (e = put_machine_part(a, boundary, out)) ||
        (e = buf_printf(out,
                        "\r\n--%s\r\nContent-Type: text/rfc822-headers\r\n"
                        "Content-Transfer-Encoding: %s\r\n\r\n",
                        boundary, report_is_ascii(a->header) ? "7bit" : "8bit")) ||
        (e = buf_append_span(out, a->header)))
        return e;
    return buf_printf(out, "\r\n--%s--\r\n", boundary);
}
