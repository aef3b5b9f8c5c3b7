/*
 * api.c - the JSON of the local API. Tables name the members of each struct once; format, parse and free all
 * walk the same rows (members.h).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "local/api.h"
#include "local/members.h"

#define TEXT_MAX 4096 /* an SMTP command line of Postfix has at most 2,048 */
#define FIELD_NAME_MAX 998
#define FIELD_VALUE_MAX 131072
#define DOMAINS_MAX 262144

static const struct member envelope_members[] = {
    M(api_envelope, queue_id, MEMBER_TEXT, TEXT_MAX, false),
    M(api_envelope, domains, MEMBER_TEXT, DOMAINS_MAX, false),
    M(api_envelope, sender, MEMBER_ADDRESS, TEXT_MAX, true),
    M(api_envelope, body, MEMBER_TEXT, TEXT_MAX, false),
    M(api_envelope, ret, MEMBER_TEXT, TEXT_MAX, false),
    M(api_envelope, envid, MEMBER_TEXT, TEXT_MAX, false),
    M(api_envelope, smtputf8, MEMBER_FLAG, 0, false),
    M(api_envelope, client_address, MEMBER_TEXT, TEXT_MAX, false),
    M(api_envelope, client_name, MEMBER_LOSSY, TEXT_MAX, false),
    M(api_envelope, client_port, MEMBER_PORT, 0, false),
    M(api_envelope, helo, MEMBER_LOSSY, TEXT_MAX, false),
    M(api_envelope, auth, MEMBER_TEXT, TEXT_MAX, false),
    M(api_envelope, command_line, MEMBER_FLAG, 0, false),
};
static const struct member recipient_members[] = {
    M(api_recipient, address, MEMBER_ADDRESS, TEXT_MAX, true),
    M(api_recipient, notify, MEMBER_TEXT, TEXT_MAX, false),
    M(api_recipient, orcpt, MEMBER_TEXT, TEXT_MAX, false),
    M(api_recipient, mailer, MEMBER_TEXT, TEXT_MAX, false),
};
static const struct member field_members[] = {
    M(api_field, name, MEMBER_TEXT, FIELD_NAME_MAX, true),
    M(api_field, value, MEMBER_RAW, FIELD_VALUE_MAX, true),
};
static const struct member plan_members[] = {
    M(api_plan, header_bytes, MEMBER_SIZE, 0, false),
};
static const struct member notice_members[] = {
    M(api_notice, stub, MEMBER_RAW, FIELD_VALUE_MAX, true),
    M(api_notice, from, MEMBER_RAW, FIELD_VALUE_MAX, false),
    M(api_notice, message_id, MEMBER_RAW, FIELD_VALUE_MAX, false),
};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const char *const kind_names[] = {
    [API_LETTER] = "letter", [API_STUB] = "stub", [API_NONE] = "none", [API_LEGACY] = "legacy"};
static const char *const verdict_names[] = {[API_VERDICT_STUB] = "stub",
                                            [API_VERDICT_PLAIN] = "plain",
                                            [API_VERDICT_REFUSE] = "refuse",
                                            [API_VERDICT_KEEP] = "keep",
                                            [API_VERDICT_DROP] = "drop"};

static enum err name_from_json(json_t *j, const char *const *names, size_t count, unsigned *out)
{
    const char *text = json_string_value(j);

    for (unsigned i = 0; text != NULL && i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return ERR_OK;
        }
    }
    return ERR_SYNTAX;
}

/* ---- envelope ---- */

static enum err envelope_to_json(const struct api_envelope *v, json_t *document)
{
    json_t *object = json_object();

    if (object == NULL || json_object_set_new(document, "envelope", object) != 0)
        return ERR_NOMEM;
    enum err e = members_to_json(envelope_members, COUNT(envelope_members), v, object);
    if (e != ERR_OK)
        return e;
    return members_array_to_json(recipient_members, COUNT(recipient_members), v->recipient,
                                 sizeof *v->recipient, v->recipient_count, object, "recipients");
}

