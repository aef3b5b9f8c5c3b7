/*
 * complain.c - see complain.h.
 */
#include "local/complain.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/secret.h"
#include "env/env.h"
#include "env/site.h"
#include "lifecycle/story.h"
#include "local/question.h"
#include "mail/arf.h"
#include "mail/fold.h"
#include "mail/report.h"
#include "mta/smtp.h"
#include "settings/settings.h"
#include "ticket/ticket.h"

#define MESSAGE_MAX 65536
#define PREFIX_MIN 4 /* hex digits of a job's id */
#define ID_LEN ENCODE_HEX_LEN(16)

void complain_recipient(const struct designation *d, const char *domain, char out[ADDRESS_TEXT_MAX])
{
    struct address address;

    if (d->present && d->complaints[0] && address_parse(span_of(d->complaints), &address) == ERR_OK &&
        !address.null)
        address_text(&address, out);
    else
        snprintf(out, ADDRESS_TEXT_MAX, "abuse@%s", domain);
}

/* ---- the message */

struct origin {                     /* of a stub */
    char host[TICKET_HOST_MAX + 8]; /* host:port */
    char uri[TICKET_HOST_MAX + 32];
    char ticket[STORY_ID_LEN + 1]; /* as the sender's site calls it in its log */
};

static void find_origin(const struct job *j, struct origin *out)
{
    struct ticket_url url;

    *out = (struct origin){.host = ""};
    if (!j->url[0] || ticket_url_parse(span_of(j->url), &url))
        return;
    snprintf(out->host, sizeof out->host, "%s:%u", url.host, url.port);
    if (url.port == 443)
        snprintf(out->uri, sizeof out->uri, "https://%s/", url.host);
    else
        snprintf(out->uri, sizeof out->uri, "https://%s:%u/", url.host, url.port);
    story_id(url.a, out->ticket);
    secret_wipe(&url, sizeof url);
}

/* Text of the network's making within a line of ours. */
static enum err add(struct buf *out, const char *before, const char *text, const char *after)
{
    enum err e;

    if (!text[0])
        return ERR_OK;
    if ((e = buf_append_str(out, before)) || (e = fold_clean(text, out)))
        return e;
    return buf_append_str(out, after);
}

static enum err explain(const struct complaint *c, const struct origin *o, struct buf *out)
{
    enum err e;
    const struct job *j = c->job;
    char when[CLOCK_RFC5322_MAX];

    clock_rfc5322(j->created_s, when);
    if ((e = add(out, "This is a complaint about a message that came to ", j->recipient, "\n")) ||
        (e = add(out, "from <", j->stub_from, ">")) || (e = add(out, " on ", when, ".\n\n")) ||
        (e = add(out, "That it came from ", j->verified, " was verified")) ||
        (e = add(out, " (", j->proof, ")")) || (e = add(out, ":\nit was sent by ", j->client_address, "")) ||
        (e = add(out, " (", j->client_name, ")")) || (e = buf_append_str(out, ".\n")) ||
        (e = add(out, "It lay on the link host ", o->host, ".\n")) ||
        (e = add(out, "The certificate of that host was issued by ", j->certificate_issuer, ".\n")) ||
        (e = add(out, "Its serial number is ", j->certificate_serial, ".\n")) ||
        (e = add(out, "In the log of the sender's site it is ticket=", o->ticket, ".\n")))
        return e;
    return buf_append_str(out, "\nThe recipient asks you to see to it that there is no more of this.\n");
}

/* The stub's header as far as it is known; of the stub field what is no key. */
static enum err stub_header(const struct job *j, const struct origin *o, struct buf *out)
{
    struct buf value;
    enum err e;

