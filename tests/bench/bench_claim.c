/*
 * bench_claim - calls for payloads over HTTPS, one after another, as a puller would; or gets one static URL
 * as often.
 *
 *   bench_claim get URL COUNT CA keep|fresh
 *   bench_claim claim https://HOST:PORT KEYS IDS CA keep|fresh   a claim and its ack for each line of IDS
 *   bench_claim pull https://HOST:PORT KEYS IDS CA keep|fresh    claims alone
 *
 * KEYS: the site's key file. IDS: lines "ticket recipient" (bench_deposit writes them). fresh: a new TLS
 * connection for each letter. Prints how many went well; the server's cost is measured by the caller.
 */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/secret.h"
#include "seal/seal.h"
#include "ticket/fields.h"
#include "ticket/fieldtext.h"
#include "ticket/keyfile.h"
#include "ticket/ticket.h"

#define SEALED_MAX (64U << 20)

struct body {
    struct buf sealed, letter;
    char wrap[128];
};

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct body *b = arg;
    return !b || buf_append(&b->sealed, data, size * n) == ERR_OK ? size * n : 0;
}

static size_t on_field(char *data, size_t size, size_t n, void *arg)
{
    struct body *b = arg;
    struct span name, value;
    if (b && span_cut(span_bytes(data, size * n), ':', &name, &value) && span_is_nocase(name, FIELD_WRAP)) {
        while (value.len && (unsigned char)value.ptr[value.len - 1] <= ' ')
            value.len--;
        value = span_trim(value);
        snprintf(b->wrap, sizeof b->wrap, "%.*s", (int)value.len, value.ptr);
    }
    return size * n;
}

static CURL *handle(const char *ca)
{
    CURL *c = curl_easy_init();
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, NULL);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_field);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, NULL);
    curl_easy_setopt(c, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    return c;
}

static long perform(CURL *c)
{
    long status = 0;
    CURLcode rc = curl_easy_perform(c);
    if (rc != CURLE_OK)
        fprintf(stderr, "%s\n", curl_easy_strerror(rc));
    else
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static struct curl_slist *field(struct curl_slist *list, const char *name, const char *value)
{
    char line[1024];
    snprintf(line, sizeof line, "%s: %s", name, value);
    return curl_slist_append(list, line);
}

static struct curl_slist *text_field(struct curl_slist *list, const char *name, const char *value)
{
    struct buf text;
    buf_init(&text, 900);
    (void)fieldtext_encode(span_of(value), &text);
    list = field(list, name, buf_cstr(&text));
    buf_free(&text);
    return list;
}

static struct curl_slist *authorised(const struct ticket_keys *k)
{
    char ka[ENCODE_B64_LEN(TICKET_KEY_BYTES) + 1], value[128];
    encode_b64url(k->ka, sizeof k->ka, ka);
    snprintf(value, sizeof value, "%s %s", FIELD_AUTHORIZATION_SCHEME, ka);
    return field(NULL, FIELD_AUTHORIZATION, value);
}

static long post(CURL *c, const char *base, const struct ticket_keys *k, const char *verb,
                 struct curl_slist *list)
{
    char a[ENCODE_B64_LEN(16) + 1], b[ENCODE_B64_LEN(16) + 1], url[TICKET_URL_MAX];
    encode_b64url(k->a, sizeof k->a, a);
    encode_b64url(k->b, sizeof k->b, b);
    snprintf(url, sizeof url, "%s%s%s/%s/%s", base, TICKET_PATH_PREFIX, a, b, verb);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, 0L);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    long status = perform(c);
    curl_slist_free_all(list);
    return status;
}

/* The letter's digest, by opening what came: the puller's price, not measured here. */
static bool digest_of(struct body *b, const struct ticket_keys *k, uint8_t digest[SEAL_DIGEST_BYTES])
{
    struct seal_header h;
    uint8_t wrap[SEAL_WRAP_BYTES], dek[SEAL_DEK_BYTES];
    struct opener *o = NULL;
    uint64_t bytes;
    bool ok = b->sealed.len >= SEAL_HEADER_BYTES &&
              seal_header_parse(span_bytes(b->sealed.data, SEAL_HEADER_BYTES), &h) == ERR_OK &&
              decode_b64url(span_of(b->wrap), wrap, sizeof wrap) == ERR_OK &&
              wrap_open(k->kd, k->a, h.payload_id, h.payload_version, wrap, dek) == ERR_OK &&
              opener_create(dek, b->sealed.len, &o) == ERR_OK &&
              opener_update(o, b->sealed.data, b->sealed.len, &b->letter) == ERR_OK &&
              opener_finish(o, digest, &bytes) == ERR_OK;
    opener_free(o);
    return ok;
}

