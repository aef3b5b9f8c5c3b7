/*
 * session.c - nghttp2's callbacks and options for a connection.
 *
 * A client can misuse HTTP/2 in many ways that each cost little to him and something to us. nghttp2 bounds
 * CONTINUATION, SETTINGS entries and queued acknowledgements; here all frames that carry nothing (resets,
 * pings, settings, priorities, empty DATA, and the resets that he makes us send) draw on one small budget.
 */
#include "http/exchange.h"
#include "http/session.h"

#define OUTBOUND_ACK_MAX 256 /* nghttp2: acknowledgements that wait to be sent */
#define CONTINUATIONS_MAX 8
#define SETTINGS_MAX 32
/* nghttp2 counts resets of answered streams too, which libcurl sends one a request: its bound is a puller's
 * pace, and the narrow one for resets that cancel work is ours (on_reset). */
#define RESET_BURST 100000
#define RESET_RATE 5000

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct connection *c = arg;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST || c->ending)
        return 0;
    struct http_exchange *x = exchange_begin(c, frame->hd.stream_id);
    if (x == NULL) {
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, x);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
    struct connection *c = arg;
    struct http_exchange *x = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags;

    if (x == NULL || c->ending || x->state != EXCHANGE_HEAD) /* trailers say nothing to us */
        return 0;
    enum err e = head_add(&x->head, span_bytes(name, name_len), span_bytes(value, value_len));
    if (e == ERR_TOO_LARGE)
        connection_end(c, NGHTTP2_ENHANCE_YOUR_CALM, "a header list is too large");
    return e == ERR_OK || e == ERR_TOO_LARGE ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Clients such as libcurl reset a stream that they have the whole answer of: for each answer made, one reset
 * is no nuisance. What cancels work always is. */
static void on_reset(struct connection *c, const struct http_exchange *x)
{
    bool answered = x == NULL || x->state >= EXCHANGE_FLUSHING;

    if (answered && c->answers_unreset > 0)
        c->answers_unreset--;
    else
        connection_nuisance(c, "too many streams reset");
}

static void on_frame(struct connection *c, struct http_exchange *x, const nghttp2_frame *frame)
{
    bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    bool ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (x != NULL && x->state == EXCHANGE_HEAD)
            exchange_head_ended(x, ended);
        else if (x != NULL && ended)
            exchange_request_ended(x);
        break;
    case NGHTTP2_DATA:
        if (ended && x != NULL)
            exchange_request_ended(x);
        else if (!ended && frame->hd.length == frame->data.padlen)
            connection_nuisance(c, "too many empty DATA frames");
        break;
    case NGHTTP2_SETTINGS:
        if (c->settled && !ack)
            connection_nuisance(c, "too many SETTINGS");
        else if (!ack)
            c->handshake_by_ms = 0;
        c->settled = true;
        break;
    case NGHTTP2_PING:
        connection_nuisance(c, "too many PING frames");
        break;
    case NGHTTP2_RST_STREAM:
        on_reset(c, x);
        break;
    default:
        break;
    }
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct connection *c = arg;

    if (!c->ending)
        on_frame(c, nghttp2_session_get_stream_user_data(session, frame->hd.stream_id), frame);
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                         size_t len, void *arg)
{
    struct connection *c = arg;
    struct http_exchange *x = nghttp2_session_get_stream_user_data(session, stream_id);
    (void)flags;

    if (x == NULL || c->ending)
        nghttp2_session_consume(session, stream_id, len);
    else
        exchange_data(x, data, len);
    return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct connection *c = arg;
    bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) && ended) {
        struct http_exchange *x = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        c->answers_unreset++;
        if (x != NULL)
            exchange_answer_made(x);
    } else if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR) {
        connection_nuisance(c, "too many streams in error");
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *arg)
{
    struct http_exchange *x = nghttp2_session_get_stream_user_data(session, stream_id);
    (void)error_code;
    (void)arg;

    if (x != NULL) {
        nghttp2_session_set_stream_user_data(session, stream_id, NULL);
        exchange_stream_closed(x);
    }
    return 0;
}

bool session_open(struct connection *c)
{
    const struct http_limits *limits = &c->listener->limits;
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->header_list_max},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    bool ok = false;

    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
        goto out;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, OUTBOUND_ACK_MAX);
    nghttp2_option_set_max_continuations(option, CONTINUATIONS_MAX);
    nghttp2_option_set_max_settings(option, SETTINGS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, RESET_BURST, RESET_RATE);
    if (nghttp2_session_server_new2(&c->session, callbacks, c, option) != 0)
        goto out;
    ok = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings,
                                 sizeof settings / sizeof settings[0]) == 0 &&
         nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) == 0;
out:
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return ok;
}
