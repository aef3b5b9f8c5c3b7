/*
 * test_policy.c - what policy.h promises, case by case, on every engine.
 */
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "store/policy.h"

#define DAY_S 86400
#define BOB "bob@b.test"

/* ---- policies ------------------------------------------------------------------------------------------ */

static void policies_are_kept_by_name(struct rig *r)
{
    struct policy p = {.rule = RULE_CHALLENGE,
                       .legacy = LEGACY_REJECT,
                       .denial = DENIAL_TOLD,
                       .challenge = CHALLENGE_QUESTION,
                       .correspondents = SWITCH_OFF,
                       .changed_s = RIG_NOW_S},
                  domain = {.mode = MODE_OBSERVE, .rule = RULE_KNOWN}, got;

    memset(p.question, 'q', POLICY_QUESTION_MAX);
    memset(p.answers, 'a', POLICY_ANSWERS_MAX);
    assert_err(ERR_NOT_FOUND, store_policy_get(r->s, BOB, &got));
    assert_err(ERR_OK, store_policy_put(r->s, BOB, &p));
    assert_err(ERR_OK, store_policy_put(r->s, "@b.test", &domain));
    assert_err(ERR_OK, store_policy_get(r->s, BOB, &got));
    assert_memory_equal(&got, &p, sizeof p);
    assert_err(ERR_OK, store_policy_get(r->s, "@b.test", &got));
    assert_int_equal(got.mode, MODE_OBSERVE);
    assert_int_equal(got.rule, RULE_KNOWN);
    p.rule = RULE_OPEN;
    assert_err(ERR_OK, store_policy_put(r->s, BOB, &p));
    assert_err(ERR_OK, store_policy_get(r->s, BOB, &got));
    assert_int_equal(got.rule, RULE_OPEN);
    assert_err(ERR_SYNTAX, store_policy_put(r->s, "", &p));
}

/* ---- entries ------------------------------------------------------------------------------------------- */

static bool count_entry(void *arg, const struct entry *e)
{
    assert_true(e->value[0] != '\0');
    ++*(int *)arg;
    return true;
}

static int entries(struct rig *r, const char *mailbox)
{
    int n = 0;

    assert_err(ERR_OK, store_entries(r->s, mailbox, count_entry, &n));
    return n;
}

static void an_entry_stands_for_one_sender(struct rig *r)
{
    struct entry e = {.mailbox = BOB,
                      .kind = ENTRY_ADDRESS,
                      .value = "alice@a.test",
                      .created_s = RIG_NOW_S,
                      .until_s = RIG_NOW_S + 10,
                      .note = "met at the fair"},
                 got;

    assert_err(ERR_OK, store_entry_put(r->s, &e));
    assert_err(ERR_OK, store_entry_get(r->s, BOB, ENTRY_ADDRESS, "alice@a.test", RIG_NOW_S + 10, &got));
    assert_memory_equal(&got, &e, sizeof e);
    assert_err(ERR_NOT_FOUND,
               store_entry_get(r->s, BOB, ENTRY_ADDRESS, "alice@a.test", RIG_NOW_S + 11, &got));
    assert_int_equal(entries(r, BOB), 1); /* listed still */
    /* Not another kind, sender or mailbox. */
    assert_err(ERR_NOT_FOUND, store_entry_get(r->s, BOB, ENTRY_ENVELOPE, "alice@a.test", RIG_NOW_S, &got));
    assert_err(ERR_NOT_FOUND, store_entry_get(r->s, BOB, ENTRY_ADDRESS, "alice@a.tes", RIG_NOW_S, &got));
    assert_err(ERR_NOT_FOUND,
               store_entry_get(r->s, "rob@b.test", ENTRY_ADDRESS, "alice@a.test", RIG_NOW_S, &got));
    assert_err(ERR_NOT_FOUND, store_entry_get(r->s, BOB, ENTRY_ADDRESS, "", RIG_NOW_S, &got));
    /* Deny replaces allow. */
    e.deny = true;
    e.until_s = 0;
    assert_err(ERR_OK, store_entry_put(r->s, &e));
    assert_int_equal(entries(r, BOB), 1);
    assert_err(ERR_OK, store_entry_get(r->s, BOB, ENTRY_ADDRESS, "alice@a.test", RIG_NOW_S + 99999999, &got));
    assert_true(got.deny);
    assert_err(ERR_OK, store_entry_remove(r->s, BOB, ENTRY_ADDRESS, "alice@a.test"));
    assert_err(ERR_NOT_FOUND, store_entry_remove(r->s, BOB, ENTRY_ADDRESS, "alice@a.test"));
    assert_err(ERR_NOT_FOUND, store_entry_get(r->s, BOB, ENTRY_ADDRESS, "alice@a.test", RIG_NOW_S, &got));
}