static enum err envelope_from_json(json_t *document, struct api_envelope *v)
{
    json_t *object = json_object_get(document, "envelope");
    size_t seen = 0;
    enum err e = members_from_json(envelope_members, COUNT(envelope_members), object, v, &seen);

    if (e == ERR_OK)
        e = members_array_from_json(recipient_members, COUNT(recipient_members),
                                    json_object_get(object, "recipients"), sizeof *v->recipient,
                                    API_RECIPIENTS_MAX, (void **)&v->recipient, &v->recipient_count);
    if (e == ERR_OK && seen + 1 != json_object_size(object))
        e = ERR_SYNTAX;
    return e;
}

static void envelope_free(struct api_envelope *v)
{
    members_free(envelope_members, COUNT(envelope_members), v);
    for (size_t i = 0; i < v->recipient_count; i++)
        members_free(recipient_members, COUNT(recipient_members), &v->recipient[i]);
    free(v->recipient);
}

/* ---- fields ---- */

static enum err fields_to_json(const struct api_field *field, size_t count, json_t *document)
{
    return members_array_to_json(field_members, COUNT(field_members), field, sizeof *field, count, document,
                                 "fields");
}

static enum err fields_from_json(json_t *document, struct api_field **field, size_t *count)
{
    return members_array_from_json(field_members, COUNT(field_members), json_object_get(document, "fields"),
                                   sizeof **field, API_FIELDS_MAX, (void **)field, count);
}

static void fields_free(struct api_field *field, size_t count)
{
    for (size_t i = 0; i < count; i++)
        members_free(field_members, COUNT(field_members), &field[i]);
    free(field);
}

const char *api_field_value(const struct api_field *field, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(field[i].name, name) == 0)
            return field[i].value;
    return NULL;
}

/* ---- replies ---- */

/* "" or class.subject.detail that agrees with the reply code (RFC 2034 section 4). */
static bool is_enhanced(const char *text, int smtp)
{
    size_t digits = 0, dots = 0;

    if (text[0] == '\0')
        return true;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '.') {
            if (digits == 0 || ++dots > 2)
                return false;
            digits = 0;
        } else if (*c < '0' || *c > '9' || ++digits > 3) {
            return false;
        }
    }
    return dots == 2 && digits > 0 && text[1] == '.' && text[0] - '0' == smtp / 100;
}

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

static bool reply_is_valid(const struct api_reply *r)
{
    if (memchr(r->enhanced, '\0', sizeof r->enhanced) == NULL ||
        memchr(r->text, '\0', sizeof r->text) == NULL)
        return false;
    if (r->smtp == 0)
        return r->enhanced[0] == '\0' && is_printable(r->text);
    return r->smtp >= 200 && r->smtp <= 599 && is_enhanced(r->enhanced, r->smtp) && is_printable(r->text);
}

static enum err reply_to_json(const struct api_reply *r, json_t *object)
{
    if (!reply_is_valid(r))
        return ERR_INTERNAL;
    if (json_object_set_new(object, "smtp", json_integer(r->smtp)) != 0 ||
        json_object_set_new(object, "enhanced", json_string(r->enhanced)) != 0 ||
        json_object_set_new(object, "text", json_string(r->text)) != 0)
        return ERR_NOMEM;
    return ERR_OK;
}

/* The "error" of an error answer is for people and logs; the reply says all that a milter needs. */
static enum err reply_from_json(json_t *object, struct api_reply *out)
{
    struct api_reply r = {0};
    json_t *smtp = json_object_get(object, "smtp");
    json_t *enhanced = json_object_get(object, "enhanced");
    json_t *text = json_object_get(object, "text");
    json_t *error = json_object_get(object, "error");

