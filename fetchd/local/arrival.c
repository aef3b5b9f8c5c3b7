/*
 * arrival.c - see arrival.h.
 */
#include "local/arrival.h"

#include <string.h>

#include "base/clock.h"
#include "local/api.h"
#include "settings/settings.h"

#define STEP 65536u           /* bytes of a letter sealed at a time */
#define SEALED_MAX (4 * STEP) /* bytes that come out of a step */

void arrival_init(struct arrival *in)
{
    *in = (struct arrival){.began_mono_ms = clock_mono_ms()};
    buf_init(&in->head, API_HEAD_MAX);
    buf_init(&in->sealed, SEALED_MAX);
}

void arrival_free(struct arrival *in)
{
    store_payload_abort(in->payload);
    sealer_free(in->sealer);
    letter_scan_free(in->scan);
    buf_free(&in->head);
    buf_free(&in->sealed);
}

enum err arrival_head(struct arrival *in, struct span piece, size_t *used, bool *complete)
{
    const char *end = piece.len ? memchr(piece.ptr, '\n', piece.len) : NULL;
    size_t len = end ? (size_t)(end - piece.ptr) : piece.len;

    *used = end ? len + 1 : len;
    *complete = end != NULL;
    return buf_append(&in->head, piece.ptr, len);
}

enum err arrival_begin(const struct env *env, struct arrival *in, uint32_t version)
{
    buf_free(&in->head);
    in->head_read = true;
    enum err e = sealer_create(version, &in->sealer);
    if (!e)
        e = letter_scan_create(&in->scan);
    if (!e)
        e = store_payload_begin(env->store, sealer_payload_id(in->sealer), &in->payload);
    if (!e) {
        /* The seal's header is known last; its place is kept free now. */
        static const uint8_t place[SEAL_HEADER_BYTES];
        e = store_payload_write(in->payload, place, sizeof place);
    }
    return e;
}

static enum err take_step(struct arrival *in, const char *data, size_t len)
{
    enum err e;

    buf_clear(&in->sealed);
    if ((e = letter_scan_feed(in->scan, data, len)) ||
        (e = sealer_update(in->sealer, data, len, &in->sealed)))
        return e;
    return in->sealed.len ? store_payload_write(in->payload, in->sealed.data, in->sealed.len) : ERR_OK;
}

enum err arrival_letter(const struct env *env, struct arrival *in, struct span piece)
{
    enum err e = ERR_OK;

    in->letter_bytes += piece.len;
    if (in->letter_bytes > (uint64_t)env->settings->letter_max_bytes)
        return ERR_TOO_LARGE;
    while (piece.len && !e) {
        size_t len = piece.len < STEP ? piece.len : STEP;
        e = take_step(in, piece.ptr, len);
        piece = (struct span){piece.ptr + len, piece.len - len};
    }
    return e;
}

enum err arrival_finish(struct arrival *in, const struct address *reverse_path, struct letter_facts *facts)
{
    uint8_t header[SEAL_HEADER_BYTES];
    enum err e;

    buf_clear(&in->sealed);
    if ((facts && (e = letter_scan_finish(in->scan, reverse_path, facts))) ||
        (e = sealer_finish(in->sealer, &in->sealed, header, in->digest, &in->letter_bytes)) ||
        (e = store_payload_write(in->payload, in->sealed.data, in->sealed.len)))
        return e;
    return store_payload_patch(in->payload, header, sizeof header);
}
