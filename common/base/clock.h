/*
 * clock.h - the one source of time. Thread-safe.
 *
 * In builds with RESTANTE_TESTING the wall clock is shifted by the whole number of seconds in the file that
 * the environment variable RESTANTE_CLOCK_FILE names (read again when it changes, looked at once a second at
 * most); the monotonic clock never is.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_now_s(void);   /* UTC seconds since 1970 */
int64_t clock_now_ms(void);  /* UTC milliseconds since 1970 */
int64_t clock_mono_ms(void); /* monotonic milliseconds, for deadlines and durations */

#define CLOCK_RFC5322_MAX 40
/* Both take years 1970 to 9999; what lies outside is taken to the edge. */
/* RFC 5322 3.3 date-time in UTC ("Sat, 21 Nov 2026 04:08:44 +0000") with a NUL; out has CLOCK_RFC5322_MAX
 * bytes. */
void clock_rfc5322(int64_t utc_s, char *out);
#define CLOCK_ISO_MAX 32
/* "2026-11-21T04:08:44Z" with a NUL; out has CLOCK_ISO_MAX bytes. */
void clock_iso(int64_t utc_s, char *out);

#endif