    buf_init(&value, FOLD_FIELD_MAX);
    if (!(e = add(&value, "<", j->author, ">")) && value.len)
        e = report_field(out, "From", &value);
    buf_clear(&value);
    if (!e && !(e = add(&value, "<", j->stub_to[0] ? j->stub_to : j->recipient, ">")))
        e = report_field(out, "To", &value);
    buf_clear(&value);
    if (!e && !(e = add(&value, "<", j->message_id, ">")) && value.len)
        e = report_field(out, "Message-ID", &value);
    buf_clear(&value);
    if (!e && o->uri[0] && !(e = add(&value, "v=1; u=", o->uri, ";")) &&
        !(e = add(&value, " f=", j->stub_from, ";")) && !(e = add(&value, " t=", j->stub_to, ";")) &&
        !(e = buf_printf(&value, " s=%llu; x=%lld", (unsigned long long)j->size_bytes,
                         (long long)j->expires_s)))
        e = report_field(out, "Restante-Stub", &value);
    buf_free(&value);
    return e;
}

enum err complain_format(const struct complaint *c, struct buf *out)
{
    enum err e;
    const struct job *j = c->job;
    struct origin origin;
    struct buf explanation, header, results;

    find_origin(j, &origin);
    buf_init(&explanation, 16384);
    buf_init(&header, 16384);
    buf_init(&results, 1024);
    if ((e = explain(c, &origin, &explanation)) || (e = stub_header(j, &origin, &header)) ||
        (e = buf_printf(&results, "%s; %s", c->authserv_id, j->proof[0] ? j->proof : "none")))
        goto out;
    const struct arf arf = {.from = c->from,
                            .to = c->to,
                            .message_id = c->message_id,
                            .user_agent = "Restante/" RESTANTE_VERSION,
                            .reporting_mta = c->hostname,
                            /* The stub's own reverse-path has a MAC in it with which anybody could report it
                             * undeliverable. */
                            .mail_from = j->stub_from,
                            .rcpt_to = j->recipient,
                            .source_ip = j->client_address,
                            .authentication_results = buf_cstr(&results),
                            .domain = j->verified,
                            .uri = origin.uri,
                            .verified_domain = j->verified,
                            .link_host = origin.host,
                            .certificate_issuer = j->certificate_issuer,
                            .certificate_serial = j->certificate_serial,
                            .ticket = origin.ticket,
                            .arrival_s = j->created_s,
                            .date_s = c->date_s,
                            .explanation = buf_cstr(&explanation),
                            .header = buf_span(&header)};
    e = arf_format(&arf, out);
out:
    buf_free(&explanation);
    buf_free(&header);
    buf_free(&results);
    return e;
}

/* ---- which letter */

struct search {
    const struct access *who;
    const char *prefix;
    struct job *found;
    size_t count;
};

static bool look(void *arg, const struct job *j)
{
    struct search *s = arg;
    char id[ID_LEN + 1];

    encode_hex(j->id, sizeof j->id, id);
    if (strncmp(id, s->prefix, strlen(s->prefix)) != 0 || !access_to_job(s->who, j))
        return true;
    if (s->count++ == 0)
        *s->found = *j;
    return s->count < 2;
}

static void find_job(struct question *q, struct job *out)
{
    struct search s = {.who = &q->who, .prefix = question_need(q, "id"), .found = out};
    size_t len = strlen(s.prefix);

    if (!q->err && (len < PREFIX_MIN || len > ID_LEN || strspn(s.prefix, "0123456789abcdef") != len))
        question_fail(q, ERR_SYNTAX, "%s: at least %d hexadecimal digits of a job's id", s.prefix,
                      PREFIX_MIN);
    if (!q->err)
        q->err = store_jobs(q->env->store, -1, SIZE_MAX, look, &s);
    if (q->err)
        return;
    if (s.count == 0)
        question_fail(q, ERR_NOT_FOUND, "no job begins with %s", s.prefix);
    else if (s.count > 1)
        question_fail(q, ERR_EXISTS, "more than one job begins with %s", s.prefix);
    else if (!out->verified[0])
        question_fail(q, ERR_NOT_FOUND, "nothing proves whose letter it is: there is nobody to complain to");
}

/* ---- asking and sending */

struct letter {
    char from[ADDRESS_TEXT_MAX], to[ADDRESS_TEXT_MAX];
    struct buf message;
    size_t offset; /* sent */
};

