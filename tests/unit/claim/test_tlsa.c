/* test_tlsa.c - which records of DNS have a say on a host's certificate. */
#include "unit.h"

#include <string.h>

#include "claim/tlsa.h"

static uint8_t digest[2][64] = {{1}, {2}};

static const struct {
    const char *name;
    bool secure;
    struct {
        uint8_t usage, selector, matching;
        int which;
        size_t len;
    } record[3];
    size_t want;
    bool key, authority;
} cases[] = {
    {"the_host_s_own_key", true, {{3, 1, 1, 0, 32}}, 1, true, false},
    {"an_authority", true, {{2, 1, 1, 0, 32}}, 1, false, true},
    {"both", true, {{3, 1, 1, 0, 32}, {2, 1, 1, 1, 32}}, 2, true, true},
    {"not_secure", false, {{3, 1, 1, 0, 32}}, 0, false, false},
    {"whole_certificate", true, {{3, 0, 1, 0, 32}}, 0, false, false},
    {"another_digest", true, {{3, 1, 2, 0, 64}}, 0, false, false},
    {"no_digest", true, {{3, 1, 0, 0, 32}}, 0, false, false},
    {"usages_of_the_ordinary_rules",
     true,
     {{0, 1, 1, 0, 32}, {1, 1, 1, 0, 32}, {4, 1, 1, 0, 32}},
     0,
     false,
     false},
    {"cut_and_lengthened", true, {{3, 1, 1, 0, 31}, {3, 1, 1, 0, 33}, {3, 1, 1, 0, 0}}, 0, false, false},
    {"one_good_among_others", true, {{3, 0, 1, 0, 32}, {3, 1, 1, 1, 32}}, 1, true, false},
};

static void read_case(size_t i, struct tlsa_set *out)
{
    struct dns_record records[3];
    struct dns_answer a = {.type = DNS_TLSA, .exists = true, .secure = cases[i].secure, .record = records};
    for (; a.count < 3 && (cases[i].record[a.count].usage != 0 || cases[i].record[a.count].len != 0);
         a.count++) {
        records[a.count].tlsa.usage = cases[i].record[a.count].usage;
        records[a.count].tlsa.selector = cases[i].record[a.count].selector;
        records[a.count].tlsa.matching = cases[i].record[a.count].matching;
        records[a.count].tlsa.data = digest[cases[i].record[a.count].which];
        records[a.count].tlsa.len = cases[i].record[a.count].len;
    }
    tlsa_read(&a, out);
}

static void records_are_sorted_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct tlsa_set s;
        read_case(i, &s);
        if (s.count != cases[i].want)
            print_error("%s\n", cases[i].name);
        assert_int_equal(s.count, cases[i].want);
        /* in order: authorities come first */
        if (s.count > 0)
            assert_int_equal(s.record[0].usage, cases[i].authority ? TLSA_AUTHORITY : TLSA_KEY);
        if (s.count > 0)
            assert_int_equal(s.record[s.count - 1].usage, cases[i].key ? TLSA_KEY : TLSA_AUTHORITY);
    }
}

static void equal_sets_are_equal_in_any_order(void **state)
{
    (void)state;
    struct dns_record records[12];
    struct tlsa_set one, other;
    struct dns_answer a = {.type = DNS_TLSA, .exists = true, .secure = true, .count = 2, .record = records};
    for (size_t i = 0; i < COUNT(records); i++) {
        records[i].tlsa.usage = TLSA_KEY;
        records[i].tlsa.selector = records[i].tlsa.matching = 1;
        records[i].tlsa.data = digest[i % 2];
        records[i].tlsa.len = 32;
    }
    tlsa_read(&a, &one);
    a.record = records + 1;
    tlsa_read(&a, &other);
    assert_true(tlsa_equal(&one, &other));
    a.count = 1;
    tlsa_read(&a, &other);
    assert_false(tlsa_equal(&one, &other));
    a.record = records;
    a.count = COUNT(records);
    tlsa_read(&a, &other);
    assert_int_equal(other.count, TLSA_RECORDS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_sorted_out),
        cmocka_unit_test(equal_sets_are_equal_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
