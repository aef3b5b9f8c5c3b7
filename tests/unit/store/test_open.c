/*
 * test_open.c - what the store on disk meets in its life: other keys, other processes, other versions,
 * damage, a full disk.
 */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/encode.h"
#include "store/codec.h"
#include "store/engine.h"
#include "store/quota.h"
#include "store/recall.h"
#include "store/records.h"

/* Tries to open; *text gets the reason. */
static enum err try_open(struct rig *r, struct site_keys *keys, char text[200])
{
    struct store *s = NULL;
    struct buf why;
    enum err err;

    buf_init(&why, 1000);
    err = store_open(&r->options, keys, &s, &why);
    snprintf(text, 200, "%s", buf_cstr(&why));
    buf_free(&why);
    store_close(s);
    return err;
}

/* Writes one record behind the store's back; the store is closed. */
static void tamper(struct rig *r, enum engine_table table, struct span key, struct span value)
{
    struct engine_txn *t;
    struct engine *e;
    struct buf why;

    buf_init(&why, 1000);
    assert_err(ERR_OK, engine_bdb_open(r->directory, 1 << 20, NULL, NULL, &e, &why));
    assert_err(ERR_OK, e->ops->begin(e, &t));
    assert_err(ERR_OK, e->ops->put(t, table, key, value));
    assert_err(ERR_OK, e->ops->commit(t));
    assert_err(ERR_OK, e->ops->flush(e));
    e->ops->close(e);
    buf_free(&why);
}

static void it_is_all_there_when_opened_again(struct rig *r)
{
    const struct letter *small = LETTER(.message_id = "<s>"),
                        *large = LETTER(.message_id = "<l>", .size = 99999);
    struct posted p = rig_post(r, small), q = rig_post(r, large);
    struct store_counts before, after;
    struct store_claimed c;
    struct store_claim k;

    assert_err(ERR_OK, store_count(r->s, &before));
    rig_close(r);
    rig_open(r);
    assert_err(ERR_OK, store_count(r->s, &after));
    assert_memory_equal(&before, &after, offsetof(struct store_counts, disk_free_bytes));
    k = rig_claim(&p, 1, RIG_NOW_S);
    assert_err(ERR_OK, store_claim(r->s, &k, &c));
    rig_check_body(r, &c, &p, small);
    k = rig_claim(&q, 1, RIG_NOW_S);
    assert_err(ERR_OK, store_claim(r->s, &k, &c));
    rig_check_body(r, &c, &q, large);
    rig_close(r);
    rig_open(r);
    k.now_s++;
    assert_err(ERR_OK, store_claim(r->s, &k, &c));
    assert_true(c.renewed);
}

static void another_site_key_is_refused(struct rig *r)
{
    struct site_keys *other = rig_keys(2);
    char why[200];

    rig_post(r, LETTER());
    rig_close(r);
    assert_err(ERR_CONFIG, try_open(r, other, why));
    assert_non_null(strstr(why, "epoch 7"));
    assert_err(ERR_OK, try_open(r, r->keys, why));
    site_keys_free(other);
}

static void a_lost_site_key_is_refused(struct rig *r)
{
    const uint16_t epochs[] = {RIG_EPOCH, RIG_EPOCH + 1};
    uint8_t bytes[2][SITEKEY_BYTES];
    struct site_keys *both, *later;
    char why[200];

    memset(bytes[0], 1, sizeof bytes[0]);
    memset(bytes[1], 9, sizeof bytes[1]);
    assert_err(ERR_OK, site_keys_from_bytes(epochs, (const uint8_t(*)[SITEKEY_BYTES])bytes, 2, &both));
    assert_err(ERR_OK,
               site_keys_from_bytes(epochs + 1, (const uint8_t(*)[SITEKEY_BYTES])bytes[1], 1, &later));
    rig_post(r, LETTER());
    rig_close(r);
    assert_err(ERR_OK, try_open(r, both, why)); /* a new key beside the old one */
    assert_err(ERR_CONFIG, try_open(r, later, why));
    assert_non_null(strstr(why, "epoch 7"));
    site_keys_free(both);
    site_keys_free(later);
}

#define HEAP_BLOCKS 3000
#define HEAP_WORD "a letter was here. "

static bool file_has(const char *path, const char *word)
{
    size_t len = strlen(word), size;
    char *bytes;
    struct stat st;
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    assert_non_null(bytes = malloc((size_t)st.st_size + 1));
    size = fread(bytes, 1, (size_t)st.st_size, f);
    bool has = memmem(bytes, size, word, len) != NULL;
    free(bytes);
    fclose(f);
    return has;
}

static int look_for_word(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    return type == FTW_F && file_has(path, HEAP_WORD);
}

/* The database's pages lie in ordinary memory, where letters were: what is free in them goes to the disk too.
 */
static void what_was_in_memory_does_not_get_into_the_files(struct rig *r)
{
    static char *block[HEAP_BLOCKS];

    rig_close(r);
    for (size_t i = 0; i < HEAP_BLOCKS; i++) {
        size_t size = 4000 + i % 16 * 32;
        assert_non_null(block[i] = malloc(size));
        for (size_t at = 0; at + sizeof HEAP_WORD <= size; at += sizeof HEAP_WORD - 1)
            memcpy(block[i] + at, HEAP_WORD, sizeof HEAP_WORD - 1);
    }
    for (size_t i = 0; i + 1 < HEAP_BLOCKS; i++) /* the last keeps the heap from shrinking */
        free(block[i]);
    rig_open(r);
    rig_post(r, LETTER());
    rig_close(r);
    free(block[HEAP_BLOCKS - 1]);
    assert_int_equal(nftw(r->directory, look_for_word, 16, FTW_PHYS), 0);
    rig_open(r);
}

