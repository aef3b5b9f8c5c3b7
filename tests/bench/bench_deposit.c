/*
 * bench_deposit - deposits letters through the local socket, or appends and syncs the same bytes to files.
 *
 *   bench_deposit SOCKET THREADS LETTERS BYTES RECIPIENTS [IDS]   LETTERS in all; prints letters a second
 *   bench_deposit append FOLDER THREADS LETTERS BYTES             the floor: append and fdatasync, one file a
 * thread
 *
 * IDS: file that gets "ticket recipient", one a line.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "local/api.h"
#include "local/client.h"

struct work {
    const char *folder; /* append */
    struct local_client *client;
    atomic_long left, failed;
    size_t bytes, recipients;
    FILE *ids;
    pthread_mutex_t ids_lock;
    char run[40]; /* makes the Message-IDs of this run its own */
};

static char *letter_make(const struct work *w, long n, size_t *len)
{
    char *letter = malloc(w->bytes + 256);
    if (!letter)
        exit(1);
    size_t at = (size_t)snprintf(
        letter, 256,
        "From: alice@a.test\r\nTo: bob@b.test\r\nMessage-ID: <%s.%ld@a.test>\r\nSubject: x\r\n\r\n", w->run,
        n);
    while (at + 2 < w->bytes) {
        size_t line = w->bytes - at - 2 < 76 ? w->bytes - at - 2 : 76;
        for (size_t i = 0; i < line; i++)
            letter[at + i] = (char)('a' + (at + i * 7) % 26);
        at += line;
        memcpy(letter + at, "\r\n", 2);
        at += 2;
    }
    *len = at;
    return letter;
}

static void write_ids(struct work *w, const struct buf *reply)
{
    struct api_deposit_answer a;
    if (api_deposit_answer_parse(buf_span(reply), &a) != ERR_OK)
        return;
    pthread_mutex_lock(&w->ids_lock);
    for (size_t i = 0; i < a.ticket_count; i++)
        fprintf(w->ids, "%s user%zu@b.test\n", a.ticket[i], i);
    pthread_mutex_unlock(&w->ids_lock);
    api_deposit_answer_free(&a);
}

static bool upload(struct work *w, const struct buf *head, const char *letter, size_t len)
{
    struct local_upload *u = NULL;
    struct buf reply;
    int status = 0;
    bool ok = false;
    buf_init(&reply, API_HEAD_MAX);
    if (local_upload_begin(w->client, API_DEPOSIT_PATH, &u) != ERR_OK)
        goto out;
    if (local_upload_write(u, head->data, head->len, NULL, NULL) != ERR_OK ||
        local_upload_write(u, letter, len, NULL, NULL) != ERR_OK) {
        local_upload_abort(u);
        goto out;
    }
    ok = local_upload_finish(u, NULL, NULL, &status, &reply) == ERR_OK && status == 201;
    if (!ok)
        fprintf(stderr, "deposit: status %d: %s\n", status, buf_cstr(&reply));
    else if (w->ids)
        write_ids(w, &reply);
out:
    buf_free(&reply);
    return ok;
}

static bool deposit(struct work *w, long n)
{
    struct buf head;
    size_t len;
    struct api_recipient *r = calloc(w->recipients, sizeof *r);
    char(*address)[40] = calloc(w->recipients, sizeof *address);
    if (!r || !address)
        exit(1);
    for (size_t i = 0; i < w->recipients; i++) {
        snprintf(address[i], sizeof address[i], "user%zu@b.test", i);
        r[i].address = address[i];
    }
    char queue_id[] = "BENCH", domains[] = "a.test", sender[] = "alice@a.test", client[] = "127.0.0.1",
         name[] = "localhost", helo[] = "bench", auth[] = "alice";
    struct api_deposit d = {.envelope = {.queue_id = queue_id,
                                         .domains = domains,
                                         .sender = sender,
                                         .client_address = client,
                                         .client_name = name,
                                         .helo = helo,
                                         .auth = auth,
                                         .recipient_count = w->recipients,
                                         .recipient = r}};
    char *letter = letter_make(w, n, &len);
    buf_init(&head, API_HEAD_MAX);
    bool ok = api_deposit_format(&d, &head) == ERR_OK && buf_append_char(&head, '\n') == ERR_OK &&
              upload(w, &head, letter, len);
    buf_free(&head);
    free(letter);
    free(address);
    free(r);
    return ok;
}

static void *depositor(void *arg)
{
    struct work *w = arg;
    long n;
    while ((n = atomic_fetch_sub(&w->left, 1)) > 0)
        if (!deposit(w, n))
            atomic_fetch_add(&w->failed, 1);
    return NULL;
}

static void *appender(void *arg)
{
    struct work *w = arg;
    static atomic_int number;
    char path[4096];
    size_t len;
    char *letter = letter_make(w, 0, &len);
    snprintf(path, sizeof path, "%s/append.%d", w->folder, atomic_fetch_add(&number, 1));
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_TRUNC | O_CLOEXEC, 0600);
    while (fd >= 0 && atomic_fetch_sub(&w->left, 1) > 0)
        if (write(fd, letter, len) != (ssize_t)len || fdatasync(fd) != 0)
            atomic_fetch_add(&w->failed, 1);
    if (fd >= 0)
        close(fd);
    unlink(path);
    free(letter);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct work w = {.recipients = 1};
    pthread_t thread[256];
    bool append = argc == 6 && strcmp(argv[1], "append") == 0;
    if (!append && argc != 6 && argc != 7) {
        fprintf(stderr, "usage: bench_deposit SOCKET THREADS LETTERS BYTES RECIPIENTS [IDS]\n"
                        "       bench_deposit append FOLDER THREADS LETTERS BYTES\n");
        return 2;
    }
    char **arg = append ? argv + 3 : argv + 2;
    long threads = atol(arg[0]), letters = atol(arg[1]);
    threads = threads < 1 ? 1 : threads > 256 ? 256 : threads;
    w.bytes = (size_t)atol(arg[2]);
    atomic_init(&w.left, letters);
    pthread_mutex_init(&w.ids_lock, NULL);
    snprintf(w.run, sizeof w.run, "%lld.%d", (long long)clock_now_ms(), (int)getpid());
    if (append) {
        w.folder = argv[2];
    } else {
        struct local_options o = {.socket_path = argv[1],
                                  .connect_timeout_ms = 2000,
                                  .answer_timeout_ms = 30000,
                                  .write_timeout_ms = 30000,
                                  .idle_max = 64,
                                  .reply_max_bytes = API_HEAD_MAX};
        w.recipients = (size_t)atol(argv[5]);
        if ((argc == 7 && !(w.ids = fopen(argv[6], "we"))) || local_client_create(&o, &w.client) != ERR_OK)
            return 1;
    }
    int64_t began = clock_mono_ms();
    for (long i = 0; i < threads; i++)
        pthread_create(&thread[i], NULL, append ? appender : depositor, &w);
    for (long i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    int64_t took = clock_mono_ms() - began;
    printf("%.1f\n", (double)letters * 1000 / (double)(took > 0 ? took : 1));
    local_client_free(w.client);
    if (w.ids)
        fclose(w.ids);
    return atomic_load(&w.failed) ? 1 : 0;
}
