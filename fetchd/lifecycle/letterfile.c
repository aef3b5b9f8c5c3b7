/*
 * letterfile.c - see letterfile.h.
 */
#include "lifecycle/letterfile.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "seal/seal.h"

#define PIECE 65536u /* sealed bytes read at a time */

struct letterfile {
    struct store_body body;
    uint64_t offset; /* in the sealed bytes */
    struct opener *opener;
    struct buf clear; /* verified bytes that nobody has read yet */
    bool finished;
};

/* Takes the body, whatever the result. */
static enum err open_body(struct store_body *body, const uint8_t dek[SEAL_DEK_BYTES], struct letterfile **out)
{
    struct letterfile *f = calloc(1, sizeof *f);
    enum err e;

    if (!f) {
        store_body_close(body);
        return ERR_NOMEM;
    }
    f->body = *body;
    buf_init_secret(&f->clear, 4 * PIECE + SEAL_CHUNK_BYTES);
    if ((e = opener_create(dek, f->body.size, &f->opener)))
        letterfile_close(f);
    else
        *out = f;
    return e;
}

enum err letterfile_open(struct store *store, const struct ticket *t, struct letterfile **out)
{
    uint8_t dek[SEAL_DEK_BYTES];
    struct store_body body;
    enum err e = store_payload_dek(store, t, dek);

    if (e)
        return e;
    if (!(e = store_body_open(store, t, &body)))
        e = open_body(&body, dek, out);
    secret_wipe(dek, sizeof dek);
    return e;
}

enum err letterfile_open_kept(struct store *store, const struct job *j, struct letterfile **out)
{
    uint8_t dek[SEAL_DEK_BYTES];
    struct store_body body;
    enum err e = store_kept_open(store, j, &body, dek);

    if (!e)
        e = open_body(&body, dek, out);
    secret_wipe(dek, sizeof dek);
    return e;
}

void letterfile_close(struct letterfile *f)
{
    if (!f)
        return;
    opener_free(f->opener);
    store_body_close(&f->body);
    buf_free(&f->clear);
    free(f);
}

/* Opens the next piece. */
static enum err advance(struct letterfile *f)
{
    char piece[PIECE];
    uint8_t digest[SEAL_DIGEST_BYTES];
    uint64_t length, rest = f->body.size - f->offset;
    size_t want = rest < PIECE ? (size_t)rest : PIECE;

    if (want == 0) {
        f->finished = true;
        return opener_finish(f->opener, digest, &length);
    }
    if (f->body.fd >= 0) {
        ssize_t got = pread(f->body.fd, piece, want, (off_t)f->offset);
        if (got <= 0)
            return ERR_IO;
        want = (size_t)got;
    } else {
        memcpy(piece, f->body.bytes.data + f->offset, want);
    }
    f->offset += want;
    return opener_update(f->opener, piece, want, &f->clear);
}

ssize_t letterfile_read(struct letterfile *f, void *out, size_t max)
{
    while (f->clear.len == 0 && !f->finished) {
        if (advance(f))
            return -1;
    }
    size_t len = f->clear.len < max ? f->clear.len : max;
    if (len == 0)
        return 0;
    memcpy(out, f->clear.data, len);
    buf_consume(&f->clear, len);
    return (ssize_t)len;
}

enum err letterfile_header(struct letterfile *f, struct buf *out)
{
    struct buf header;
    enum err e = ERR_OK;
    const char *end = NULL;
    ssize_t got = 1;

    buf_init(&header, LETTERFILE_HEADER_MAX);
    while (!end && got > 0 && header.len + 16384 <= LETTERFILE_HEADER_MAX) {
        char *to = buf_reserve(&header, 16384);
        if (!to) {
            e = ERR_NOMEM;
            break;
        }
        got = letterfile_read(f, to, 16384);
        if (got < 0)
            e = ERR_IO;
        else
            buf_added(&header, (size_t)got);
        end = memmem(buf_cstr(&header), header.len, "\r\n\r\n", 4);
    }
    size_t len = end ? (size_t)(end - header.data) + 2 : header.len;
    if (!e && !end && got > 0) {
        const char *line = memrchr(header.data, '\n', header.len);
        len = line ? (size_t)(line - header.data) + 1 : 0;
    }
    if (!e)
        e = buf_append(out, header.data, len);
    buf_free(&header);
    return e;
}
