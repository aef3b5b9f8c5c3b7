/* test_entered.c - trace fields as MTAs write them, and as strangers would like them to be read. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "proof/entered.h"

#define FIELDS_MAX 8
#define STRANGER "from forged.example (forged.example [203.0.113.66]) by relay.b.example"

static const char *const networks[] = {"192.0.2.0/28", "2001:db8:1::/64", "10.1.0.0/16"};

static size_t trusted(struct netprefix out[])
{
    for (size_t i = 0; i < COUNT(networks); i++)
        assert_int_equal(netprefix_parse(span_of(networks[i]), &out[i]), ERR_OK);
    return COUNT(networks);
}

static bool find(const char *const field[], struct entered *out)
{
    struct netprefix networks_trusted[COUNT(networks)];
    struct span received[FIELDS_MAX];
    size_t count = 0;
    for (; count < FIELDS_MAX && field[count] != NULL; count++)
        received[count] = span_of(field[count]);
    return entered_find(received, count, networks_trusted, trusted(networks_trusted), out);
}

/* One field, by a trusted relay. Whatever it says, a forged field below makes no difference. */
static const struct {
    const char *what, *field, *address, *helo; /* address NULL: unknown */
} fields[] = {
    {"Postfix",
     " from mail.a.example (mail.a.example [198.51.100.7])\r\n\tby mx.b.example (Postfix) with ESMTP id 4bX",
     "198.51.100.7", "mail.a.example"},
    {"Postfix, no name", " from x (unknown [198.51.100.7])\n\tby mx.b.example (Postfix) with SMTP id 1",
     "198.51.100.7", "x"},
    {"Postfix, TLS and authentication",
     " from [10.0.0.5] (host.isp.example [198.51.100.7])\r\n\t(using TLSv1.3 with cipher "
     "TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t "
     "key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)\r\n\t(No client "
     "certificate requested)\r\n\t"
     "(Authenticated sender: alice)\r\n\tby mx.b.example (Postfix) with ESMTPSA id 4bX",
     "198.51.100.7", "[10.0.0.5]"},
    {"Postfix, IPv6",
     " from m.a.example (m.a.example [IPv6:2001:db8::7]) by mx.b.example (Postfix) with ESMTP", "2001:db8::7",
     "m.a.example"},
    {"an IPv4-mapped address", " from m (m [IPv6:::ffff:198.51.100.7]) by mx", "198.51.100.7", "m"},
    {"Sendmail",
     "from mail.a.example (mail.a.example [198.51.100.7]) by mx.b.example (8.17.1.9/8.17.1.9) with ESMTP id "
     "x",
     "198.51.100.7", "mail.a.example"},
    {"Sendmail, forged name",
     "from a (b.isp.example [198.51.100.7] (may be forged))\r\n\tby mx.b.example (8.17.1/8.17.1)",
     "198.51.100.7", "a"},
    {"Sendmail, no name", "from a.example ([198.51.100.7]) by mx.b.example (8.17.1/8.17.1) with SMTP",
     "198.51.100.7", "a.example"},
    {"Sendmail, no name, forged", "from a.example ([198.51.100.7] (may be forged)) by mx.b.example",
     "198.51.100.7", "a.example"},
    {"Sendmail, ident", "from a.example (IDENT:u@a.example [198.51.100.7]) by mx.b.example", "198.51.100.7",
     "a.example"},
    {"Sendmail, authenticated",
     "from a (a.example [198.51.100.7])\r\n\t(authenticated bits=0)\r\n\tby mx.b.example", "198.51.100.7",
     "a"},
    {"Exim",
     "from mail.a.example ([198.51.100.7])\r\n\tby mx.b.example with esmtps  (TLS1.3) tls "
     "TLS_AES_256_GCM_SHA384\r\n\t(Exim 4.96)",
     "198.51.100.7", "mail.a.example"},
    {"Exim, port", "from mail.a.example ([198.51.100.7]:38427) by mx.b.example with esmtp (Exim 4.96)",
     "198.51.100.7", "mail.a.example"},
    {"Exim, all of it",
     "from mail.a.example ([198.51.100.7]:38427 helo=x.example ident=root) by mx.b.example", "198.51.100.7",
     "x.example"},
    {"Exim, no name", "from [198.51.100.7] (helo=x.example) by mx.b.example with esmtp (Exim 4.96)",
     "198.51.100.7", "x.example"},
    {"Exim, no name, port and literal", "from [198.51.100.7] (port=1234 helo=[203.0.113.9]) by mx",
     "198.51.100.7", "[203.0.113.9]"},
    {"Exim, no name, port alone", "from [198.51.100.7] (port=1234) by mx", "198.51.100.7", ""},
    {"Exim, IPv6", "from [2001:db8::7] (helo=x) by mx.b.example", "2001:db8::7", "x"},
    {"qmail",
     "from unknown (HELO mail.a.example) (198.51.100.7)\n  by mx.b.example with SMTP; 21 Nov 2026 08:00:00 "
     "-0000",
     "198.51.100.7", "mail.a.example"},
    {"qmail, one name", "from mail.a.example (198.51.100.7)\n  by mx.b.example with SMTP; 21 Nov 2026",
     "198.51.100.7", "mail.a.example"},
    {"qmail, ident", "from a.example (HELO x) (who@198.51.100.7) by 0 with SMTP; 21 Nov 2026", "198.51.100.7",
     "x"},
    {"qmail, an ident that looks like an address", "from a (HELO x) (192.0.2.1@198.51.100.7) by 0 with SMTP",
     "198.51.100.7", "x"},
    {"qmail, encrypted",
     "from unknown (HELO x) (2001:db8::7)\n  by mx with ECDHE-RSA-AES256-GCM-SHA384 encrypted SMTP",
     "2001:db8::7", "x"},
    {"letter case of the words", "FROM a (b [198.51.100.7]) BY mx", "198.51.100.7", "a"},

    /* what a stranger can say */
    {"HELO with an address literal", "from [192.0.2.1] (real.example [198.51.100.7]) by mx", "198.51.100.7",
     "[192.0.2.1]"},
    {"HELO with Exim's words in an address", "from [203.0.113.9]:25 (r [198.51.100.7]) by mx", "198.51.100.7",
     "[203.0.113.9]:25"},
    {"HELO with blanks and a literal", "from x [203.0.113.9] (real.example [198.51.100.7]) by mx", NULL,
     NULL},
    {"HELO with a clause of its own", "from [203.0.113.9] by x (real.example [198.51.100.7]) by mx", NULL,
     NULL},
    {"HELO with a comment of its own", "from x (y [203.0.113.9]) (real.example [198.51.100.7]) by mx", NULL,
     NULL},
    {"the same in qmail's words", "from x (HELO y) (203.0.113.9) (real.example [198.51.100.7]) by mx", NULL,
     NULL},
    {"the same behind", "from x (real.example [198.51.100.7]) (203.0.113.9) by mx", NULL, NULL},
    {"a reverse name like Exim's words", "from [203.0.113.9] (helo=x [198.51.100.7]) by mx", NULL, NULL},
    {"a reverse name that is a literal", "from x ([203.0.113.9] [198.51.100.7]) by mx", NULL, NULL},
    {"an ident with a blank", "from a (IDENT:u [203.0.113.9]@a [198.51.100.7]) by mx", NULL, NULL},
    {"HELO with a quoted parenthesis", "from x\\) (y [198.51.100.7]) by mx", NULL, NULL},
    {"HELO with a semicolon", "from x;(y (real [198.51.100.7]) by mx", NULL, NULL},
    {"HELO with UTF-8", "from \xc3\xa9 (real [198.51.100.7]) by mx", NULL, NULL},
    {"HELO of 300 octets",
     "from "
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     " (real [198.51.100.7]) by mx",
     "198.51.100.7", ""},

    /* what is no relay, or cannot be read */
    {"Postfix, local", "by mx.b.example (Postfix, from userid 1000) id 4bX", NULL, NULL},
    {"Sendmail, local", "(from alice@localhost) by mx.b.example (8.17.1/8.17.1/Submit) id x", NULL, NULL},
    {"Exim, local", "from alice by mx.b.example with local (Exim 4.96)", NULL, NULL},
    {"qmail, local", "(qmail 1234 invoked by uid 1000); 21 Nov 2026 08:00:00 -0000", NULL, NULL},
    {"no address", "from mail.a.example by mx.b.example with ESMTP", NULL, NULL},
    {"a name in place of an address", "from a (b [c.example]) by mx", NULL, NULL},
    {"an address that is none", "from a (b [198.51.100.256]) by mx", NULL, NULL},
    {"IPv4 called IPv6", "from a (b [IPv6:198.51.100.7]) by mx", NULL, NULL},
    {"a zone", "from a (b [IPv6:fe80::1%eth0]) by mx", NULL, NULL},
    {"no port behind the colon", "from a ([198.51.100.7]:) by mx", NULL, NULL},
    {"no end of the literal", "from a (b [198.51.100.7) by mx", NULL, NULL},
    {"no end of the comment", "from a (b [198.51.100.7] by mx", NULL, NULL},
    {"nothing between the words", "from a(b [198.51.100.7]) by mx", NULL, NULL},
    {"nothing before by", "from a (b [198.51.100.7])by mx", NULL, NULL},
    {"no by", "from a (b [198.51.100.7])", NULL, NULL},
    {"another word than by", "from a (b [198.51.100.7]) via mx", NULL, NULL},
    {"nothing", "", NULL, NULL},
    {"from alone", "from", NULL, NULL},
    {"nine comments", "from a (b [198.51.100.7]) (1x) (2x) (3x) (4x) (5x) (6x) (7x) (8x) by mx", NULL, NULL},
};