static void table_path(struct rig *r, const char *table, const char *suffix, char out[200])
{
    snprintf(out, 200, "%s/db/%s.db%s", r->directory, table, suffix);
}

/* Else it would be made anew, empty, and all payload files swept. */
static void a_table_that_is_gone_is_not_made_anew(struct rig *r)
{
    static const char *const table[] = {"ticket", "payload", "meta", "created"};
    struct posted p = rig_post(r, LETTER(.size = 300000));
    char path[200], away[200], why[200];
    struct ticket t;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        rig_close(r);
        table_path(r, table[i], "", path);
        table_path(r, table[i], ".away", away);
        assert_int_equal(rename(path, away), 0);
        for (int again = 0; again < 2; again++) {
            assert_err(ERR_STORE, try_open(r, r->keys, why));
            assert_non_null(strstr(why, ".db is missing"));
        }
        assert_int_equal(rename(away, path), 0);
        rig_open(r);
        assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
        assert_int_equal(t.state, TICKET_WAITING);
    }
}

static void a_second_opener_is_refused(struct rig *r)
{
    char why[200];
    int status;
    pid_t pid;

    assert_err(ERR_EXISTS, try_open(r, r->keys, why));
    assert_non_null(strstr(why, "another process"));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(try_open(r, r->keys, why) == ERR_EXISTS ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    rig_post(r, LETTER()); /* the first has not noticed */
}

static void a_foreign_db_config_is_refused(struct rig *r)
{
    char path[100], why[200];
    int fd;

    rig_close(r);
    snprintf(path, sizeof path, "%s/db/DB_CONFIG", r->directory);
    assert_true((fd = open(path, O_CREAT | O_WRONLY, 0600)) >= 0);
    close(fd);
    assert_err(ERR_CONFIG, try_open(r, r->keys, why));
    assert_non_null(strstr(why, "DB_CONFIG"));
    unlink(path);
    assert_err(ERR_OK, try_open(r, r->keys, why));
}

static void another_format_is_refused(struct rig *r)
{
    uint8_t version[8];
    char why[200];

    rig_close(r);
    codec_put_be64(version, 3);
    tamper(r, TABLE_META, SPAN_LITERAL("format"), span_bytes(version, sizeof version));
    assert_err(ERR_STORE_FORMAT, try_open(r, r->keys, why));
    assert_non_null(strstr(why, "format 3"));
}

/* Whatever wrote to the store says so before its first record. */
static void a_record_of_a_later_version_is_refused(struct rig *r)
{
    uint8_t version[8];
    char why[200];

    rig_close(r);
    codec_put_be64(version, 10000);
    tamper(r, TABLE_META, SPAN_LITERAL("records"), span_bytes(version, sizeof version));
    assert_err(ERR_STORE_FORMAT, try_open(r, r->keys, why));
    assert_non_null(strstr(why, "later version"));
    codec_put_be64(version, 1); /* yesterday's */
    tamper(r, TABLE_META, SPAN_LITERAL("records"), span_bytes(version, sizeof version));
    assert_err(ERR_OK, try_open(r, r->keys, why));
}

/* Where all records are looked at (a store of format 1), whatever table it is in that holds more than what
 * may be forgotten. */
static void a_record_of_a_later_version_is_found(struct rig *r)
{
    static const struct {
        enum engine_table table;
        size_t key_bytes;
    } row[] = {{TABLE_TICKET, 32}, {TABLE_PAYLOAD, 16}, {TABLE_JOB, 16},  {TABLE_ATTEMPT, 32},
               {TABLE_POLICY, 16}, {TABLE_ENTRY, 32},   {TABLE_TOKEN, 32}};
    uint8_t key[32] = {1}, later[] = {0, 200, 0}, damaged[] = {0, 1}, format[8];
    char why[200];

    rig_close(r);
    codec_put_be64(format, 1);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct span k = span_bytes(key, row[i].key_bytes);

        tamper(r, TABLE_META, SPAN_LITERAL("format"), span_bytes(format, sizeof format));
        tamper(r, row[i].table, k, span_bytes(later, sizeof later));
        assert_err(ERR_STORE_FORMAT, try_open(r, r->keys, why));
        assert_non_null(strstr(why, engine_table_name(row[i].table)));
        tamper(r, row[i].table, k, span_bytes(damaged, sizeof damaged)); /* which harms only itself */
        assert_err(ERR_OK, try_open(r, r->keys, why));
    }
}

/* A ticket as it lies there; the store is closed. */
static void read_ticket_record(struct rig *r, const uint8_t key[TICKET_STORE_KEY_BYTES],
                               struct ticket_record *out)
{
    struct engine_txn *t;
    struct engine *e;
    struct buf why, value;

    buf_init(&why, 1000);
    buf_init(&value, 65536);
    assert_err(ERR_OK, engine_bdb_open(r->directory, 1 << 20, NULL, NULL, &e, &why));
    assert_err(ERR_OK, e->ops->begin(e, &t));
    assert_err(ERR_OK, e->ops->get(t, TABLE_TICKET, span_bytes(key, TICKET_STORE_KEY_BYTES), false, &value));
    e->ops->abort(t);
    assert_err(ERR_OK, ticket_record_decode(buf_span(&value), key, out));
    e->ops->close(e);
    buf_free(&why);
    buf_free(&value);
}