static void entries_are_listed_by_mailbox(struct rig *r)
{
    struct entry e = {.kind = ENTRY_LIST, .domain = "lists.test"};

    for (int i = 0; i < 600; i++) {
        snprintf(e.mailbox, sizeof e.mailbox, "m%d@b.test", i % 3);
        snprintf(e.value, sizeof e.value, "l%d.lists.test", i);
        assert_err(ERR_OK, store_entry_put(r->s, &e));
    }
    for (int i = 0; i < 3; i++) {
        snprintf(e.mailbox, sizeof e.mailbox, "m%d@b.test", i);
        assert_int_equal(entries(r, e.mailbox), 200);
    }
    assert_int_equal(entries(r, "m3@b.test"), 0);
    assert_int_equal(entries(r, NULL), 600);
    e.value[0] = '\0';
    assert_err(ERR_SYNTAX, store_entry_put(r->s, &e));
}

/* ---- correspondents ------------------------------------------------------------------------------------ */

static bool last_until(void *arg, const char *address, int64_t since_s, int64_t until_s)
{
    assert_string_equal(address, "alice@a.test");
    assert_true(since_s >= RIG_NOW_S);
    *(int64_t *)arg = until_s;
    return true;
}

static int64_t until_of(struct rig *r)
{
    int64_t until_s = 0;

    assert_err(ERR_OK, store_correspondents(r->s, BOB, last_until, &until_s));
    return until_s;
}

static void whom_one_wrote_to_is_known_until_then(struct rig *r)
{
    const char *alice = "alice@a.test";
    const int64_t end_s = RIG_NOW_S + 1000;
    int64_t since_s = 0;
    size_t n;

    assert_err(ERR_NOT_FOUND, store_correspondent_get(r->s, BOB, alice, RIG_NOW_S, &since_s));
    assert_err(ERR_OK, store_correspondent_add(r->s, BOB, alice, RIG_NOW_S, end_s));
    assert_err(ERR_OK, store_correspondent_get(r->s, BOB, "Alice@A.test", end_s, &since_s));
    assert_int_equal(since_s, RIG_NOW_S);
    assert_err(ERR_NOT_FOUND, store_correspondent_get(r->s, BOB, alice, end_s + 1, &since_s));
    assert_err(ERR_NOT_FOUND, store_correspondent_get(r->s, "rob@b.test", alice, RIG_NOW_S, &since_s));
    /* Little is not worth a write, more is; an end never comes nearer. */
    assert_err(ERR_OK, store_correspondent_add(r->s, BOB, alice, RIG_NOW_S + 100, end_s + 100));
    assert_int_equal(until_of(r), end_s);
    assert_err(ERR_OK, store_correspondent_add(r->s, BOB, alice, RIG_NOW_S + 101, end_s + 101));
    assert_int_equal(until_of(r), end_s + 101);
    assert_err(ERR_OK, store_correspondent_add(r->s, BOB, alice, RIG_NOW_S, RIG_NOW_S + 1));
    assert_int_equal(until_of(r), end_s + 101);
    assert_err(ERR_OK, store_correspondent_get(r->s, BOB, alice, RIG_NOW_S, &since_s));
    assert_int_equal(since_s, RIG_NOW_S);
    /* Purged when it is over, and not at its first end. */
    assert_err(ERR_OK, store_purge(r->s, end_s + 100, 100, &n));
    assert_int_equal(until_of(r), end_s + 101);
    assert_err(ERR_OK, store_purge(r->s, end_s + 102, 100, &n));
    assert_int_equal(n, 1);
    assert_int_equal(until_of(r), 0);
    /* Since when starts anew. */
    assert_err(ERR_OK, store_correspondent_add(r->s, BOB, alice, end_s + 500, end_s + 600));
    assert_err(ERR_OK, store_correspondent_get(r->s, BOB, alice, end_s + 600, &since_s));
    assert_int_equal(since_s, end_s + 500);
    assert_err(ERR_OK, store_correspondent_remove(r->s, BOB, alice));
    assert_err(ERR_NOT_FOUND, store_correspondent_remove(r->s, BOB, alice));
    assert_err(ERR_NOT_FOUND, store_correspondent_get(r->s, BOB, alice, end_s + 600, &since_s));
}

/* ---- tokens -------------------------------------------------------------------------------------------- */

static bool count_token(void *arg, const struct token *t)
{
    assert_string_equal(t->mailbox, BOB);
    ++*(int *)arg;
    return true;
}

