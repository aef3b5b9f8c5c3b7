/*
 * driver.c - the resolver and the SPF evaluator as they stand, for the test suite of RFC 7208.
 *
 *     rfc7208_driver ADDRESS:PORT < questions > answers
 *
 * A question is a line "CLIENT <tab> HELO <tab> LOCAL PART <tab> DOMAIN", an answer a line "RESULT <tab>
 * EXPLANATION <tab> DOMAIN <tab> TERM <tab> WHY". Each answer is asked for a second time from the cache
 * alone, which must say the same or that it would wait.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "proof/spf.h"

static void fail(const char *what)
{
    fprintf(stderr, "rfc7208_driver: %s\n", what);
    exit(2);
}

static void answer(struct resolver *r, const struct spf_question *q)
{
    struct spf_answer a, again;
    if (spf_check(r, q, clock_mono_ms() + SPF_TIME_MAX_MS, &a) != ERR_OK)
        fail("no answer");
    enum err err = spf_check(r, q, DNS_CACHED_ONLY, &again);
    if (err != ERR_WOULD_WAIT && (err != ERR_OK || again.result != a.result))
        fail("the cache says something else");
    printf("%s\t%s\t%s\t%s\t%s\n", spf_result_text(a.result), a.explanation, a.domain, a.term, a.why);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[4096];
    struct resolver *r;
    const struct resolver_options options = {.server = argc == 2 ? argv[1] : "",
                                             .timeout_ms = 500,
                                             .cache_max = 1000,
                                             .ttl_max_s = 3600,
                                             .negative_ttl_max_s = 3600};
    if (argc != 2 || resolver_create(&options, &r) != ERR_OK)
        fail("usage: rfc7208_driver ADDRESS:PORT");
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *rest = line, *client = strsep(&rest, "\t"), *helo = strsep(&rest, "\t");
        struct spf_question q = {.helo = helo, .local = strsep(&rest, "\t"), .explain = true};
        q.domain = strsep(&rest, "\n");
        if (q.domain == NULL || netaddr_parse(span_of(client), &q.client) != ERR_OK)
            fail("malformed question");
        answer(r, &q);
    }
    resolver_free(r);
    return 0;
}
