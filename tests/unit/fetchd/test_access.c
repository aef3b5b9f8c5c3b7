#include "unit.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "local/access.h"
#include "settings/settings.h"

static void who_is_who(void **state)
{
    static char domain[] = "B.test", none[] = "";
    struct settings settings = {.system_users_domain = domain};
    const struct env env = {.settings = &settings};
    struct http_peer peer = {.kind = HTTP_UNIX, .uid = 0};
    const struct passwd *news = getpwnam("news");
    struct access who;

    (void)state;
    access_of(&env, &peer, &who);
    assert_true(who.all);
    peer.uid = geteuid();
    access_of(&env, &peer, &who);
    assert_true(who.all);
    if (!news || news->pw_uid == geteuid()) {
        skip();
        return;
    }
    peer.uid = news->pw_uid;
    access_of(&env, &peer, &who);
    assert_false(who.all);
    assert_string_equal(who.mailbox, "news@b.test");
    assert_string_equal(who.login, "news");
    peer.uid = 3999999999u;
    access_of(&env, &peer, &who);
    assert_false(who.all);
    assert_string_equal(who.mailbox, "");
    peer.uid = news->pw_uid;
    settings.system_users_domain = none;
    access_of(&env, &peer, &who);
    assert_false(who.all);
    assert_string_equal(who.mailbox, "");
}

static const struct access root = {.all = true};
static const struct access bob = {.login = "bob", .mailbox = "bob@b.test"};
static const struct access nobody = {.all = false};

static void a_user_sees_his_own_mailbox_alone(void **state)
{
    static const struct {
        const struct access *who;
        const char *mailbox;
        bool may;
    } cases[] = {
        {&root, "bob@b.test", true}, {&root, NULL, true},
        {&bob, "bob@b.test", true},  {&bob, "carol@b.test", false},
        {&bob, "bob@c.test", false}, {&bob, "@b.test", false},
        {&bob, "", false},           {&bob, NULL, false},
        {&nobody, "", false},        {&nobody, "bob@b.test", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (access_to_mailbox(cases[i].who, cases[i].mailbox) != cases[i].may)
            fail_msg("case %zu", i);
    }
}

static void a_user_sees_letters_that_he_sent(void **state)
{
    static const struct {
        const struct access *who;
        const char *owner, *sender;
        bool may;
    } cases[] = {
        {&root, "carol@b.test", "carol@b.test", true},
        {&bob, "bob@b.test", "bob@b.test", true},
        {&bob, "BOB@B.test", "x@b.test", true},
        {&bob, "bob", "newsletter@b.test", true},
        {&bob, "carol@b.test", "bob@b.test", true},
        {&bob, "carol@b.test", "carol@b.test", false},
        {&bob, "carol", "bob@c.test", false},
        {&bob, "", "", false},
        {&nobody, "", "", false},
    };
    static struct ticket t;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(t.owner, sizeof t.owner, "%s", cases[i].owner);
        snprintf(t.sender, sizeof t.sender, "%s", cases[i].sender);
        if (access_to_ticket(cases[i].who, &t) != cases[i].may)
            fail_msg("%s %s", cases[i].owner, cases[i].sender);
    }
}

static void a_user_sees_letters_to_him(void **state)
{
    static const struct {
        const struct access *who;
        const char *mailbox, *recipient;
        bool may;
    } cases[] = {
        {&root, "carol@b.test", "carol@b.test", true},
        {&bob, "bob@b.test", "bob+shop@b.test", true},
        {&bob, "carol@b.test", "bob@b.test", false},
        {&bob, "", "Bob@b.test", true}, /* of an earlier format */
        {&bob, "", "carol@b.test", false},
        {&nobody, "", "", false},
    };
    static struct job j;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(j.mailbox, sizeof j.mailbox, "%s", cases[i].mailbox);
        snprintf(j.recipient, sizeof j.recipient, "%s", cases[i].recipient);
        if (access_to_job(cases[i].who, &j) != cases[i].may)
            fail_msg("%s %s", cases[i].mailbox, cases[i].recipient);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_who),
        cmocka_unit_test(a_user_sees_his_own_mailbox_alone),
        cmocka_unit_test(a_user_sees_letters_that_he_sent),
        cmocka_unit_test(a_user_sees_letters_to_him),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