/* The counts that are kept, and those of one who looks at every record. */
static void counts_are_what_the_records_say(struct rig *r)
{
    struct posted p[6];
    struct store_counts kept, counted;
    uint8_t format[8], token[16] = {0};
    char why[200], id[10];
    struct ticket t;
    size_t n;

    for (int i = 0; i < 6; i++) {
        snprintf(id, sizeof id, "<%d>", i);
        p[i] = rig_post(r, LETTER(.message_id = id,
                                  .size = i % 2 == 0 ? 3000 : 70000,
                                  .notify = i == 3 ? "NEVER" : ""));
    }
    for (int i = 0; i < 4; i++)
        assert_err(ERR_OK, store_nack(r->s, p[i].ticket.key, token, "no", "", RIG_NOW_S - i * 1000, &t));
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S - 3000 + r->options.tombstone_s, 100, &n));
    assert_err(ERR_OK, store_count(r->s, &kept));
    assert_int_equal(kept.tickets[TICKET_REFUSED], 3);
    assert_int_equal(kept.removed, 1);
    rig_close(r);
    codec_put_be64(format, 1);
    tamper(r, TABLE_META, SPAN_LITERAL("format"), span_bytes(format, sizeof format));
    assert_err(ERR_OK, try_open(r, r->keys, why));
    rig_open(r);
    assert_err(ERR_OK, store_count(r->s, &counted));
    kept.removed = 0;
    assert_memory_equal(&kept, &counted, offsetof(struct store_counts, disk_free_bytes));
}

static bool count_ticket(void *arg, const struct ticket *t)
{
    (void)t;
    ++*(size_t *)arg;
    return true;
}

static void damaged_records_harm_only_themselves(struct rig *r)
{
    struct posted good = rig_post(r, LETTER(.message_id = "<g>")),
                  bad = rig_post(r, LETTER(.message_id = "<b>")),
                  hollow = rig_post(r, LETTER(.message_id = "<h>"));
    struct job j = {.url = "https://a.test/1", .due_s = RIG_NOW_S},
               k = {.url = "https://a.test/2", .due_s = RIG_NOW_S};
    struct store_claimed c;
    struct store_claim q;
    struct store_body body;
    enum job_added added;
    uint8_t digest[32], ids[9][16], dek[32];
    struct work w[9];
    struct ticket t;
    size_t n = 0;

    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_err(ERR_OK, store_job_add(r->s, &k, &added));
    rig_close(r);
    tamper(r, TABLE_TICKET, span_bytes(bad.ticket.key, 32), SPAN_LITERAL("\0\1rubbish"));
    tamper(r, TABLE_PAYLOAD, span_bytes(hollow.ticket.payload_id, 16), SPAN_LITERAL("\0\1rubbish"));
    tamper(r, TABLE_WRAP, span_bytes(hollow.ticket.key, 32), SPAN_LITERAL("short"));
    tamper(r, TABLE_JOB, span_bytes(j.id, 16), SPAN_LITERAL(""));
    rig_open(r);

    assert_err(ERR_STORE, store_ticket_get(r->s, bad.ticket.key, &t));
    q = rig_claim(&bad, 1, RIG_NOW_S);
    assert_err(ERR_STORE, store_claim(r->s, &q, &c));
    letter_digest(LETTER(), digest);
    assert_err(ERR_STORE, store_ack(r->s, bad.ticket.key, digest, RIG_NOW_S, &t));
    q = rig_claim(&hollow, 1, RIG_NOW_S);
    assert_err(ERR_STORE, store_claim(r->s, &q, &c));
    assert_err(ERR_STORE, store_body_open(r->s, &hollow.ticket, &body));
    assert_err(ERR_STORE, store_payload_dek(r->s, &hollow.ticket, dek));
    assert_err(ERR_STORE, store_job_get(r->s, j.id, &j));
    assert_err(ERR_STORE, store_job_end(r->s, j.id, JOB_FAILED, "", RIG_NOW_S));

    /* All others go on. */
    assert_err(ERR_OK, store_tickets(r->s, NULL, 100, count_ticket, &n));
    assert_int_equal(n, 2);
    assert_err(ERR_OK, store_work_due(r->s, RIG_NOW_S, 60, w, 9, &n));
    assert_int_equal(n, 2);
    assert_err(ERR_OK, store_jobs_due(r->s, RIG_NOW_S, 60, ids, 9, &n));
    assert_int_equal(n, 1);
    q = rig_claim(&good, 1, RIG_NOW_S);
    assert_err(ERR_OK, store_claim(r->s, &q, &c));
    rig_check_body(r, &c, &good, LETTER());
    assert_err(ERR_OK, store_ack(r->s, good.ticket.key, digest, RIG_NOW_S, &t));
    assert_err(ERR_OK, store_expire(r->s, RIG_NOW_S + 8 * 86400, 100, &n));
}

static void sealed_fields_are_bound_to_their_place(struct rig *r)
{
    struct posted p = rig_post(r, LETTER()), q = rig_post(r, LETTER(.message_id = "<2>"));
    struct buf value;
    struct engine_txn *t;
    struct engine *e;
    struct ticket ticket;

    rig_close(r);
    buf_init(&value, 10000);
    assert_err(ERR_OK, engine_bdb_open(r->directory, 1 << 20, NULL, NULL, &e, &value));
    assert_err(ERR_OK, e->ops->begin(e, &t));
    assert_err(ERR_OK, e->ops->get(t, TABLE_TICKET, span_bytes(p.ticket.key, 32), true, &value));
    assert_err(ERR_OK, e->ops->put(t, TABLE_TICKET, span_bytes(q.ticket.key, 32), buf_span(&value)));
    assert_err(ERR_OK, e->ops->commit(t));
    e->ops->close(e);
    buf_free(&value);
    rig_open(r);
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &ticket));
    assert_err(ERR_STORE, store_ticket_get(r->s, q.ticket.key, &ticket));
}

