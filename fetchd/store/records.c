/*
 * records.c - the tables of fields behind every record, and the sealing of what is private.
 *
 * The tables are the store's format: rows may be appended with a higher `since` and a higher version, never
 * changed, moved or removed.
 */
#include "store/records.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "store/policy_record.h"

#define RECORD_BYTES_MAX 65536
#define TIME_BYTES 8

#define TICKET(type, m) CODEC_FIELD(type, 1, struct ticket_record, m)
#define TICKET_2(type, m) CODEC_FIELD(type, 2, struct ticket_record, m)
#define TICKET_3(type, m) CODEC_FIELD(type, 3, struct ticket_record, m)
static const struct codec_field ticket_field[] = {
    TICKET(CODEC_BYTES, t.a),
    TICKET(CODEC_BYTES, t.ka_hash),
    CODEC_FIELD_ENUM(1, struct ticket_record, t.state, TICKET_STATE_COUNT),
    TICKET(CODEC_U32, t.version),
    TICKET(CODEC_BYTES, t.payload_id),
    TICKET(CODEC_U64, t.letter_bytes),
    TICKET(CODEC_U64, t.sealed_bytes),
    TICKET(CODEC_BYTES, t.digest_hash),
    TICKET(CODEC_BYTES, t.sealed_digest),
    TICKET(CODEC_TEXT, t.owner),
    TICKET(CODEC_TEXT, t.sender),
    TICKET(CODEC_TEXT, t.recipient),
    TICKET(CODEC_TEXT, t.from),
    TICKET(CODEC_TEXT, t.message_id),
    TICKET(CODEC_TEXT, t.queue_id),
    TICKET(CODEC_TEXT, t.notify),
    TICKET(CODEC_TEXT, t.orcpt),
    TICKET(CODEC_TEXT, t.ret),
    TICKET(CODEC_TEXT, t.envid),
    TICKET(CODEC_BOOL, t.smtputf8),
    TICKET(CODEC_BOOL, t.body_8bit),
    TICKET(CODEC_S64, t.created_s),
    TICKET(CODEC_S64, t.expires_s),
    TICKET(CODEC_S64, t.changed_s),
    TICKET(CODEC_BYTES, t.lease_token),
    TICKET(CODEC_TEXT, t.lease_holder),
    TICKET(CODEC_S64, t.lease_started_s),
    TICKET(CODEC_S64, t.lease_until_s),
    TICKET(CODEC_S64, t.handed_over_s),
    TICKET(CODEC_U32, t.lapses),
    TICKET(CODEC_U32, t.bodies),
    TICKET(CODEC_U32, t.stub_tries),
    TICKET(CODEC_S64, t.stub_sent_s),
    TICKET(CODEC_TEXT, t.stub_queue_id),
    TICKET(CODEC_TEXT, t.remote_reason),
    TICKET(CODEC_TEXT, t.remote_text),
    TICKET(CODEC_BYTES, dedupe),
    TICKET(CODEC_S64, timer_s),
    TICKET(CODEC_S64, lease_hard_s),
    TICKET(CODEC_S64, stub_due_s),
    TICKET(CODEC_S64, notify_due_s),
    TICKET(CODEC_U32, notify_tries),
    CODEC_FIELD_BLOB(1, struct ticket_record, sealed),
    TICKET_2(CODEC_BOOL, t.bulk),
    TICKET_2(CODEC_TEXT, t.list_id),
    TICKET_2(CODEC_TEXT, clear_challenge_url), /* not written any more */
    TICKET_2(CODEC_S64, challenge_due_s),
    TICKET_2(CODEC_U32, challenge_tries),
    TICKET_3(CODEC_BOOL, t.hold),
    TICKET_3(CODEC_TEXT, t.hold_note),
    TICKET_3(CODEC_BOOL, t.perhaps),
    TICKET_3(CODEC_BOOL, t.archived),
    TICKET_3(CODEC_U32, t.renotified),
    TICKET_3(CODEC_S64, t.status_s),
    TICKET_3(CODEC_S64, t.delay_told_s),
    TICKET_3(CODEC_U32, t.event_count),
    CODEC_FIELD_BLOB(3, struct ticket_record, t.events),
    TICKET_3(CODEC_S64, delay_due_s),
    TICKET_3(CODEC_U32, delay_tries),
    TICKET_3(CODEC_S64, plain_due_s),
    TICKET_3(CODEC_U32, plain_tries),
    TICKET_3(CODEC_S64, quota_due_s),
    TICKET_3(CODEC_U32, quota_tries),
    TICKET_3(CODEC_BOOL, t.several),
};

