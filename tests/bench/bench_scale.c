/*
 * bench_scale.c - the store with a million tickets that wait, beside itself with ten thousand.
 *
 * `bench_scale DIRECTORY [TICKETS [SWEPT]]`, on Berkeley DB, with the cache that is the default:
 * - what a deposit, a claim, an ack, and an entry of the outbox cost with 10,000 tickets and with TICKETS, of
 *   which a million come in a month, and what finding a letter by its Message-ID costs;
 * - how long opening takes after a kill -9 at work;
 * - how long a claim takes, 100 a second, while SWEPT tickets past their time are swept and while nothing is;
 * - how large the files are then, and when all that is left of the swept tickets is gone.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "store/store.h"
#include "store/sweep.h"

#define NOW_S 1790000000
#define MONTH_S (30 * 86400)
#define LATER_S (NOW_S + MONTH_S) /* the tickets that fill the store come until then, and stay as long */
#define EVERY_MS 2592             /* so often one of them */
#define SMALL 10000
#define RECIPIENTS 20 /* of each letter that fills the store */
#define LETTER_BYTES 600
#define SAMPLES 2000
#define ROUNDS 5
#define CLAIMS_A_SECOND 100
#define QUIET_S 6

static struct store *s;
static struct site_keys *keys;
static char directory[200];