static void a_lost_or_cut_payload_file_is_an_error(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.size = 99999));
    char path[200], hex[33];
    struct store_body body;

    encode_hex(p.ticket.payload_id, 16, hex);
    snprintf(path, sizeof path, "%s/payload/%s", r->directory, hex);
    assert_int_equal(truncate(path, 5000), 0);
    assert_err(ERR_STORE, store_body_open(r->s, &p.ticket, &body));
    assert_int_equal(unlink(path), 0);
    assert_err(ERR_STORE, store_body_open(r->s, &p.ticket, &body));
    rig_close(r);
    rig_open(r);
    assert_err(ERR_STORE, store_body_open(r->s, &p.ticket, &body));
}

static int check_mode(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if ((st->st_mode & 077) != 0)
        fail_msg("%s has mode %o", path, st->st_mode & 07777);
    if (type == FTW_F && (st->st_mode & 0777) != 0600)
        fail_msg("%s has mode %o", path, st->st_mode & 07777);
    return 0;
}

static void nobody_else_may_read_anything(struct rig *r)
{
    mode_t before = umask(0);

    rig_close(r);
    rig_remove_tree(r->directory);
    rig_open(r);
    rig_post(r, LETTER(.size = 99999));
    rig_close(r);
    umask(before);
    assert_int_equal(nftw(r->directory, check_mode, 16, FTW_PHYS), 0);
    rig_open(r);
}

/* Looks for bytes in all files but the log, which forgets later. */
static const char *needle;
static size_t needle_len, needle_found;
static bool in_log;

static int look_for_needle(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    char *data;
    int fd;

    (void)ftw;
    if (type != FTW_F || st->st_size == 0 || (strstr(path, "/log.") != NULL) != in_log)
        return 0;
    data = malloc((size_t)st->st_size);
    fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, data, (size_t)st->st_size), st->st_size);
    needle_found += memmem(data, (size_t)st->st_size, needle, needle_len) != NULL;
    close(fd);
    free(data);
    return 0;
}

static size_t look_for(struct rig *r, const void *bytes, size_t len, bool log)
{
    needle = bytes;
    needle_len = len;
    needle_found = 0;
    in_log = log;
    assert_int_equal(nftw(r->directory, look_for_needle, 16, FTW_PHYS), 0);
    return needle_found;
}

/* Where it stood in the clear, it is read, and sealed with the next word of the other side. */
static void a_challenge_of_an_earlier_record_is_known(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct ticket_record *record = calloc(1, sizeof *record);
    struct ticket t;
    struct buf bytes;

    assert_non_null(record);
    buf_init(&bytes, 65536);
    assert_err(ERR_OK,
               store_status(r->s, p.ticket.key, TICKET_CHALLENGED, "https://b.test/1", RIG_NOW_S, &t));
    rig_close(r);
    read_ticket_record(r, p.ticket.key, record);
    assert_err(ERR_OK, ticket_record_open(r->keys, record));
    record->t.challenge_url[0] = '\0';
    assert_err(ERR_OK, ticket_record_seal(r->keys, record));
    strcpy(record->clear_challenge_url, "https://b.test/old");
    assert_err(ERR_OK, ticket_record_encode(record, &bytes));
    tamper(r, TABLE_TICKET, span_bytes(p.ticket.key, sizeof p.ticket.key), buf_span(&bytes));
    rig_open(r);
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
    assert_string_equal(t.challenge_url, "https://b.test/old");
    assert_err(ERR_OK,
               store_status(r->s, p.ticket.key, TICKET_CHALLENGED, "https://b.test/2", RIG_NOW_S, &t));
    rig_close(r);
    assert_int_equal(look_for(r, "https://b.test/old", 18, false), 0);
    rig_open(r);
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
    assert_string_equal(t.challenge_url, "https://b.test/2");
    assert_string_equal(t.from_field, "Alice <alice@a.test>");
    buf_free(&bytes);
    free(record);
}

static void secrets_are_not_on_disk_or_destroyed(struct rig *r)
{
    const struct letter *l = LETTER(.subject = "A very private subject");
    struct posted p[40];
    struct job j = {.url = "https://a.test/secret-path", .due_s = RIG_NOW_S};
    struct store_claimed c;
    struct store_claim q;
    uint8_t digest[32], dek[32];
    enum job_added added;
    struct ticket t;

    memset(j.ka, 'K', sizeof j.ka);
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_err(ERR_OK, rig_deposit(r, l, 40, p));
    assert_err(ERR_OK, store_status(r->s, p[0].ticket.key, TICKET_CHALLENGED, "https://b.test/prove-yourself",
                                    RIG_NOW_S, &t));
    q = rig_claim(&p[20], 1, RIG_NOW_S);
    assert_err(ERR_OK, store_claim(r->s, &q, &c));
    assert_err(ERR_OK, store_payload_dek(r->s, &p[0].ticket, dek));
    rig_close(r);
    assert_int_equal(look_for(r, c.wrap, sizeof c.wrap, false), 1); /* the search works */
    for (int log = 0; log < 2; log++) {
        assert_int_equal(look_for(r, dek, sizeof dek, log), 0);
        assert_int_equal(look_for(r, p[20].keys.ka, 32, log), 0);
        assert_int_equal(look_for(r, p[20].keys.kd, 32, log), 0);
        assert_int_equal(look_for(r, p[20].keys.b, 16, log), 0);
        assert_int_equal(look_for(r, l->subject, strlen(l->subject), log), 0);
        assert_int_equal(look_for(r, j.ka, 32, log), 0);
        assert_int_equal(look_for(r, "secret-path", 11, log), 0);
        assert_int_equal(look_for(r, "prove-yourself", 14, log), 0);
    }
    rig_open(r);
    letter_digest(l, digest);
    assert_err(ERR_OK, store_ack(r->s, p[20].ticket.key, digest, RIG_NOW_S, &t));
    rig_close(r);
    assert_int_equal(look_for(r, c.wrap, sizeof c.wrap, false), 0);
    rig_open(r);
}