static const struct codec_field ticket_private_field[] = {
    TICKET(CODEC_TEXT, t.from_field),
    TICKET(CODEC_TEXT, t.subject),
    TICKET_2(CODEC_TEXT, t.challenge_url),
};

#define PAYLOAD(type, m) CODEC_FIELD(type, 1, struct payload_record, m)
#define PAYLOAD_2(type, m) CODEC_FIELD(type, 2, struct payload_record, m)
static const struct codec_field payload_field[] = {
    PAYLOAD(CODEC_BOOL, in_blob),
    PAYLOAD(CODEC_U64, size),
    PAYLOAD(CODEC_U32, references),
    PAYLOAD(CODEC_S64, created_s),
    CODEC_FIELD_BLOB(1, struct payload_record, dek),
    PAYLOAD_2(CODEC_TEXT, owner),
    PAYLOAD_2(CODEC_TEXT, domain),
    PAYLOAD_2(CODEC_U64, letter_bytes),
    PAYLOAD_2(CODEC_BOOL, archived),
};

#define JOB(type, m) CODEC_FIELD(type, 1, struct job_record, m)
#define JOB_2(type, m) CODEC_FIELD(type, 2, struct job_record, m)
#define JOB_3(type, m) CODEC_FIELD(type, 3, struct job_record, m)
static const struct codec_field job_field[] = {
    CODEC_FIELD_ENUM(1, struct job_record, j.state, JOB_STATE_COUNT),
    JOB(CODEC_S64, j.created_s),
    JOB(CODEC_S64, j.expires_s),
    JOB(CODEC_S64, j.changed_s),
    JOB(CODEC_S64, j.due_s),
    JOB(CODEC_U32, j.tries),
    JOB(CODEC_U32, j.corrupt),
    JOB(CODEC_BYTES, same),
    JOB(CODEC_S64, timer_s),
    CODEC_FIELD_BLOB(1, struct job_record, sealed),
};

static const struct codec_field job_private_field[] = {
    JOB(CODEC_TEXT, j.url),
    JOB(CODEC_BYTES, j.ka),
    JOB(CODEC_BYTES, j.kd),
    JOB(CODEC_BYTES, j.lease_token),
    JOB(CODEC_TEXT, j.stub_from),
    JOB(CODEC_TEXT, j.stub_to),
    JOB(CODEC_TEXT, j.envelope_from),
    JOB(CODEC_TEXT, j.recipient),
    JOB(CODEC_TEXT, j.author),
    JOB(CODEC_TEXT, j.notify),
    JOB(CODEC_TEXT, j.orcpt),
    JOB(CODEC_TEXT, j.ret),
    JOB(CODEC_TEXT, j.envid),
    JOB(CODEC_TEXT, j.client_address),
    JOB(CODEC_TEXT, j.client_name),
    JOB(CODEC_TEXT, j.client_helo),
    JOB(CODEC_TEXT, j.queue_id),
    JOB(CODEC_TEXT, j.message_id),
    JOB(CODEC_BOOL, j.smtputf8),
    JOB(CODEC_U64, j.size_bytes),
    JOB(CODEC_BYTES, j.digest),
    JOB(CODEC_TEXT, j.mta_queue_id),
    JOB(CODEC_TEXT, j.reason),
    JOB(CODEC_TEXT, j.text),
    JOB_2(CODEC_TEXT, j.mailbox),
    JOB_2(CODEC_TEXT, j.attempt),
    JOB_2(CODEC_TEXT, j.verified),
    JOB_2(CODEC_TEXT, j.admission),
    JOB_2(CODEC_TEXT, j.proof),
    JOB_2(CODEC_TEXT, j.list_id),
    JOB_2(CODEC_TEXT, j.token),
    JOB_2(CODEC_TEXT, j.organisation),
    CODEC_FIELD_ENUM(2, struct job_record, j.tell, JOB_TELL_COUNT),
    JOB_2(CODEC_TEXT, j.challenge_url),
    JOB_2(CODEC_TEXT, j.certificate_issuer),
    JOB_2(CODEC_TEXT, j.certificate_serial),
    JOB_2(CODEC_BOOL, j.kept),
    JOB_2(CODEC_BYTES, j.payload_id),
    JOB_3(CODEC_U32, j.version),
    JOB_3(CODEC_BOOL, j.replaced),
    JOB_3(CODEC_S64, j.heard_s),
};

