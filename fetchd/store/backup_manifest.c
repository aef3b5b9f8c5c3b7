/*
 * backup_manifest.c - see backup_manifest.h.
 */
#include "store/backup_manifest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "seal/crypt.h"

#define VERSION 1

void backup_manifest_free(struct backup_manifest *m)
{
    free(m->file);
    free(m->payload);
    memset(m, 0, sizeof *m);
}

/* Room for one more of a growing array. */
static void *more(void *array, size_t count, size_t *room, size_t size)
{
    size_t want = *room == 0 ? 64 : *room * 2;
    void *grown;

    if (count < *room)
        return array;
    grown = reallocarray(array, want, size);
    if (grown != NULL)
        *room = want;
    return grown;
}

enum err backup_manifest_add_file(struct backup_manifest *m, const struct backup_file *f)
{
    struct backup_file *grown;

    for (size_t i = 0; i < m->file_count; i++)
        if (strcmp(m->file[i].name, f->name) == 0) {
            m->file[i] = *f;
            return ERR_OK;
        }
    if ((grown = more(m->file, m->file_count, &m->file_room, sizeof *grown)) == NULL)
        return ERR_NOMEM;
    m->file = grown;
    m->file[m->file_count++] = *f;
    return ERR_OK;
}

enum err backup_manifest_add_payload(struct backup_manifest *m, const struct backup_payload *p)
{
    struct backup_payload *grown = more(m->payload, m->payload_count, &m->payload_room, sizeof *grown);

    if (grown == NULL)
        return ERR_NOMEM;
    m->payload = grown;
    m->payload[m->payload_count++] = *p;
    return ERR_OK;
}

/* ---- as text ------------------------------------------------------------------------------------------- */

enum err backup_manifest_format(const struct backup_manifest *m, struct buf *out)
{
    char hex[ENCODE_HEX_LEN(32) + 1];
    uint8_t digest[32];
    enum err err;

    encode_hex(m->id, sizeof m->id, hex);
    err = buf_printf(out,
                     "restante-backup %d\nid %s %" PRIu64 "\ntime %" PRId64 " %" PRId64 "\nprogram %s\nkeys",
                     VERSION, hex, m->number, m->began_s, m->ended_s, m->program);
    for (size_t i = 0; i < m->epoch_count && err == ERR_OK; i++)
        err = buf_printf(out, " %" PRIu32, m->epoch[i]);
    for (size_t i = 0; i < m->epoch_count && err == ERR_OK; i++) {
        encode_hex(m->fingerprint[i], sizeof m->fingerprint[i], hex);
        if (m->known[i])
            err = buf_printf(out, "\nkey %" PRIu32 " %s", m->epoch[i], hex);
    }
    encode_hex(m->at.id, sizeof m->at.id, hex);
    if (err == ERR_OK && m->journal)
        err = buf_printf(out, "\njournal %s %" PRIu64 " %" PRIu64 "\n", hex, m->at.file, m->at.offset);
    else if (err == ERR_OK)
        err = buf_append_str(out, "\njournal none\n");
    for (size_t i = 0; i < m->file_count && err == ERR_OK; i++) {
        const struct backup_file *f = &m->file[i];

        encode_hex(f->digest, sizeof f->digest, hex);
        err = buf_printf(out, "file %s %s %" PRIu64 " %s\n", f->name, f->path, f->bytes, hex);
    }
    for (size_t i = 0; i < m->payload_count && err == ERR_OK; i++)
        err = buf_printf(out, "payload %s %" PRIu64 "\n", m->payload[i].name, m->payload[i].bytes);
    if (err == ERR_OK)
        err = crypt_sha256(buf_span(out), digest);
    if (err != ERR_OK)
        return err;
    encode_hex(digest, sizeof digest, hex);
    return buf_printf(out, "end %s\n", hex);
}

bool backup_manifest_name(const char *name, int slashes)
{
    for (const char *p = name; *p != '\0'; p++) {
        if (*p == '/' && (p == name || p[1] == '\0' || slashes-- == 0))
            return false;
        if (*p == '.' && (p == name || p[-1] == '/'))
            return false;
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789._-/", *p) == NULL)
            return false;
    }
    return name[0] != '\0';
}

/* A manifest that is being read. */
struct reading {
    struct backup_manifest *m;
    enum err err;
};

/* Copies a word; false: it does not fit. */
static bool take(struct span word, char *out, size_t size)
{
    if (word.len >= size)
        return false;
    memcpy(out, word.ptr, word.len);
    out[word.len] = '\0';
    return true;
}

static bool take_name(struct span word, int slashes, char *out, size_t size)
{
    return take(word, out, size) && backup_manifest_name(out, slashes);
}

static bool take_time(struct span word, int64_t *out)
{
    uint64_t time_s;

    if (!span_to_u64(word, INT64_MAX, &time_s))
        return false;
    *out = (int64_t)time_s;
    return true;
}

static bool read_id(struct reading *x, const struct span *word)
{
    return decode_hex(word[0], x->m->id, sizeof x->m->id) == ERR_OK &&
           span_to_u64(word[1], UINT64_MAX, &x->m->number) && x->m->number > 0;
}

