/*
 * answer.c - one row a field says how its value is read. A field that comes twice or in another form counts
 * as absent: whoever needs it then refuses the answer.
 */
#include "claim/answer.h"

#include <string.h>

#include "base/encode.h"
#include "ticket/fields.h"
#include "ticket/fieldtext.h"

static bool read_restante(struct answer *a, struct span v)
{
    (void)a;
    return span_is(v, FIELD_RESTANTE_VALUE);
}

static bool read_wrap(struct answer *a, struct span v)
{
    return decode_b64url(v, a->wrap, sizeof a->wrap) == ERR_OK;
}

static bool copy_text(struct span v, char *out, size_t size)
{
    if (v.len >= size || (v.len > 0 && memchr(v.ptr, '\0', v.len) != NULL))
        return false;
    if (v.len > 0)
        memcpy(out, v.ptr, v.len);
    out[v.len] = '\0';
    return true;
}

static bool read_fieldtext(struct span v, char *out, size_t size)
{
    struct buf text;
    buf_init(&text, size);
    bool ok = fieldtext_decode(v, &text) == ERR_OK && copy_text(buf_span(&text), out, size);
    buf_free(&text);
    return ok;
}

static bool read_sender(struct answer *a, struct span v)
{
    return read_fieldtext(v, a->sender, sizeof a->sender);
}

static bool read_recipient(struct answer *a, struct span v)
{
    return read_fieldtext(v, a->recipient, sizeof a->recipient);
}

static bool read_size(struct answer *a, struct span v)
{
    return span_to_u64(v, (uint64_t)1 << 50, &a->size);
}

static bool read_version(struct answer *a, struct span v)
{
    uint64_t n;
    if (!span_to_u64(v, UINT32_MAX, &n) || n == 0)
        return false;
    a->version = (uint32_t)n;
    return true;
}

static bool read_expires(struct answer *a, struct span v)
{
    uint64_t n;
    if (!span_to_u64(v, (uint64_t)1 << 40, &n))
        return false;
    a->expires_s = (int64_t)n;
    return true;
}

/* NEVER, or SUCCESS, FAILURE, DELAY joined by commas, each once (RFC 3461 4.1). */
static bool read_notify(struct answer *a, struct span v)
{
    static const char *const words[] = {"SUCCESS", "FAILURE", "DELAY"};
    if (!copy_text(v, a->notify, sizeof a->notify))
        return false;
    if (span_is(v, "NEVER"))
        return true;
    unsigned seen = 0;
    bool more = true;
    while (more) {
        struct span word;
        size_t i = 0;
        more = span_cut(v, ',', &word, &v);
        while (i < 3 && !span_is(word, words[i]))
            i++;
        if (i == 3 || (seen & 1u << i) != 0)
            return false;
        seen |= 1u << i;
    }
    return true;
}

