/* What a sender of ours is told of a recipient's challenge. */
#include "unit.h"

#include <string.h>

#include "lifecycle/challenge_notice.h"

#define NOW 1800000000LL
#define URL "https://pull.b.test/restante/challenge/1/AAFhYmM"

static struct ticket challenged(void)
{
    return (struct ticket){.state = TICKET_CHALLENGED,
                           .challenge_url = URL,
                           .sender = "alice@a.test",
                           .recipient = "bob@b.test",
                           .message_id = "1@a.test",
                           .created_s = NOW - 60,
                           .expires_s = NOW + 86400};
}

static void who_is_told(void **state)
{
    static const struct {
        enum ticket_state state;
        const char *url, *notify;
        bool bulk, want;
    } rows[] = {
        {TICKET_CHALLENGED, URL, "", false, true},       {TICKET_CHALLENGED, URL, "FAILURE", false, true},
        {TICKET_CHALLENGED, URL, "never", false, false}, {TICKET_CHALLENGED, URL, "", true, false},
        {TICKET_CHALLENGED, "", "", false, false},       {TICKET_HELD, URL, "", false, false},
        {TICKET_DELIVERED, URL, "", false, false},       {TICKET_WAITING, URL, "", false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ticket t = challenged();
        t.state = rows[i].state;
        t.bulk = rows[i].bulk;
        strcpy(t.challenge_url, rows[i].url);
        strcpy(t.notify, rows[i].notify);
        assert_int_equal(challenge_notice_wanted(&t), rows[i].want);
    }
}

static bool has(const struct buf *b, const char *text)
{
    return strstr(buf_cstr(b), text) != NULL;
}

static void message_has_the_link_alone_on_a_line(void **state)
{
    struct ticket t = challenged();
    struct buf m;
    (void)state;
    buf_init(&m, 65536);
    assert_int_equal(challenge_notice_format(&t, "mx.a.test", "About \"this\"", NOW, &m), ERR_OK);
    assert_true(has(&m, "From: Mail Delivery System <MAILER-DAEMON@a.test>\r\n"));
    assert_true(has(&m, "Subject: Your letter is not delivered yet: About \"this\"\r\n"));
    assert_true(has(&m, "To: alice@a.test\r\n"));
    assert_true(has(&m, "Auto-Submitted: auto-generated\r\n"));
    assert_true(has(&m, "References: <1@a.test>\r\n"));
    assert_true(has(&m, "In-Reply-To: <1@a.test>\r\n"));
    assert_true(has(&m, "\r\n\r\n" URL "\r\n\r\n"));
    assert_true(has(&m, "Recipient: bob@b.test\r\n"));
    assert_ptr_equal(strstr(strstr(buf_cstr(&m), "https://") + 1, "https://"), NULL);
    for (const char *at = buf_cstr(&m); (at = strchr(at, '\n')) != NULL; at++)
        assert_true(at[-1] == '\r');
    buf_free(&m);
}

static void what_is_not_ascii_is_encoded(void **state)
{
    struct ticket t = challenged();
    struct buf m;
    (void)state;
    buf_init(&m, 65536);
    assert_int_equal(
        challenge_notice_format(&t, "mx.a.test", "Gr\xc3\xbc\xc3\x9f\x65\r\nBcc: x@y.test", NOW, &m), ERR_OK);
    assert_true(has(&m, "=?utf-8?q?Gr=C3=BC=C3=9Fe"));
    assert_false(has(&m, "\nBcc"));
    buf_clear(&m);
    t.message_id[0] = '\0';
    assert_int_equal(challenge_notice_format(&t, "mx.a.test", NULL, NOW, &m), ERR_OK);
    assert_true(has(&m, "Subject: Your letter is not delivered yet\r\n"));
    assert_false(has(&m, "References"));
    buf_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_told),
        cmocka_unit_test(message_has_the_link_alone_on_a_line),
        cmocka_unit_test(what_is_not_ascii_is_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
