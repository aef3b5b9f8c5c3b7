/*
 * rig.c - see rig.h.
 */
#include "rig.h"

#include <dirent.h>
#include <ftw.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "seal/seal.h"
#include "store/recall.h"
#include "store/store_internal.h"

static void count_failure(void *arg)
{
    struct rig *r = arg;

    r->failed++;
}

struct site_keys *rig_keys(uint8_t fill)
{
    const uint16_t epoch = RIG_EPOCH;
    uint8_t key[1][SITEKEY_BYTES];
    struct site_keys *k = NULL;

    memset(key, fill, sizeof key);
    assert_err(ERR_OK, site_keys_from_bytes(&epoch, (const uint8_t(*)[SITEKEY_BYTES])key, 1, &k));
    return k;
}

void rig_init(struct rig *r, enum store_engine engine)
{
    const char *parent = getenv("TMPDIR");

    memset(r, 0, sizeof *r);
    r->options = (struct store_options){.engine = engine,
                                        .record_max_bytes = 65432,
                                        .cache_bytes = 8 << 20,
                                        .dedupe_s = 86400,
                                        .tombstone_s = 30 * 86400,
                                        .failed = count_failure,
                                        .failed_arg = r};
    if (engine == STORE_BDB) {
        snprintf(r->directory, sizeof r->directory, "%.40s/store.XXXXXX", parent == NULL ? "/tmp" : parent);
        assert_non_null(mkdtemp(r->directory));
    }
    if (engine == STORE_BDB)
        rig_use(r, r->directory);
    r->keys = rig_keys(1);
}

void rig_use(struct rig *r, const char *directory)
{
    r->options.engine = STORE_BDB;
    r->options.directory = directory;
    snprintf(r->handover, sizeof r->handover, "%s/handover", directory);
    r->options.handover_directory = r->handover;
    r->options.handover_keep_s = 60 * 86400;
}

void rig_open(struct rig *r)
{
    struct buf why;

    buf_init(&why, 1000);
    assert_err(ERR_OK, store_open(&r->options, r->keys, &r->s, &why));
    buf_free(&why);
}

