/*
 * intake.c - the wrap opens only with the payload id that stands in the sealed header, so the header is
 * gathered first; from then on pieces go straight through the opener into the file.
 */
#include "claim/intake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/kill.h"
#include "base/secret.h"

#define PLAIN_MAX (4 * SEAL_CHUNK_BYTES) /* what one piece can set free */
#define PIECE_MAX SEAL_CHUNK_BYTES

struct intake {
    struct intake_terms terms;
    int fd;
    uint64_t received, expected;
    uint8_t header[SEAL_HEADER_BYTES];
    struct opener *opener; /* NULL until the header is whole */
    struct buf plain;
    enum err err;
};

enum err intake_create(const char *directory, const struct intake_terms *terms, struct intake **out)
{
    struct intake *i = calloc(1, sizeof *i);
    if (i == NULL)
        return ERR_NOMEM;
    i->terms = *terms;
    i->expected = seal_sealed_size(terms->letter_bytes);
    buf_init_secret(&i->plain, PLAIN_MAX);
    i->fd = open(directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (i->fd < 0) {
        enum err err = err_from_errno(errno);
        intake_free(i);
        return err;
    }
    *out = i;
    return ERR_OK;
}

void intake_free(struct intake *i)
{
    if (i == NULL)
        return;
    if (i->fd >= 0)
        close(i->fd);
    opener_free(i->opener);
    buf_free(&i->plain);
    secret_wipe(i, sizeof *i);
    free(i);
}

uint64_t intake_received(const struct intake *i)
{
    return i->received;
}

uint64_t intake_expected(const struct intake *i)
{
    return i->expected;
}

static enum err write_plain(struct intake *i)
{
    size_t done = 0;
    while (done < i->plain.len) {
        ssize_t n = write(i->fd, i->plain.data + done, i->plain.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        done += (size_t)n;
        KILL_POINT("claim-spool-write");
    }
    buf_clear(&i->plain);
    return ERR_OK;
}

/* The header is whole: it must say what the answer's head said, and give the payload id that opens the wrap.
 */
static enum err begin(struct intake *i)
{
    uint8_t dek[SEAL_DEK_BYTES];
    struct seal_header header;
    enum err err = seal_header_parse(span_bytes(i->header, sizeof i->header), &header);
    if (err != ERR_OK)
        return err;
    if (header.payload_version != i->terms.version)
        return ERR_SEAL_FORMAT;
    if (header.letter_bytes != i->terms.letter_bytes)
        return ERR_SEAL_LENGTH;
    err = wrap_open(i->terms.kd, i->terms.a, header.payload_id, header.payload_version, i->terms.wrap, dek);
    if (err != ERR_OK)
        return err;
    err = opener_create(dek, i->expected, &i->opener);
    secret_wipe(dek, sizeof dek);
    return err == ERR_OK ? opener_update(i->opener, i->header, sizeof i->header, &i->plain) : err;
}

static enum err take_piece(struct intake *i, const uint8_t *data, size_t len)
{
    enum err err = opener_update(i->opener, data, len, &i->plain);
    if (err != ERR_OK)
        return err; /* what the piece had set free before the error is not written */
    return write_plain(i);
}

static enum err take(struct intake *i, const uint8_t *data, size_t len)
{
    if (len > i->expected - i->received)
        return ERR_SEAL_TRAILING;
    while (len > 0) {
        size_t part = len < PIECE_MAX ? len : PIECE_MAX;
        enum err err = ERR_OK;
        if (i->received < SEAL_HEADER_BYTES) {
            size_t missing = SEAL_HEADER_BYTES - (size_t)i->received;
            part = part < missing ? part : missing;
            memcpy(i->header + i->received, data, part);
            err = part == missing ? begin(i) : ERR_OK;
        } else {
            err = take_piece(i, data, part);
        }
        if (err != ERR_OK)
            return err;
        i->received += part;
        data += part;
        len -= part;
    }
    return ERR_OK;
}

enum err intake_add(struct intake *i, const void *data, size_t len)
{
    if (i->err == ERR_OK)
        i->err = take(i, data, len);
    return i->err;
}

enum err intake_restart(struct intake *i)
{
    if (i->err != ERR_OK)
        return i->err;
    opener_free(i->opener);
    i->opener = NULL;
    i->received = 0;
    buf_clear(&i->plain);
    if (ftruncate(i->fd, 0) != 0 || lseek(i->fd, 0, SEEK_SET) != 0)
        i->err = err_from_errno(errno);
    return i->err;
}

enum err intake_finish(struct intake *i, int *fd, uint8_t digest[SEAL_DIGEST_BYTES])
{
    uint64_t letter_bytes;
    uint8_t sum[SEAL_DIGEST_BYTES];
    if (i->err != ERR_OK)
        return i->err;
    if (i->opener == NULL || i->received < i->expected)
        return ERR_SEAL_TRUNCATED;
    enum err err = opener_finish(i->opener, sum, &letter_bytes);
    if (err == ERR_OK && letter_bytes != i->terms.letter_bytes)
        err = ERR_SEAL_LENGTH;
    if (err == ERR_OK && lseek(i->fd, 0, SEEK_SET) != 0)
        err = err_from_errno(errno);
    if (err != ERR_OK)
        return err;
    memcpy(digest, sum, sizeof sum);
    *fd = i->fd;
    i->fd = -1;
    return ERR_OK;
}
