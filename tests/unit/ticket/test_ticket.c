/* test_ticket.c - identifiers and keys, URLs (with many spellings of addresses), paths and tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ticket/ticket.h"

#define A22 "AAEAAQIDBAUGBwgJCgsMDQ"
#define B22 "8PHy8_T19vf4-fr7_P3-_w"
#define PATH "/restante/1/" A22 "/" B22

static struct site_keys *keys;

static int make_keys(void **state)
{
    (void)state;
    static const uint16_t epochs[] = {1, 2};
    static const uint8_t key[][SITEKEY_BYTES] = {{1}, {2}};
    return site_keys_from_bytes(epochs, key, 2, &keys) == ERR_OK ? 0 : -1;
}

static int free_keys(void **state)
{
    (void)state;
    site_keys_free(keys);
    return 0;
}

static void a_ticket_is_derived_from_its_identifier_alone(void **state)
{
    (void)state;
    struct ticket_keys t, u, v;
    assert_int_equal(ticket_create(keys, &t), ERR_OK);
    assert_int_equal(t.a[0] << 8 | t.a[1], 2);
    assert_int_equal(ticket_derive(keys, t.a, &u), ERR_OK);
    assert_memory_equal(&t, &u, sizeof t);
    assert_memory_not_equal(t.ka, t.kd, TICKET_KEY_BYTES);
    assert_int_equal(ticket_create(keys, &v), ERR_OK);
    assert_memory_not_equal(t.a, v.a, TICKET_A_BYTES);
    v.a[1] = 3;
    assert_int_equal(ticket_derive(keys, v.a, &u), ERR_NOT_FOUND);
    ticket_wipe(&t);
    static const struct ticket_keys wiped;
    assert_memory_equal(&t, &wiped, sizeof t);
}

static void the_store_knows_hashes_alone(void **state)
{
    (void)state;
    struct ticket_keys t;
    uint8_t k[32], h[32], other[32];
    assert_int_equal(ticket_create(keys, &t), ERR_OK);
    assert_int_equal(ticket_store_key(t.a, t.b, k), ERR_OK);
    assert_int_equal(ticket_ka_hash(t.ka, h), ERR_OK);
    assert_memory_not_equal(h, t.ka, 32);
    t.b[15] ^= 1;
    assert_int_equal(ticket_store_key(t.a, t.b, other), ERR_OK);
    assert_memory_not_equal(k, other, 32);
}

static const struct {
    const char *text, *host;
    uint16_t port;
} good[] = {
    {"https://pull.a.example" PATH, "pull.a.example", 443},
    {"https://a.example:8443" PATH, "a.example", 8443},
    {"https://a.example:1" PATH, "a.example", 1},
    {"https://a.example:65535" PATH, "a.example", 65535},
    {"https://x--1.0-9.xn--p1ai" PATH, "x--1.0-9.xn--p1ai", 443},
    {"https://127.0.0.1.a.example" PATH, "127.0.0.1.a.example", 443},
};

static void canonical_urls_are_read_and_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct ticket_url u;
        char text[TICKET_URL_MAX + 1];
        if (ticket_url_parse(span_of(good[i].text), &u) != ERR_OK)
            fail_msg("%s", good[i].text);
        assert_string_equal(u.host, good[i].host);
        assert_int_equal(u.port, good[i].port);
        assert_int_equal(u.a[2], 0);
        assert_int_equal(u.a[15], 13);
        assert_int_equal(u.b[15], 255);
        assert_int_equal(ticket_url_format(&u, text), ERR_OK);
        assert_string_equal(text, good[i].text);
    }
}

/* Every spelling that some resolver, library or browser takes for an address; and other ways to get it wrong.
 */