static void must(const char *what, enum err err)
{
    if (err == ERR_OK)
        return;
    fprintf(stderr, "bench_scale: %s: %s\n", what, err_text(err));
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void open_store(void)
{
    struct store_options o = {.engine = STORE_BDB,
                              .directory = directory,
                              .record_max_bytes = 65432,
                              .cache_bytes = 32 << 20,
                              .dedupe_s = 86400,
                              .tombstone_s = 86400};
    struct buf why;

    buf_init(&why, 1000);
    must("open", store_open(&o, keys, &s, &why));
    buf_free(&why);
}

/* One letter to so many; their keys in the store go to out unless it is NULL. */
static void deposit(size_t recipients, int64_t created_s, int64_t expires_s, uint8_t (*out)[32])
{
    static atomic_uint_fast64_t number;
    static const char letter[LETTER_BYTES] = "sealed";
    struct store_deposit_ticket *item = calloc(recipients, sizeof *item);
    struct ticket_keys *k = calloc(recipients, sizeof *k);
    uint8_t dek[SEAL_DEK_BYTES], digest[32] = {1}, id[SEAL_PAYLOAD_ID_BYTES];
    struct store_deposit d = {.version = 1,
                              .count = recipients,
                              .item = item,
                              .dek = dek,
                              .digest = digest,
                              .body_digest = digest,
                              .letter_bytes = LETTER_BYTES};

    if (item == NULL || k == NULL)
        exit(1);
    must("random", secret_random(id, sizeof id));
    for (int i = 0; i < 4; i++) /* as the sealer does */
        id[i] = (uint8_t)((uint64_t)created_s >> (24 - 8 * i));
    must("random", secret_random(dek, sizeof dek));
    for (size_t i = 0; i < recipients; i++) {
        struct ticket *t = &item[i].ticket;

        must("ticket", ticket_create(keys, &k[i]));
        item[i].keys = &k[i];
        strcpy(t->owner, "alice@a.test");
        strcpy(t->sender, "alice@a.test");
        snprintf(t->recipient, sizeof t->recipient, "r%zu@b.test", i);
        strcpy(t->from, "alice@a.test");
        strcpy(t->from_field, "Alice <alice@a.test>");
        snprintf(t->message_id, sizeof t->message_id, "<%llu.%d@a.test>",
                 (unsigned long long)atomic_fetch_add(&number, 1), (int)getpid());
        t->created_s = created_s;
        t->expires_s = expires_s;
    }
    must("payload", store_payload_begin(s, id, &d.payload));
    must("payload", store_payload_write(d.payload, letter, sizeof letter));
    must("deposit", store_deposit(s, &d));
    for (size_t i = 0; i < recipients && out != NULL; i++)
        memcpy(out[i], item[i].ticket.key, 32);
    free(item);
    free(k);
}

/* The next letter of one that comes twice a second. */
static void deposit_next(uint8_t (*out)[32])
{
    static int64_t number;
    int64_t now_s = LATER_S + number++ / 2;

    deposit(1, now_s, now_s + MONTH_S, out);
}

static uint64_t waiting(void)
{
    struct store_counts c;

    must("count", store_count(s, &c));
    return c.tickets[TICKET_WAITING];
}

/* ---- filling ------------------------------------------------------------------------------------------- */

static atomic_int_fast64_t to_fill;
static size_t swept_a_round;
static atomic_size_t past; /* tickets that have a time of their own */

static void *fill_loop(void *arg)
{
    (void)arg;
    while (atomic_fetch_sub(&to_fill, RECIPIENTS) > 0) {
        size_t at = atomic_fetch_add(&past, RECIPIENTS);
        int64_t created_s = NOW_S + 1 + (int64_t)(at * EVERY_MS / 1000) % MONTH_S;
        int64_t expires_s = at < ROUNDS * swept_a_round ? NOW_S + 1000 + (int64_t)(at / swept_a_round) * 1000
                                                        : created_s + MONTH_S;

        /* As if their stubs had been sent: the next looks at them are spread over the days to come. */
        deposit(RECIPIENTS, created_s, expires_s, NULL);
    }
    return NULL;
}

static void fill(uint64_t count)
{
    pthread_t thread[8];

    atomic_store(&to_fill, (int64_t)(count - waiting()));
    for (size_t i = 0; i < 8; i++)
        if (pthread_create(&thread[i], NULL, fill_loop, NULL) != 0)
            exit(1);
    for (size_t i = 0; i < 8; i++)
        pthread_join(thread[i], NULL);
}

/* ---- what a word costs ----------------------------------------------------------------------------------
 */

enum word { DEPOSIT, CLAIM, ACK, DUE, WORDS };
static const char *const word_name[WORDS] = {"deposit", "claim", "ack", "an entry of the outbox, done"};
struct cost {
    double us[WORDS], cpu_us[WORDS];
};

static void claim(const uint8_t key[32], unsigned recipient)
{
    char to[40];
    struct store_claim c = {.sender = "alice@a.test",
                            .recipient = to,
                            .from = "alice@a.test",
                            .now_s = NOW_S,
                            .lease_s = 300,
                            .lease_total_s = 3600,
                            .bodies_max = 50};
    struct store_claimed *out = malloc(sizeof *out);

    snprintf(to, sizeof to, "r%u@b.test", recipient);
    memcpy(c.key, key, sizeof c.key);
    must("claim", out == NULL ? ERR_NOMEM : store_claim(s, &c, out));
    free(out);
}

static void all_due(void)
{
    struct work w[64];
    size_t n;

    do {
        must("due", store_work_due(s, NOW_S, 7200, w, 64, &n));
        for (size_t i = 0; i < n; i++)
            must("done", store_work_done(s, &w[i], "4b", NOW_S));
    } while (n > 0);
}

static struct cost measure(void)
{
    static uint8_t key[SAMPLES][32];
    struct ticket *t = malloc(sizeof *t);
    uint8_t digest[32] = {1};
    struct cost cost;

    if (t == NULL)
        exit(1);
    for (enum word word = DEPOSIT; word < WORDS; word++) {
        double at = now(), cpu_at = cpu();

        for (int i = 0; i < SAMPLES && word != DUE; i++)
            if (word == DEPOSIT)
                deposit_next(&key[i]);
            else if (word == CLAIM)
                claim(key[i], 0);
            else
                must("ack", store_ack(s, key[i], digest, NOW_S, t));
        if (word == DUE) {
            /* An ack takes the stub's entry away: new ones. */
            for (int i = 0; i < SAMPLES; i++)
                deposit(1, NOW_S, LATER_S, &key[i]);
            at = now();
            cpu_at = cpu();
            all_due();
        }
        cost.us[word] = (now() - at) * 1e6 / SAMPLES;
        cost.cpu_us[word] = (cpu() - cpu_at) * 1e6 / SAMPLES;
    }
    free(t);
    return cost;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static struct cost median_cost(void)
{
    struct cost round[3], cost;
    double list[3];

    for (int i = 0; i < 3; i++)
        round[i] = measure();
    for (enum word word = DEPOSIT; word < WORDS; word++)
        for (int of_cpu = 0; of_cpu < 2; of_cpu++) {
            for (int i = 0; i < 3; i++)
                list[i] = of_cpu ? round[i].cpu_us[word] : round[i].us[word];
            qsort(list, 3, sizeof *list, by_size);
            *(of_cpu ? &cost.cpu_us[word] : &cost.us[word]) = list[1];
        }
    return cost;
}

static bool count_it(void *arg, const struct ticket *t)
{
    (void)t;
    ++*(size_t *)arg;
    return true;
}

/* Median of some looks at letters from everywhere, in us. */
static double find_cost(void)
{
    enum { LOOKS = 101 };
    struct store_filter f = {.state = -1};
    double took[LOOKS];
    char id[60];

    f.message_id = id;
    for (unsigned i = 0; i < LOOKS; i++) {
        size_t found = 0;
        double at = now();

        snprintf(id, sizeof id, "<%u.%d@a.test>", i * (SMALL / LOOKS), (int)getpid());
        must("find", store_tickets(s, &f, SIZE_MAX, count_it, &found));
        took[i] = (now() - at) * 1e6;
        if (found != 1)
            must("find", ERR_NOT_FOUND);
    }
    qsort(took, LOOKS, sizeof *took, by_size);
    return took[LOOKS / 2];
}

static long rss_mb(void)
{
    char line[200];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        sscanf(line, "VmRSS: %ld", &kb);
    if (f != NULL)
        fclose(f);
    return kb / 1024;
}

static void bench_costs(uint64_t tickets)
{
    struct cost small, large;
    double at, small_find;

    open_store();
    fill(SMALL);
    small = median_cost();
    small_find = find_cost();
    at = now();
    fill(tickets);
    printf("(%llu tickets filled in %.0f s)\n", (unsigned long long)tickets, now() - at);
    large = median_cost();
    printf(
        "\nOne thread, each durable: us with %d tickets, with %llu; ratio; the same in CPU; target <= 1.5\n",
        SMALL, (unsigned long long)tickets);
    for (enum word word = DEPOSIT; word < WORDS; word++)
        printf("  %-32s %8.0f %8.0f %6.2f   %8.0f %8.0f %6.2f\n", word_name[word], small.us[word],
               large.us[word], large.us[word] / small.us[word], small.cpu_us[word], large.cpu_us[word],
               large.cpu_us[word] / small.cpu_us[word]);
    printf("  %-32s %8.0f %8.0f\n", "finding a letter by Message-ID", small_find, find_cost());
    printf("  resident memory: %ld MB, of which 32 MB are the cache\n", rss_mb());
    store_close(s);
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static void bench_opening(void)
{
    double took[3];

    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        double at;

        if (child == 0) {
            open_store();
            for (;;)
                deposit(1, NOW_S + 86400, LATER_S, NULL);
        }
        sleep(8);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        at = now();
        open_store();
        took[i] = now() - at;
        store_close(s);
    }
    qsort(took, 3, sizeof *took, by_size);
    printf("\nOpening after a kill -9 while letters came: median %.2f s, longest %.2f s; target < 5\n",
           took[1], took[2]);
}

/* ---- sweeping ------------------------------------------------------------------------------------------ */

static atomic_bool sweeping;
static int64_t sweep_now_s;
static struct store_swept swept;

/* As the sweeper's thread does it: a pause of twice the step. */
static void *sweep_loop(void *arg)
{
    struct store_sweeper *w = arg;
    int64_t next_s = sweep_now_s;

    while (next_s <= sweep_now_s) {
        double at = now();

        must("sweep", store_sweep(w, sweep_now_s, &swept, &next_s));
        if (next_s <= sweep_now_s)
            usleep((useconds_t)((now() - at) * 2e6) + 2000);
    }
    atomic_store(&sweeping, false);
    return NULL;
}

/* p95 in ms of claims at an even pace, until so many seconds are over and nothing is being swept. */
static double p95_of_claims(uint8_t (*key)[32], size_t keys_max, double seconds)
{
    double *took = calloc(keys_max, sizeof *took), at = now(), p95;
    size_t n = 0;

    if (took == NULL)
        exit(1);
    while (n < keys_max && (now() - at < seconds || atomic_load(&sweeping))) {
        double due = at + (double)n / CLAIMS_A_SECOND, began;

        while (now() < due)
            usleep((useconds_t)((due - now()) * 1e6) + 1);
        began = now();
        claim(key[n], 0);
        took[n++] = now() - began;
    }
    qsort(took, n, sizeof *took, by_size);
    p95 = took[n * 95 / 100] * 1000;
    free(took);
    return p95;
}

static void bench_sweeping(void)
{
    enum { QUIET_KEYS = QUIET_S * CLAIMS_A_SECOND, BUSY_KEYS = 12000 };
    uint8_t(*key)[32] = calloc(BUSY_KEYS, sizeof *key);
    struct store_sweeper *w;
    double ratio[ROUNDS];

    if (key == NULL)
        exit(1);
    open_store();
    must("sweeper", store_sweeper_create(s, &w));
    printf("\nClaims, %d a second: p95 in ms while %zu tickets past their time are swept, while quiet; "
           "ratio; target "
           "<= 2\n",
           CLAIMS_A_SECOND, swept_a_round);
    sweep_now_s = NOW_S;
    atomic_store(&sweeping, true);
    sweep_loop(w); /* what is due at a start */
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        double quiet, busy, at;

        for (size_t i = 0; i < QUIET_KEYS; i++)
            deposit(1, NOW_S + 86400, LATER_S, &key[i]);
        quiet = p95_of_claims(key, QUIET_KEYS, QUIET_S);
        for (size_t i = 0; i < swept_a_round / 9 + 500 && i < BUSY_KEYS; i++)
            deposit(1, NOW_S + 86400, LATER_S, &key[i]);
        sweep_now_s = NOW_S + 1001 + round * 1000;
        swept.expired = 0;
        atomic_store(&sweeping, true);
        at = now();
        pthread_create(&thread, NULL, sweep_loop, w);
        busy =
            p95_of_claims(key, swept_a_round / 9 + 500 < BUSY_KEYS ? swept_a_round / 9 + 500 : BUSY_KEYS, 0);
        pthread_join(thread, NULL);
        ratio[round] = busy / quiet;
        printf("  %8.2f %8.2f %6.2f   (%zu expired in %.1f s)\n", busy, quiet, ratio[round], swept.expired,
               now() - at);
    }
    qsort(ratio, ROUNDS, sizeof *ratio, by_size);
    printf("  median ratio %.2f\n", ratio[ROUNDS / 2]);
    store_sweeper_free(w);
    store_close(s);
    free(key);
}

/* ---- space --------------------------------------------------------------------------------------------- */

static double disk_mb(void)
{
    char command[300], line[100] = "0";
    FILE *f;

    snprintf(command, sizeof command, "du -sk '%s'", directory);
    f = popen(command, "r");
    if (f == NULL || fgets(line, sizeof line, f) == NULL)
        line[0] = '0';
    if (f != NULL)
        pclose(f);
    return atof(line) / 1024;
}

static atomic_bool sending;
static double deposit_max, deposit_p95;

/* Deposits at an even pace, while sending. */
static void *send_loop(void *arg)
{
    enum { SENT_MAX = 100000 };
    double *took = calloc(SENT_MAX, sizeof *took), at = now();
    size_t n = 0;

    (void)arg;
    while (took != NULL && n < SENT_MAX && atomic_load(&sending)) {
        double due = at + (double)n / CLAIMS_A_SECOND, began;

        while (now() < due)
            usleep((useconds_t)((due - now()) * 1e6) + 1);
        began = now();
        deposit(1, NOW_S + 86400, LATER_S, NULL);
        took[n++] = now() - began;
    }
    if (n == 0)
        exit(1);
    qsort(took, n, sizeof *took, by_size);
    deposit_p95 = took[n * 95 / 100];
    deposit_max = took[n - 1];
    free(took);
    return NULL;
}

/* Every ticket expires and is told, and its tombstone ends. */
static void bench_space(void)
{
    double full = disk_mb(), at = now(), slowest = 0;
    pthread_t sender;
    struct store_sweeper *w;
    int64_t next_s, at_s = LATER_S + MONTH_S + 1;
    uint64_t before;

    open_store();
    before = waiting();
    must("sweeper", store_sweeper_create(s, &w));
    swept = (struct store_swept){.expired = 0};
    atomic_store(&sending, true);
    pthread_create(&sender, NULL, send_loop, NULL);
    for (int pass = 0; pass < 3; pass++, at_s += 2 * 86400) {
        next_s = at_s;
        while (next_s <= at_s) {
            double step_at = now();

            must("sweep", store_sweep(w, at_s, &swept, &next_s));
            if (now() - step_at > slowest)
                slowest = now() - step_at;
        }
    }
    atomic_store(&sending, false);
    pthread_join(sender, NULL);
    store_sweeper_free(w);
    store_close(s);
    printf("\n%llu tickets expired and purged in %.0f s; the longest step took %.0f ms; deposits meanwhile, "
           "%d a "
           "second: p95 %.1f ms, longest %.0f ms\n"
           "  size on disk %.0f MB before, %.0f MB after; %llu pages given back\n",
           (unsigned long long)before, now() - at, slowest * 1000, CLAIMS_A_SECOND, deposit_p95 * 1000,
           deposit_max * 1000, full, disk_mb(), (unsigned long long)swept.pages);
}

int main(int argc, char **argv)
{
    const uint16_t epoch = 1;
    uint8_t key[1][SITEKEY_BYTES] = {{1}};
    uint64_t tickets = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    char command[300];

    swept_a_round = argc > 3 ? strtoul(argv[3], NULL, 10) : 20000;
    snprintf(directory, sizeof directory, "%s/bench_scale.XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (mkdtemp(directory) == NULL)
        must(directory, ERR_IO);
    must("keys", site_keys_from_bytes(&epoch, (const uint8_t(*)[SITEKEY_BYTES])key, 1, &keys));
    setvbuf(stdout, NULL, _IOLBF, 0);
    bench_costs(tickets);
    bench_opening();
    bench_sweeping();
    bench_space();
    site_keys_free(keys);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command) == 0 ? 0 : 1;
}
