#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static void dates_are_written_as_the_rfc_wants(void **state)
{
    static const struct {
        int64_t at;
        const char *rfc5322, *iso;
    } rows[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00Z"},
        {1795234124, "Sat, 21 Nov 2026 04:08:44 +0000", "2026-11-21T04:08:44Z"},
        {1709164800, "Thu, 29 Feb 2024 00:00:00 +0000", "2024-02-29T00:00:00Z"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 +0000", "9999-12-31T23:59:59Z"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 +0000", "9999-12-31T23:59:59Z"},
        {-1, "Thu, 01 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00Z"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char rfc5322[CLOCK_RFC5322_MAX], iso[CLOCK_ISO_MAX];
        clock_rfc5322(rows[i].at, rfc5322);
        clock_iso(rows[i].at, iso);
        assert_string_equal(rfc5322, rows[i].rfc5322);
        assert_string_equal(iso, rows[i].iso);
    }
}

static void the_clocks_go(void **state)
{
    (void)state;
    int64_t a = clock_mono_ms(), s = clock_now_s();
    assert_true(llabs((long long)(s - time(NULL))) <= 1);
    assert_true(clock_now_ms() / 1000 - s <= 1);
    assert_true(clock_mono_ms() >= a);
}

#ifdef RESTANTE_TESTING
static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void a_file_shifts_the_wall_clock(void **state)
{
    char path[] = "/tmp/clock.XXXXXX";
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    put(path, "86400\n");
    (void)setenv("RESTANTE_CLOCK_FILE", path, 1);
    int64_t mono = clock_mono_ms(), limit = mono + 3000;
    while (clock_now_s() - time(NULL) < 86399 && clock_mono_ms() < limit)
        (void)usleep(50000);
    assert_true(llabs((long long)(clock_now_s() - time(NULL) - 86400)) <= 1);
    assert_true(clock_mono_ms() - mono < 10000);
    put(path, "nonsense"); /* half-written: the last shift stays */
    (void)usleep(1100000);
    assert_true(clock_now_s() - time(NULL) >= 86399);
    put(path, "-3600");
    (void)usleep(1100000);
    assert_true(llabs((long long)(clock_now_s() - time(NULL) + 3600)) <= 1);
    (void)unlink(path);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_written_as_the_rfc_wants),
        cmocka_unit_test(the_clocks_go),
#ifdef RESTANTE_TESTING
        cmocka_unit_test(a_file_shifts_the_wall_clock),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
