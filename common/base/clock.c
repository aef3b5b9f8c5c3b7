#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t); /* fails only for an unknown clock */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#ifdef RESTANTE_TESTING
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Seconds to add to the wall clock: what RESTANTE_CLOCK_FILE says, looked at once a second at most. An
 * unreadable or malformed file (a test may be writing it) leaves the last shift. */
static int64_t shift_ms(void)
{
    static _Atomic int64_t shift, looked_at = -1000000;
    int64_t now = read_ms(CLOCK_MONOTONIC);
    int64_t last = atomic_load(&looked_at);
    if (now - last >= 1000 && atomic_compare_exchange_strong(&looked_at, &last, now)) {
        const char *path = getenv("RESTANTE_CLOCK_FILE");
        FILE *f = path != NULL ? fopen(path, "re") : NULL;
        if (f != NULL) {
            char line[32] = "", *end = line;
            const char *got = fgets(line, sizeof line, f);
            (void)fclose(f);
            errno = 0;
            long long s = strtoll(line, &end, 10);
            if (got != NULL && end != line && (*end == '\n' || *end == '\0') && errno == 0 &&
                s > -100000000000 && s < 100000000000)
                atomic_store(&shift, (int64_t)s * 1000);
        }
    }
    return atomic_load(&shift);
}
#else
static int64_t shift_ms(void)
{
    return 0;
}
#endif

int64_t clock_now_ms(void)
{
    return read_ms(CLOCK_REALTIME) + shift_ms();
}

int64_t clock_now_s(void)
{
    return clock_now_ms() / 1000;
}

int64_t clock_mono_ms(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

/* Years 1970 to 9999; what lies outside comes only from a bug or from a hostile number, and is taken to the
 * edge. */
static void broken_down(int64_t utc_s, struct tm *out)
{
    const int64_t last = 253402300799;
    time_t t = (time_t)(utc_s < 0 ? 0 : utc_s > last ? last : utc_s);
    (void)gmtime_r(&t, out); /* cannot fail in this range */
}

void clock_rfc5322(int64_t utc_s, char *out)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t;
    broken_down(utc_s, &t);
    (void)strftime(out, CLOCK_RFC5322_MAX, "Sun, %d Jan %Y %H:%M:%S +0000", &t);
    memcpy(out, days + (ptrdiff_t)t.tm_wday * 3, 3); /* not by %a and %b: the locale has no say */
    memcpy(out + 8, months + (ptrdiff_t)t.tm_mon * 3, 3);
}

void clock_iso(int64_t utc_s, char *out)
{
    struct tm t;
    broken_down(utc_s, &t);
    (void)strftime(out, CLOCK_ISO_MAX, "%Y-%m-%dT%H:%M:%SZ", &t);
}