/* ---- a full disk --------------------------------------------------------------------------------------- */

static void fill(struct rig *r, const char *ballast, size_t size)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", r->directory, ballast);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < size / 4096; i++) {
        char page[4096] = {1};

        if (fwrite(page, sizeof page, 1, f) != 1)
            break;
    }
    fclose(f);
}

static void a_full_disk_is_survived(struct rig *r)
{
    static const size_t sizes[] = {100, 8000, 200000};
    char ballast[200];
    size_t stored = 0, n = 0;

    rig_close(r);
    /* A mount of its own, seen by this process alone. */
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        print_message("not allowed to mount: a full disk was not tried\n");
        rig_open(r);
        return;
    }
    assert_int_equal(mount("full", r->directory, "tmpfs", 0, "size=24m,mode=0700"), 0);
    rig_open(r);
    fill(r, "ballast", 6 << 20);
    snprintf(ballast, sizeof ballast, "%s/ballast", r->directory);
    for (int round = 0; round < 3; round++) {
        enum err err = ERR_OK;

        for (int i = 0; i < 100000 && err == ERR_OK; i++) {
            struct posted p;
            char id[32];

            snprintf(id, sizeof id, "<%d.%d>", round, i);
            err = rig_deposit(r, LETTER(.message_id = id, .size = sizes[round]), 1, &p);
            stored += err == ERR_OK;
        }
        assert_err(ERR_DISK_FULL, err);
        assert_int_equal(r->failed, 0);
        /* Reading goes on, and with some space so does writing. */
        n = 0;
        assert_err(ERR_OK, store_tickets(r->s, NULL, 1000000, count_ticket, &n));
        assert_true(n >= stored);
        unlink(ballast);
        assert_err(ERR_OK, store_expire(r->s, RIG_NOW_S + 8 * 86400, 10, &n));
        fill(r, "ballast", 1 << 20);
    }
    rig_close(r);
    /* Recovery itself needs some space. */
    unlink(ballast);
    assert_int_equal(mount("full", r->directory, "tmpfs", MS_REMOUNT, "size=64m"), 0);
    rig_open(r);
    n = 0;
    assert_err(ERR_OK, store_tickets(r->s, NULL, 1000000, count_ticket, &n));
    assert_true(n >= stored); /* every one that was answered with ERR_OK; one more may have come through */
    rig_close(r);
    assert_int_equal(umount2(r->directory, MNT_DETACH), 0);
    rig_open(r);
}

static void below_the_floor_nothing_is_deposited(struct rig *r)
{
    uint8_t id[SEAL_PAYLOAD_ID_BYTES] = {1};
    struct store_payload *p;
    struct posted before = rig_post(r, LETTER()), after;
    struct store_claimed c;
    struct store_claim q;

    rig_close(r);
    r->options.disk_floor_percent = 100;
    rig_open(r);
    assert_err(ERR_DISK_FULL, store_payload_begin(r->s, id, &p));
    assert_err(ERR_DISK_FULL, rig_deposit(r, LETTER(.message_id = "<2>"), 1, &after));
    q = rig_claim(&before, 1, RIG_NOW_S);
    assert_err(ERR_OK, store_claim(r->s, &q, &c)); /* what is there is served */
}

/* ---- yesterday's store --------------------------------------------------------------------------------- */

/* Of the build that brought this version of records; everything in it is still what it was. */
static void open_fixture(struct rig *r, int version)
{
    char command[300];

    rig_close(r);
    rig_remove_tree(r->directory);
    assert_int_equal(mkdir(r->directory, 0700), 0);
    snprintf(command, sizeof command, "tar -xzf tests/unit/store/fixtures/store-%d.tar.gz -C %s", version,
             r->directory);
    assert_int_equal(system(command), 0);
    rig_open(r);
}

/* Every letter can still be called for. */
static void claim_letters(struct rig *r)
{
    for (int i = 0; i < 2; i++) {
        const struct letter *l = i == 0 ? LETTER(.message_id = "<small@a.test>")
                                        : LETTER(.message_id = "<large@a.test>", .size = 70000);
        struct posted again = rig_post(r, l);
        struct store_claimed claimed;
        struct store_claim q = rig_claim(&again, 1, RIG_NOW_S);

        assert_true(again.existing);
        assert_err(ERR_OK, ticket_derive(r->keys, again.ticket.a, &again.keys));
        assert_err(ERR_OK, store_claim(r->s, &q, &claimed));
        rig_check_body(r, &claimed, &again, l);
    }
}

static bool take_ticket(void *arg, const struct ticket *t)
{
    *(struct ticket *)arg = *t;
    return false;
}

static bool take_job(void *arg, const struct job *j)
{
    *(struct job *)arg = *j;
    return false;
}

