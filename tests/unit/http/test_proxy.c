/* PROXY headers: who the client is, where the header ends, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "http/proxy.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"

struct row {
    const char *name, *bytes;
    size_t len;
    enum err want;
    const char *client; /* "" when the header names none */
    uint16_t port;
};
#define BYTES(s) s, sizeof(s) - 1

/* Reads no more at once than was asked for; *used: where the header ended. */
static enum err parse(const struct row *row, struct proxy_header *header, size_t *used)
{
    enum err e = ERR_OK;
    size_t len = 0, want = 0;

    while ((e = proxy_parse((const uint8_t *)row->bytes, len, header, &want)) == ERR_BUSY) {
        assert_true(want > 0);
        if (len + want > row->len)
            return ERR_BUSY;
        len += want;
    }
    *used = len;
    return e;
}

static void headers_are_read_to_their_last_byte(void **state)
{
    static const struct row rows[] = {
        {"v1 IPv4", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n\x16"), ERR_OK, "192.0.2.1", 4711},
        {"v1 IPv6", BYTES("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n\x16"), ERR_OK, "2001:db8::1", 0},
        {"v1 unknown", BYTES("PROXY UNKNOWN\r\n\x16"), ERR_OK, "", 0},
        {"v1 unknown with words", BYTES("PROXY UNKNOWN a b c\r\n\x16"), ERR_OK, "", 0},
        {"v2 IPv4", BYTES(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x67\1\xbb\x16"), ERR_OK, "192.0.2.1",
         4711},
        {"v2 with a TLV", BYTES(V2 "\x21\x11\0\x10\xc0\0\2\1\xc0\0\2\2\x12\x67\1\xbb\4\0\1x\x16"), ERR_OK,
         "192.0.2.1", 4711},
        {"v2 IPv6",
         BYTES(V2 "\x21\x21\0\x24\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2\0"
                  "\1\0\2\x16"),
         ERR_OK, "2001:db8::1", 1},
        {"v2 local", BYTES(V2 "\x20\0\0\0\x16"), ERR_OK, "", 0},
        {"v2 local with addresses", BYTES(V2 "\x20\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x67\1\xbb\x16"), ERR_OK,
         "", 0},
        {"v2 unspecified", BYTES(V2 "\x21\0\0\2ab\x16"), ERR_OK, "", 0},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct proxy_header header = {0};
        char text[NETADDR_TEXT_MAX] = "";
        size_t used = 0;
        if (parse(&rows[i], &header, &used) != ERR_OK)
            fail_msg("%s: refused", rows[i].name);
        if (used != rows[i].len - 1)
            fail_msg("%s: %zu bytes were taken, not %zu", rows[i].name, used, rows[i].len - 1);
        if (header.known)
            netaddr_text(&header.addr, text);
        assert_string_equal(text, rows[i].client);
        assert_int_equal(header.port, rows[i].port);
    }
}

static void what_is_no_header_is_refused(void **state)
{
    static const struct row rows[] = {
        {"TLS", BYTES("\x16\x03\x01\x02\0\1\0\1\xfc\x03\x03xxxxxx"), ERR_SYNTAX, "", 0},
        {"HTTP", BYTES("GET / HTTP/1.1\r\n\r\n"), ERR_SYNTAX, "", 0},
        {"lower case", BYTES("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), ERR_SYNTAX, "", 0},
        {"other word", BYTES("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"), ERR_SYNTAX, "", 0},
        {"one blank more", BYTES("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), ERR_SYNTAX, "", 0},
        {"word missing", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"), ERR_SYNTAX, "", 0},
        {"word too many", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"), ERR_SYNTAX, "", 0},
        {"port too high", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n"), ERR_SYNTAX, "", 0},
        {"port with zero", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n"), ERR_SYNTAX, "", 0},
        {"port empty", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4  2\r\n"), ERR_SYNTAX, "", 0},
        {"other port bad", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 x\r\n"), ERR_SYNTAX, "", 0},
        {"address of the other family", BYTES("PROXY TCP4 ::1 ::1 1 2\r\n"), ERR_SYNTAX, "", 0},
        {"address of the other family 6", BYTES("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"), ERR_SYNTAX, "", 0},
        {"address bad", BYTES("PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n"), ERR_SYNTAX, "", 0},
        {"destination bad", BYTES("PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n"), ERR_SYNTAX, "", 0},
        {"bare LF", BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"), ERR_SYNTAX, "", 0},
        {"no end",
         BYTES(
             "PROXY UNKNOWN "
             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
             "xxxxxxxxx\r\n"),
         ERR_SYNTAX, "", 0},
        {"v2 signature broken", BYTES("\r\n\r\n\0\r\nQUITx\x21\x11\0\x0c"), ERR_SYNTAX, "", 0},
        {"v2 other version", BYTES(V2 "\x31\x11\0\x0c............"), ERR_SYNTAX, "", 0},
        {"v2 other command", BYTES(V2 "\x22\x11\0\x0c............"), ERR_SYNTAX, "", 0},
        {"v2 datagram", BYTES(V2 "\x21\x12\0\x0c............"), ERR_SYNTAX, "", 0},
        {"v2 UNIX", BYTES(V2 "\x21\x31\0\1."), ERR_SYNTAX, "", 0},
        {"v2 too short for IPv4", BYTES(V2 "\x21\x11\0\x0b..........."), ERR_SYNTAX, "", 0},
        {"v2 too short for IPv6", BYTES(V2 "\x21\x21\0\x0c............"), ERR_SYNTAX, "", 0},
        {"v2 too long", BYTES(V2 "\x21\x11\xff\xff"), ERR_SYNTAX, "", 0},
        {"v2 unfinished", BYTES(V2 "\x21\x11\0\x0c..."), ERR_BUSY, "", 0},
        {"v2 begun", BYTES("\r\n"), ERR_BUSY, "", 0},
        {"v1 unfinished", BYTES("PROXY TCP4 1.2.3.4"), ERR_BUSY, "", 0},
        {"nothing", BYTES(""), ERR_BUSY, "", 0},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct proxy_header header;
        size_t used = 0;
        enum err e = parse(&rows[i], &header, &used);
        if (e != rows[i].want)
            fail_msg("%s: %s", rows[i].name, err_name(e));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read_to_their_last_byte),
        cmocka_unit_test(what_is_no_header_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
