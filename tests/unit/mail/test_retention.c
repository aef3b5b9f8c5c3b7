#include "unit.h"

#include "mail/retention.h"

static void what_a_letter_asks_for(void **state)
{
    static const struct {
        const char *name, *value, *again; /* again: a second field */
        int64_t asked_s;
        bool unreadable, fits; /* one hour to thirty days */
    } cases[] = {
        {"Restante-Retention", " 7d", NULL, 7 * 86400, false, true},
        {"RESTANTE-RETENTION", "12h", NULL, 12 * 3600, false, true},
        {"Restante-Retention", "\t2\r\n ", NULL, 2, false, false},
        {"Restante-Retention", "\r\n 3600 ", NULL, 3600, false, true},
        {"Restante-Retention", " 30D", NULL, 30 * 86400, false, true},
        {"Restante-Retention", " 43201m", NULL, 43201 * 60, false, false},
        {"Restante-Retention", " 59m", NULL, 59 * 60, false, false},
        {"Restante-Retention", " 5w", NULL, 35 * 86400, false, false},
        {"Restante-Retention", " 99999999999999999999d", NULL, 0, true, false},
        {"Restante-Retention", " -1d", NULL, 0, true, false},
        {"Restante-Retention", " 1.5d", NULL, 0, true, false},
        {"Restante-Retention", " 1 d", NULL, 0, true, false},
        {"Restante-Retention", " 1d 2h", NULL, 0, true, false},
        {"Restante-Retention", " a week", NULL, 0, true, false},
        {"Restante-Retention", " 7d (please)", NULL, 0, true, false},
        {"Restante-Retention", " 0", NULL, 0, true, false},
        {"Restante-Retention", "", NULL, 0, true, false},
        {"Restante-Retention", " 7d", " 7d", 7 * 86400, true, false},
        {"Restante-Retention", " 7d", " x", 7 * 86400, true, false},
        {"Retention", " x", NULL, 0, false, true},
        {"Restante-Retention-Time", " x", NULL, 0, false, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct retention r = {.asked_s = 0};
        retention_field(&r, span_of(cases[i].name), span_of(cases[i].value));
        if (cases[i].again)
            retention_field(&r, span_of(cases[i].name), span_of(cases[i].again));
        if (r.asked_s != cases[i].asked_s || r.unreadable != cases[i].unreadable ||
            retention_fits(&r, 3600, 30 * 86400) != cases[i].fits)
            fail_msg("\"%s\": %lld, %d", cases[i].value, (long long)r.asked_s, r.unreadable);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_letter_asks_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