static const char *const bad_hosts[] = {
    /* IPv4, all spellings of inet_aton(3) and of URL parsers */
    "127.0.0.1",
    "192.0.2.7",
    "0.0.0.0",
    "255.255.255.255",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127",
    "1",
    "0",
    "2130706433",
    "3221225991",
    "4294967295",
    "4294967296",
    "0x7f000001",
    "0X7F000001",
    "0x7f.0x0.0x0.0x1",
    "0x7f.1",
    "0x7f.0.1",
    "0x",
    "0x.0x.0x.0x",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "00000177.00000000.00000000.00000001",
    "0x0000007f.1",
    "127.0x1",
    "127.0.0.0x1",
    "127.0.0.01",
    "0300.0250.1.1",
    "192.168.257",
    "192.11010049",
    "10.0.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.16689662",
    "127.0.0.1%00",
    "127.0.0.1%2e",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "127\xe3\x80\x82"
    "0\xe3\x80\x82"
    "0\xe3\x80\x82"
    "1",
    "\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1",
    "\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1",
    "1.2.3.4.5",
    "a.127",
    "a.0x7f",
    "a.example.1",
    "256.256.256.256",
    "127.0.0.1a.2",
    /* IPv6 */
    "[::1]",
    "[::]",
    "[2001:db8::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "[v1.fe80::a]",
    "::1",
    "2001:db8::1",
    "2001-db8--1.1",
    "[127.0.0.1]",
    "[pull.a.example]",
    "[",
    "]",
    /* names that are none of ours */
    "localhost",
    "pull",
    "",
    ".",
    "..",
    ".a.example",
    "a..example",
    "a.example.",
    "A.example",
    "a.Example",
    "-a.example",
    "a-.example",
    "a.-example",
    "a_b.example",
    "a.ex ample",
    "a.example\t",
    "\xc3\xbc.example",
    "a.%65xample",
    "user@a.example",
    "user:pass@a.example",
    "127.0.0.1@a.example",
    "@a.example",
    "a.example@127.0.0.1",
    "a.example\\@127.0.0.1",
    "a.example#@127.0.0.1",
    "a.example?@127.0.0.1",
    "a.example:",
    "a.example:0",
    "a.example:443",
    "a.example:0443",
    "a.example:08443",
    "a.example:65536",
    "a.example:99999999999999999999",
    "a.example:+1",
    "a.example:-1",
    "a.example:1:2",
    "a.example: 1",
    "a.example:0x50",
    "a.example:80@127.0.0.1",
    ":8443",
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl.example",
};

static void hosts_of_another_spelling_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_hosts / sizeof bad_hosts[0]; i++) {
        char text[512];
        struct ticket_url u;
        snprintf(text, sizeof text, "https://%s" PATH, bad_hosts[i]);
        if (ticket_url_parse(span_of(text), &u) != ERR_SYNTAX)
            fail_msg("%s", text);
    }
    struct ticket_url u = {.host = "127.0.0.1", .port = 443};
    char text[TICKET_URL_MAX + 1];
    assert_int_equal(ticket_url_format(&u, text), ERR_SYNTAX);
    strcpy(u.host, "a.example");
    u.port = 0;
    assert_int_equal(ticket_url_format(&u, text), ERR_SYNTAX);
}

static const char *const bad_urls[] = {
    "",
    "https://",
    "https:///restante/1/" A22 "/" B22,
    "http://a.example" PATH,
    "HTTPS://a.example" PATH,
    "https:/a.example" PATH,
    "https:a.example" PATH,
    "//a.example" PATH,
    PATH,
    " https://a.example" PATH,
    "https://a.example" PATH " ",
    "https://a.example" PATH "/",
    "https://a.example" PATH "?",
    "https://a.example" PATH "?x=1",
    "https://a.example" PATH "#",
    "https://a.example" PATH "/claim",
    "https://a.example",
    "https://a.example/",
    "https://a.example/restante/1/",
    "https://a.example//restante/1/" A22 "/" B22,
    "https://a.example/restante/2/" A22 "/" B22,
    "https://a.example/Restante/1/" A22 "/" B22,
    "https://a.example/./restante/1/" A22 "/" B22,
    "https://a.example/x/../restante/1/" A22 "/" B22,
    "https://a.example/restante/1/" A22 B22,
    "https://a.example/restante/1/" A22 "//" B22,
    "https://a.example/restante/1/" A22 "/" B22 "A",
    "https://a.example/restante/1/" A22 "A/" B22,
    "https://a.example/restante/1/" A22 "==/" B22,
    "https://a.example/restante/1/AAEAAQIDBAUGBwgJCgsMDR/" B22,
    "https://a.example/restante/1/" A22 "/8PHy8/T19vf4+fr7/P3+/w",
    "https://a.example/restante/1/%41AEAAQIDBAUGBwgJCgsMD/" B22,
    "https://a.example\\restante/1/" A22 "/" B22,
    "https://a.example" PATH "\r\n",
    "https://a.example" PATH "\n",
};

