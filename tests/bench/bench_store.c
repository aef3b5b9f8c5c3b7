/*
 * bench_store.c - how fast the store takes deposits, beside what the disk alone can do, in one run.
 *
 * `bench_store [DIRECTORY [SECONDS]]`: deposits from 16 threads on Berkeley DB against 16 threads that append
 * the same bytes to a file each and fdatasync; turn by turn, so that a noisy disk is noisy for both. Then the
 * boundary between records and files, what a claim, an ack and a look-up cost, and what the handover journal
 * adds to them.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "store/store.h"

#define NOW_S 1790000000
#define THREADS_MAX 64
#define ROUNDS 5

struct bench {
    char directory[200];
    struct store *s;
    struct site_keys *keys;
    size_t size;
    int64_t record_max_bytes;
    bool journal;
    _Atomic int64_t end_ms;
    atomic_uint_fast64_t done;
    pthread_barrier_t start;
    char *bytes;
};

static void die(const char *what, enum err err)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, err_text(err));
    exit(1);
}

static void must(const char *what, enum err err)
{
    if (err != ERR_OK)
        die(what, err);
}

static void open_store(struct bench *b, const char *name)
{
    char path[300], journal[320];
    struct store_options o = {.engine = STORE_BDB,
                              .directory = path,
                              .record_max_bytes = b->record_max_bytes,
                              .cache_bytes = 64 << 20,
                              .dedupe_s = 86400,
                              .tombstone_s = 30 * 86400,
                              .handover_directory = b->journal ? journal : NULL,
                              .handover_keep_s = 60 * 86400};
    struct buf why;

    buf_init(&why, 1000);
    snprintf(path, sizeof path, "%s/%s", b->directory, name);
    snprintf(journal, sizeof journal, "%s/handover", path);
    must("open", store_open(&o, b->keys, &b->s, &why));
    buf_free(&why);
}

static void deposit(struct bench *b, struct ticket *out)
{
    static atomic_uint_fast64_t number;
    struct store_deposit_ticket *item = calloc(1, sizeof *item);
    uint8_t dek[SEAL_DEK_BYTES], digest[32] = {1}, id[SEAL_PAYLOAD_ID_BYTES];
    struct store_deposit d = {.version = 1,
                              .count = 1,
                              .item = item,
                              .dek = dek,
                              .digest = digest,
                              .body_digest = digest,
                              .letter_bytes = b->size};
    struct ticket_keys keys;

    if (item == NULL)
        die("deposit", ERR_NOMEM);
    must("random", secret_random(id, sizeof id));
    id[0] = id[1] = id[2] = id[3] = 0; /* the sealer puts the time there */
    must("random", secret_random(dek, sizeof dek));
    must("ticket", ticket_create(b->keys, &keys));
    item->keys = &keys;
    strcpy(item->ticket.owner, "alice@a.test");
    strcpy(item->ticket.sender, "alice@a.test");
    strcpy(item->ticket.recipient, "bob@b.test");
    strcpy(item->ticket.from, "alice@a.test");
    strcpy(item->ticket.from_field, "Alice <alice@a.test>");
    snprintf(item->ticket.message_id, sizeof item->ticket.message_id, "<%llu@a.test>",
             (unsigned long long)atomic_fetch_add(&number, 1));
    item->ticket.created_s = NOW_S;
    item->ticket.expires_s = NOW_S + 7 * 86400;
    must("payload", store_payload_begin(b->s, id, &d.payload));
    for (size_t at = 0; at < b->size; at += 65536)
        must("payload",
             store_payload_write(d.payload, b->bytes + at, b->size - at < 65536 ? b->size - at : 65536));
    must("deposit", store_deposit(b->s, &d));
    if (out != NULL)
        *out = item->ticket;
    free(item);
}

static void *deposit_loop(void *arg)
{
    struct bench *b = arg;

    pthread_barrier_wait(&b->start);
    while (clock_mono_ms() < b->end_ms) {
        deposit(b, NULL);
        atomic_fetch_add(&b->done, 1);
    }
    return NULL;
}