void rig_close(struct rig *r)
{
    store_close(r->s);
    r->s = NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void rig_remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void rig_free(struct rig *r)
{
    rig_close(r);
    site_keys_free(r->keys);
    if (r->directory[0] != '\0')
        rig_remove_tree(r->directory);
}

size_t rig_file_count(const char *directory, const char *below)
{
    char path[300];
    size_t count = 0;
    DIR *d;

    snprintf(path, sizeof path, "%s/%s", directory, below);
    assert_non_null(d = opendir(path));
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

/* ---- letters ------------------------------------------------------------------------------------------- */

static void fill_letter(const struct letter *l, size_t at, char *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(l->fill + (at + i) % 61);
}

void letter_digest(const struct letter *l, uint8_t out[32])
{
    char *text = malloc(l->size + 1);

    assert_non_null(text);
    fill_letter(l, 0, text, l->size);
    assert_err(ERR_OK, crypt_sha256(span_bytes(text, l->size), out));
    free(text);
}

static void set_text(char *out, size_t size, const char *text)
{
    assert_true(strlen(text) < size);
    strcpy(out, text);
}
#define SET(field, text) set_text(field, sizeof(field), text)

static void fill_ticket(struct ticket *t, const struct letter *l, size_t i)
{
    SET(t->owner, l->sender);
    SET(t->sender, l->sender);
    SET(t->recipient, l->recipient);
    if (i > 0)
        snprintf(t->recipient, sizeof t->recipient, "r%zu@b.test", i);
    SET(t->from, l->from);
    SET(t->message_id, l->message_id);
    SET(t->notify, l->notify);
    SET(t->queue_id, "4bXyz");
    SET(t->from_field, "Alice <alice@a.test>");
    SET(t->subject, l->subject);
    t->bulk = l->list_id != NULL;
    if (t->bulk)
        SET(t->list_id, l->list_id);
    t->created_s = l->created_s;
    t->expires_s = l->expires_s;
}

/* A letter, sealed, before a word of the store takes it. */
struct sealed {
    struct sealer *sealer; /* has the DEK */
    struct store_payload *payload;
    uint8_t digest[32];
    uint64_t letter_bytes;
};

static enum err seal(struct rig *r, const struct letter *l, uint32_t version, struct sealed *out)
{
    uint8_t header[SEAL_HEADER_BYTES] = {0};
    struct buf sealed;
    char piece[10000];
    enum err err;

    buf_init(&sealed, 1 << 20);
    assert_err(ERR_OK, sealer_create(version, &out->sealer));
    out->payload = NULL;
    err = store_payload_begin(r->s, sealer_payload_id(out->sealer), &out->payload);
    if (err == ERR_OK)
        err = store_payload_write(out->payload, header, sizeof header);
    for (size_t at = 0; at < l->size && err == ERR_OK; at += sizeof piece) {
        size_t len = l->size - at < sizeof piece ? l->size - at : sizeof piece;

        fill_letter(l, at, piece, len);
        assert_err(ERR_OK, sealer_update(out->sealer, piece, len, &sealed));
        if (sealed.len > 0)
            err = store_payload_write(out->payload, sealed.data, sealed.len);
        buf_clear(&sealed);
    }
    if (err == ERR_OK) {
        assert_err(ERR_OK, sealer_finish(out->sealer, &sealed, header, out->digest, &out->letter_bytes));
        err = store_payload_write(out->payload, sealed.data, sealed.len);
    }
    if (err == ERR_OK)
        err = store_payload_patch(out->payload, header, sizeof header);
    buf_free(&sealed);
    if (err != ERR_OK) {
        store_payload_abort(out->payload);
        sealer_free(out->sealer);
    }
    return err;
}

enum err rig_deposit(struct rig *r, const struct letter *l, size_t count, struct posted *out)
{
    struct sealed sealed;
    uint8_t body_digest[32];
    struct store_deposit d = {
        .version = 1, .count = count, .limits = r->limits, .system_mail = r->system_mail, .why = r->why};
    enum err err = seal(r, l, 1, &sealed);

    if (err != ERR_OK)
        return err;
    d.payload = sealed.payload;
    d.letter_bytes = sealed.letter_bytes;
    d.dek = sealer_dek(sealed.sealer);
    d.digest = sealed.digest;
    memset(body_digest, l->fill, sizeof body_digest);
    d.body_digest = body_digest;
    assert_non_null(d.item = calloc(count, sizeof *d.item));
    for (size_t i = 0; i < count; i++) {
        assert_err(ERR_OK, ticket_create(r->keys, &out[i].keys));
        d.item[i].keys = &out[i].keys;
        fill_ticket(&d.item[i].ticket, l, i);
    }
    err = store_deposit(r->s, &d);
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        out[i].ticket = d.item[i].ticket;
        out[i].existing = d.item[i].existing;
    }
    free(d.item);
    sealer_free(sealed.sealer);
    return err;
}

enum err rig_replace(struct rig *r, struct posted *p, size_t count, const struct letter *l, uint32_t version,
                     bool archive_first, int64_t now_s, enum err *outcome)
{
    struct sealed sealed;
    struct store_replacement x = {.letter_bytes = 0,
                                  .version = version,
                                  .from = l->from,
                                  .from_field = "Alice (again) <alice@a.test>",
                                  .subject = l->subject,
                                  .limits = r->limits,
                                  .why = r->why,
                                  .archive_first = archive_first,
                                  .count = count};
    enum err err = seal(r, l, version, &sealed);

    if (err != ERR_OK)
        return err;
    x.payload = sealed.payload;
    x.letter_bytes = sealed.letter_bytes;
    x.dek = sealer_dek(sealed.sealer);
    x.digest = sealed.digest;
    assert_non_null(x.item = calloc(count, sizeof *x.item));
    for (size_t i = 0; i < count; i++)
        x.item[i].keys = &p[i].keys;
    err = store_replace(r->s, &x, now_s);
    assert_null(x.payload);
    for (size_t i = 0; i < count; i++) {
        outcome[i] = x.item[i].outcome;
        p[i].ticket = x.item[i].ticket.version != 0 ? x.item[i].ticket : p[i].ticket;
    }
    free(x.item);
    sealer_free(sealed.sealer);
    return err;
}

static enum err set_perhaps(struct change *c, void *arg)
{
    const struct posted *p = arg;
    struct ticket_record *record = calloc(1, sizeof *record);
    enum err err;

    assert_non_null(record);
    err = change_ticket_get(c, p->ticket.key, record);
    record->t.perhaps = true;
    if (err == ERR_OK)
        err = change_ticket_put(c, record);
    free(record);
    return err;
}

void rig_set_perhaps(struct rig *r, struct posted *p)
{
    assert_err(ERR_OK, store_change(r->s, set_perhaps, p));
}

struct posted rig_post(struct rig *r, const struct letter *l)
{
    struct posted p;

    memset(&p, 0, sizeof p);
    assert_err(ERR_OK, rig_deposit(r, l, 1, &p));
    return p;
}

void rig_check_body(struct rig *r, const struct store_claimed *c, const struct posted *p,
                    const struct letter *l)
{
    uint8_t dek[SEAL_DEK_BYTES], stored_dek[SEAL_DEK_BYTES], digest[32], want[32];
    struct opener *opener;
    struct store_body body;
    struct buf letter;
    uint64_t letter_bytes;
    char *sealed;

    buf_init(&letter, 8 << 20);
    assert_err(ERR_OK,
               wrap_open(p->keys.kd, p->keys.a, c->ticket.payload_id, c->ticket.version, c->wrap, dek));
    assert_err(ERR_OK, store_payload_dek(r->s, &c->ticket, stored_dek));
    assert_memory_equal(dek, stored_dek, sizeof dek);
    assert_err(ERR_OK, store_body_open(r->s, &c->ticket, &body));
    assert_int_equal(body.size, c->ticket.sealed_bytes);
    assert_non_null(sealed = malloc(body.size));
    if (body.fd >= 0)
        assert_int_equal(pread(body.fd, sealed, body.size, 0), body.size);
    else
        memcpy(sealed, body.bytes.data, body.size);
    assert_err(ERR_OK, crypt_sha256(span_bytes(sealed, body.size), digest));
    assert_memory_equal(digest, c->ticket.sealed_digest, sizeof digest);
    assert_err(ERR_OK, opener_create(dek, body.size, &opener));
    assert_err(ERR_OK, opener_update(opener, sealed, body.size, &letter));
    assert_err(ERR_OK, opener_finish(opener, digest, &letter_bytes));
    letter_digest(l, want);
    assert_memory_equal(digest, want, sizeof want);
    assert_int_equal(letter_bytes, l->size);
    opener_free(opener);
    free(sealed);
    buf_free(&letter);
    store_body_close(&body);
}

struct store_swept rig_sweep(struct rig *r, int64_t now_s)
{
    struct store_swept done = {.expired = 0};
    struct store_sweeper *w;
    int64_t next_s = now_s;

    assert_err(ERR_OK, store_sweeper_create(r->s, &w));
    for (int steps = 0; next_s <= now_s && steps < 10000; steps++)
        assert_err(ERR_OK, store_sweep(w, now_s, &done, &next_s));
    assert_true(next_s > now_s);
    store_sweeper_free(w);
    return done;
}

enum err rig_keep(struct rig *r, const struct attempt *facts, uint8_t fill, size_t size, int64_t now_s,
                  uint32_t rows_max, struct job *out)
{
    uint8_t header[SEAL_HEADER_BYTES] = {0}, digest[32];
    struct store_payload *p;
    struct sealer *sealer;
    struct buf sealed;
    struct job j;
    char *letter = malloc(size);
    enum err err;

    assert_non_null(letter);
    memset(letter, fill, size);
    memset(&j, 0, sizeof j);
    strcpy(j.envelope_from, facts->sender);
    strcpy(j.recipient, facts->mailbox);
    j.created_s = now_s;
    j.expires_s = now_s + 14 * 86400;
    buf_init(&sealed, 1 << 20);
    assert_err(ERR_OK, sealer_create(1, &sealer));
    assert_err(ERR_OK, store_payload_begin(r->s, sealer_payload_id(sealer), &p));
    assert_err(ERR_OK, store_payload_write(p, header, sizeof header));
    assert_err(ERR_OK, sealer_update(sealer, letter, size, &sealed));
    assert_err(ERR_OK, sealer_finish(sealer, &sealed, header, digest, &j.size_bytes));
    assert_err(ERR_OK, store_payload_write(p, sealed.data, sealed.len));
    assert_err(ERR_OK, store_payload_patch(p, header, sizeof header));
    memcpy(j.digest, digest, sizeof digest);
    err = store_attempt_keep(r->s, facts, &j, p, sealer_dek(sealer), rows_max, r->limits);
    sealer_free(sealer);
    buf_free(&sealed);
    free(letter);
    *out = j;
    return err;
}

void rig_check_kept(struct rig *r, const struct job *j, uint8_t fill, size_t size)
{
    uint8_t dek[SEAL_DEK_BYTES], digest[32];
    struct store_body body;
    struct opener *opener;
    struct buf letter;
    uint64_t letter_bytes;
    char *sealed;

    assert_err(ERR_OK, store_kept_open(r->s, j, &body, dek));
    assert_non_null(sealed = malloc(body.size));
    if (body.fd >= 0)
        assert_int_equal(pread(body.fd, sealed, body.size, 0), body.size);
    else
        memcpy(sealed, body.bytes.data, body.size);
    buf_init(&letter, 8 << 20);
    assert_err(ERR_OK, opener_create(dek, body.size, &opener));
    assert_err(ERR_OK, opener_update(opener, sealed, body.size, &letter));
    assert_err(ERR_OK, opener_finish(opener, digest, &letter_bytes));
    assert_int_equal(letter.len, size);
    assert_int_equal((uint8_t)letter.data[size - 1], fill);
    assert_memory_equal(digest, j->digest, 32);
    opener_free(opener);
    free(sealed);
    buf_free(&letter);
    store_body_close(&body);
}

/* ---- running ------------------------------------------------------------------------------------------- */

struct run {
    const struct rig_case *c;
    enum store_engine engine;
};

static void run_case(void **state)
{
    const struct run *run = *state;
    struct rig r;

    rig_init(&r, run->engine);
    rig_open(&r);
    run->c->run(&r);
    assert_int_equal(r.failed, 0);
    rig_free(&r);
}

int rig_run(const char *group, const struct rig_case *cases, size_t count, bool memory, bool bdb)
{
    struct CMUnitTest *tests = calloc(count * 2, sizeof *tests);
    struct run *runs = calloc(count * 2, sizeof *runs);
    char(*names)[100] = calloc(count * 2, sizeof *names);
    size_t n = 0;
    int result;

    if (tests == NULL || runs == NULL || names == NULL)
        abort();
    for (int engine = STORE_MEMORY; engine <= STORE_BDB; engine++)
        for (size_t i = 0; i < count && (engine == STORE_BDB ? bdb : memory); i++, n++) {
            runs[n] = (struct run){&cases[i], (enum store_engine)engine};
            snprintf(names[n], sizeof *names, "%s: %s", engine == STORE_BDB ? "bdb" : "memory",
                     cases[i].name);
            tests[n] =
                (struct CMUnitTest){.name = names[n], .test_func = run_case, .initial_state = &runs[n]};
        }
    result = _cmocka_run_group_tests(group, tests, n, NULL, NULL);
    free(tests);
    free(runs);
    free(names);
    return result;
}

struct durable {
    struct store_later later;
    sem_t called;
    enum err err;
};

static void on_durable(struct store_later *later, enum err err)
{
    struct durable *d = (struct durable *)later;

    d->err = err;
    sem_post(&d->called);
}

enum err rig_durable(struct rig *r)
{
    static atomic_uint calls;
    struct durable d = {.later.then = on_durable};

    sem_init(&d.called, 0, 0);
    if (atomic_fetch_add(&calls, 1) % 2 == 0) {
        store_when_durable(r->s, &d.later);
    } else {
        store_when_durable_soon(r->s, &d.later);
        store_sync_waiting(r->s);
    }
    while (sem_wait(&d.called) != 0)
        ;
    sem_destroy(&d.called);
    return d.err;
}
