/*
 * handover_file.c - see handover_file.h, and handover_read of handover.h.
 *
 * Integers are big-endian.
 *   header  "RSTHAND1", 8 bytes of zeros, the journal's id, the file's number (8), begun (8), zeros (8), sum
 * (8) entry   length of all of it (4), kind (1), zeros (3), arg (4), zeros (4), time (8), key (32), A (16),
 *           extra (32), body, sum (8)
 * A sum is the head of the SHA-256 of what stands before it.
 */
#include "store/handover_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "seal/crypt.h"
#include "store/codec.h"

#define MAGIC "RSTHAND1"
#define PREFIX "handover."
#define FILE_BYTES_MAX ((size_t)256 << 20)

static void put_be32(uint8_t *out, uint32_t v)
{
    out[0] = (uint8_t)(v >> 24);
    out[1] = (uint8_t)(v >> 16);
    out[2] = (uint8_t)(v >> 8);
    out[3] = (uint8_t)v;
}

static uint32_t get_be32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static enum err sum_of(const void *data, size_t len, uint8_t out[HANDOVER_SUM_BYTES])
{
    uint8_t hash[CRYPT_SHA256_BYTES];
    enum err err = crypt_sha256(span_bytes(data, len), hash);

    if (err == ERR_OK)
        memcpy(out, hash, HANDOVER_SUM_BYTES);
    return err;
}