static void *append_loop(void *arg)
{
    struct bench *b = arg;
    static atomic_int number;
    char path[300];
    int fd;

    snprintf(path, sizeof path, "%s/append.%d", b->directory, atomic_fetch_add(&number, 1));
    fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
    pthread_barrier_wait(&b->start);
    while (clock_mono_ms() < b->end_ms) {
        if (write(fd, b->bytes, b->size) != (ssize_t)b->size || fdatasync(fd) != 0)
            die("append", ERR_IO);
        atomic_fetch_add(&b->done, 1);
    }
    close(fd);
    unlink(path);
    return NULL;
}

/* Runs a loop on so many threads; how many a second were done. */
static double rate(struct bench *b, void *(*loop)(void *), unsigned threads, int64_t ms)
{
    pthread_t thread[THREADS_MAX];
    int64_t start_ms;

    b->done = 0;
    b->end_ms = INT64_MAX;
    pthread_barrier_init(&b->start, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++)
        pthread_create(&thread[i], NULL, loop, b);
    start_ms = clock_mono_ms();
    b->end_ms = start_ms + ms;
    pthread_barrier_wait(&b->start);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&b->start);
    return (double)b->done * 1000 / (double)(clock_mono_ms() - start_ms);
}

static double cpu_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void bench_deposits(struct bench *b, int64_t ms)
{
    static const unsigned threads[] = {1, 4, 16, 64};

    printf("Deposits of 10 KB, one commit each, against append+fdatasync of 10 KB\n"
           "%8s %12s %12s %8s %12s\n",
           "threads", "deposits/s", "appends/s", "ratio", "CPU us each");
    b->size = 10240;
    b->record_max_bytes = 65432;
    open_store(b, "deposits");
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        double deposits = 0, appends = 0, cpu = 0;

        for (int round = 0; round < ROUNDS; round++) {
            double before = cpu_s();

            deposits += rate(b, deposit_loop, threads[i], ms / ROUNDS);
            cpu += (cpu_s() - before) / (double)b->done;
            appends += rate(b, append_loop, threads[i], ms / ROUNDS);
        }
        printf("%8u %12.0f %12.0f %8.2f %12.0f\n", threads[i], deposits / ROUNDS, appends / ROUNDS,
               deposits / appends, cpu / ROUNDS * 1e6);
    }
    store_close(b->s);
}

static void bench_boundary(struct bench *b, int64_t ms)
{
    static const size_t sizes[] = {4096, 16000, 32000, 65000, 130000, 260000};

    printf("\nThe boundary between record and file, 16 threads\n%8s %12s %12s %8s\n", "bytes", "records/s",
           "files/s", "ratio");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        double as[2];

        b->size = sizes[i];
        for (int file = 0; file < 2; file++) {
            char name[40];

            b->record_max_bytes = file ? 1000 : 300000;
            snprintf(name, sizeof name, "boundary-%zu-%d", sizes[i], file);
            if (!file && sizes[i] > 128 * 1024) { /* more than a value may have */
                as[file] = 0;
                continue;
            }
            open_store(b, name);
            as[file] = rate(b, deposit_loop, 16, ms);
            store_close(b->s);
        }
        printf("%8zu %12.0f %12.0f %8.2f\n", sizes[i], as[0], as[1], as[0] / as[1]);
    }
}

static void bench_words(struct bench *b)
{
    enum { COUNT = 2000 };
    struct ticket *t = calloc(COUNT, sizeof *t), got;
    double claim_s, ack_s, get_s;
    int64_t at;

    if (t == NULL)
        die("words", ERR_NOMEM);
    b->size = 10240;
    b->record_max_bytes = 65432;
    open_store(b, "words");
    for (int i = 0; i < COUNT; i++)
        deposit(b, &t[i]);
    at = clock_mono_ms();
    for (int i = 0; i < COUNT; i++)
        must("get", store_ticket_get(b->s, t[i].key, &got));
    get_s = (double)(clock_mono_ms() - at) / 1000;
    at = clock_mono_ms();
    for (int i = 0; i < COUNT; i++) {
        struct store_claim c = {.sender = t[i].sender,
                                .recipient = t[i].recipient,
                                .from = t[i].from,
                                .now_s = NOW_S,
                                .lease_s = 300,
                                .lease_total_s = 3600,
                                .bodies_max = 50};
        struct store_claimed out;

        memcpy(c.key, t[i].key, sizeof c.key);
        must("claim", store_claim(b->s, &c, &out));
    }
    claim_s = (double)(clock_mono_ms() - at) / 1000;
    at = clock_mono_ms();
    for (int i = 0; i < COUNT; i++) {
        uint8_t digest[32] = {1};

        must("ack", store_ack(b->s, t[i].key, digest, NOW_S, &got));
    }
    ack_s = (double)(clock_mono_ms() - at) / 1000;
    printf("\nOne thread, us each: look-up %.0f, claim (durable) %.0f, ack (durable) %.0f\n",
           get_s * 1e6 / COUNT, claim_s * 1e6 / COUNT, ack_s * 1e6 / COUNT);
    store_close(b->s);
    free(t);
}

