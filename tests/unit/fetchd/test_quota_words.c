/* Quotas as people see them: rows, the warning, and whose mail is the system's own. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "lifecycle/limits.h"
#include "lifecycle/quota_notice.h"
#include "local/admin_quota.h"
#include "local/system_mail.h"

#define NOW 1800000000LL

static void limits_are_the_settings(void **state)
{
    const struct settings s = {.quota_sender_bytes = 1,
                               .quota_sender_letters = 2,
                               .quota_domain_bytes = 3,
                               .quota_domain_letters = 4,
                               .quota_reserve_percent = 5};
    struct quota_limits l;

    (void)state;
    limits_of(&s, &l);
    assert_true(l.owner_bytes == 1 && l.owner_letters == 2 && l.domain_bytes == 3 && l.domain_letters == 4 &&
                l.reserve_percent == 5);
}

static void rows_say_how_much_of_how_much(void **state)
{
    static const struct {
        bool domain;
        uint64_t letters, bytes;
        struct quota_limits limits;
        int64_t percent, letters_limit, bytes_limit;
    } rows[] = {
        {false, 3, 1000, {.owner_letters = 4, .owner_bytes = 10000}, 75, 4, 10000},
        {false, 1, 9999, {.owner_letters = 4, .owner_bytes = 10000}, 99, 4, 10000},
        {false, 3, 1000, {.domain_letters = 4}, 0, 0, 0},
        {true, 3, 1000, {.domain_letters = 4, .owner_letters = 1}, 75, 4, 0},
        {false, 3, (uint64_t)1 << 49, {.owner_bytes = (int64_t)1 << 50}, 50, 0, (int64_t)1 << 50},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct quota_use u = {.domain = rows[i].domain, .letters = rows[i].letters, .bytes = rows[i].bytes};
        struct rows *r, *back;
        struct buf json;
        strcpy(u.name, rows[i].domain ? "@a.test" : "alice@a.test");
        buf_init(&json, 10000);
        assert_int_equal(rows_create("quota", &r), ERR_OK);
        admin_quota_row(r, &u, &rows[i].limits);
        assert_int_equal(rows_format(r, &json), ERR_OK);
        assert_int_equal(rows_parse(buf_span(&json), "quota", &back), ERR_OK);
        assert_string_equal(rows_get_text(back, 0, "name"), u.name);
        assert_int_equal(rows_get_number(back, 0, "percent"), rows[i].percent);
        assert_true(rows_get_number(back, 0, "bytes_limit") == rows[i].bytes_limit);
        assert_true(rows_get_number(back, 0, "letters_limit") == rows[i].letters_limit);
        rows_free(back);
        rows_free(r);
        buf_free(&json);
    }
}

static void who_is_warned(void **state)
{
    static const struct {
        const char *owner, *sender;
        bool bulk;
        const char *want;
    } rows[] = {
        {"alice@a.test", "list-bounces+1@a.test", true, "alice@a.test"},
        {"alice", "alice@a.test", false, "alice@a.test"},
        {"alice", "list-bounces+1@a.test", true, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ticket *t = calloc(1, sizeof *t);
        assert_non_null(t);
        strcpy(t->owner, rows[i].owner);
        strcpy(t->sender, rows[i].sender);
        t->bulk = rows[i].bulk;
        const char *to = quota_notice_to(t);
        if (rows[i].want)
            assert_string_equal(to, rows[i].want);
        else
            assert_null(to);
        free(t);
    }
}

static void the_warning_has_the_figures(void **state)
{
    const struct quota_use use = {.letters = 4, .bytes = 900000, .warned_s = NOW};
    const struct quota_limits limits = {.owner_letters = 5, .owner_bytes = 1048576};
    struct ticket *t = calloc(1, sizeof *t);
    struct buf m;

    (void)state;
    assert_non_null(t);
    strcpy(t->owner, "alice@a.test");
    strcpy(t->sender, "alice@a.test");
    buf_init(&m, 65536);
    assert_int_equal(quota_notice_format(t, &use, &limits, "mx.a.test", NOW, &m), ERR_OK);
    static const char *const parts[] = {
        "From: Mail Delivery System <MAILER-DAEMON@a.test>\r\n",
        "To: alice@a.test\r\n",
        "Message-ID: <restante-quota.00000000000000000000000000000000@mx.a.test>\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "\r\nLetters: 4 of 5\r\n",
        "\r\nKilobytes: 878 of 1024\r\n"};
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (!strstr(buf_cstr(&m), parts[i]))
            fail_msg("%s is not in %s", parts[i], buf_cstr(&m));
    }
    buf_free(&m);
    free(t);
}

static void whose_mail_is_the_systems(void **state)
{
    static const struct {
        const char *sender, *auth;
        bool command_line, want;
    } rows[] = {
        {"root@a.test", NULL, true, true},        {"root@a.test", NULL, false, true},
        {"Postmaster@a.test", NULL, false, true}, {"MAILER-DAEMON@a.test", NULL, false, true},
        {"root@a.test", "alice", false, false},   {"daemon@a.test", NULL, true, true},
        {"daemon@a.test", NULL, false, false},    {"nobody-there@a.test", NULL, true, false},
        {"alice@a.test", NULL, true, false},      {"", NULL, true, false},
        {"root@a.test", "", false, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char sender[64], auth[64];
        const struct api_envelope e = {.sender = strcpy(sender, rows[i].sender),
                                       .auth = rows[i].auth ? strcpy(auth, rows[i].auth) : NULL,
                                       .command_line = rows[i].command_line};
        if (system_mail(&e) != rows[i].want)
            fail_msg("%zu: %s", i, rows[i].sender);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_the_settings),
        cmocka_unit_test(rows_say_how_much_of_how_much),
        cmocka_unit_test(who_is_warned),
        cmocka_unit_test(the_warning_has_the_figures),
        cmocka_unit_test(whose_mail_is_the_systems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