static bool read_time(struct reading *x, const struct span *word)
{
    return take_time(word[0], &x->m->began_s) && take_time(word[1], &x->m->ended_s);
}

static bool read_program(struct reading *x, const struct span *word)
{
    return take(word[0], x->m->program, sizeof x->m->program);
}

static bool read_key(struct reading *x, const struct span *word)
{
    uint64_t epoch;

    if (!span_to_u64(word[0], UINT32_MAX, &epoch))
        return false;
    for (size_t i = 0; i < x->m->epoch_count; i++)
        if (x->m->epoch[i] == epoch)
            return x->m->known[i] =
                       decode_hex(word[1], x->m->fingerprint[i], sizeof x->m->fingerprint[i]) == ERR_OK;
    return false;
}

static bool read_no_journal(struct reading *x, const struct span *word)
{
    (void)x;
    return span_is(word[0], "none");
}

static bool read_journal(struct reading *x, const struct span *word)
{
    struct handover_position *at = &x->m->at;

    x->m->journal = true;
    return decode_hex(word[0], at->id, sizeof at->id) == ERR_OK &&
           span_to_u64(word[1], UINT64_MAX, &at->file) && span_to_u64(word[2], UINT64_MAX, &at->offset);
}

static bool read_file(struct reading *x, const struct span *word)
{
    struct backup_file f;

    if (!take_name(word[0], 0, f.name, sizeof f.name) || !take_name(word[1], 1, f.path, sizeof f.path) ||
        !span_to_u64(word[2], UINT64_MAX, &f.bytes) ||
        decode_hex(word[3], f.digest, sizeof f.digest) != ERR_OK)
        return false;
    x->err = backup_manifest_add_file(x->m, &f);
    return true;
}

static bool read_payload(struct reading *x, const struct span *word)
{
    struct backup_payload p;

    if (!take_name(word[0], 0, p.name, sizeof p.name) || !span_to_u64(word[1], UINT64_MAX, &p.bytes))
        return false;
    x->err = backup_manifest_add_payload(x->m, &p);
    return true;
}

#define WORDS_MAX 4
static const struct {
    const char *name;
    size_t words;
    bool (*read)(struct reading *x, const struct span *word);
} line_rows[] = {
    {"id", 2, read_id},
    {"key", 2, read_key},
    {"time", 2, read_time},
    {"program", 1, read_program},
    {"journal", 1, read_no_journal},
    {"journal", 3, read_journal},
    {"file", 4, read_file},
    {"payload", 2, read_payload},
};

/* The site keys' epochs are as many words as there are. */
static bool read_keys(struct reading *x, struct span rest)
{
    struct span word;
    uint64_t epoch;
    bool more = rest.len > 0;

    while (more && x->m->epoch_count < BACKUP_EPOCHS_MAX) {
        more = span_cut(rest, ' ', &word, &rest);
        if (!span_to_u64(word, UINT32_MAX, &epoch))
            return false;
        x->m->epoch[x->m->epoch_count++] = (uint32_t)epoch;
    }
    return true;
}

static bool read_line(struct reading *x, struct span line)
{
    struct span name, word[WORDS_MAX], rest;
    size_t words = 0;
    bool more = span_cut(line, ' ', &name, &rest);

    if (span_is(name, "keys"))
        return read_keys(x, rest);
    for (; more && words < WORDS_MAX; words++)
        more = span_cut(rest, ' ', &word[words], &rest);
    for (size_t i = 0; i < sizeof line_rows / sizeof *line_rows && !more; i++)
        if (words == line_rows[i].words && span_is(name, line_rows[i].name))
            return line_rows[i].read(x, word);
    return false;
}

enum err backup_manifest_parse(const struct buf *text, struct backup_manifest *m, struct buf *why)
{
    size_t end_len = strlen("end \n") + ENCODE_HEX_LEN(32);
    struct reading x = {.m = m};
    char hex[ENCODE_HEX_LEN(32) + 1];
    struct span line, word, rest;
    uint8_t digest[32];
    uint64_t version;

    if (text->len <= end_len || memchr(text->data, 0, text->len) != NULL ||
        crypt_sha256(span_bytes(text->data, text->len - end_len), digest) != ERR_OK)
        return ERR_STORE;
    encode_hex(digest, sizeof digest, hex);
    span_cut(span_bytes(text->data, text->len - end_len), '\n', &line, &rest);
    span_cut(line, ' ', &word, &line);
    if (!span_is(word, "restante-backup") || !span_to_u64(line, UINT32_MAX, &version))
        return ERR_STORE;
    if (version > VERSION) {
        buf_printf(why, "the backup has format %" PRIu64 "; this version of Restante reads format %d",
                   version, VERSION);
        return ERR_STORE_FORMAT;
    }
    if (strncmp(text->data + text->len - end_len, "end ", 4) != 0 ||
        strncmp(text->data + text->len - end_len + 4, hex, ENCODE_HEX_LEN(32)) != 0)
        return ERR_STORE;
    while (x.err == ERR_OK && rest.len > 0) {
        span_cut(rest, '\n', &line, &rest);
        if (!read_line(&x, line))
            x.err = ERR_STORE;
    }
    return x.err == ERR_OK && m->number == 0 ? ERR_STORE : x.err;
}