static void a_store_of_records_1_opens(struct rig *r)
{
    struct store_counts c;
    struct store_filter f = {.message_id = "<large@a.test>", .state = -1};
    struct posted small;
    uint8_t digest[32] = {1};
    struct ticket t;
    struct job j;
    size_t n = 0;

    open_fixture(r, 1);
    assert_err(ERR_OK, store_count(r->s, &c));
    assert_int_equal(c.tickets[TICKET_WAITING], 2);
    assert_int_equal(c.tickets[TICKET_DELIVERED], 1);
    assert_int_equal(c.jobs[JOB_WAITING], 1);
    assert_int_equal(c.payloads, 2);
    assert_int_equal(c.attempts, 0);
    assert_err(ERR_OK, store_tickets(r->s, &f, 10, count_ticket, &n));
    assert_int_equal(n, 1);
    /* What it knew nothing of is nothing, and may come. */
    memset(&j, 0, sizeof j);
    assert_err(ERR_OK, store_jobs(r->s, JOB_WAITING, 1, take_job, &j));
    assert_string_equal(j.url, "https://a.test/restante/1/x/y");
    assert_string_equal(j.recipient, "bob@b.test");
    assert_int_equal(j.expires_s, RIG_NOW_S + 7 * 86400);
    assert_string_equal(j.mailbox, "");
    assert_string_equal(j.token, "");
    assert_false(j.kept);
    assert_int_equal(j.tell, JOB_TELL_NOTHING);
    assert_err(ERR_OK, store_job_called(r->s, j.id, &(struct job_heard){"CN=Issuer", "01", 0, 0, RIG_NOW_S}));
    assert_err(ERR_OK, store_job_delivered(r->s, j.id, digest, 9, "4b", "250", RIG_NOW_S));
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_ACKED, "", RIG_NOW_S));
    small = rig_post(r, LETTER(.message_id = "<small@a.test>"));
    assert_true(small.existing);
    assert_false(small.ticket.bulk);
    assert_string_equal(small.ticket.challenge_url, "");
    assert_string_equal(small.ticket.subject, "Small");
    assert_err(ERR_OK,
               store_status(r->s, small.ticket.key, TICKET_CHALLENGED, "https://b.test/c", RIG_NOW_S, &t));
    assert_err(ERR_OK, store_count(r->s, &c));
    assert_int_equal(c.work, 3); /* two stubs, one challenge */
    claim_letters(r);
}

static void a_store_of_records_2_opens(struct rig *r)
{
    struct store_filter f = {.message_id = "<list@a.test>", .state = -1};
    struct store_counts c;
    struct attempt a;
    struct policy p;
    struct entry e;
    struct token t;
    struct job j;
    uint8_t what[32] = {1};
    int64_t since_s;
    uint32_t count;
    size_t n = 0;

    open_fixture(r, 2);
    assert_err(ERR_OK, store_count(r->s, &c));
    assert_int_equal(c.tickets[TICKET_WAITING], 2);
    assert_int_equal(c.tickets[TICKET_CHALLENGED], 1);
    assert_int_equal(c.tickets[TICKET_DELIVERED], 1);
    assert_int_equal(c.jobs[JOB_WAITING], 1);
    assert_int_equal(c.jobs[JOB_HELD], 3);
    assert_int_equal(c.payloads, 5);
    assert_int_equal(c.attempts, 2);
    assert_int_equal(c.work, 4); /* three stubs, one challenge */
    assert_err(ERR_OK, store_tickets(r->s, &f, 10, count_ticket, &n));
    assert_int_equal(n, 1);
    claim_letters(r);

    assert_err(ERR_OK, store_attempt_get(r->s, "bob@b.test", "stranger@a.test", &a));
    assert_string_equal(a.subject, "Hello");
    assert_string_equal(a.link_host, "pull.a.test");
    assert_int_equal(a.waiting, 1);
    assert_err(ERR_OK, store_job_get(r->s, a.job[0], &j));
    assert_string_equal(j.challenge_url, "https://b.test/c/1");
    assert_string_equal(j.proof, "spf=pass");
    assert_int_equal(j.tell, JOB_TELL_CHALLENGE);
    assert_int_equal(j.kd[31], 'd');
    assert_err(ERR_OK, store_attempt_get(r->s, "bob@b.test", "kept@a.test", &a));
    assert_int_equal(a.waiting, 2);
    assert_err(ERR_OK, store_job_get(r->s, a.job[0], &j));
    rig_check_kept(r, &j, 's', 2000);
    assert_err(ERR_OK, store_job_get(r->s, a.job[1], &j));
    rig_check_kept(r, &j, 'l', 80000);
    assert_err(ERR_OK, store_attempt_admit(r->s, "bob@b.test", "kept@a.test", UNPROVEN_GOES_ALONE, "allowed",
                                           RIG_NOW_S, &count));
    assert_int_equal(count, 2);

    assert_err(ERR_OK, store_policy_get(r->s, "bob@b.test", &p));
    assert_int_equal(p.rule, RULE_CHALLENGE);
    assert_string_equal(p.question, "Which colour?");
    assert_err(ERR_OK, store_entry_get(r->s, "bob@b.test", ENTRY_LIST, "dev.lists.test", RIG_NOW_S, &e));
    assert_string_equal(e.domain, "lists.test");
    assert_err(ERR_OK, store_token_get(r->s, "bob@b.test", "shop", &t));
    assert_int_equal(t.letters_used, 1);
    assert_string_equal(t.bound, "a.test");
    assert_err(ERR_OK, store_correspondent_get(r->s, "bob@b.test", "alice@a.test", RIG_NOW_S, &since_s));
    assert_err(ERR_OK, store_domain_first_seen(r->s, "a.test", &since_s));
    assert_err(ERR_EXISTS, store_spend(r->s, what, RIG_NOW_S));
}

static struct ticket life_ticket(struct rig *r, const char *message_id)
{
    struct store_filter f = {.message_id = message_id, .state = -1};
    struct ticket t;

    memset(&t, 0, sizeof t);
    assert_err(ERR_OK, store_tickets(r->s, &f, 1, take_ticket, &t));
    assert_string_equal(t.message_id, message_id);
    return t;
}