static bool one(CURL *c, const char *base, const struct ticket_keys *k, const char *recipient, bool ack)
{
    char lease[ENCODE_B64_LEN(16) + 1], digest_text[ENCODE_B64_LEN(32) + 1];
    uint8_t token[16], digest[SEAL_DIGEST_BYTES];
    struct body body = {.wrap = ""};
    buf_init(&body.sealed, SEALED_MAX);
    buf_init(&body.letter, SEALED_MAX);
    (void)secret_random(token, sizeof token);
    encode_b64url(token, sizeof token, lease);
    struct curl_slist *list = field(authorised(k), FIELD_LEASE, lease);
    list = text_field(list, FIELD_SENDER, "alice@a.test");
    list = text_field(list, FIELD_FROM, "alice@a.test");
    list = text_field(list, FIELD_RECIPIENT, recipient);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, &body);
    long status = post(c, base, k, VERB_CLAIM, list);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, NULL);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, NULL);
    bool good = status == 200 && (!ack || digest_of(&body, k, digest));
    if (good && ack) {
        encode_b64url(digest, sizeof digest, digest_text);
        status = post(c, base, k, VERB_ACK, field(authorised(k), FIELD_DIGEST, digest_text));
        good = status == 204;
    }
    if (!good)
        fprintf(stderr, "status %ld\n", status);
    buf_free(&body.sealed);
    buf_free(&body.letter);
    return good;
}

/* What the threads share. */
struct load {
    const char *base, *url, *ca;
    bool fresh, ack;
    struct site_keys *keys;
    FILE *ids;
    pthread_mutex_t lock; /* guards what follows, and ids */
    long left, all, good;
};

/* The next ticket; false at the end. */
static bool next_ticket(struct load *l, struct ticket_keys *k, char recipient[256])
{
    char hex[33];
    uint8_t a[TICKET_A_BYTES];
    pthread_mutex_lock(&l->lock);
    bool there = fscanf(l->ids, "%32s %255s", hex, recipient) == 2;
    l->all += there;
    pthread_mutex_unlock(&l->lock);
    return there && decode_hex(span_of(hex), a, sizeof a) == ERR_OK && ticket_derive(l->keys, a, k) == ERR_OK;
}

static bool next_get(struct load *l)
{
    pthread_mutex_lock(&l->lock);
    bool there = l->left > 0;
    l->left -= there;
    l->all += there;
    pthread_mutex_unlock(&l->lock);
    return there;
}

static void *worker(void *arg)
{
    struct load *l = arg;
    struct ticket_keys k;
    char recipient[256];
    long good = 0;
    CURL *c = handle(l->ca);
    while (l->url ? next_get(l) : next_ticket(l, &k, recipient)) {
        if (l->url) {
            curl_easy_setopt(c, CURLOPT_URL, l->url);
            good += perform(c) == 200;
        } else {
            good += one(c, l->base, &k, recipient, l->ack);
        }
        if (l->fresh) {
            curl_easy_cleanup(c);
            c = handle(l->ca);
        }
    }
    curl_easy_cleanup(c);
    pthread_mutex_lock(&l->lock);
    l->good += good;
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static int run(struct load *l, long at_once)
{
    pthread_t thread[64];
    at_once = at_once < 1 ? 1 : at_once > 64 ? 64 : at_once;
    pthread_mutex_init(&l->lock, NULL);
    for (long i = 0; i < at_once; i++)
        pthread_create(&thread[i], NULL, worker, l);
    for (long i = 0; i < at_once; i++)
        pthread_join(thread[i], NULL);
    printf("%ld\n", l->good);
    return l->good == l->all ? 0 : 1;
}

static int claim(char **arg, bool ack)
{
    struct load l = {.base = arg[0], .ca = arg[3], .fresh = strcmp(arg[4], "fresh") == 0, .ack = ack};
    struct buf why;
    buf_init(&why, 1000);
    if (keyfile_load(arg[1], &l.keys, &why) != ERR_OK) {
        fprintf(stderr, "%s\n", buf_cstr(&why));
        return 1;
    }
    l.ids = fopen(arg[2], "re");
    if (!l.ids)
        return 1;
    int rc = run(&l, atol(arg[5]));
    fclose(l.ids);
    site_keys_free(l.keys);
    buf_free(&why);
    return rc;
}

int main(int argc, char **argv)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (argc == 7 && strcmp(argv[1], "get") == 0) {
        struct load l = {
            .url = argv[2], .left = atol(argv[3]), .ca = argv[4], .fresh = strcmp(argv[5], "fresh") == 0};
        return run(&l, atol(argv[6]));
    }
    if (argc == 8 && (strcmp(argv[1], "claim") == 0 || strcmp(argv[1], "pull") == 0))
        return claim(argv + 2, strcmp(argv[1], "claim") == 0);
    fprintf(stderr, "usage: see the head of bench_claim.c\n");
    return 2;
}