static enum err write_letter(const struct env *env, const struct job *j, struct letter *l)
{
    enum err e;
    struct address recipient;
    struct designation d;
    uint8_t random[16];
    char hex[ENCODE_HEX_LEN(sizeof random) + 1], message_id[ADDRESS_DOMAIN_MAX + 80];
    int64_t deadline = clock_mono_ms() + env->settings->notice_dns_timeout_s * 1000;

    if ((e = address_parse(span_of(j->recipient), &recipient)) ||
        (e = designation_lookup(env->resolver, j->verified, deadline, &d)) ||
        (e = secret_random(random, sizeof random)))
        return e;
    encode_hex(random, sizeof random, hex);
    snprintf(message_id, sizeof message_id, "restante-complaint.%s@%s", hex, env->site->hostname);
    snprintf(l->from, sizeof l->from, "postmaster@%s", recipient.domain);
    complain_recipient(&d, j->verified, l->to);
    const struct complaint complaint = {.job = j,
                                        .from = l->from,
                                        .to = l->to,
                                        .hostname = env->site->hostname,
                                        .authserv_id = env->settings->authserv_id,
                                        .message_id = message_id,
                                        .date_s = clock_now_s()};
    return complain_format(&complaint, &l->message);
}

static ssize_t read_letter(void *arg, void *out, size_t max)
{
    struct letter *l = arg;
    size_t len = l->message.len - l->offset;

    if (len > max)
        len = max;
    if (len)
        memcpy(out, l->message.data + l->offset, len);
    l->offset += len;
    return (ssize_t)len;
}

/* From postmaster, who is a person, and not from the null reverse-path: somebody decided to send it, and
 * shall hear when nobody takes it. No loop can come of it, since nothing here answers such a report by
 * itself. */
static void send_letter(struct question *q, const struct job *j, struct letter *l)
{
    char text[STORE_TEXT_MAX], id[9];
    struct smtp_result result;
    struct log_line line;
    const struct smtp_envelope envelope = {.sender = l->from,
                                           .recipient = l->to,
                                           .body = report_is_ascii(buf_span(&l->message)) ? NULL : "8BITMIME",
                                           .smtputf8 = !report_is_ascii(span_of(l->to)),
                                           .size_bytes = l->message.len};

    smtp_send(q->env->stubs_out, &envelope, read_letter, l, &result);
    smtp_result_text(&result, text, sizeof text);
    encode_hex(j->id, 4, id);
    log_line_begin(&line, result.queue_id);
    log_line_str(&line, LOG_KEY_JOB, id);
    log_line_addr(&line, LOG_KEY_FROM, l->from);
    log_line_addr(&line, LOG_KEY_TO, l->to);
    log_line_str(&line, LOG_KEY_DOMAIN, j->verified);
    log_line_status(&line, result.err ? "complaint-refused" : "complaint-sent", text);
    log_line_end(&line, LOG_LEVEL_INFO);
    if (result.err)
        question_fail(q, result.err, "it was not sent: %.200s", text);
    else
        rows_text(q->rows, "status", text);
}

static void complain(const struct env *env, struct http_exchange *x, bool send)
{
    struct question q;
    struct job *j = calloc(1, sizeof *j);
    struct letter l = {.from = ""};

    buf_init(&l.message, MESSAGE_MAX);
    question_open(&q, env, x);
    if (!j)
        question_fail(&q, ERR_NOMEM, NULL);
    else
        find_job(&q, j);
    if (j && !q.err)
        q.err = write_letter(env, j, &l);
    if (j && question_rows(&q, "complaint")) {
        rows_begin(q.rows);
        rows_text(q.rows, "from", l.from);
        rows_text(q.rows, "to", l.to);
        rows_text(q.rows, "domain", j->verified);
        rows_text(q.rows, "message", buf_cstr(&l.message));
        if (send)
            send_letter(&q, j, &l);
    }
    question_close(&q);
    buf_free(&l.message);
    if (j)
        job_wipe(j);
    free(j);
}

void complain_show(void *env, struct http_exchange *x)
{
    complain(env, x, false);
}

void complain_send(void *env, struct http_exchange *x)
{
    complain(env, x, true);
}
