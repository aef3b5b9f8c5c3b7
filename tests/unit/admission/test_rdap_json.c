/* test_rdap_json.c - what a registry answers, and what it must not. */
#include "unit.h"

#include "admission/rdap_json.h"

#define NOW 1795248000

static const struct {
    const char *text;
    int64_t want; /* -1: none */
} dates[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"1995-08-14T04:00:00Z", 808372800},
    {"1995-08-14t04:00:00.123456z", 808372800},
    {"1995-08-14 04:00:00Z", 808372800},
    {"1995-08-14T06:30:00+02:30", 808372800},
    {"1995-08-13T23:00:00-05:00", 808372800},
    {"2024-02-29T00:00:00Z", 1709164800},
    {"2016-12-31T23:59:60Z", 1483228799},
    {"2023-02-29T00:00:00Z", -1},
    {"2023-06-31T00:00:00Z", -1},
    {"2023-13-01T00:00:00Z", -1},
    {"2023-00-01T00:00:00Z", -1},
    {"2023-01-00T00:00:00Z", -1},
    {"2023-01-01T24:00:00Z", -1},
    {"2023-01-01T00:60:00Z", -1},
    {"2023-01-01T00:00:61Z", -1},
    {"2023-01-01T00:00:00", -1},
    {"2023-01-01T00:00:00.Z", -1},
    {"2023-01-01T00:00:00+2:00", -1},
    {"2023-01-01T00:00:00+0200", -1},
    {"2023-01-01T00:00:00+24:00", -1},
    {"2023-01-01T00:00:00Zx", -1},
    {"2023-1-1T00:00:00Z", -1},
    {"2023-01-01", -1},
    {"1969-12-31T23:59:59Z", -1},
    {"1970-01-01T00:00:00+01:00", -1},
    {"+023-01-01T00:00:00Z", -1},
    {"", -1},
};

static void dates_are_read_as_RFC_3339_has_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(dates); i++) {
        int64_t got = -1;
        enum err err = rdap_date(span_of(dates[i].text), &got);
        if ((err == ERR_OK) != (dates[i].want >= 0) || got != dates[i].want)
            fail_msg("\"%s\": %s, %lld", dates[i].text, err_name(err), (long long)got);
    }
}

#define HEAD "{\"objectClassName\":\"domain\",\"ldhName\":\"a.test\""
#define EVENT(date) "{\"eventAction\":\"registration\",\"eventDate\":\"" date "\"}"
static const struct {
    const char *name, *json;
    enum err want;
    int64_t at_s;
} documents[] = {
    {"one_registration", HEAD ",\"events\":[" EVENT("1995-08-14T04:00:00Z") "]}", ERR_OK, 808372800},
    {"among_other_events",
     HEAD ",\"events\":[{\"eventAction\":\"last changed\",\"eventDate\":\"x\"}," EVENT(
         "1995-08-14T04:00:00Z") "]}",
     ERR_OK, 808372800},
    {"of_several_the_latest",
     HEAD ",\"events\":[" EVENT("1995-08-14T04:00:00Z") "," EVENT("2024-02-29T00:00:00Z") "]}", ERR_OK,
     1709164800},
    {"case_and_final_dot_of_the_name",
     "{\"objectClassName\":\"domain\",\"ldhName\":\"A.Test.\",\"events\":[" EVENT(
         "1995-08-14T04:00:00Z") "]}",
     ERR_OK, 808372800},
    {"no_name", "{\"objectClassName\":\"domain\",\"events\":[" EVENT("1995-08-14T04:00:00Z") "]}", ERR_OK,
     808372800},
    {"no_events", HEAD "}", ERR_NOT_FOUND, 0},
    {"no_registration", HEAD ",\"events\":[]}", ERR_NOT_FOUND, 0},
    {"another_action",
     HEAD ",\"events\":[{\"eventAction\":\"transfer\",\"eventDate\":\"1995-08-14T04:00:00Z\"}]}",
     ERR_NOT_FOUND, 0},
    {"another_domain",
     "{\"objectClassName\":\"domain\",\"ldhName\":\"b.test\",\"events\":[" EVENT("1995-08-14T04:00:00Z") "]}",
     ERR_SYNTAX, 0},
    {"a_name_server",
     "{\"objectClassName\":\"nameserver\",\"ldhName\":\"a.test\",\"events\":[" EVENT(
         "1995-08-14T04:00:00Z") "]}",
     ERR_SYNTAX, 0},
    {"no_class", "{\"ldhName\":\"a.test\",\"events\":[" EVENT("1995-08-14T04:00:00Z") "]}", ERR_SYNTAX, 0},
    {"name_of_another_type", "{\"objectClassName\":\"domain\",\"ldhName\":7,\"events\":[]}", ERR_SYNTAX, 0},
    {"events_of_another_type", HEAD ",\"events\":{}}", ERR_SYNTAX, 0},
    {"an_event_of_another_type", HEAD ",\"events\":[7]}", ERR_SYNTAX, 0},
    {"an_action_of_another_type", HEAD ",\"events\":[{\"eventAction\":1}]}", ERR_SYNTAX, 0},
    {"a_date_of_another_type",
     HEAD ",\"events\":[{\"eventAction\":\"registration\",\"eventDate\":808372800}]}", ERR_SYNTAX, 0},
    {"no_date", HEAD ",\"events\":[{\"eventAction\":\"registration\"}]}", ERR_SYNTAX, 0},
    {"a_bad_date", HEAD ",\"events\":[" EVENT("yesterday") "]}", ERR_SYNTAX, 0},
    {"a_date_with_NUL", HEAD ",\"events\":[" EVENT("1995-08-14T04:00:00Z\\u0000") "]}", ERR_SYNTAX, 0},
    {"a_future_date", HEAD ",\"events\":[" EVENT("2036-01-01T00:00:00Z") "]}", ERR_SYNTAX, 0},
    {"good_and_bad_dates", HEAD ",\"events\":[" EVENT("1995-08-14T04:00:00Z") "," EVENT("x") "]}", ERR_SYNTAX,
     0},
    {"a_member_twice", HEAD ",\"events\":[],\"events\":[" EVENT("1995-08-14T04:00:00Z") "]}", ERR_SYNTAX, 0},
    {"an_array", "[" HEAD "}]", ERR_SYNTAX, 0},
    {"something_behind", HEAD "}x", ERR_SYNTAX, 0},
    {"cut", HEAD ",\"eve", ERR_SYNTAX, 0},
    {"nothing", "", ERR_SYNTAX, 0},
};

static void documents_are_read_strictly(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(documents); i++) {
        int64_t got = 0;
        enum err err = rdap_registration(span_of(documents[i].json), "a.test", NOW, &got);
        if (err != documents[i].want || got != documents[i].at_s)
            fail_msg("%s: %s, %lld", documents[i].name, err_name(err), (long long)got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_read_as_RFC_3339_has_them),
        cmocka_unit_test(documents_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