static bool sum_is(const void *data, size_t len, const uint8_t *sum)
{
    uint8_t want[HANDOVER_SUM_BYTES];

    return sum_of(data, len, want) == ERR_OK && memcmp(want, sum, sizeof want) == 0;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

void handover_file_name(uint64_t number, char out[HANDOVER_NAME_MAX])
{
    snprintf(out, HANDOVER_NAME_MAX, PREFIX "%010" PRIu64, number);
}

enum err handover_file_header(const uint8_t id[HANDOVER_ID_BYTES], uint64_t number, int64_t begun_s,
                              uint8_t out[HANDOVER_HEADER_BYTES])
{
    memset(out, 0, HANDOVER_HEADER_BYTES);
    memcpy(out, MAGIC, 8);
    memcpy(out + 16, id, HANDOVER_ID_BYTES);
    codec_put_be64(out + 32, number);
    codec_put_be64(out + 40, (uint64_t)begun_s);
    return sum_of(out, 56, out + 56);
}

enum err handover_encode(const struct handover_entry *e, struct buf *out)
{
    size_t len = HANDOVER_END_BYTES + e->body.len, before = out->len;
    uint8_t head[HANDOVER_HEAD_BYTES] = {0}, sum[HANDOVER_SUM_BYTES];
    enum err err;

    if (e->body.len > HANDOVER_BODY_MAX)
        return ERR_TOO_LARGE;
    put_be32(head, (uint32_t)len);
    head[4] = (uint8_t)e->what;
    put_be32(head + 8, e->arg);
    codec_put_be64(head + 16, (uint64_t)e->at_s);
    memcpy(head + 24, e->key, sizeof e->key);
    memcpy(head + 56, e->a, sizeof e->a);
    memcpy(head + 72, e->extra, sizeof e->extra);
    err = buf_append(out, head, sizeof head);
    if (err == ERR_OK)
        err = buf_append_span(out, e->body);
    if (err == ERR_OK)
        err = sum_of(out->data + before, out->len - before, sum);
    if (err == ERR_OK)
        err = buf_append(out, sum, sizeof sum);
    if (err != ERR_OK)
        out->len = before;
    return err;
}

uint32_t handover_count(struct span entries)
{
    uint32_t count = 0;

    for (size_t at = 0; at < entries.len; at += get_be32((const uint8_t *)entries.ptr + at))
        count++;
    return count;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* One entry at the head of bytes; 0: there is none, else its length. */
static size_t decode(struct span bytes, struct handover_entry *e)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr;
    size_t len = bytes.len < HANDOVER_END_BYTES ? 0 : get_be32(at);

    if (len < HANDOVER_END_BYTES || len > bytes.len || len > HANDOVER_END_BYTES + HANDOVER_BODY_MAX ||
        at[4] == 0 || !sum_is(at, len - HANDOVER_SUM_BYTES, at + len - HANDOVER_SUM_BYTES))
        return 0;
    *e = (struct handover_entry){.what = (enum handover_kind)at[4],
                                 .arg = get_be32(at + 8),
                                 .at_s = (int64_t)codec_get_be64(at + 16),
                                 .body = span_bytes(at + HANDOVER_HEAD_BYTES, len - HANDOVER_END_BYTES)};
    memcpy(e->key, at + 24, sizeof e->key);
    memcpy(e->a, at + 56, sizeof e->a);
    memcpy(e->extra, at + 72, sizeof e->extra);
    return len;
}

/* Whether an entry follows somewhere behind one that cannot be read: then that was not the torn end, since
 * the writer syncs what he wrote before he writes on. */
static bool goes_on(struct span bytes)
{
    struct handover_entry e;

    for (size_t at = 1; at + HANDOVER_END_BYTES <= bytes.len; at++) {
        /* Most of a tail is zeros: a length of zero is no entry. */
        if (bytes.ptr[at + 2] == 0 && bytes.ptr[at + 3] == 0)
            continue;
        if (decode(span_bytes(bytes.ptr + at, bytes.len - at), &e) > 0)
            return true;
    }
    return false;
}

struct file {
    struct buf bytes;
    uint8_t id[HANDOVER_ID_BYTES];
    int64_t begun_s;
};

static bool all_zero(struct span s)
{
    return s.len == 0 || (s.ptr[0] == 0 && memcmp(s.ptr, s.ptr + 1, s.len - 1) == 0);
}

/* ERR_NOT_FOUND: no such file, or its header is not that of this number. ERR_GONE: its writer died before
 * there was a header. */
static enum err file_read(int directory_fd, uint64_t number, size_t max, struct file *out)
{
    char name[HANDOVER_NAME_MAX];
    const uint8_t *header;
    enum err err = ERR_OK;
    char *room;
    int fd;

    handover_file_name(number, name);
    buf_init(&out->bytes, FILE_BYTES_MAX);
    if ((fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : err_from_errno(errno);
    while (err == ERR_OK && out->bytes.len < max) {
        size_t want = max - out->bytes.len < 65536 ? max - out->bytes.len : 65536;
        ssize_t n;

        if ((room = buf_reserve(&out->bytes, want)) == NULL) {
            err = ERR_NOMEM;
            break;
        }
        n = read(fd, room, want);
        if (n < 0 && errno != EINTR)
            err = err_from_errno(errno);
        if (n == 0)
            break;
        if (n > 0)
            buf_added(&out->bytes, (size_t)n);
    }
    close(fd);
    if (err == ERR_OK) {
        header = (const uint8_t *)out->bytes.data;
        if (all_zero(buf_span(&out->bytes))) {
            err = ERR_GONE;
        } else if (out->bytes.len < HANDOVER_HEADER_BYTES || memcmp(header, MAGIC, 8) != 0 ||
                   codec_get_be64(header + 32) != number || !sum_is(header, 56, header + 56)) {
            err = ERR_NOT_FOUND;
        } else {
            memcpy(out->id, header + 16, sizeof out->id);
            out->begun_s = (int64_t)codec_get_be64(header + 40);
        }
    }
    if (err != ERR_OK)
        buf_free(&out->bytes);
    return err;
}

/* From an offset to the end. *ended: with HANDOVER_END. *damaged: something behind what was read could still
 * be read. *stopped_at: the offset behind the last good entry before END. */
static enum err file_walk(const struct file *f, uint64_t offset,
                          enum err (*each)(void *arg, const struct handover_entry *e), void *arg, bool *ended,
                          bool *damaged, uint64_t *stopped_at)
{
    struct handover_entry e;
    size_t at = (size_t)offset, len;
    enum err err = ERR_OK;

    *ended = *damaged = false;
    while (err == ERR_OK && !*ended) {
        struct span rest =
            at < f->bytes.len ? span_bytes(f->bytes.data + at, f->bytes.len - at) : span_bytes(NULL, 0);

        *stopped_at = at;
        if ((len = decode(rest, &e)) == 0) {
            *damaged = goes_on(rest);
            break;
        }
        *ended = e.what == HANDOVER_END;
        if (!*ended)
            err = each(arg, &e);
        at += len;
    }
    return err;
}

/* ---- the directory ------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The files' numbers, ascending, in a buffer of uint64_t. */
static enum err files(int directory_fd, struct buf *out)
{
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    enum err err = ERR_OK;
    uint64_t number;

    if (dir == NULL) {
        err = err_from_errno(errno);
        if (fd >= 0)
            close(fd);
        return err;
    }
    while (err == ERR_OK && (entry = readdir(dir)) != NULL) {
        char name[HANDOVER_NAME_MAX];

        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        number = strtoull(entry->d_name + strlen(PREFIX), NULL, 10); /* another one's name is not this */
        handover_file_name(number, name);
        if (strcmp(name, entry->d_name) == 0)
            err = buf_append(out, &number, sizeof number);
    }
    closedir(dir);
    if (out->len > 0)
        qsort(out->data, out->len / sizeof number, sizeof number, by_number);
    return err;
}

#define NUMBERS_MAX ((size_t)8 << 20)

static uint64_t number_at(const struct buf *numbers, size_t i)
{
    uint64_t number;

    memcpy(&number, numbers->data + i * sizeof number, sizeof number);
    return number;
}

static enum err note_last(void *arg, const struct handover_entry *e)
{
    *(int64_t *)arg = e->at_s;
    return ERR_OK;
}

struct tally {
    uint32_t entries;
    int64_t last_s;
};

static enum err count_entry(void *arg, const struct handover_entry *e)
{
    struct tally *t = arg;

    t->entries++;
    return note_last(&t->last_s, e);
}

static enum err write_end(int directory_fd, uint64_t number, uint64_t offset, const struct tally *t)
{
    const struct handover_entry e = {.what = HANDOVER_END, .arg = t->entries, .at_s = t->last_s};
    char name[HANDOVER_NAME_MAX];
    struct buf end;
    enum err err;
    int fd;

    handover_file_name(number, name);
    buf_init(&end, HANDOVER_END_BYTES);
    err = handover_encode(&e, &end);
    fd = openat(directory_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (err == ERR_OK && (fd < 0 || pwrite(fd, end.data, end.len, (off_t)offset) != (ssize_t)end.len ||
                          ftruncate(fd, (off_t)(offset + end.len)) != 0 || fdatasync(fd) != 0))
        err = err_from_errno(errno);
    if (fd >= 0)
        close(fd);
    buf_free(&end);
    return err;
}

enum err handover_files_end(int directory_fd, struct handover_end *out, struct buf *why)
{
    struct buf numbers;
    struct file f;
    struct tally t = {.entries = 0};
    bool ended, damaged;
    uint64_t stopped_at;
    enum err err;

    memset(out, 0, sizeof *out);
    buf_init(&numbers, NUMBERS_MAX);
    err = files(directory_fd, &numbers);
    if (err != ERR_OK || numbers.len == 0)
        goto out;
    out->number = number_at(&numbers, numbers.len / sizeof(uint64_t) - 1);
    err = file_read(directory_fd, out->number, FILE_BYTES_MAX, &f);
    if (err == ERR_NOT_FOUND || err == ERR_GONE) { /* nothing can be said of it */
        err = ERR_OK;
        goto out;
    }
    if (err != ERR_OK)
        goto out;
    memcpy(out->id, f.id, sizeof out->id);
    t.last_s = f.begun_s;
    err = file_walk(&f, HANDOVER_HEADER_BYTES, count_entry, &t, &ended, &damaged, &stopped_at);
    out->whole = !damaged;
    out->last_s = t.last_s;
    if (err == ERR_OK && !ended && !damaged)
        err = write_end(directory_fd, out->number, stopped_at, &t);
    buf_free(&f.bytes);
out:
    buf_free(&numbers);
    if (err != ERR_OK)
        buf_printf(why, "handover journal: the newest file cannot be read: %s", err_text(err));
    return err;
}

void handover_files_forget(int directory_fd, int64_t before_s)
{
    char name[HANDOVER_NAME_MAX];
    struct buf numbers;
    struct file f;

    buf_init(&numbers, NUMBERS_MAX);
    if (files(directory_fd, &numbers) == ERR_OK)
        for (size_t i = 0; i + 1 < numbers.len / sizeof(uint64_t); i++) {
            bool old =
                file_read(directory_fd, number_at(&numbers, i + 1), HANDOVER_HEADER_BYTES, &f) == ERR_OK;

            if (old) {
                old = f.begun_s < before_s;
                buf_free(&f.bytes);
            }
            if (!old)
                break; /* those behind it are younger still */
            handover_file_name(number_at(&numbers, i), name);
            if (unlinkat(directory_fd, name, 0) != 0)
                log_warning("handover journal: %s: %s", name, strerror(errno));
        }
    buf_free(&numbers);
}

/* ---- reading all of it --------------------------------------------------------------------------------- */

static enum err pass_over(void *arg, const struct handover_entry *e)
{
    (void)arg;
    (void)e;
    return ERR_OK;
}

/* Whether an entry may begin there: all before it can be read. */
static bool is_boundary(const struct file *f, uint64_t offset)
{
    struct file head = *f;
    bool ended, damaged;
    uint64_t stopped_at = 0;

    if (offset > f->bytes.len || offset < HANDOVER_HEADER_BYTES)
        return false;
    head.bytes.len = (size_t)offset; /* borrowed */
    return file_walk(&head, HANDOVER_HEADER_BYTES, pass_over, NULL, &ended, &damaged, &stopped_at) ==
               ERR_OK &&
           stopped_at == offset;
}

static enum err not_covered(struct buf *why, uint64_t number, const char *what)
{
    buf_printf(why, "handover journal: file %" PRIu64 " %s", number, what);
    return ERR_NOT_FOUND;
}

static enum err read_one(int directory_fd, uint64_t number, bool last, const struct handover_position *since,
                         enum err (*each)(void *arg, const struct handover_entry *e), void *arg,
                         struct buf *why)
{
    bool ended, damaged;
    uint64_t stopped_at, from = number == since->file ? since->offset : HANDOVER_HEADER_BYTES;
    struct file f;
    enum err err = file_read(directory_fd, number, FILE_BYTES_MAX, &f);

    if (err == ERR_GONE && number > since->file)
        return ERR_OK; /* nothing was noted in it */
    if (err == ERR_NOT_FOUND || err == ERR_GONE)
        return not_covered(why, number, "is missing or damaged");
    if (err != ERR_OK)
        return err;
    if (memcmp(f.id, since->id, sizeof f.id) != 0) {
        err = not_covered(why, number, "belongs to another journal than the backup's");
    } else if (!is_boundary(&f, from)) {
        err = not_covered(why, number, "is older than the backup");
    } else {
        err = file_walk(&f, from, each, arg, &ended, &damaged, &stopped_at);
        if (err == ERR_OK && (damaged || (!ended && !last)))
            err = not_covered(why, number, "is damaged");
    }
    buf_free(&f.bytes);
    return err;
}

enum err handover_read(const char *directory, const struct handover_position *since,
                       enum err (*each)(void *arg, const struct handover_entry *e), void *arg,
                       struct buf *why)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct buf numbers;
    uint64_t want = since->file;
    size_t count, i = 0;
    enum err err;

    if (fd < 0) {
        buf_printf(why, "handover journal: %s: %s", directory, strerror(errno));
        return errno == ENOENT ? ERR_NOT_FOUND : err_from_errno(errno);
    }
    buf_init(&numbers, NUMBERS_MAX);
    err = files(fd, &numbers);
    count = numbers.len / sizeof(uint64_t);
    while (i < count && number_at(&numbers, i) < want)
        i++;
    if (err == ERR_OK && i == count)
        err = not_covered(why, want, "is missing");
    for (; err == ERR_OK && i < count; i++, want++) {
        if (number_at(&numbers, i) != want)
            err = not_covered(why, want, "is missing");
        else
            err = read_one(fd, want, i + 1 == count, since, each, arg, why);
    }
    buf_free(&numbers);
    close(fd);
    return err;
}