static atomic_uint claimed; /* of the tickets that claim_loop claims */
static struct ticket *to_claim;

static void *claim_loop(void *arg)
{
    struct bench *b = arg;
    uint8_t digest[32] = {1};
    struct ticket *got = malloc(sizeof *got);
    struct store_claimed *out = malloc(sizeof *out);
    unsigned i;

    if (got == NULL || out == NULL)
        die("claim", ERR_NOMEM);
    pthread_barrier_wait(&b->start);
    while ((i = atomic_fetch_add(&claimed, 1)) < 4000) {
        const struct ticket *t = &to_claim[i];
        struct store_claim c = {.sender = t->sender,
                                .recipient = t->recipient,
                                .from = t->from,
                                .now_s = NOW_S,
                                .lease_s = 300,
                                .lease_total_s = 3600,
                                .bodies_max = 50};

        memcpy(c.key, t->key, sizeof c.key);
        must("claim", store_claim(b->s, &c, out));
        must("ack", store_ack(b->s, t->key, digest, NOW_S, got));
        atomic_fetch_add(&b->done, 1);
    }
    free(got);
    free(out);
    return NULL;
}

/* Turn by turn, each in a store of its own. */
static void bench_journal(struct bench *b, int64_t ms)
{
    static const unsigned threads[] = {1, 16};

    printf("\nThe handover journal on the same disk, with against without\n%8s %22s %30s\n", "threads",
           "deposits/s", "claims with ack/s");
    b->size = 10240;
    b->record_max_bytes = 65432;
    if ((to_claim = calloc(4000, sizeof *to_claim)) == NULL)
        die("journal", ERR_NOMEM);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        double deposits[2] = {0, 0}, claims[2] = {0, 0};

        for (int round = 0; round < 2 * ROUNDS; round++) {
            char name[40];
            int with = round % 2;

            b->journal = with == 1;
            snprintf(name, sizeof name, "journal.%zu.%d", i, round);
            open_store(b, name);
            deposits[with] += rate(b, deposit_loop, threads[i], ms / ROUNDS) / ROUNDS;
            for (int k = 0; k < 4000; k++)
                deposit(b, &to_claim[k]);
            claimed = 0;
            claims[with] += rate(b, claim_loop, threads[i], ms) / ROUNDS;
            store_close(b->s);
        }
        printf("%8u %7.0f %7.0f %6.2f %15.0f %7.0f %6.2f\n", threads[i], deposits[1], deposits[0],
               deposits[1] / deposits[0], claims[1], claims[0], claims[1] / claims[0]);
    }
    b->journal = false;
    free(to_claim);
}

int main(int argc, char **argv)
{
    const uint16_t epoch = 1;
    uint8_t key[1][SITEKEY_BYTES] = {{1}};
    struct bench b = {.s = NULL};
    int64_t ms = argc > 2 ? atoi(argv[2]) * 1000 : 3000;
    char command[300];

    snprintf(b.directory, sizeof b.directory, "%s/bench_store.XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (mkdtemp(b.directory) == NULL || (b.bytes = malloc(300000)) == NULL)
        die(b.directory, ERR_IO);
    must("random", secret_random(b.bytes, 300000));
    must("keys", site_keys_from_bytes(&epoch, (const uint8_t(*)[SITEKEY_BYTES])key, 1, &b.keys));
    setvbuf(stdout, NULL, _IOLBF, 0);
    bench_deposits(&b, ms);
    bench_boundary(&b, ms / 3);
    bench_words(&b);
    bench_journal(&b, ms);
    site_keys_free(b.keys);
    free(b.bytes);
    snprintf(command, sizeof command, "rm -rf '%s'", b.directory);
    return system(command) == 0 ? 0 : 1;
}