static enum err use(struct rig *r, const char *token, const char *domain, uint8_t message, int64_t now_s)
{
    uint8_t what[32];

    memset(what, message, sizeof what);
    return store_token_use(r->s, BOB, token, domain, what, now_s);
}

static uint32_t used(struct rig *r, const char *token)
{
    struct token t;

    assert_err(ERR_OK, store_token_get(r->s, BOB, token, &t));
    return t.letters_used;
}

static void a_token_for_three_letters(struct rig *r)
{
    struct token t = {.mailbox = BOB,
                      .token = "shop",
                      .created_s = RIG_NOW_S,
                      .letters_max = 3,
                      .bind = true,
                      .note = "the shop"},
                 got;
    int n = 0;

    assert_err(ERR_OK, store_token_add(r->s, &t));
    assert_err(ERR_EXISTS, store_token_add(r->s, &t));
    assert_err(ERR_OK, store_token_get(r->s, BOB, "Shop", &got)); /* case does not matter */
    assert_memory_equal(&got, &t, sizeof t);
    assert_err(ERR_NOT_FOUND, store_token_get(r->s, "rob@b.test", "shop", &got));
    assert_err(ERR_NOT_FOUND, use(r, "shopp", "shop.test", 1, RIG_NOW_S));

    assert_err(ERR_OK, use(r, "shop", "shop.test", 1, RIG_NOW_S));
    assert_err(ERR_OK, use(r, "shop", "shop.test", 1, RIG_NOW_S + 10)); /* the same message */
    assert_int_equal(used(r, "shop"), 1);
    assert_err(ERR_FORBIDDEN, use(r, "shop", "other.test", 2, RIG_NOW_S)); /* bound by now */
    assert_err(ERR_OK, use(r, "shop", "Shop.test", 3, RIG_NOW_S));
    assert_err(ERR_OK, use(r, "shop", "shop.test", 4, RIG_NOW_S + 7));
    assert_err(ERR_FORBIDDEN, use(r, "shop", "shop.test", 5, RIG_NOW_S));
    /* What was refused used nothing and is not remembered; what was admitted still is, for a day. */
    assert_err(ERR_FORBIDDEN, use(r, "shop", "shop.test", 5, RIG_NOW_S));
    assert_err(ERR_OK, use(r, "shop", "shop.test", 4, RIG_NOW_S + 8));
    assert_err(ERR_FORBIDDEN, use(r, "shop", "shop.test", 4, RIG_NOW_S + 2 * DAY_S));
    assert_err(ERR_OK, store_token_get(r->s, BOB, "shop", &got));
    assert_int_equal(got.letters_used, 3);
    assert_int_equal(got.used_s, RIG_NOW_S + 7);
    assert_string_equal(got.bound, "shop.test");

    assert_err(ERR_OK, store_token_revoke(r->s, BOB, "shop"));
    assert_err(ERR_OK, store_token_revoke(r->s, BOB, "shop"));
    assert_err(ERR_NOT_FOUND, store_token_revoke(r->s, BOB, "none"));
    assert_err(ERR_EXISTS, store_token_add(r->s, &t)); /* never made again */
    assert_err(ERR_OK, store_tokens(r->s, BOB, count_token, &n));
    assert_int_equal(n, 1);
}

static void when_a_token_admits(struct rig *r)
{
    static const struct {
        struct token t;
        const char *domain;
        bool admits;
    } row[] = {
        {{.until_s = 0}, "a.test", true},
        {{.until_s = RIG_NOW_S}, "a.test", true},
        {{.until_s = RIG_NOW_S - 1}, "a.test", false},
        {{.letters_max = 1}, "a.test", true},
        {{.letters_max = 1, .letters_used = 1}, "a.test", false},
        {{.letters_used = 1000}, "a.test", true},
        {{.bind = true}, "a.test", true},
        {{.bind = true, .bound = "a.test"}, "a.test", true},
        {{.bind = true, .bound = "b.test"}, "a.test", false},
        {{.revoked = true}, "a.test", false},
    };

    (void)r;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (token_admits(&row[i].t, row[i].domain, RIG_NOW_S) != row[i].admits)
            fail_msg("row %zu", i);
}

struct user {
    struct rig *r;
    uint8_t message;
    int admitted;
};

static void *use_worker(void *arg)
{
    struct user *u = arg;

    for (int i = 0; i < 10; i++)
        u->admitted += use(u->r, "ten", "a.test", (uint8_t)(u->message + i), RIG_NOW_S) == ERR_OK;
    return NULL;
}