/* RFC 9110 8.8.3, a strong one. */
static bool read_etag(struct answer *a, struct span v)
{
    if (v.len < 2 || v.ptr[0] != '"' || v.ptr[v.len - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < v.len; i++)
        if (v.ptr[i] < 0x21 || v.ptr[i] > 0x7e || v.ptr[i] == '"')
            return false;
    return copy_text(v, a->etag, sizeof a->etag);
}

static bool read_content_length(struct answer *a, struct span v)
{
    return span_to_u64(v, (uint64_t)1 << 60, &a->content_length);
}

/* "bytes N-M/size" */
static bool read_content_range(struct answer *a, struct span v)
{
    struct span unit, start, end, size;
    return span_cut(v, ' ', &unit, &v) && span_is(unit, "bytes") && span_cut(v, '-', &start, &v) &&
           span_cut(v, '/', &end, &size) && span_to_u64(start, (uint64_t)1 << 60, &a->range_start) &&
           span_to_u64(end, (uint64_t)1 << 60, &a->range_end) &&
           span_to_u64(size, (uint64_t)1 << 60, &a->range_size) && a->range_start <= a->range_end &&
           a->range_end < a->range_size;
}

static bool read_reason(struct answer *a, struct span v)
{
    for (size_t i = 0; i < v.len; i++)
        if (!((v.ptr[i] >= 'a' && v.ptr[i] <= 'z') || (v.ptr[i] >= '0' && v.ptr[i] <= '9') ||
              v.ptr[i] == '-'))
            return false;
    return v.len > 0 && copy_text(v, a->reason, sizeof a->reason);
}

static bool read_retry_after(struct answer *a, struct span v)
{
    uint64_t n;
    if (!span_to_u64(v, UINT64_MAX, &n))
        return false;
    a->retry_after_s = n > ANSWER_RETRY_AFTER_MAX_S ? ANSWER_RETRY_AFTER_MAX_S : (int64_t)n;
    return true;
}

static bool read_encoding(struct answer *a, struct span v)
{
    (void)a;
    return span_is_nocase(v, "identity");
}

static const struct {
    const char *name;
    enum answer_field field;
    bool (*read)(struct answer *a, struct span value);
} rows[] = {
    {FIELD_RESTANTE, ANSWER_RESTANTE, read_restante},
    {FIELD_WRAP, ANSWER_WRAP, read_wrap},
    {FIELD_SENDER, ANSWER_SENDER, read_sender},
    {FIELD_RECIPIENT, ANSWER_RECIPIENT, read_recipient},
    {FIELD_SIZE, ANSWER_SIZE, read_size},
    {FIELD_VERSION, ANSWER_VERSION, read_version},
    {FIELD_EXPIRES, ANSWER_EXPIRES, read_expires},
    {FIELD_NOTIFY, ANSWER_NOTIFY, read_notify},
    {FIELD_ETAG, ANSWER_ETAG, read_etag},
    {"content-length", ANSWER_CONTENT_LENGTH, read_content_length},
    {FIELD_CONTENT_RANGE, ANSWER_CONTENT_RANGE, read_content_range},
    {FIELD_REASON, ANSWER_REASON, read_reason},
    {FIELD_RETRY_AFTER, ANSWER_RETRY_AFTER, read_retry_after},
    {"content-encoding", ANSWER_ENCODING, read_encoding},
};

void answer_reset(struct answer *a)
{
    size_t bytes = a->bytes;
    memset(a, 0, sizeof *a);
    a->bytes = bytes; /* many interim answers count together */
}

/* "HTTP/2 200" and whatever follows. */
static enum err read_status(struct answer *a, struct span line)
{
    struct span version, code, rest;
    uint64_t status;
    span_cut(line, ' ', &version, &rest);
    span_cut(rest, ' ', &code, &rest);
    if (code.len != 3 || !span_to_u64(code, 999, &status) || status < 100)
        return ERR_HTTP;
    answer_reset(a);
    a->status = (int)status;
    return ERR_OK;
}

static void read_field(struct answer *a, struct span name, struct span value)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!span_is_nocase(name, rows[i].name))
            continue;
        unsigned field = rows[i].field;
        if ((a->have & field) != 0 || (a->bad & field) != 0 || !rows[i].read(a, span_trim(value)))
            a->bad |= field;
        else
            a->have |= field;
    }
}

enum err answer_line(struct answer *a, struct span line)
{
    if (line.len > ANSWER_BYTES_MAX - a->bytes)
        return ERR_TOO_LARGE;
    a->bytes += line.len;
    if (line.len > 0 && line.ptr[line.len - 1] == '\n')
        line.len--;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (a->complete && a->status >= 200)
        return ERR_OK;
    if (span_starts_nocase(line, "HTTP/"))
        return read_status(a, line);
    if (a->status == 0 || a->complete)
        return ERR_HTTP;
    if (line.len == 0) {
        a->complete = true;
        return ERR_OK;
    }
    struct span name, value;
    if (!span_cut(line, ':', &name, &value))
        return ERR_HTTP;
    read_field(a, name, value);
    return ERR_OK;
}

bool answer_has(const struct answer *a, unsigned fields)
{
    return (a->have & ~a->bad & fields) == fields;
}
