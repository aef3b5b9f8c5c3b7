/*
 * message.c - collects one message. The strings that end in the local API's structs are copied here, once,
 * and freed with them.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/secret.h"
#include "mail/retention.h"
#include "mail/stub.h"
#include "milter/message.h"
#include "milter/reply.h"

/* What plans and notices are made from (local/api.h); other fields travel with the letter alone. What is
 * merely read is bounded here, so that no header makes a plan too large: with what decides about an outbound
 * letter that would be a refusal. */
static const struct field_row {
    const char *name;
    size_t repeats, bytes; /* those beyond are not shown */
} fields_that_matter[] = {
    {"From", API_FIELDS_MAX, MESSAGE_FIELD_MAX},
    {"Sender", API_FIELDS_MAX, MESSAGE_FIELD_MAX},
    {"Message-ID", API_FIELDS_MAX, MESSAGE_FIELD_MAX},
    {"Date", API_FIELDS_MAX, MESSAGE_FIELD_MAX},
    {"Content-Type", API_FIELDS_MAX, MESSAGE_FIELD_MAX},
    {"Auto-Submitted", API_FIELDS_MAX, MESSAGE_FIELD_MAX},
    {STUB_FIELD_NAME, API_FIELDS_MAX, MESSAGE_FIELD_MAX},
    {"List-Id", API_FIELD_REPEATS, API_FIELD_CUT},
    {"Precedence", API_FIELD_REPEATS, API_FIELD_CUT},
    {"Received", API_RECEIVED_MAX, API_FIELD_CUT},
    {"Subject", API_FIELD_REPEATS, API_FIELD_CUT},
    {RETENTION_FIELD_NAME, API_FIELD_REPEATS, API_FIELD_CUT},
};
#define ROWS (sizeof fields_that_matter / sizeof *fields_that_matter)
_Static_assert(ROWS <= MESSAGE_ROWS_MAX, "struct message counts the fields of each row");

static enum err copy(char **out, const char *text)
{
    char *made = strdup(text);
    if (!made)
        return ERR_NOMEM;
    free(*out);
    *out = made;
    return ERR_OK;
}

/* Names that strangers choose (HELO, reverse DNS) are for the log and the checks alone: what is not printable
 * ASCII could only make the local API refuse a message that the MTA took. */
static enum err copy_printable(char **out, const char *text)
{
    enum err e = copy(out, text);
    if (e)
        return e;
    for (char *c = *out; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    return ERR_OK;
}

enum err message_client_init(struct message_client *c, const char *host, const struct sockaddr *peer)
{
    enum err e;

