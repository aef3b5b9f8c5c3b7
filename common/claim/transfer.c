/*
 * transfer.c - one request. Order of things in an exchange: sockets only to checked addresses, TLS, the gate
 * (peer_judge) before the request, the head (is it Restante at all, what does it say), then a body that is
 * counted, opened and spooled as it comes. The first rule that is broken ends the exchange and is the
 * outcome.
 */
#include "claim/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/kill.h"
#include "base/secret.h"
#include "claim/claim_status.h"
#include "claim/request.h"
#include "claim/wire.h"
#include "mail/address.h"

#define RESUMES_MAX 5
#define BEGIN_AGAIN_MAX 3   /* lists to be fetched; a list at another address; other TLSA records */
#define RESUME_PAUSE_MS 200 /* doubled each time */
#define TEXT_BYTES_MAX 4096 /* of bodies for people; the rest is not awaited */
#define REQUEST_FIELDS_MAX 4096
#define CONNECTION_AGE_S 600 /* then a new one is made, with addresses looked up anew */
#define CONNECTION_IDLE_S 60
#define TRUST_STORE_AGE_S 3600

static const char ciphers_tls12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

/* --- life */

static enum err copy_string(struct transfer *t, size_t i, const char **string)
{
    if (*string == NULL)
        return ERR_OK;
    t->strings[i] = strdup(*string);
    *string = t->strings[i];
    return t->strings[i] != NULL ? ERR_OK : ERR_NOMEM;
}

static enum err no_field(void *arg, const char *line)
{
    (void)arg;
    (void)line;
    return ERR_OK;
}

enum err transfer_create(const struct claim_request *request, claim_done done, void *arg,
                         struct transfer **out)
{
    struct transfer *t = calloc(1, sizeof *t);
    if (t == NULL)
        return ERR_NOMEM;
    t->request = *request;
    t->done = done;
    t->arg = arg;
    t->outcome.letter_fd = -1;
    memcpy(t->outcome.host, request->url.host, sizeof t->outcome.host);
    const char **strings[] = {&t->request.sender, &t->request.recipient, &t->request.from, &t->request.reason,
                              &t->request.text};
    enum err err = ERR_OK;
    for (size_t i = 0; i < sizeof strings / sizeof *strings && err == ERR_OK; i++)
        err = copy_string(t, i, strings[i]);
    if (err == ERR_OK) /* whether it can be said at all is known before anything is begun */
        err = request_fields(&t->request, NULL, no_field, NULL);
    if (err != ERR_OK) {
        transfer_free(t);
        return err;
    }
    *out = t;
    return ERR_OK;
}

static void free_fields(struct curl_slist *list)
{
    for (struct curl_slist *i = list; i != NULL; i = i->next)
        secret_wipe(i->data, strlen(i->data)); /* the key is among them */
    curl_slist_free_all(list);
}

static void release_handle(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    free_fields(t->fields);
    curl_slist_free_all(t->resolve);
    handshake_release(t->handshake);
    t->handshake = NULL;
    t->easy = NULL;
    t->fields = t->resolve = NULL;
}

void transfer_free(struct transfer *t)
{
    if (t == NULL)
        return;
    release_handle(t);
    intake_free(t->intake);
    if (t->outcome.letter_fd >= 0)
        close(t->outcome.letter_fd);
    for (size_t i = 0; i < sizeof t->strings / sizeof *t->strings; i++)
        free(t->strings[i]);
    secret_wipe(t, sizeof *t);
    free(t);
}

/* --- outcome */

static void set_detail(struct transfer *t, const char *text)
{
    struct buf safe;
    buf_init(&safe, 4096);
    if (encode_printable(&safe, span_of(text)) == ERR_OK)
        snprintf(t->outcome.detail, sizeof t->outcome.detail, "%s", buf_cstr(&safe));
    buf_free(&safe);
}

void transfer_fail(struct transfer *t, enum err err, const char *detail)
{
    t->outcome.err = err;
    set_detail(t, detail);
}

/* Ends the exchange: the callback that says so returns what makes curl stop. */
static bool refuse(struct transfer *t, enum err err, const char *detail)
{
    if (t->err == ERR_OK) {
        t->err = err;
        set_detail(t, detail);
    }
    return false;
}

/* --- the head */

static bool same_address(const char *got, const char *want)
{
    struct address a, b;
    return address_parse(span_of(got), &a) == ERR_OK && address_parse(span_of(want), &b) == ERR_OK &&
           address_equal(&a, &b);
}