static void a_store_of_records_3_opens(struct rig *r)
{
    const struct letter *new = LETTER(.message_id = "<replaced@a.test>", .size = 80000, .fill = 'n');
    struct store_claimed c;
    struct store_claim q;
    struct store_counts n;
    struct quota_use use;
    struct ticket_event e;
    struct posted p;
    struct attempt a;
    struct ticket t;
    struct job j;
    size_t count;

    open_fixture(r, 3);
    assert_err(ERR_OK, store_count(r->s, &n));
    assert_int_equal(n.tickets[TICKET_WAITING], 4);
    assert_int_equal(n.tickets[TICKET_HELD], 1);
    assert_int_equal(n.tickets[TICKET_RETRACTED], 1);
    assert_int_equal(n.tickets[TICKET_PLAIN], 1);
    assert_int_equal(n.work, 10); /* seven stubs, a challenge, a warning, a plain letter */
    claim_letters(r);

    t = life_ticket(r, "<hold@a.test>");
    assert_true(t.hold);
    assert_true(t.archived);
    assert_string_equal(t.hold_note, "case 17");
    assert_int_equal(t.state, TICKET_HELD);
    assert_int_equal(t.status_s, RIG_NOW_S + 2);
    assert_int_equal(t.delay_told_s, RIG_NOW_S + 3);
    assert_int_equal(t.event_count, 4);
    assert_true(ticket_event_get(&t, 3, &e));
    assert_int_equal(e.what, TICKET_EVENT_HOLD);
    assert_int_equal(e.at_s, RIG_NOW_S + 5);
    t = life_ticket(r, "<perhaps@a.test>");
    assert_true(t.perhaps);
    t = life_ticket(r, "<retracted@a.test>");
    assert_int_equal(t.look_s, RIG_NOW_S + 6);
    t = life_ticket(r, "<plain@a.test>");
    assert_string_equal(t.remote_text, "takes no stubs");

    p.ticket = life_ticket(r, "<replaced@a.test>");
    assert_int_equal(p.ticket.version, 2);
    assert_err(ERR_OK, ticket_derive(r->keys, p.ticket.a, &p.keys));
    q = rig_claim(&p, 1, RIG_NOW_S);
    assert_err(ERR_OK, store_claim(r->s, &q, &c));
    rig_check_body(r, &c, &p, new);
    assert_err(ERR_OK, store_quota(r->s, "alice@a.test", &use));
    assert_int_equal(use.letters, 7);
    assert_err(ERR_OK, store_expire(r->s, RIG_NOW_S + 8 * 86400, 20, &count));
    assert_int_equal(life_ticket(r, "<hold@a.test>").state, TICKET_HELD);
    assert_int_equal(life_ticket(r, "<perhaps@a.test>").state, TICKET_UNCONFIRMED);

    assert_err(ERR_OK, store_attempt_get(r->s, "bob@b.test", "stranger@a.test", &a));
    assert_err(ERR_OK, store_job_get(r->s, a.job[0], &j));
    assert_int_equal(j.version, 2);
    assert_true(j.replaced);
    assert_int_equal(j.heard_s, RIG_NOW_S + 2);
    assert_int_equal(j.due_s, RIG_NOW_S + 86400);
}

/* Writes what a fixture holds: `test_store_open make-fixture DIRECTORY`, then
 * `tar -czf store-3.tar.gz -C DIRECTORY db payload`. To be done once for each version of records, by the
 * build that introduces it, and never again. */
static void make_attempts(struct rig *r)
{
    struct attempt a = {.mailbox = "bob@b.test",
                        .sender = "stranger@a.test",
                        .author = "stranger@a.test",
                        .aligned = true,
                        .subject = "Hello",
                        .verified = "a.test",
                        .link_host = "pull.a.test",
                        .reason = "challenge"};
    struct job j = {.url = "https://a.test/restante/1/x/held",
                    .recipient = "bob@b.test",
                    .proof = "spf=pass",
                    .tell = JOB_TELL_CHALLENGE,
                    .challenge_url = "https://b.test/c/1",
                    .created_s = RIG_NOW_S,
                    .expires_s = RIG_NOW_S + 7 * 86400};
    enum job_added added;

    memset(j.kd, 'd', sizeof j.kd);
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &j, 100, &added));
    strcpy(a.sender, "kept@a.test");
    a.legacy = true;
    assert_err(ERR_OK, rig_keep(r, &a, 's', 2000, RIG_NOW_S, 100, &j));
    assert_err(ERR_OK, rig_keep(r, &a, 'l', 80000, RIG_NOW_S, 100, &j));
}

static void make_admission(struct rig *r)
{
    struct policy p = {.rule = RULE_CHALLENGE, .question = "Which colour?", .answers = "blue\nazure"};
    struct entry e = {
        .mailbox = "bob@b.test", .kind = ENTRY_LIST, .value = "dev.lists.test", .domain = "lists.test"};
    struct token t = {.mailbox = "bob@b.test", .token = "shop", .letters_max = 3, .bind = true};
    struct posted list = rig_post(r, LETTER(.message_id = "<list@a.test>", .list_id = "dev.lists.test")),
                  small = rig_post(r, LETTER(.message_id = "<small@a.test>"));
    uint8_t what[32] = {1};
    struct ticket ticket;
    int64_t first_s;

    assert_int_equal(list.ticket.state, TICKET_WAITING);
    assert_err(ERR_OK, store_status(r->s, small.ticket.key, TICKET_CHALLENGED, "https://b.test/c", RIG_NOW_S,
                                    &ticket));
    make_attempts(r);
    assert_err(ERR_OK, store_policy_put(r->s, "bob@b.test", &p));
    assert_err(ERR_OK, store_entry_put(r->s, &e));
    assert_err(ERR_OK, store_token_add(r->s, &t));
    assert_err(ERR_OK, store_token_use(r->s, "bob@b.test", "shop", "a.test", what, RIG_NOW_S));
    assert_err(ERR_OK, store_spend(r->s, what, RIG_NOW_S));
    assert_err(ERR_OK,
               store_correspondent_add(r->s, "bob@b.test", "alice@a.test", RIG_NOW_S, RIG_NOW_S + 86400));
    assert_err(ERR_OK, store_domain_seen(r->s, "a.test", RIG_NOW_S, &first_s));
}