    *c = (struct message_client){0};
    if (peer && netaddr_from_sockaddr(peer, &c->netaddr) == ERR_OK) {
        char text[NETADDR_TEXT_MAX];
        netaddr_text(&c->netaddr, text);
        c->has_netaddr = true;
        if (peer->sa_family == AF_INET6)
            c->port = ntohs(((const struct sockaddr_in6 *)(const void *)peer)->sin6_port);
        else
            c->port = ntohs(((const struct sockaddr_in *)(const void *)peer)->sin_port);
        if ((e = copy(&c->address, text)))
            goto fail;
        c->local_pipe = c->port == 0 && host && strcmp(host, "localhost") == 0 &&
                        (strcmp(text, "127.0.0.1") == 0 || strcmp(text, "::1") == 0);
    }
    if (host && *host && *host != '[' && (e = copy_printable(&c->host, host)))
        goto fail;
    return ERR_OK;
fail:
    message_client_free(c);
    return e;
}

enum err message_client_helo(struct message_client *c, const char *helo)
{
    return helo ? copy_printable(&c->helo, helo) : ERR_OK;
}

void message_client_free(struct message_client *c)
{
    free(c->host);
    free(c->address);
    free(c->helo);
    *c = (struct message_client){0};
}

void message_init(struct message *m)
{
    *m = (struct message){0};
    buf_init_secret(&m->header, MESSAGE_HEADER_MAX); /* a stub holds keys */
}

void message_free(struct message *m)
{
    for (size_t i = 0; i < m->plan.envelope.recipient_count; i++)
        free(m->given_recipient[i]);
    free(m->given_recipient);
    for (size_t i = 0; i < m->plan.field_count; i++)
        secret_wipe(m->plan.field[i].value, strlen(m->plan.field[i].value));
    api_plan_free(&m->plan);
    buf_free(&m->header);
    message_init(m);
}

/* The path without its brackets. */
static char *path_dup(const char *given)
{
    size_t len = strlen(given);
    if (len >= 2 && given[0] == '<' && given[len - 1] == '>')
        return strndup(given + 1, len - 2);
    return strdup(given);
}

/* The value of "KEYWORD=value", or NULL if this is another parameter. */
static const char *parameter(const char *arg, const char *keyword)
{
    size_t len = strlen(keyword);
    return strncasecmp(arg, keyword, len) == 0 && arg[len] == '=' ? arg + len + 1 : NULL;
}

enum err message_mail(struct message *m, const struct message_client *client, const char *domains,
                      char *const *argv, const char *auth)
{
    struct api_envelope *env = &m->plan.envelope;
    const char *value;
    enum err e = ERR_OK;

    message_free(m);
    m->began_ms = clock_mono_ms();
    env->sender = path_dup(argv[0]);
    if (!env->sender)
        return ERR_NOMEM;
    for (char *const *arg = argv + 1; *arg && !e; arg++) {
        if ((value = parameter(*arg, "BODY")))
            e = copy(&env->body, value);
        else if ((value = parameter(*arg, "RET")))
            e = copy(&env->ret, value);
        else if ((value = parameter(*arg, "ENVID")))
            e = copy(&env->envid, value);
        else if (strcasecmp(*arg, "SMTPUTF8") == 0)
            env->smtputf8 = true;
    }
    if (!e)
        e = copy(&env->domains, domains);
    if (!e && client->address)
        e = copy(&env->client_address, client->address);
    if (!e && client->host)
        e = copy(&env->client_name, client->host);
    if (!e && client->helo)
        e = copy(&env->helo, client->helo);
    if (!e && auth && *auth)
        e = copy(&env->auth, auth);
    env->client_port = client->port;
    /* A second sign: what sendmail(1) hands over has neither brackets nor parameters nor a login. */
    env->command_line = client->local_pipe && argv[0][0] != '<' && !argv[1] && !env->auth;
    return e;
}

static enum err room_for_recipient(struct message *m)
{
    struct api_envelope *env = &m->plan.envelope;
    if (env->recipient_count < m->recipient_room)
        return ERR_OK;
    size_t room = m->recipient_room ? m->recipient_room * 2 : 4;
    struct api_recipient *recipient = realloc(env->recipient, room * sizeof *recipient);
    if (!recipient)
        return ERR_NOMEM;
    env->recipient = recipient;
    char **given = realloc(m->given_recipient, room * sizeof *given);
    if (!given)
        return ERR_NOMEM;
    m->given_recipient = given;
    m->recipient_room = room;
    return ERR_OK;
}

static bool is_address(const char *text)
{
    struct address a;
    return text && address_parse(span_of(text), &a) == ERR_OK && !a.null;
}

/* Mailers that carry mail away from this site (Postfix and Sendmail); any other name delivers here. */
static bool delivers_here(const char *mailer)
{
    return mailer && *mailer && strcasecmp(mailer, "smtp") != 0 && strcasecmp(mailer, "esmtp") != 0 &&
           strcasecmp(mailer, "relay") != 0;
}

/* "bob" and "bob@[192.0.2.1]" at home: a mailbox of the first enabled domain. NULL when it is none. */
static char *at_home(const char *path, const char *domains)
{
    char text[ADDRESS_TEXT_MAX];
    const char *at = strrchr(path, '@');
    size_t from = strspn(domains, ", \t\r\n"), domain = strcspn(domains + from, ", \t\r\n");
    size_t local = at && at[1] == '[' ? (size_t)(at - path) : strlen(path);
    if (domain == 0 || local + domain + 2 > sizeof text)
        return NULL;
    snprintf(text, sizeof text, "%.*s@%.*s", (int)local, path, (int)domain, domains + from);
    return is_address(text) ? strdup(text) : NULL;
}

/* Whom RCPT names. "bob" and "b.test!bob" name a mailbox, too: which, Postfix's resolver says; Sendmail's
 * says the local part alone. */
static char *recipient_dup(const char *given, const char *mailer, const char *resolved, const char *domains)
{
    char *path = path_dup(given), *better = NULL;
    if (!path || is_address(path))
        return path;
    if (is_address(resolved))
        better = path_dup(resolved);
    else if (delivers_here(mailer) && domains)
        better = at_home(resolved && *resolved ? resolved : path, domains);
    if (!better)
        return path;
    free(path);
    return better;
}

enum err message_rcpt(struct message *m, char *const *argv, const char *mailer, const char *resolved)
{
    struct api_envelope *env = &m->plan.envelope;
    struct api_recipient r = {0};
    char *given = NULL;
    const char *value;
    enum err e;