    if (!json_is_integer(smtp) || !json_is_string(enhanced) || !json_is_string(text) ||
        (error != NULL && !json_is_string(error)) || json_object_size(object) != (error == NULL ? 3 : 4))
        return ERR_SYNTAX;
    if (json_integer_value(smtp) < 0 || json_integer_value(smtp) > 599 ||
        json_string_length(enhanced) >= sizeof r.enhanced || json_string_length(text) >= sizeof r.text)
        return ERR_SYNTAX;
    r.smtp = (int)json_integer_value(smtp);
    memcpy(r.enhanced, json_string_value(enhanced), json_string_length(enhanced));
    memcpy(r.text, json_string_value(text), json_string_length(text));
    if (!reply_is_valid(&r))
        return ERR_SYNTAX;
    *out = r;
    return ERR_OK;
}

enum err api_reply_format(const struct api_reply *r, struct buf *out)
{
    json_t *document = json_object();

    return document_write(document, document == NULL ? ERR_NOMEM : reply_to_json(r, document), out);
}

enum err api_reply_parse(struct span json, struct api_reply *out)
{
    json_t *document = NULL;
    enum err e = document_read(json, &document);

    if (e != ERR_OK)
        return e;
    e = reply_from_json(document, out);
    json_decref(document);
    return e;
}

void api_reply_of_error(enum err error, const char *text, struct api_reply *out)
{
    const struct err_info *info = err_info(error);
    struct span s = span_of(text == NULL ? info->text : text);

    memset(out, 0, sizeof *out);
    out->smtp = info->smtp;
    strncpy(out->enhanced, info->enhanced, sizeof out->enhanced - 1);
    if (s.len >= sizeof out->text)
        s.len = sizeof out->text - 1;
    for (size_t i = 0; i < s.len; i++)
        out->text[i] = (char)(s.ptr[i] < 0x20 || s.ptr[i] > 0x7e ? '?' : s.ptr[i]);
}

enum err api_error_format(enum err error, const char *text, struct buf *out)
{
    json_t *document = json_object();
    struct api_reply r;
    enum err e = ERR_NOMEM;

    api_reply_of_error(error, text, &r);
    if (document != NULL && json_object_set_new(document, "error", json_string(err_name(error))) == 0)
        e = reply_to_json(&r, document);
    return document_write(document, e, out);
}

/* ---- plan ---- */

enum err api_plan_format(const struct api_plan *p, struct buf *out)
{
    json_t *document = json_object();
    enum err e = document == NULL ? ERR_NOMEM : envelope_to_json(&p->envelope, document);

    if (e == ERR_OK)
        e = members_to_json(plan_members, COUNT(plan_members), p, document);
    if (e == ERR_OK)
        e = fields_to_json(p->field, p->field_count, document);
    return document_write(document, e, out);
}

enum err api_plan_parse(struct span json, struct api_plan *out)
{
    struct api_plan p = {0};
    json_t *document = NULL;
    size_t seen = 0;
    enum err e = document_read(json, &document);

    if (e != ERR_OK)
        return e;
    e = envelope_from_json(document, &p.envelope);
    if (e == ERR_OK)
        e = members_from_json(plan_members, COUNT(plan_members), document, &p, &seen);
    if (e == ERR_OK)
        e = fields_from_json(document, &p.field, &p.field_count);
    if (e == ERR_OK && seen + 2 != json_object_size(document))
        e = ERR_SYNTAX;
    json_decref(document);
    if (e != ERR_OK) {
        api_plan_free(&p);
        return e;
    }
    *out = p;
    return ERR_OK;
}

void api_plan_free(struct api_plan *p)
{
    envelope_free(&p->envelope);
    fields_free(p->field, p->field_count);
    memset(p, 0, sizeof *p);
}

enum err api_plan_answer_format(const struct api_plan_answer *a, struct buf *out)
{
    json_t *document = json_object();
    json_t *refuse = json_object();
    json_t *verdicts = json_array();
    enum err e = document == NULL || refuse == NULL || verdicts == NULL ? ERR_NOMEM : ERR_OK;