#define ATTEMPT(type, m) CODEC_FIELD(type, 1, struct attempt_record, m)
static const struct codec_field attempt_field[] = {
    ATTEMPT(CODEC_S64, a.first_s),
    ATTEMPT(CODEC_S64, a.last_s),
    ATTEMPT(CODEC_U32, a.count),
    CODEC_FIELD_BLOB(1, struct attempt_record, jobs),
    CODEC_FIELD_BLOB(1, struct attempt_record, sealed),
};

static const struct codec_field attempt_private_field[] = {
    ATTEMPT(CODEC_TEXT, a.mailbox),
    ATTEMPT(CODEC_TEXT, a.sender),
    ATTEMPT(CODEC_BOOL, a.aligned),
    ATTEMPT(CODEC_TEXT, a.author),
    ATTEMPT(CODEC_TEXT, a.name),
    ATTEMPT(CODEC_TEXT, a.subject),
    ATTEMPT(CODEC_TEXT, a.list_id),
    ATTEMPT(CODEC_TEXT, a.verified),
    ATTEMPT(CODEC_TEXT, a.link_host),
    ATTEMPT(CODEC_TEXT, a.certificate_issuer),
    ATTEMPT(CODEC_TEXT, a.certificate_serial),
    ATTEMPT(CODEC_TEXT, a.client_address),
    ATTEMPT(CODEC_TEXT, a.client_name),
    ATTEMPT(CODEC_TEXT, a.reason),
    ATTEMPT(CODEC_BOOL, a.legacy),
};

static const struct codec_field dedupe_field[] = {
    CODEC_FIELD(CODEC_BYTES, 1, struct dedupe_record, key),
    CODEC_FIELD(CODEC_S64, 1, struct dedupe_record, created_s),
};

#define QUOTA(type, m) CODEC_FIELD(type, 1, struct quota_use, m)
static const struct codec_field quota_field[] = {
    QUOTA(CODEC_BOOL, domain), QUOTA(CODEC_TEXT, name),    QUOTA(CODEC_U64, letters),
    QUOTA(CODEC_U64, bytes),   QUOTA(CODEC_S64, warned_s),
};

static const struct codec_field domain_field[] = {
    CODEC_FIELD(CODEC_BOOL, 1, struct store_domain, takes_stubs),
    CODEC_FIELD(CODEC_S64, 1, struct store_domain, asked_s),
};

#define CODEC(version, field)                                                                                \
    {                                                                                                        \
        version, field, sizeof(field) / sizeof *(field)                                                      \
    }
/* Version 2 of tickets and jobs came with admission. An older program that meets one refuses the store at
 * opening: it would not know a held job from a damaged one, nor that a kept message's payload has its job. It
 * passes over the tables that it does not know (policies, entries, tokens, attempts): without a record of
 * version 2 nothing of what it does itself depends on them. So the store's own version stays. Version 3 of
 * jobs knows what the sender's site last said of the letter. Version 3 of tickets and 2 of payloads came with
 * the life of a ticket: holds, copies for an archive, what happened when. An older program would expire what
 * is on hold. Version 2 of the records of letters that came says where they are: in LETTER. An older program
 * would look in vain. */
static const struct codec ticket_codec = CODEC(3, ticket_field);
static const struct codec ticket_private_codec = CODEC(2, ticket_private_field);
static const struct codec payload_codec = CODEC(2, payload_field);
static const struct codec job_codec = CODEC(3, job_field);
static const struct codec job_private_codec = CODEC(3, job_private_field);
static const struct codec attempt_codec = CODEC(1, attempt_field);
static const struct codec attempt_private_codec = CODEC(1, attempt_private_field);
static const struct codec dedupe_codec = CODEC(2, dedupe_field);
static const struct codec quota_codec = CODEC(1, quota_field);
static const struct codec domain_codec = CODEC(1, domain_field);

