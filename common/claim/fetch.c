#include "claim/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "claim/wire.h"

#define HEAD_BYTES_MAX 32768
#define LOOKUP_MS 5000

struct fetch {
    const struct fetch_request *request;
    struct fetch_answer *answer;
    char *host;
    uint16_t port;
    struct peer_addresses addresses;
    size_t head_bytes;
    enum err err; /* our own reason for ending it */
    CURL *easy;
    struct curl_slist *resolve, *fields;
    char error_text[CURL_ERROR_SIZE];
};

static void say(struct fetch_answer *a, const char *text)
{
    struct buf safe;
    buf_init(&safe, 4096);
    if (encode_printable(&safe, span_of(text)) == ERR_OK)
        snprintf(a->detail, sizeof a->detail, "%s", buf_cstr(&safe));
    buf_free(&safe);
}

static bool is_host_name(const char *host)
{
    struct netaddr literal;
    return host[0] != '\0' && host[0] != '[' && strlen(host) <= DNS_NAME_MAX &&
           netaddr_parse(span_of(host), &literal) != ERR_OK;
}

static char *part_of(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, flags) == CURLUE_OK ? text : NULL;
}

/* Host and port of the request's URL. */
static enum err read_url(struct fetch *f)
{
    enum err err = ERR_SYNTAX;
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
    uint64_t number = 0;
    if (url == NULL)
        return ERR_NOMEM;
    if (strlen(f->request->url) > FETCH_URL_MAX ||
        curl_url_set(url, CURLUPART_URL, f->request->url, 0) != CURLUE_OK)
        goto out;
    scheme = part_of(url, CURLUPART_SCHEME, 0);
    host = part_of(url, CURLUPART_HOST, 0);
    port = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    user = part_of(url, CURLUPART_USER, 0);
    if (scheme == NULL || host == NULL || port == NULL || user != NULL || !is_host_name(host) ||
        (strcmp(scheme, "https") != 0 && (f->request->https_only || strcmp(scheme, "http") != 0)) ||
        !span_to_u64(span_of(port), UINT16_MAX, &number) || number == 0)
        goto out;
    f->port = (uint16_t)number;
    f->host = strdup(host);
    err = f->host != NULL ? ERR_OK : ERR_NOMEM;
out:
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(user);
    curl_url_cleanup(url);
    return err;
}

static enum err look_up(struct fetch *f, const struct fetch_options *o)
{
    struct peer_policy policy = {o->allowed_special, o->allowed_special_count, AF_UNSPEC};
    struct netaddr mine;
    int64_t deadline = clock_mono_ms() + LOOKUP_MS;
    if (o->bind_address != NULL && netaddr_parse(span_of(o->bind_address), &mine) == ERR_OK)
        policy.family = mine.family;
    if (deadline > f->request->deadline_mono_ms)
        deadline = f->request->deadline_mono_ms;
    return peer_resolve(&policy, o->resolver, f->host, deadline, &f->addresses, NULL);
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fetch *f = arg;
    curl_socket_t fd = wire_socket(&f->addresses, f->port, purpose, address);
    if (fd == CURL_SOCKET_BAD)
        f->err = ERR_ADDRESS_SPECIAL;
    return fd;
}

static size_t on_head(char *data, size_t size, size_t count, void *arg)
{
    struct fetch *f = arg;
    (void)data;
    f->head_bytes += size * count;
    if (f->head_bytes <= HEAD_BYTES_MAX)
        return size * count;
    f->err = ERR_TOO_LARGE;
    return 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct fetch *f = arg;
    f->err = buf_append(&f->answer->body, data, size * count);
    return f->err == ERR_OK ? size * count : 0;
}

static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    struct fetch *f = arg;
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    if (f->request->cancelled == NULL || !atomic_load(f->request->cancelled))
        return 0;
    f->err = ERR_CANCELLED;
    return 1;
}

#define SET(option, value)                                                                                   \
    do {                                                                                                     \
        if (curl_easy_setopt(f->easy, option, value) != CURLE_OK)                                            \
            return ERR_INTERNAL;                                                                             \
    } while (0)

static enum err set_up(struct fetch *f, const struct fetch_options *o)
{
    int64_t left_ms = f->request->deadline_mono_ms - clock_mono_ms();
    char accept[128];
    if (left_ms <= 0)
        return ERR_TIMEOUT;
    enum err err = wire_pin(f->host, f->port, &f->addresses, &f->resolve);
    if (err == ERR_OK)
        err = wire_forbid(f->easy, f->request->https_only ? "https" : "http,https");
    if (err == ERR_OK)
        err = wire_bind(f->easy, o->bind_address);
    if (err == ERR_OK && f->request->accept != NULL) {
        snprintf(accept, sizeof accept, "Accept: %s", f->request->accept);
        err = wire_add(&f->fields, accept);
    }
    if (err != ERR_OK)
        return err;
    SET(CURLOPT_URL, f->request->url);
    SET(CURLOPT_HTTPHEADER, f->fields);
    SET(CURLOPT_RESOLVE, f->resolve);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    SET(CURLOPT_OPENSOCKETDATA, f);
    SET(CURLOPT_HEADERFUNCTION, on_head);
    SET(CURLOPT_HEADERDATA, f);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, f);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, f);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_ERRORBUFFER, f->error_text);
    SET(CURLOPT_TIMEOUT_MS, (long)left_ms);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (o->ca_file != NULL) {
        SET(CURLOPT_CAINFO, o->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    return ERR_OK;
}

static enum err perform(struct fetch *f)
{
    long status = 0;
    char *location = NULL;
    CURLcode code = curl_easy_perform(f->easy);
    if (f->err != ERR_OK)
        return f->err;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return ERR_TIMEOUT;
    if (code != CURLE_OK) {
        say(f->answer, f->error_text[0] != '\0' ? f->error_text : curl_easy_strerror(code));
        return wire_error(code, true);
    }
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    f->answer->status = (int)status;
    if (curl_easy_getinfo(f->easy, CURLINFO_REDIRECT_URL, &location) == CURLE_OK && location != NULL &&
        strlen(location) <= FETCH_URL_MAX)
        snprintf(f->answer->location, sizeof f->answer->location, "%s", location);
    return ERR_OK;
}

enum err fetch_get(const struct fetch_options *o, const struct fetch_request *r, struct fetch_answer *out)
{
    struct fetch f = {.request = r, .answer = out};
    memset(out, 0, sizeof *out);
    buf_init(&out->body, r->body_max_bytes);
    wire_init();
    enum err err = read_url(&f);
    if (err == ERR_OK)
        err = look_up(&f, o);
    if (err == ERR_OK)
        err = (f.easy = curl_easy_init()) != NULL ? set_up(&f, o) : ERR_NOMEM;
    if (err == ERR_OK)
        err = perform(&f);
    if (err != ERR_OK && out->detail[0] == '\0')
        say(out, err_text(err));
    curl_easy_cleanup(f.easy);
    curl_slist_free_all(f.resolve);
    curl_slist_free_all(f.fields);
    free(f.host);
    return err;
}

void fetch_answer_free(struct fetch_answer *a)
{
    buf_free(&a->body);
}