static void remember_common(struct transfer *t)
{
    const struct answer *a = &t->answer;
    struct claim_outcome *o = &t->outcome;
    o->http_status = a->status;
    o->retry_after_s = answer_has(a, ANSWER_RETRY_AFTER) ? a->retry_after_s : 0;
    if (answer_has(a, ANSWER_EXPIRES))
        o->expires_s = a->expires_s;
    if (t->request.verb != CLAIM_CLAIM && answer_has(a, ANSWER_VERSION | ANSWER_SIZE)) {
        o->payload_version = a->version;
        o->letter_bytes = a->size;
    }
    if (answer_has(a, ANSWER_REASON) && a->status == 410)
        snprintf(o->reason, sizeof o->reason, "%s", a->reason);
}

/* The 200 of a claim: everything that binds the body to what was asked for. */
static bool accept_claim(struct transfer *t)
{
    const struct answer *a = &t->answer;
    struct intake_terms terms = {.letter_bytes = a->size, .version = a->version};
    if (!answer_has(a, ANSWER_WRAP | ANSWER_SENDER | ANSWER_RECIPIENT | ANSWER_SIZE | ANSWER_VERSION))
        return refuse(t, ERR_HTTP, "a field of the answer is missing or malformed");
    if (!same_address(a->sender, t->request.sender) || !same_address(a->recipient, t->request.recipient))
        return refuse(t, ERR_HTTP, "the answer names another sender or recipient");
    if (a->size > (uint64_t)t->options->letter_max_bytes)
        return refuse(t, ERR_TOO_LARGE, "the letter is larger than our limit");
    if (answer_has(a, ANSWER_CONTENT_LENGTH) && a->content_length != seal_sealed_size(a->size))
        return refuse(t, ERR_SEAL_LENGTH, "Content-Length does not fit Restante-Size");
    memcpy(terms.wrap, a->wrap, sizeof terms.wrap);
    memcpy(terms.kd, t->request.kd, sizeof terms.kd);
    memcpy(terms.a, t->request.url.a, sizeof terms.a);
    enum err err = intake_create(t->options->spool_directory, &terms, &t->intake);
    secret_wipe(&terms, sizeof terms);
    if (err != ERR_OK)
        return refuse(t, err, "the spool file cannot be made");
    t->outcome.letter_bytes = a->size;
    t->outcome.payload_version = a->version;
    if (answer_has(a, ANSWER_NOTIFY))
        memcpy(t->outcome.notify, a->notify, sizeof t->outcome.notify);
    if (answer_has(a, ANSWER_ETAG))
        memcpy(t->etag, a->etag, sizeof t->etag);
    return true;
}

/* 206 must be the rest of the same bytes, 200 the same bytes from the start. */
static bool accept_resumed(struct transfer *t)
{
    const struct answer *a = &t->answer;
    if (!answer_has(a, ANSWER_ETAG) || strcmp(a->etag, t->etag) != 0)
        return refuse(t, ERR_LEASE_ENDED, "the payload is another one now");
    if (a->status == 200) {
        enum err err = intake_restart(t->intake);
        return err == ERR_OK || refuse(t, err, "the spool file cannot be cut");
    }
    if (!answer_has(a, ANSWER_CONTENT_RANGE) || a->range_start != intake_received(t->intake) ||
        a->range_size != intake_expected(t->intake) || a->range_end != a->range_size - 1)
        return refuse(t, ERR_HTTP, "Content-Range is not what was asked for");
    return true;
}

static bool accept_body(struct transfer *t)
{
    int64_t now = clock_mono_ms();
    t->window_mono_ms = now;
    t->window_bytes = 0;
    t->deadline_mono_ms = t->total_mono_ms;
    if ((t->answer.bad & ANSWER_ENCODING) != 0)
        return refuse(t, ERR_HTTP, "the answer is encoded, which nobody asked for");
    return t->intake == NULL ? accept_claim(t) : accept_resumed(t);
}

static bool judge_head(struct transfer *t)
{
    bool resuming = t->intake != NULL;
    t->judged = true;
    if (!answer_has(&t->answer, ANSWER_RESTANTE))
        return refuse(t, ERR_NOT_RESTANTE, "no \"Restante: 1\" in the answer");
    t->restante = true;
    remember_common(t);
    enum err err = claim_status_err(t->request.verb, resuming, t->answer.status);
    if (err == ERR_OK)
        return t->request.verb == CLAIM_CLAIM ? accept_body(t) : true;
    char text[64];
    snprintf(text, sizeof text, "the link host answered %d%s%s", t->answer.status,
             t->outcome.reason[0] != '\0' ? " " : "", t->outcome.reason);
    return refuse(t, err, text);
}