uint32_t records_version(void)
{
    const struct codec *all[] = {
        &ticket_codec,  &ticket_private_codec,  &payload_codec, &job_codec,   &job_private_codec,
        &attempt_codec, &attempt_private_codec, &dedupe_codec,  &quota_codec, &domain_codec};
    uint32_t sum = policy_records_version();

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sum += all[i]->version;
    return sum;
}

/* ---- sealing ------------------------------------------------------------------------------------------- */

/* A record that the site keys do not open is damaged or under keys that are gone: the store's failure, never
 * the caller's. */
static enum err seal_err(enum err err)
{
    return err == ERR_OK || err == ERR_NOMEM ? err : ERR_STORE;
}

static enum err private_seal(const struct site_keys *keys, const char *label, struct span aad,
                             const struct codec *codec, const void *record, uint16_t *len, uint8_t *data,
                             size_t size)
{
    struct buf plain, sealed;
    enum err err;

    buf_init_secret(&plain, RECORD_BYTES_MAX);
    buf_init(&sealed, RECORD_BYTES_MAX);
    err = codec_encode(codec, record, &plain);
    if (err == ERR_OK)
        err = site_seal(keys, label, aad, buf_span(&plain), &sealed);
    if (err == ERR_OK && sealed.len > size)
        err = ERR_INTERNAL;
    if (err == ERR_OK) {
        memcpy(data, sealed.data, sealed.len);
        *len = (uint16_t)sealed.len;
    }
    buf_free(&plain);
    buf_free(&sealed);
    return err;
}

static enum err private_open(const struct site_keys *keys, const char *label, struct span aad,
                             const struct codec *codec, void *record, const uint8_t *data, size_t len)
{
    struct buf plain;
    enum err err;

    buf_init_secret(&plain, RECORD_BYTES_MAX);
    err = seal_err(site_open(keys, label, aad, span_bytes(data, len), &plain));
    if (err == ERR_OK)
        err = codec_decode(codec, buf_span(&plain), record);
    buf_free(&plain);
    return err;
}

uint16_t sealed_epoch(const uint8_t *data)
{
    return (uint16_t)(data[0] << 8 | data[1]);
}

/* ---- records ------------------------------------------------------------------------------------------- */

#define TICKET_LABEL "store-ticket"
#define JOB_LABEL "store-job"
#define DEK_LABEL "store-dek"
#define ATTEMPT_LABEL "store-attempt"

enum err ticket_record_encode(const struct ticket_record *r, struct buf *out)
{
    return codec_encode(&ticket_codec, r, out);
}

enum err ticket_record_decode(struct span bytes, const uint8_t key[TICKET_STORE_KEY_BYTES],
                              struct ticket_record *r)
{
    enum err err;

    memcpy(r->t.key, key, TICKET_STORE_KEY_BYTES);
    err = codec_decode(&ticket_codec, bytes, r);
    return err == ERR_OK && r->t.events.len % TICKET_EVENT_BYTES != 0 ? ERR_STORE : err;
}

/* Every kind of the outbox has its two places in a ticket. */
static const struct {
    size_t due, tries;
} work_place[WORK_KIND_COUNT] = {
#define WORK_PLACE(due_member, tries_member)                                                                 \
    {                                                                                                        \
        offsetof(struct ticket_record, due_member), offsetof(struct ticket_record, tries_member)             \
    }
    [WORK_STUB] = WORK_PLACE(stub_due_s, t.stub_tries),
    [WORK_NOTIFY] = WORK_PLACE(notify_due_s, notify_tries),
    [WORK_CHALLENGE] = WORK_PLACE(challenge_due_s, challenge_tries),
    [WORK_DELAY] = WORK_PLACE(delay_due_s, delay_tries),
    [WORK_PLAIN] = WORK_PLACE(plain_due_s, plain_tries),
    [WORK_QUOTA] = WORK_PLACE(quota_due_s, quota_tries),
#undef WORK_PLACE
};

int64_t *ticket_record_due(struct ticket_record *r, enum work_kind kind)
{
    return (int64_t *)(void *)((char *)r + work_place[kind].due);
}