    m->recipients_given++;
    if (env->recipient_count >= API_RECIPIENTS_MAX)
        return ERR_OK;
    if ((e = room_for_recipient(m)))
        return e;
    e = copy(&given, argv[0]);
    if (!e && !(r.address = recipient_dup(argv[0], mailer, resolved, env->domains)))
        e = ERR_NOMEM;
    for (char *const *arg = argv + 1; *arg && !e; arg++) {
        if ((value = parameter(*arg, "NOTIFY")))
            e = copy(&r.notify, value);
        else if ((value = parameter(*arg, "ORCPT")))
            e = copy(&r.orcpt, value);
    }
    if (!e && mailer && *mailer)
        e = copy(&r.mailer, mailer);
    if (e) {
        free(given);
        free(r.address);
        free(r.notify);
        free(r.orcpt);
        free(r.mailer);
        return e;
    }
    m->given_recipient[env->recipient_count] = given;
    env->recipient[env->recipient_count++] = r;
    return ERR_OK;
}

enum err message_queue_id(struct message *m, const char *id)
{
    if (!id || !*id || (m->plan.envelope.queue_id && strcmp(m->plan.envelope.queue_id, id) == 0))
        return ERR_OK;
    return copy_printable(&m->plan.envelope.queue_id, id);
}

/* Appends a value with its line ends as CRLF. A CRLF that is one already stays one. */
static enum err append_value(struct buf *out, const char *value)
{
    enum err e = ERR_OK;
    while (!e && *value) {
        size_t len = strcspn(value, "\n");
        bool more = value[len] == '\n';
        size_t text = more && len > 0 && value[len - 1] == '\r' ? len - 1 : len;
        e = buf_append(out, value, text);
        if (!e && more)
            e = buf_append_str(out, "\r\n");
        value += len + (more ? 1 : 0);
    }
    return e;
}

/* The row of a field that is to be shown to fetchd; NULL for another, or one too many. */
static const struct field_row *row_to_show(struct message *m, const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcasecmp(name, fields_that_matter[i].name) == 0)
            return m->shown[i]++ < fields_that_matter[i].repeats ? &fields_that_matter[i] : NULL;
    return NULL;
}

/* Keeps name and value; value is what was just appended to the header. */
static enum err keep_field(struct message *m, const char *name, struct span value)
{
    struct api_plan *p = &m->plan;
    if (p->field_count == API_FIELDS_MAX) {
        reply_set(&m->refusal, 552, "5.3.4", "more than %d %.40s fields and the like", API_FIELDS_MAX, name);
        return ERR_OK;
    }
    if (p->field_count == m->field_room) {
        size_t room = m->field_room ? m->field_room * 2 : 8;
        struct api_field *field = realloc(p->field, room * sizeof *field);
        if (!field)
            return ERR_NOMEM;
        p->field = field;
        m->field_room = room;
    }
    struct api_field f = {.name = strdup(name), .value = strndup(value.ptr, value.len)};
    if (!f.name || !f.value) {
        free(f.name);
        free(f.value);
        return ERR_NOMEM;
    }
    p->field[p->field_count++] = f;
    return ERR_OK;
}

enum err message_field(struct message *m, const char *name, const char *value)
{
    size_t before = m->header.len, name_len = strlen(name);
    const struct field_row *row;
    enum err e;

    if (m->refusal.smtp)
        return ERR_OK;
    e = buf_append(&m->header, name, name_len);
    if (!e)
        e = buf_append_char(&m->header, ':');
    if (!e)
        e = append_value(&m->header, value);
    if (!e)
        e = buf_append_str(&m->header, "\r\n");
    size_t field_bytes = m->header.len - before;
    if (e == ERR_TOO_LARGE) {
        reply_set(&m->refusal, 552, "5.3.4", "the header of this letter is larger than %zu bytes",
                  MESSAGE_HEADER_MAX);
        return ERR_OK;
    }
    if (!e && field_bytes > MESSAGE_FIELD_MAX && !m->cut.smtp) {
        reply_set(&m->cut, 552, "5.3.4",
                  "the header field %.40s has %zu bytes; at most %d can be kept unaltered", name, field_bytes,
                  MESSAGE_FIELD_MAX);
    }
    if (!e && (row = row_to_show(m, name))) {
        size_t bytes = field_bytes - name_len - 1 - 2;
        m->has_stub |= strcasecmp(name, STUB_FIELD_NAME) == 0;
        e = keep_field(
            m, name,
            span_bytes(m->header.data + before + name_len + 1, bytes < row->bytes ? bytes : row->bytes));
    }
    m->plan.header_bytes = m->header.len;
    return e;
}

bool message_sender_enabled(const struct message *m, const struct domain_set *enabled)
{
    return domain_set_has_address(enabled, m->plan.envelope.sender);
}

bool message_recipient_enabled(const struct message *m, const struct domain_set *enabled)
{
    const struct api_envelope *env = &m->plan.envelope;
    for (size_t i = 0; i < env->recipient_count; i++)
        if (domain_set_has_address(enabled, env->recipient[i].address))
            return true;
    return false;
}