static size_t on_head(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * count;
    enum err err = answer_line(&t->answer, span_bytes(data, len));
    if (err != ERR_OK) {
        refuse(t, err == ERR_TOO_LARGE ? ERR_HTTP : err, "the answer's head is malformed or too large");
        return 0;
    }
    if (t->answer.complete && t->answer.status >= 200 && !t->judged && !judge_head(t))
        return 0;
    return len;
}

/* --- the body */

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * count;
    if (!t->judged) /* cannot be: the head comes first */
        return refuse(t, ERR_HTTP, "a body without a head");
    t->window_bytes += len;
    if (t->intake != NULL) {
        enum err err = intake_add(t->intake, data, len);
        if (err != ERR_OK) {
            refuse(t, err, "");
            return 0;
        }
        return len;
    }
    t->text_bytes += len;
    if (t->text_bytes > TEXT_BYTES_MAX) {
        refuse(t, ERR_HTTP, "a body where none belongs");
        return 0;
    }
    return len;
}

/* --- the connection */

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = arg;
    curl_socket_t fd = wire_socket(&t->addresses, t->request.url.port, purpose, address);
    if (fd == CURL_SOCKET_BAD)
        refuse(t, ERR_ADDRESS_SPECIAL, "a socket to an address that was not checked");
    return fd;
}

/* Before the handshake of a new connection. */
static CURLcode on_context(CURL *easy, void *context, void *arg)
{
    struct transfer *t = arg;
    (void)easy;
    enum err err = handshake_attach(t->handshake, context);
    if (err == ERR_OK)
        return CURLE_OK;
    refuse(t, err, "");
    return CURLE_ABORTED_BY_CALLBACK;
}

static const char *refusal_text(const struct transfer *t, enum err err)
{
    if (err == ERR_CERT_REVOKED || err == ERR_REVOCATION_UNKNOWN)
        return t->gate.revocation.detail;
    return err == ERR_NOT_RESTANTE ? "the host does not speak HTTP/2" : "the peer was refused";
}

static int on_request(void *arg, char *peer, char *local, int peer_port, int local_port)
{
    struct transfer *t = arg;
    (void)local;
    (void)local_port;
    enum err err = peer_port == t->request.url.port ? peer_judge(&t->gate, t->easy, peer, &t->outcome)
                                                    : ERR_ADDRESS_SPECIAL;
    if (err != ERR_OK) {
        t->again =
            (t->gate.outdated || t->gate.revocation.needed_count > 0) && t->begun_again++ < BEGIN_AGAIN_MAX;
        refuse(t, err, refusal_text(t, err));
        return CURL_PREREQFUNC_ABORT;
    }
    t->asked = true;
    t->deadline_mono_ms = clock_mono_ms() + t->options->answer_timeout_ms;
    return CURL_PREREQFUNC_OK;
}

static enum err add_field(void *arg, const char *line)
{
    return wire_add(arg, line);
}

static enum err make_fields(struct transfer *t)
{
    /* What curl would add by itself is switched off. */
    static const char *const none[] = {"Accept:", "Content-Type:", "Expect:", "Accept-Encoding:"};
    struct request_resume resume = {.etag = t->etag};
    if (t->intake != NULL)
        resume.offset = intake_received(t->intake);
    enum err err = request_fields(&t->request, t->intake != NULL ? &resume : NULL, add_field, &t->fields);
    for (size_t i = 0; i < sizeof none / sizeof *none && err == ERR_OK; i++)
        err = add_field(&t->fields, none[i]);
    return err;
}

static enum err make_url(const struct transfer *t, char out[TICKET_URL_MAX + 16])
{
    char url[TICKET_URL_MAX + 1];
    const char *verb = request_verb(t->request.verb, t->intake != NULL);
    enum err err = ticket_url_format(&t->request.url, url);
    if (err == ERR_OK)
        snprintf(out, TICKET_URL_MAX + 16, "%s%s%s", url, verb[0] != '\0' ? "/" : "", verb);
    return err;
}

#define SET(option, value)                                                                                   \
    do {                                                                                                     \
        if (curl_easy_setopt(t->easy, option, value) != CURLE_OK)                                            \
            return ERR_INTERNAL;                                                                             \
    } while (0)