static bool tell_job(void *arg, const struct job *j)
{
    struct rig *r = arg;

    if (j->kept)
        return true;
    for (uint32_t version = 1; version <= 2; version++) {
        const struct job_heard heard = {"CN=Issuer", "01", version, 1000, RIG_NOW_S + version};

        assert_err(ERR_OK, store_job_told(r->s, j->id, &heard, RIG_NOW_S + 86400));
    }
    return false;
}

static void make_life(struct rig *r)
{
    struct posted hold = rig_post(r, LETTER(.message_id = "<hold@a.test>")),
                  replaced = rig_post(r, LETTER(.message_id = "<replaced@a.test>")),
                  perhaps = rig_post(r, LETTER(.message_id = "<perhaps@a.test>")),
                  plain = rig_post(r, LETTER(.message_id = "<plain@a.test>")),
                  retracted = rig_post(r, LETTER(.message_id = "<retracted@a.test>"));
    enum err outcome;
    struct ticket t;

    assert_err(ERR_OK, store_status(r->s, hold.ticket.key, TICKET_HELD, "", RIG_NOW_S + 2, &t));
    assert_err(ERR_OK, store_delay_due(r->s, hold.ticket.key, RIG_NOW_S + 3));
    assert_err(ERR_OK, store_archived(r->s, hold.ticket.key, t.payload_id, RIG_NOW_S + 4));
    assert_err(ERR_OK, store_hold(r->s, hold.ticket.key, true, "case 17", RIG_NOW_S + 5, &t));
    assert_err(ERR_OK, rig_replace(r, &replaced, 1,
                                   LETTER(.message_id = "<replaced@a.test>", .size = 80000, .fill = 'n'), 2,
                                   false, RIG_NOW_S, &outcome));
    rig_set_perhaps(r, &perhaps);
    assert_err(ERR_OK, store_plain(r->s, plain.ticket.key, "takes no stubs", RIG_NOW_S, &t));
    assert_err(ERR_OK, store_status(r->s, retracted.ticket.key, TICKET_HELD, "", RIG_NOW_S + 2, &t));
    assert_err(ERR_OK, store_retract(r->s, retracted.ticket.key, false, RIG_NOW_S + 6, &t));
    assert_err(ERR_OK, store_jobs(r->s, JOB_HELD, 10, tell_job, r));
}

static int make_fixture(const char *directory)
{
    struct job j = {.url = "https://a.test/restante/1/x/y",
                    .recipient = "bob@b.test",
                    .due_s = RIG_NOW_S,
                    .created_s = RIG_NOW_S,
                    .expires_s = RIG_NOW_S + 7 * 86400};
    struct store_claimed c;
    struct store_claim q;
    enum job_added added;
    uint8_t digest[32];
    struct posted p;
    struct ticket t;
    struct rig r;

    rig_init(&r, STORE_MEMORY);
    r.options.engine = STORE_BDB;
    r.options.directory = directory;
    rig_open(&r);
    rig_post(&r, LETTER(.message_id = "<small@a.test>", .subject = "Small"));
    rig_post(&r, LETTER(.message_id = "<large@a.test>", .subject = "Large", .size = 70000));
    p = rig_post(&r, LETTER(.message_id = "<done@a.test>"));
    q = rig_claim(&p, 1, RIG_NOW_S);
    letter_digest(LETTER(), digest);
    if (store_claim(r.s, &q, &c) != ERR_OK || store_ack(r.s, p.ticket.key, digest, RIG_NOW_S, &t) != ERR_OK ||
        store_job_add(r.s, &j, &added) != ERR_OK ||
        store_domain_put(r.s, "b.test", &(struct store_domain){true, RIG_NOW_S}) != ERR_OK)
        return 1;
    make_admission(&r);
    make_life(&r);
    rig_free(&r);
    return 0;
}

int main(int argc, char **argv)
{
#define CASE(name)                                                                                           \
    {                                                                                                        \
#name, name                                                                                          \
    }
    static const struct rig_case cases[] = {
        CASE(it_is_all_there_when_opened_again),
        CASE(another_site_key_is_refused),
        CASE(a_lost_site_key_is_refused),
        CASE(what_was_in_memory_does_not_get_into_the_files),
        CASE(a_table_that_is_gone_is_not_made_anew),
        CASE(a_second_opener_is_refused),
        CASE(a_foreign_db_config_is_refused),
        CASE(another_format_is_refused),
        CASE(a_record_of_a_later_version_is_refused),
        CASE(a_record_of_a_later_version_is_found),
        CASE(counts_are_what_the_records_say),
        CASE(damaged_records_harm_only_themselves),
        CASE(sealed_fields_are_bound_to_their_place),
        CASE(a_lost_or_cut_payload_file_is_an_error),
        CASE(nobody_else_may_read_anything),
        CASE(a_challenge_of_an_earlier_record_is_known),
        CASE(secrets_are_not_on_disk_or_destroyed),
        CASE(below_the_floor_nothing_is_deposited),
        CASE(a_store_of_records_1_opens),
        CASE(a_store_of_records_2_opens),
        CASE(a_store_of_records_3_opens),
        CASE(a_full_disk_is_survived), /* last: it leaves for a mount namespace of its own */
    };

    if (argc == 3 && strcmp(argv[1], "make-fixture") == 0)
        return make_fixture(argv[2]);
    return rig_run("store opening", cases, sizeof cases / sizeof *cases, false, true);
}
