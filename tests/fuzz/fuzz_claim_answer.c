/*
 * The head of a link host's answer, line by line as the HTTP client hands it over.
 *
 * covers: common/claim/answer.c
 */
#include <stdlib.h>
#include <string.h>

#include "claim/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct answer a;
    struct span rest = span_bytes(data, size), line;
    bool more = true;
    memset(&a, 0, sizeof a);
    while (more) {
        more = span_cut(rest, '\n', &line, &rest);
        if (answer_line(&a, line) != ERR_OK)
            break;
    }
    require(a.bytes <= ANSWER_BYTES_MAX);
    require(a.retry_after_s >= 0 && a.retry_after_s <= ANSWER_RETRY_AFTER_MAX_S);
    require(memchr(a.etag, '\0', sizeof a.etag) != NULL && memchr(a.reason, '\0', sizeof a.reason) != NULL);
    if (answer_has(&a, ANSWER_CONTENT_RANGE))
        require(a.range_start <= a.range_end && a.range_end < a.range_size);
    if (answer_has(&a, ANSWER_VERSION))
        require(a.version > 0);
    return 0;
}
