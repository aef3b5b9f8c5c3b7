#include "unit.h"

#include "base/when.h"

#define NOW 1700000000LL
#define DAY 86400LL

static void dates_and_spans_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-21T04:08:44Z", 1795234124},
        {"2026-11-21t05:08:44+01:00", 1795234124},
        {"2026-11-21 00:38:44.25-03:30", 1795234124},
        {"2024-02-29", 1709164800 + DAY},
        {"2000-02-29T23:59:60Z", 951868800},
        {"9999-12-31T23:59:59Z", 253402300799},
        {"+0s", NOW},
        {"+30d", NOW + 30 * DAY},
        {"+2w", NOW + 14 * DAY},
        {"+90m", NOW + 5400},
        {"+12h", NOW + 43200},
        {"", -1},
        {"+", -1},
        {"+d", -1},
        {"+30", -1},
        {"+ 3d", -1},
        {"+-3d", -1},
        {"+3D", -1},
        {"+36601d", -1},
        {"+99999999999999999999s", -1},
        {"30d", -1},
        {"tomorrow", -1},
        {"2023-02-29", -1},
        {"2100-02-29", -1},
        {"2026-13-01", -1},
        {"2026-00-01", -1},
        {"2026-01-00", -1},
        {"2026-1-1", -1},
        {"1969-12-31", -1},
        {"2026-11-21T04:08:44", -1},
        {"2026-11-21T04:08Z", -1},
        {"2026-11-21T24:00:00Z", -1},
        {"2026-11-21T04:08:44.Z", -1},
        {"2026-11-21T04:08:44Zx", -1},
        {"2026-11-21T04:08:44+1:00", -1},
        {"2026-11-21T04:08:44+24:00", -1},
        {"2026-11-21T", -1},
        {" 2026-11-21", -1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t got = -1;
        enum err e = when_parse(span_of(cases[i].text), NOW, &got);
        if (e != (cases[i].want < 0 ? ERR_SYNTAX : ERR_OK) || got != cases[i].want)
            fail_msg("\"%s\": %lld", cases[i].text, (long long)got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dates_and_spans_are_read)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