uint32_t *ticket_record_tries(struct ticket_record *r, enum work_kind kind)
{
    return (uint32_t *)(void *)((char *)r + work_place[kind].tries);
}

enum err ticket_record_seal(const struct site_keys *keys, struct ticket_record *r)
{
    r->clear_challenge_url[0] = '\0';
    return private_seal(keys, TICKET_LABEL, span_bytes(r->t.key, sizeof r->t.key), &ticket_private_codec, r,
                        &r->sealed.len, r->sealed.data, sizeof r->sealed.data);
}

enum err ticket_record_open(const struct site_keys *keys, struct ticket_record *r)
{
    enum err err = private_open(keys, TICKET_LABEL, span_bytes(r->t.key, sizeof r->t.key),
                                &ticket_private_codec, r, r->sealed.data, r->sealed.len);

    if (err == ERR_OK && r->clear_challenge_url[0] != '\0')
        memcpy(r->t.challenge_url, r->clear_challenge_url, sizeof r->t.challenge_url);
    return err;
}

enum err payload_record_encode(const struct payload_record *r, struct buf *out)
{
    return codec_encode(&payload_codec, r, out);
}

enum err payload_record_decode(struct span bytes, struct payload_record *r)
{
    return codec_decode(&payload_codec, bytes, r);
}

enum err payload_record_seal_dek(const struct site_keys *keys, const uint8_t id[SEAL_PAYLOAD_ID_BYTES],
                                 const uint8_t dek[SEAL_DEK_BYTES], struct payload_record *r)
{
    struct buf sealed;
    enum err err;

    buf_init(&sealed, sizeof r->dek.data);
    err = site_seal(keys, DEK_LABEL, span_bytes(id, SEAL_PAYLOAD_ID_BYTES), span_bytes(dek, SEAL_DEK_BYTES),
                    &sealed);
    if (err == ERR_OK) {
        memcpy(r->dek.data, sealed.data, sealed.len);
        r->dek.len = (uint16_t)sealed.len;
    }
    buf_free(&sealed);
    return err;
}

enum err payload_record_open_dek(const struct site_keys *keys, const uint8_t id[SEAL_PAYLOAD_ID_BYTES],
                                 const struct payload_record *r, uint8_t dek[SEAL_DEK_BYTES])
{
    struct buf plain;
    enum err err;

    buf_init_secret(&plain, RECORD_BYTES_MAX);
    err = seal_err(site_open(keys, DEK_LABEL, span_bytes(id, SEAL_PAYLOAD_ID_BYTES),
                             span_bytes(r->dek.data, r->dek.len), &plain));
    if (err == ERR_OK && plain.len != SEAL_DEK_BYTES)
        err = ERR_STORE;
    if (err == ERR_OK)
        memcpy(dek, plain.data, SEAL_DEK_BYTES);
    buf_free(&plain);
    return err;
}

enum err job_record_encode(const struct site_keys *keys, struct job_record *r, struct buf *out)
{
    enum err err = private_seal(keys, JOB_LABEL, span_bytes(r->j.id, sizeof r->j.id), &job_private_codec, r,
                                &r->sealed.len, r->sealed.data, sizeof r->sealed.data);

    return err == ERR_OK ? codec_encode(&job_codec, r, out) : err;
}

enum err job_record_peek(struct span bytes, struct job_record *r)
{
    return codec_decode(&job_codec, bytes, r);
}

enum err job_record_decode(const struct site_keys *keys, struct span bytes, const uint8_t id[16],
                           struct job_record *r)
{
    enum err err = job_record_peek(bytes, r);

    memcpy(r->j.id, id, sizeof r->j.id);
    if (err == ERR_OK)
        err = private_open(keys, JOB_LABEL, span_bytes(id, sizeof r->j.id), &job_private_codec, r,
                           r->sealed.data, r->sealed.len);
    return err;
}

void job_wipe(struct job *j)
{
    secret_wipe(j, sizeof *j);
}

void job_record_free(struct job_record *r)
{
    if (r != NULL)
        secret_wipe(r, sizeof *r);
    free(r);
}

enum err attempt_record_encode(const struct attempt_record *r, struct buf *out)
{
    return codec_encode(&attempt_codec, r, out);
}

enum err attempt_record_decode(struct span bytes, struct attempt_record *r)
{
    enum err err = codec_decode(&attempt_codec, bytes, r);