    if (e == ERR_OK && json_object_set_new(document, "kind", json_string(kind_names[a->kind])) != 0)
        e = ERR_NOMEM;
    if (e == ERR_OK && a->refuse.smtp != 0) {
        e = reply_to_json(&a->refuse, refuse);
        if (e == ERR_OK && json_object_set(document, "refuse", refuse) != 0)
            e = ERR_NOMEM;
    }
    for (size_t i = 0; e == ERR_OK && i < a->recipient_count; i++)
        if (json_array_append_new(verdicts, json_string(verdict_names[a->verdict[i]])) != 0)
            e = ERR_NOMEM;
    if (e == ERR_OK && (json_object_set(document, "verdicts", verdicts) != 0 ||
                        json_object_set_new(document, "want_body", json_boolean(a->want_body)) != 0))
        e = ERR_NOMEM;
    json_decref(refuse);
    json_decref(verdicts);
    return document_write(document, e, out);
}

static enum err plan_answer_from_json(json_t *document, struct api_plan_answer *a)
{
    json_t *refuse = json_object_get(document, "refuse");
    json_t *verdicts = json_object_get(document, "verdicts");
    json_t *want_body = json_object_get(document, "want_body");
    size_t n = json_array_size(verdicts);
    unsigned value = 0;
    enum err e = name_from_json(json_object_get(document, "kind"), kind_names, COUNT(kind_names), &value);

    if (e != ERR_OK)
        return e;
    a->kind = (enum api_kind)value;
    if (refuse != NULL && (e = reply_from_json(refuse, &a->refuse)) != ERR_OK)
        return e;
    if (!json_is_array(verdicts) || n > API_RECIPIENTS_MAX || !json_is_boolean(want_body) ||
        json_object_size(document) != (refuse == NULL ? 3 : 4))
        return ERR_SYNTAX;
    a->want_body = json_is_true(want_body);
    a->verdict = calloc(n == 0 ? 1 : n, sizeof *a->verdict);
    if (a->verdict == NULL)
        return ERR_NOMEM;
    a->recipient_count = n;
    for (size_t i = 0; i < n; i++) {
        e = name_from_json(json_array_get(verdicts, i), verdict_names, COUNT(verdict_names), &value);
        if (e != ERR_OK)
            return e;
        a->verdict[i] = (enum api_verdict)value;
    }
    return ERR_OK;
}

enum err api_plan_answer_parse(struct span json, struct api_plan_answer *out)
{
    struct api_plan_answer a = {0};
    json_t *document = NULL;
    enum err e = document_read(json, &document);

    if (e != ERR_OK)
        return e;
    e = plan_answer_from_json(document, &a);
    json_decref(document);
    if (e != ERR_OK) {
        api_plan_answer_free(&a);
        return e;
    }
    *out = a;
    return ERR_OK;
}

void api_plan_answer_free(struct api_plan_answer *a)
{
    free(a->verdict);
    memset(a, 0, sizeof *a);
}

/* ---- deposit ---- */

enum err api_deposit_format(const struct api_deposit *d, struct buf *out)
{
    json_t *document = json_object();

    return document_write(document, document == NULL ? ERR_NOMEM : envelope_to_json(&d->envelope, document),
                          out);
}

enum err api_deposit_parse(struct span json, struct api_deposit *out)
{
    struct api_deposit d = {0};
    json_t *document = NULL;
    enum err e = document_read(json, &document);

    if (e != ERR_OK)
        return e;
    e = envelope_from_json(document, &d.envelope);
    if (e == ERR_OK && json_object_size(document) != 1)
        e = ERR_SYNTAX;
    json_decref(document);
    if (e != ERR_OK) {
        api_deposit_free(&d);
        return e;
    }
    *out = d;
    return ERR_OK;
}

void api_deposit_free(struct api_deposit *d)
{
    envelope_free(&d->envelope);
    memset(d, 0, sizeof *d);
}

#define TICKET_HEX (sizeof(*(struct api_deposit_answer){0}.ticket) - 1)