static enum err set_request(struct transfer *t)
{
    char url[TICKET_URL_MAX + 16];
    enum err err = make_url(t, url);
    if (err != ERR_OK)
        return err;
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PATH_AS_IS, 1L);
    /* POST without a body is END_STREAM on the HEADERS frame, as a GET of another name is. */
    if (t->request.verb == CLAIM_HEAD)
        SET(CURLOPT_NOBODY, 1L);
    else
        SET(CURLOPT_CUSTOMREQUEST, request_method(t->request.verb, t->intake != NULL));
    SET(CURLOPT_HTTPHEADER, t->fields);
    SET(CURLOPT_HEADERFUNCTION, on_head);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_PRIVATE, t);
    SET(CURLOPT_ERRORBUFFER, t->error_text);
    return ERR_OK;
}

static enum err set_connection(struct transfer *t)
{
    const struct claim_options *o = t->options;
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(CURLOPT_PIPEWAIT, 1L);
    SET(CURLOPT_RESOLVE, t->resolve);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    SET(CURLOPT_OPENSOCKETDATA, t);
    SET(CURLOPT_PREREQFUNCTION, on_request);
    SET(CURLOPT_PREREQDATA, t);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
    SET(CURLOPT_MAXAGE_CONN, (long)CONNECTION_IDLE_S);
    SET(CURLOPT_MAXLIFETIME_CONN, (long)CONNECTION_AGE_S);
    SET(CURLOPT_FRESH_CONNECT, t->fresh ? 1L : 0L);
    return wire_bind(t->easy, o->bind_address);
}