static void fields_are_read_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(fields); i++) {
        const char *const alone[] = {fields[i].field, NULL};
        const char *const above[] = {fields[i].field, STRANGER, STRANGER, NULL};
        for (int n = 0; n < 2; n++) {
            struct entered e = {.helo = "unset", .field = 99};
            char text[NETADDR_TEXT_MAX];
            bool known = find(n == 0 ? alone : above, &e);
            if (known != (fields[i].address != NULL))
                fail_msg("%s: known %d", fields[i].what, known);
            if (!known)
                continue;
            netaddr_text(&e.client, text);
            if (strcmp(text, fields[i].address) != 0 || strcmp(e.helo, fields[i].helo) != 0 || e.field != 0)
                fail_msg("%s: %s, %s", fields[i].what, text, e.helo);
        }
    }
}

#define OURS(address) "from r.b.example (r.b.example [" address "]) by s.b.example (Postfix) with ESMTP"
#define THEIRS "from mail.a.example (mail.a.example [198.51.100.7]) by r.b.example (Postfix) with ESMTP"

static const struct {
    const char *what, *field[FIELDS_MAX + 1], *address;
    size_t at;
} ways[] = {
    {"over one relay", {THEIRS, STRANGER}, "198.51.100.7", 0},
    {"over two", {OURS("192.0.2.2"), THEIRS, STRANGER}, "198.51.100.7", 1},
    {"over three", {OURS("IPv6:2001:db8:1::2"), OURS("10.1.2.3"), THEIRS, STRANGER}, "198.51.100.7", 2},
    {"over qmail",
     {"(qmail 77 invoked from network); 21 Nov 2026 08:00:00 -0000",
      "from x (HELO y) (198.51.100.7) by 0 with SMTP", STRANGER},
     "198.51.100.7",
     1},
    {"a field that cannot be read is not passed over", {"from x by y", THEIRS}, NULL, 0},
    {"nor one below a relay of ours",
     {OURS("192.0.2.2"), "by r.b.example (Postfix, from userid 0)", THEIRS},
     NULL,
     0},
    {"only relays of ours", {OURS("192.0.2.2"), OURS("192.0.2.3")}, NULL, 0},
    {"loopback is a relay only if it is listed", {OURS("127.0.0.1"), THEIRS}, "127.0.0.1", 0},
    {"no field", {NULL}, NULL, 0},
    {"something else by qmail", {"(qmail 77 invoked by alias); x", THEIRS}, NULL, 0},
    {"a mark without a number", {"(qmail  invoked from network); x", THEIRS}, NULL, 0},
    {"a mark with more in it", {"(qmail 77 invoked from network) by x; x", THEIRS}, NULL, 0},
    {"a stranger who calls himself one of ours",
     {"from r.b.example (r.b.example [203.0.113.1]) by s.b.example", OURS("192.0.2.2"), THEIRS},
     "203.0.113.1",
     0},
};

static void the_outermost_relay_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        struct entered e;
        char text[NETADDR_TEXT_MAX];
        bool known = find(ways[i].field, &e);
        if (known != (ways[i].address != NULL))
            fail_msg("%s: known %d", ways[i].what, known);
        if (!known)
            continue;
        netaddr_text(&e.client, text);
        if (strcmp(text, ways[i].address) != 0 || e.field != ways[i].at)
            fail_msg("%s: %s at %zu", ways[i].what, text, e.field);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_read_or_not),
        cmocka_unit_test(the_outermost_relay_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
