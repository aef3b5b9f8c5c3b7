/*
 * client.h - client of fetchd's local API: HTTP/2 with prior knowledge over a UNIX socket (nghttp2), made for
 * being pushed: an upload is written piece by piece by whoever has the bytes.
 *
 * A struct local_client is thread-safe and keeps idle connections (each call uses one of its own). A struct
 * local_upload belongs to one thread at a time and may move between threads. Calls block up to their
 * time-outs; while waiting, `progress` (may be NULL) is called about once a second, for smfi_progress.
 */
#ifndef LOCAL_CLIENT_H
#define LOCAL_CLIENT_H

#include <stdint.h>

#include "base/buf.h"

struct local_client;
struct local_options {
    const char *socket_path;
    int64_t connect_timeout_ms; /* e.g. 2000 */
    int64_t answer_timeout_ms;  /* without a byte of an answer, e.g. 30000 */
    int64_t write_timeout_ms;   /* one piece not taken, e.g. 60000 */
    size_t idle_max;            /* kept connections, e.g. 16 */
    size_t reply_max_bytes;     /* e.g. 16 MiB */
};
enum err local_client_create(const struct local_options *o, struct local_client **out);
void local_client_free(struct local_client *c);

typedef void (*local_progress)(void *arg);

/*
 * One request with a whole body (may be empty). ERR_OK when an answer arrived, whatever its status; *status
 * and reply are set then. ERR_UNAVAILABLE: nobody listens or the connection broke before an answer (nothing
 * is known of the effect); ERR_TIMEOUT. A kept connection that turns out dead is replaced once, for requests
 * that had no effect yet.
 */
enum err local_call(struct local_client *c, const char *method, const char *path, struct span body,
                    local_progress progress, void *arg, int *status, struct buf *reply);

struct local_upload;
enum err local_upload_begin(struct local_client *c, const char *path, struct local_upload **out);
/* Returns when the bytes are in flight under flow control (memory bounded to about 256 KiB). An early error
 * answer of the server does not end the upload: further bytes are swallowed, and local_upload_finish tells.
 */
enum err local_upload_write(struct local_upload *u, const void *data, size_t len, local_progress progress,
                            void *arg);
/* Ends the stream and waits for the answer; frees u in every case. */
enum err local_upload_finish(struct local_upload *u, local_progress progress, void *arg, int *status,
                             struct buf *reply);
/* Resets the stream: the server keeps nothing. Frees u. NULL is fine. */
void local_upload_abort(struct local_upload *u);

#endif