static enum err set_tls(struct transfer *t)
{
    const struct claim_options *o = t->options;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_CIPHER_LIST, ciphers_tls12);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    /* Where DNS has records, OpenSSL sees to the name as DANE wants it. */
    SET(CURLOPT_SSL_VERIFYHOST, t->tlsa.count > 0 ? 0L : 2L);
    SET(CURLOPT_SSL_CTX_FUNCTION, on_context);
    SET(CURLOPT_SSL_CTX_DATA, t);
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L); /* a resumed session would bring neither staple nor chain */
    if (o->ca_file != NULL) {
        SET(CURLOPT_CAINFO, o->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    SET(CURLOPT_CA_CACHE_TIMEOUT, (long)TRUST_STORE_AGE_S);
    if (o->client_certificate_file != NULL) {
        SET(CURLOPT_SSLCERT, o->client_certificate_file);
        SET(CURLOPT_SSLKEY, o->client_key_file);
    }
    return ERR_OK;
}

enum err transfer_begin(struct transfer *t, const struct claim_options *options,
                        const struct peer_policy *policy, int64_t now_mono_ms)
{
    t->options = options;
    t->policy = policy;
    t->asked = t->judged = t->restante = t->again = false;
    t->gate = (struct peer_gate){.policy = policy, .trust = options->trust, .tlsa = &t->tlsa};
    t->err = ERR_OK;
    t->error_text[0] = '\0';
    t->text_bytes = 0;
    t->answer.bytes = 0;
    answer_reset(&t->answer);
    /* Until the gate is passed; curl's own limit for connecting is within it. */
    t->deadline_mono_ms = now_mono_ms + options->connect_timeout_ms + options->answer_timeout_ms;
    if (t->total_mono_ms == 0)
        t->total_mono_ms = now_mono_ms + options->total_timeout_ms;
    t->easy = curl_easy_init();
    t->handshake = handshake_create(t->request.url.host, &t->tlsa);
    if (t->easy == NULL || t->handshake == NULL) {
        release_handle(t);
        return ERR_NOMEM;
    }
    enum err err = wire_pin(t->request.url.host, t->request.url.port, &t->addresses, &t->resolve);
    if (err == ERR_OK)
        err = make_fields(t);
    if (err == ERR_OK)
        err = set_request(t);
    if (err == ERR_OK)
        err = wire_forbid(t->easy, "https");
    if (err == ERR_OK)
        err = set_connection(t);
    if (err == ERR_OK)
        err = set_tls(t);
    if (err != ERR_OK)
        release_handle(t);
    return err;
}

enum err transfer_check_clock(struct transfer *t, int64_t now_mono_ms)
{
    const struct claim_options *o = t->options;
    if (now_mono_ms >= t->deadline_mono_ms)
        return ERR_TIMEOUT;
    if (!t->judged || t->intake == NULL || now_mono_ms - t->window_mono_ms < o->rate_window_ms)
        return ERR_OK;
    bool slow =
        t->window_bytes * 1000 < (uint64_t)o->rate_min_bytes_s * (uint64_t)(now_mono_ms - t->window_mono_ms);
    t->window_mono_ms = now_mono_ms;
    t->window_bytes = 0;
    return slow ? ERR_SLOW : ERR_OK;
}

/* --- the end */

/* The connection did not come to the gate: what its certificate was, and whether DNS spoke against it. */
static enum err look_at_handshake(struct transfer *t, enum err err)
{
    if (t->outcome.certificate_serial[0] == '\0')
        handshake_describe(t->handshake, &t->outcome);
    if (err != ERR_TLS || !handshake_failed_dane(t->handshake))
        return err;
    set_detail(t, "no TLSA record of the host matches its certificate");
    return ERR_DANE;
}

/* The body has come to an end, one way or the other, without a rule broken. */
static enum err finish_body(struct transfer *t, enum err transport)
{
    uint64_t got = intake_received(t->intake), want = intake_expected(t->intake);
    char text[96];
    if (got == want && transport == ERR_OK) {
        KILL_POINT("claim-answer-received");
        return intake_finish(t->intake, &t->outcome.letter_fd, t->outcome.digest);
    }
    snprintf(text, sizeof text, "the body ended after %llu of %llu octets", (unsigned long long)got,
             (unsigned long long)want);
    set_detail(t, text);
    return transport == ERR_OK ? ERR_SEAL_TRUNCATED : transport;
}

static bool may_resume(const struct transfer *t, int64_t now_mono_ms)
{
    return t->resumed < RESUMES_MAX && t->etag[0] != '\0' && now_mono_ms < t->total_mono_ms &&
           intake_received(t->intake) < intake_expected(t->intake);
}

/* Whether an exchange that failed after a body had begun is worth going on with: broken off, not refused. */
static bool is_interruption(enum err err)
{
    return err == ERR_CONNECT || err == ERR_TLS || err == ERR_SEAL_TRUNCATED;
}

bool transfer_end(struct transfer *t, CURLcode code, enum err cause, int64_t now_mono_ms)
{
    enum err err = cause != ERR_OK ? cause : t->err;
    bool accepted = t->judged && t->err == ERR_OK;
    if (t->again && cause == ERR_OK) {
        t->fresh = t->gate.outdated;
        t->not_before_mono_ms = now_mono_ms;
        t->outcome.detail[0] = '\0';
        release_handle(t);
        return true;
    }
    t->again = false;
    if (err == ERR_OK) {
        err = look_at_handshake(t, wire_error(code, t->asked));
        /* A stream that ended in order, but short of its Content-Length: nghttp2 itself calls that an error
         * of the protocol. CURLE_PARTIAL_FILE on the other hand is a connection that was lost, which says
         * nothing of the payload. */
        bool short_body = code == CURLE_HTTP2_STREAM && strstr(t->error_text, "PROTOCOL_ERROR") != NULL;
        if (accepted && t->intake != NULL)
            err = finish_body(t, short_body ? ERR_OK : err);
        else if (err == ERR_OK && !accepted)
            err = ERR_HTTP;
        if (err != ERR_OK && t->outcome.detail[0] == '\0')
            set_detail(t, t->error_text[0] != '\0' ? t->error_text : curl_easy_strerror(code));
    }
    release_handle(t);
    if (t->intake != NULL && is_interruption(err)) {
        /* A later exchange that gets nowhere does not hide how the body itself ended. */
        if (accepted || t->interrupted_by == ERR_OK)
            t->interrupted_by = err;
        if (may_resume(t, now_mono_ms)) {
            t->not_before_mono_ms = now_mono_ms + ((int64_t)RESUME_PAUSE_MS << t->resumed);
            t->resumed++;
            t->outcome.detail[0] = '\0';
            return true;
        }
    }
    /* A payload that ended short and in order is broken, whatever was said when it was asked for again. */
    if (t->interrupted_by == ERR_SEAL_TRUNCATED && err != ERR_OK && err != ERR_GONE && err != ERR_CANCELLED)
        err = ERR_SEAL_TRUNCATED;
    t->outcome.err = err;
    if (err != ERR_OK && t->outcome.detail[0] == '\0')
        set_detail(t, err_text(err));
    return false;
}