    if (err == ERR_OK && r->jobs.len % JOB_ID_BYTES != 0)
        err = ERR_STORE;
    if (err == ERR_OK) {
        r->a.waiting = r->jobs.len / JOB_ID_BYTES;
        memcpy(r->a.job, r->jobs.data, r->jobs.len);
    }
    return err;
}

enum err attempt_record_seal(const struct site_keys *keys, struct span id, struct attempt_record *r)
{
    return private_seal(keys, ATTEMPT_LABEL, id, &attempt_private_codec, r, &r->sealed.len, r->sealed.data,
                        sizeof r->sealed.data);
}

enum err attempt_record_open(const struct site_keys *keys, struct span id, struct attempt_record *r)
{
    return private_open(keys, ATTEMPT_LABEL, id, &attempt_private_codec, r, r->sealed.data, r->sealed.len);
}

enum err dedupe_record_encode(const struct dedupe_record *r, struct buf *out)
{
    return codec_encode(&dedupe_codec, r, out);
}

enum err dedupe_record_decode(struct span bytes, struct dedupe_record *r)
{
    return codec_decode(&dedupe_codec, bytes, r);
}

enum err quota_record_encode(const struct quota_use *u, struct buf *out)
{
    return codec_encode(&quota_codec, u, out);
}

enum err quota_record_decode(struct span bytes, struct quota_use *u)
{
    return codec_decode(&quota_codec, bytes, u);
}

enum err domain_record_encode(const struct store_domain *r, struct buf *out)
{
    return codec_encode(&domain_codec, r, out);
}

enum err domain_record_decode(struct span bytes, struct store_domain *r)
{
    return codec_decode(&domain_codec, bytes, r);
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

static void key_add(struct record_key *k, const void *data, size_t len)
{
    if (len == 0)
        return;
    memcpy(k->data + k->len, data, len);
    k->len += len;
}

static void key_add_byte(struct record_key *k, int byte)
{
    k->data[k->len++] = (uint8_t)byte;
}

static void key_add_time(struct record_key *k, int64_t time_s)
{
    uint8_t be[TIME_BYTES];

    /* Times before 1970 do not come; unsigned big-endian sorts as the numbers do. */
    codec_put_be64(be, time_s < 0 ? 0 : (uint64_t)time_s);
    key_add(k, be, sizeof be);
}

struct record_key record_key_time(int64_t time_s, const uint8_t *id, size_t len)
{
    struct record_key k = {.len = 0};

    key_add_time(&k, time_s);
    key_add(&k, id, len);
    return k;
}

struct record_key record_key_timer(enum timer_kind kind, int64_t time_s, const uint8_t *id, size_t len)
{
    struct record_key k = {.len = 0};

    key_add_byte(&k, (int)kind);
    key_add_time(&k, time_s);
    key_add(&k, id, len);
    return k;
}

struct record_key record_key_work(int64_t due_s, const uint8_t key[TICKET_STORE_KEY_BYTES],
                                  enum work_kind kind)
{
    struct record_key k = record_key_time(due_s, key, TICKET_STORE_KEY_BYTES);

    key_add_byte(&k, (int)kind);
    return k;
}

struct span record_key_span(const struct record_key *k)
{
    return span_bytes(k->data, k->len);
}

bool record_key_time_parse(struct span key, size_t len, int64_t *time_s, uint8_t *id)
{
    if (key.len != TIME_BYTES + len)
        return false;
    *time_s = (int64_t)codec_get_be64((const uint8_t *)key.ptr);
    memcpy(id, key.ptr + TIME_BYTES, len);
    return true;
}

bool record_key_timer_parse(struct span key, size_t len, int64_t *time_s, uint8_t *id)
{
    return key.len > 0 && record_key_time_parse(span_bytes(key.ptr + 1, key.len - 1), len, time_s, id);
}

bool record_key_work_parse(struct span key, struct work *out)
{
    if (key.len == 0 || !record_key_time_parse(span_bytes(key.ptr, key.len - 1), TICKET_STORE_KEY_BYTES,
                                               &out->due_s, out->key))
        return false;
    out->kind = (enum work_kind)key.ptr[key.len - 1];
    return (unsigned)out->kind < WORK_KIND_COUNT;
}