static void of_eighty_letters_at_once_ten_are_admitted(struct rig *r)
{
    struct token t = {.mailbox = BOB, .token = "ten", .letters_max = 10};
    struct user user[8];
    pthread_t thread[8];
    int admitted = 0;

    assert_err(ERR_OK, store_token_add(r->s, &t));
    for (int i = 0; i < 8; i++) {
        user[i] = (struct user){.r = r, .message = (uint8_t)(i * 10)};
        assert_int_equal(pthread_create(&thread[i], NULL, use_worker, &user[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(thread[i], NULL);
        admitted += user[i].admitted;
    }
    assert_int_equal(admitted, 10);
    assert_int_equal(used(r, "ten"), 10);
}

/* ---- domains, things for one use ----------------------------------------------------------------------- */

static void domains_are_first_seen_once(struct rig *r)
{
    int64_t first_s = 0;

    assert_err(ERR_NOT_FOUND, store_domain_first_seen(r->s, "a.test", &first_s));
    assert_err(ERR_OK, store_domain_seen(r->s, "a.test", RIG_NOW_S, &first_s));
    assert_int_equal(first_s, RIG_NOW_S);
    assert_err(ERR_OK, store_domain_seen(r->s, "a.test", RIG_NOW_S + 5, &first_s));
    assert_int_equal(first_s, RIG_NOW_S);
    assert_err(ERR_OK, store_domain_first_seen(r->s, "a.test", &first_s));
    assert_int_equal(first_s, RIG_NOW_S);
    assert_err(ERR_SYNTAX, store_domain_seen(r->s, "", RIG_NOW_S, &first_s));
}

static void a_thing_is_spent_once(struct rig *r)
{
    uint8_t what[32] = {1}, other[32] = {2};
    size_t n;

    assert_err(ERR_OK, store_spend(r->s, what, RIG_NOW_S));
    assert_err(ERR_EXISTS, store_spend(r->s, what, RIG_NOW_S + 100));
    assert_err(ERR_OK, store_spend(r->s, other, RIG_NOW_S + 1));
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S, 100, &n));
    assert_int_equal(n, 1);
    assert_err(ERR_EXISTS, store_spend(r->s, other, RIG_NOW_S + 1));
    assert_err(ERR_OK, store_spend(r->s, what, RIG_NOW_S + 1)); /* forgotten, at its time */
}

static void it_is_all_there_when_opened_again(struct rig *r)
{
    struct policy p = {.rule = RULE_KNOWN};
    struct entry e = {.mailbox = BOB, .kind = ENTRY_DOMAIN, .value = "a.test", .deny = true};
    struct token t = {.mailbox = BOB, .token = "t"};
    uint8_t what[32] = {1};
    int64_t since_s;

    if (r->options.engine == STORE_MEMORY)
        return;
    assert_err(ERR_OK, store_policy_put(r->s, BOB, &p));
    assert_err(ERR_OK, store_entry_put(r->s, &e));
    assert_err(ERR_OK, store_token_add(r->s, &t));
    assert_err(ERR_OK, store_spend(r->s, what, RIG_NOW_S));
    assert_err(ERR_OK, store_correspondent_add(r->s, BOB, "alice@a.test", RIG_NOW_S, RIG_NOW_S + DAY_S));
    assert_err(ERR_OK, store_domain_seen(r->s, "a.test", RIG_NOW_S, &since_s));
    rig_close(r);
    rig_open(r);
    assert_err(ERR_OK, store_policy_get(r->s, BOB, &p));
    assert_err(ERR_OK, store_entry_get(r->s, BOB, ENTRY_DOMAIN, "a.test", RIG_NOW_S, &e));
    assert_true(e.deny);
    assert_err(ERR_OK, store_token_get(r->s, BOB, "t", &t));
    assert_err(ERR_EXISTS, store_spend(r->s, what, RIG_NOW_S));
    assert_err(ERR_OK, store_correspondent_get(r->s, BOB, "alice@a.test", RIG_NOW_S, &since_s));
    assert_err(ERR_OK, store_domain_first_seen(r->s, "a.test", &since_s));
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(policies_are_kept_by_name),
        RIG_CASE(an_entry_stands_for_one_sender),
        RIG_CASE(entries_are_listed_by_mailbox),
        RIG_CASE(whom_one_wrote_to_is_known_until_then),
        RIG_CASE(a_token_for_three_letters),
        RIG_CASE(when_a_token_admits),
        RIG_CASE(of_eighty_letters_at_once_ten_are_admitted),
        RIG_CASE(domains_are_first_seen_once),
        RIG_CASE(a_thing_is_spent_once),
        RIG_CASE(it_is_all_there_when_opened_again),
    };

    return rig_run("store policies", cases, sizeof cases / sizeof *cases, true, true);
}
