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
#include "store/records.h"

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
    assert_err(ERR_CONFIG, rig_try_open(r, other, why));
    assert_non_null(strstr(why, "epoch 7"));
    assert_err(ERR_OK, rig_try_open(r, r->keys, why));
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
    assert_err(ERR_OK, rig_try_open(r, both, why)); /* a new key beside the old one */
    assert_err(ERR_CONFIG, rig_try_open(r, later, why));
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
            assert_err(ERR_STORE, rig_try_open(r, r->keys, why));
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

    assert_err(ERR_EXISTS, rig_try_open(r, r->keys, why));
    assert_non_null(strstr(why, "another process"));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(rig_try_open(r, r->keys, why) == ERR_EXISTS ? 0 : 1);
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
    assert_err(ERR_CONFIG, rig_try_open(r, r->keys, why));
    assert_non_null(strstr(why, "DB_CONFIG"));
    unlink(path);
    assert_err(ERR_OK, rig_try_open(r, r->keys, why));
}

static void another_format_is_refused(struct rig *r)
{
    uint8_t version[8];
    char why[200];

    rig_close(r);
    codec_put_be64(version, 3);
    tamper(r, TABLE_META, SPAN_LITERAL("format"), span_bytes(version, sizeof version));
    assert_err(ERR_STORE_FORMAT, rig_try_open(r, r->keys, why));
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
    assert_err(ERR_STORE_FORMAT, rig_try_open(r, r->keys, why));
    assert_non_null(strstr(why, "later version"));
    codec_put_be64(version, 1); /* yesterday's */
    tamper(r, TABLE_META, SPAN_LITERAL("records"), span_bytes(version, sizeof version));
    assert_err(ERR_OK, rig_try_open(r, r->keys, why));
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
        assert_err(ERR_STORE_FORMAT, rig_try_open(r, r->keys, why));
        assert_non_null(strstr(why, engine_table_name(row[i].table)));
        tamper(r, row[i].table, k, span_bytes(damaged, sizeof damaged)); /* which harms only itself */
        assert_err(ERR_OK, rig_try_open(r, r->keys, why));
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
        p[i] = rig_post(
            r, LETTER(.message_id = id, .size = i % 2 == 0 ? 3000 : 70000, .notify = i == 3 ? "NEVER" : ""));
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
    assert_err(ERR_OK, rig_try_open(r, r->keys, why));
    rig_open(r);
    assert_err(ERR_OK, store_count(r->s, &counted));
    kept.removed = 0;
    assert_memory_equal(&kept, &counted, offsetof(struct store_counts, disk_free_bytes));
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
    assert_err(ERR_OK, store_tickets(r->s, NULL, 100, rig_count_ticket, &n));
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
        assert_err(ERR_OK, store_tickets(r->s, NULL, 1000000, rig_count_ticket, &n));
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
    assert_err(ERR_OK, store_tickets(r->s, NULL, 1000000, rig_count_ticket, &n));
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

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(it_is_all_there_when_opened_again),
        RIG_CASE(another_site_key_is_refused),
        RIG_CASE(a_lost_site_key_is_refused),
        RIG_CASE(what_was_in_memory_does_not_get_into_the_files),
        RIG_CASE(a_table_that_is_gone_is_not_made_anew),
        RIG_CASE(a_second_opener_is_refused),
        RIG_CASE(a_foreign_db_config_is_refused),
        RIG_CASE(another_format_is_refused),
        RIG_CASE(a_record_of_a_later_version_is_refused),
        RIG_CASE(a_record_of_a_later_version_is_found),
        RIG_CASE(counts_are_what_the_records_say),
        RIG_CASE(damaged_records_harm_only_themselves),
        RIG_CASE(sealed_fields_are_bound_to_their_place),
        RIG_CASE(a_lost_or_cut_payload_file_is_an_error),
        RIG_CASE(nobody_else_may_read_anything),
        RIG_CASE(a_challenge_of_an_earlier_record_is_known),
        RIG_CASE(secrets_are_not_on_disk_or_destroyed),
        RIG_CASE(below_the_floor_nothing_is_deposited),
        RIG_CASE(a_full_disk_is_survived), /* last: it leaves for a mount namespace of its own */
    };

    return rig_run("store opening", cases, sizeof cases / sizeof *cases, false, true);
}
