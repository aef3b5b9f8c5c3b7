/* A challenge's URL names a contact attempt to its own site alone. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "admission/challenge.h"
#include "base/clock.h"
#include "env/env.h"
#include "env/site.h"
#include "ticket/sitekey.h"

static struct site_keys *keys, *others;

static int set_up(void **state)
{
    static const uint16_t epochs[] = {1, 2};
    static const uint8_t ours[2][SITEKEY_BYTES] = {{1, 2, 3}, {4, 5, 6}}, theirs[1][SITEKEY_BYTES] = {{9}};
    (void)state;
    return site_keys_from_bytes(epochs, ours, 2, &keys) == ERR_OK &&
                   site_keys_from_bytes(epochs + 1, theirs, 1, &others) == ERR_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    site_keys_free(keys);
    site_keys_free(others);
    return 0;
}

static const struct challenge_token token = {
    .mailbox = "bob@b.test", .sender = "alice@a.test", .expires_s = 1000};

static void token_is_read_by_its_site_until_it_ends(void **state)
{
    char text[CHALLENGE_TOKEN_MAX + 1], again[CHALLENGE_TOKEN_MAX + 1];
    struct challenge_token got;
    (void)state;
    assert_int_equal(challenge_token_make(keys, &token, text), ERR_OK);
    assert_int_equal(challenge_token_make(keys, &token, again), ERR_OK);
    assert_string_not_equal(text, again);
    assert_null(strstr(text, "bob"));
    assert_int_equal(challenge_token_read(keys, span_of(text), 1000, &got), ERR_OK);
    assert_string_equal(got.mailbox, "bob@b.test");
    assert_string_equal(got.sender, "alice@a.test");
    assert_int_equal(got.epoch, 2);
    assert_int_equal(challenge_token_read(keys, span_of(text), 1001, &got), ERR_GONE);
    assert_int_equal(challenge_token_read(others, span_of(text), 1000, &got), ERR_NOT_FOUND);
}

static void altered_tokens_are_unknown(void **state)
{
    char text[CHALLENGE_TOKEN_MAX + 1], bad[CHALLENGE_TOKEN_MAX + 100];
    struct challenge_token got;
    (void)state;
    assert_int_equal(challenge_token_make(keys, &token, text), ERR_OK);
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        strcpy(bad, text);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        assert_int_equal(challenge_token_read(keys, span_of(bad), 1, &got), ERR_NOT_FOUND);
        assert_int_equal(challenge_token_read(keys, span_bytes(text, i), 1, &got), ERR_NOT_FOUND);
    }
    snprintf(bad, sizeof bad, "%sAAAA", text);
    assert_int_equal(challenge_token_read(keys, span_of(bad), 1, &got), ERR_NOT_FOUND);
    memset(bad, 'A', sizeof bad);
    assert_int_equal(challenge_token_read(keys, span_bytes(bad, sizeof bad), 1, &got), ERR_NOT_FOUND);
    assert_int_equal(challenge_token_read(keys, span_of("../../etc"), 1, &got), ERR_NOT_FOUND);
    assert_int_equal(challenge_token_read(keys, (struct span){0}, 1, &got), ERR_NOT_FOUND);
}

static void url_is_on_our_link_host_and_fits_status(void **state)
{
    char host[] = "pull.b.test", url[CHALLENGE_URL_SIZE];
    struct site site = {.link_host = host, .link_port = 443};
    struct env env = {.keys = keys, .site = &site};
    struct attempt a = {.mailbox = "bob@b.test", .sender = "alice@a.test"};
    struct challenge_token got;
    static const char start[] = "https://pull.b.test/restante/challenge/1/",
                      with_port[] = "https://pull.b.test:8443/restante/challenge/1/";
    (void)state;
    assert_int_equal(challenge_url_make(&env, &a, url), ERR_OK);
    assert_int_equal(strncmp(url, start, strlen(start)), 0);
    assert_int_equal(challenge_token_read(keys, span_of(url + strlen(start)), clock_now_s(), &got), ERR_OK);
    assert_string_equal(got.sender, "alice@a.test");
    site.link_port = 8443;
    assert_int_equal(challenge_url_make(&env, &a, url), ERR_OK);
    assert_int_equal(strncmp(url, with_port, strlen(with_port)), 0);
    memset(a.sender, 'a', 330);
    assert_int_equal(challenge_url_make(&env, &a, url), ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_is_read_by_its_site_until_it_ends),
        cmocka_unit_test(altered_tokens_are_unknown),
        cmocka_unit_test(url_is_on_our_link_host_and_fits_status),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