static bool is_ticket(const char *text, size_t len)
{
    return len == TICKET_HEX && strspn(text, "0123456789abcdef") == TICKET_HEX;
}

enum err api_deposit_answer_format(const struct api_deposit_answer *a, struct buf *out)
{
    json_t *document = json_object();
    json_t *tickets = json_array();
    enum err e = document == NULL || tickets == NULL ? ERR_NOMEM : ERR_OK;

    for (size_t i = 0; e == ERR_OK && i < a->ticket_count; i++) {
        if (!is_ticket(a->ticket[i], strnlen(a->ticket[i], sizeof a->ticket[i])))
            e = ERR_INTERNAL;
        else if (json_array_append_new(tickets, json_string(a->ticket[i])) != 0)
            e = ERR_NOMEM;
    }
    if (e == ERR_OK && json_object_set(document, "tickets", tickets) != 0)
        e = ERR_NOMEM;
    json_decref(tickets);
    return document_write(document, e, out);
}

static enum err deposit_answer_from_json(json_t *document, struct api_deposit_answer *a)
{
    json_t *tickets = json_object_get(document, "tickets");
    size_t n = json_array_size(tickets);

    if (!json_is_array(tickets) || n > API_RECIPIENTS_MAX || json_object_size(document) != 1)
        return ERR_SYNTAX;
    a->ticket = calloc(n == 0 ? 1 : n, sizeof *a->ticket);
    if (a->ticket == NULL)
        return ERR_NOMEM;
    a->ticket_count = n;
    for (size_t i = 0; i < n; i++) {
        json_t *j = json_array_get(tickets, i);
        if (!json_is_string(j) || !is_ticket(json_string_value(j), json_string_length(j)))
            return ERR_SYNTAX;
        memcpy(a->ticket[i], json_string_value(j), TICKET_HEX);
    }
    return ERR_OK;
}

enum err api_deposit_answer_parse(struct span json, struct api_deposit_answer *out)
{
    struct api_deposit_answer a = {0};
    json_t *document = NULL;
    enum err e = document_read(json, &document);

    if (e != ERR_OK)
        return e;
    e = deposit_answer_from_json(document, &a);
    json_decref(document);
    if (e != ERR_OK) {
        api_deposit_answer_free(&a);
        return e;
    }
    *out = a;
    return ERR_OK;
}

void api_deposit_answer_free(struct api_deposit_answer *a)
{
    free(a->ticket);
    memset(a, 0, sizeof *a);
}

/* ---- notice ---- */

enum err api_notice_format(const struct api_notice *n, struct buf *out)
{
    json_t *document = json_object();
    enum err e = document == NULL ? ERR_NOMEM : envelope_to_json(&n->envelope, document);

    if (e == ERR_OK)
        e = members_to_json(notice_members, COUNT(notice_members), n, document);
    if (e == ERR_OK)
        e = fields_to_json(n->field, n->field_count, document);
    return document_write(document, e, out);
}

enum err api_notice_parse(struct span json, struct api_notice *out)
{
    struct api_notice n = {0};
    json_t *document = NULL;
    size_t seen = 0;
    enum err e = document_read(json, &document);

    if (e != ERR_OK)
        return e;
    e = envelope_from_json(document, &n.envelope);
    if (e == ERR_OK)
        e = members_from_json(notice_members, COUNT(notice_members), document, &n, &seen);
    if (e == ERR_OK)
        e = fields_from_json(document, &n.field, &n.field_count);
    if (e == ERR_OK && (seen + 2 != json_object_size(document) || n.envelope.recipient_count != 1))
        e = ERR_SYNTAX;
    json_decref(document);
    if (e != ERR_OK) {
        api_notice_free(&n);
        return e;
    }
    *out = n;
    return ERR_OK;
}

void api_notice_free(struct api_notice *n)
{
    envelope_free(&n->envelope);
    members_free(notice_members, COUNT(notice_members), n);
    fields_free(n->field, n->field_count);
    memset(n, 0, sizeof *n);
}