static void urls_of_another_spelling_are_refused(void **state)
{
    (void)state;
    struct ticket_url u;
    for (size_t i = 0; i < sizeof bad_urls / sizeof bad_urls[0]; i++)
        if (ticket_url_parse(span_of(bad_urls[i]), &u) != ERR_SYNTAX)
            fail_msg("%s", bad_urls[i]);
    assert_int_equal(ticket_url_parse(SPAN_LITERAL("https://a.example\0" PATH), &u), ERR_SYNTAX);
    assert_int_equal(ticket_url_parse(SPAN_LITERAL("https://a.example" PATH "\0"), &u), ERR_SYNTAX);
    char text[TICKET_URL_MAX + 100] = "https://";
    while (strlen(text) < 8 + 252)
        strcat(text, "aaa.");
    strcpy(text + 8 + 252, "a" PATH);
    assert_int_equal(ticket_url_parse(span_of(text), &u), ERR_OK);
    assert_int_equal(strlen(u.host), TICKET_HOST_MAX);
    strcpy(text + 8 + 252, "aa" PATH);
    assert_int_equal(ticket_url_parse(span_of(text), &u), ERR_SYNTAX);
    memset(text + 8, 'a', TICKET_URL_MAX);
    assert_int_equal(ticket_url_parse(span_bytes(text, TICKET_URL_MAX + 50), &u), ERR_SYNTAX);
}

static const struct {
    const char *path, *verb; /* verb NULL: refused */
} paths[] = {
    {PATH, ""},
    {PATH "/claim", "claim"},
    {PATH "/ack", "ack"},
    {PATH "/nack", "nack"},
    {PATH "/status", "status"},
    {PATH "/", NULL},
    {PATH "/Claim", NULL},
    {PATH "/claim/", NULL},
    {PATH "/claim?x", NULL},
    {PATH "claim", NULL},
    {PATH "/delete", NULL},
    {"/restante/1/" A22, NULL},
    {"/restante/1/" A22 "/", NULL},
    {"/restante/1", NULL},
    {"", NULL},
};

static void paths_give_identifier_proof_and_verb(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        uint8_t a[16], b[16];
        struct span verb;
        enum err e = ticket_path_parse(span_of(paths[i].path), a, b, &verb);
        if (e != (paths[i].verb != NULL ? ERR_OK : ERR_SYNTAX))
            fail_msg("%s", paths[i].path);
        if (e == ERR_OK)
            assert_true(span_is(verb, paths[i].verb));
    }
}

static void a_tag_comes_back_in_either_case_and_only_with_its_mac(void **state)
{
    (void)state;
    struct ticket_keys t;
    char tag[TICKET_TAG_LEN + 1], upper[TICKET_TAG_LEN + 1];
    uint8_t a[TICKET_A_BYTES];
    assert_int_equal(ticket_create(keys, &t), ERR_OK);
    assert_int_equal(ticket_tag_format(keys, t.a, tag), ERR_OK);
    assert_int_equal(strlen(tag), TICKET_TAG_LEN);
    assert_int_equal(ticket_tag_parse(keys, span_of(tag), a), ERR_OK);
    assert_memory_equal(a, t.a, sizeof a);
    for (size_t i = 0; i <= TICKET_TAG_LEN; i++)
        upper[i] = tag[i] >= 'a' && tag[i] <= 'f' ? (char)(tag[i] - 32) : tag[i];
    assert_int_equal(ticket_tag_parse(keys, span_of(upper), a), ERR_OK);
    for (size_t i = 0; i < TICKET_TAG_LEN; i++) {
        char kept = tag[i];
        tag[i] = kept == '0' ? '1' : '0';
        assert_int_equal(ticket_tag_parse(keys, span_of(tag), a), ERR_NOT_FOUND);
        tag[i] = 'g';
        assert_int_equal(ticket_tag_parse(keys, span_of(tag), a), ERR_SYNTAX);
        tag[i] = kept;
    }
    assert_int_equal(ticket_tag_parse(keys, span_bytes(tag, TICKET_TAG_LEN - 1), a), ERR_SYNTAX);
    assert_int_equal(ticket_tag_parse(keys, (struct span){0}, a), ERR_SYNTAX);
    t.a[0] = 7;
    assert_int_equal(ticket_tag_format(keys, t.a, tag), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_is_derived_from_its_identifier_alone),
        cmocka_unit_test(the_store_knows_hashes_alone),
        cmocka_unit_test(canonical_urls_are_read_and_written),
        cmocka_unit_test(hosts_of_another_spelling_are_refused),
        cmocka_unit_test(urls_of_another_spelling_are_refused),
        cmocka_unit_test(paths_give_identifier_proof_and_verb),
        cmocka_unit_test(a_tag_comes_back_in_either_case_and_only_with_its_mac),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
