/* test_designation.c - the grammar of the "_restante" record, and which hosts it names. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "dns/designation.h"

#define DOMAIN "a.example"

/* What was read, in one line: "r t hosts prefixes complaints". */
static void describe(const struct designation *d, char out[2048])
{
    size_t at = (size_t)snprintf(out, 2048, "r=%d t=%d", d->takes_stubs, d->testing);
    for (size_t i = 0; i < d->host_count; i++)
        at += (size_t)snprintf(out + at, 2048 - at, " %s%s:%u", d->host[i].inside ? "" : "!", d->host[i].name,
                               d->host[i].port);
    for (size_t i = 0; i < d->prefix_count; i++) {
        char text[NETADDR_TEXT_MAX];
        netaddr_text(&d->prefix[i].addr, text);
        at += (size_t)snprintf(out + at, 2048 - at, " %s/%u", text, d->prefix[i].bits);
    }
    snprintf(out + at, 2048 - at, "%s%s", d->complaints[0] ? " " : "", d->complaints);
}

static const struct {
    const char *name, *record, *want; /* want NULL: ERR_SYNTAX */
} parse_cases[] = {
    {"the record of the design is read",
     "v=restante1; h=pull.a.example:443; r=1; p=ip4:192.0.2.7; a=abuse@a.example; t=y",
     "r=1 t=1 pull.a.example:443 192.0.2.7/32 abuse@a.example"},
    {"version alone is a record", "v=restante1", "r=0 t=0"},
    {"a final semicolon may stand", "v=restante1;r=1;", "r=1 t=0"},
    {"a final semicolon with blanks may stand", "v=restante1; r=1 ; ", "r=1 t=0"},
    {"blanks and tabs may stand around everything",
     "\t v \t=\t restante1 ;  r = 1 ; h = x.a.example , y.a.example ",
     "r=1 t=0 x.a.example:443 y.a.example:443"},
    {"folding white space may stand", "v=restante1;\r\n r=1;\r\n\th=x.a.example", "r=1 t=0 x.a.example:443"},
    {"a bare line end may not", "v=restante1;\n r=1", NULL},
    {"unknown tags are ignored", "v=restante1; x_9=some thing; r=1; zz=", "r=1 t=0"},
    {"tag names have a case", "v=restante1; R=1", "r=0 t=0"},
    {"a tag given twice is malformed", "v=restante1; r=1; r=1", NULL},
    {"an unknown tag given twice is malformed", "v=restante1; q=1; q=2", NULL},
    {"version must be first", "r=1; v=restante1", NULL},
    {"another version is not ours", "v=restante2; r=1", NULL},
    {"version has a case", "v=Restante1", NULL},
    {"an empty record is malformed", "", NULL},
    {"an empty tag inside is malformed", "v=restante1;; r=1", NULL},
    {"a tag without a value sign is malformed", "v=restante1; r", NULL},
    {"a tag name begins with a letter", "v=restante1; 1r=1", NULL},
    {"a tag name has no sign inside", "v=restante1; r-x=1", NULL},
    {"8-bit octets are malformed", "v=restante1; h=p\xc3\xa4.a.example", NULL},
    {"controls are malformed", "v=restante1; x=a\x01", NULL},
    {"r other than 1 is no", "v=restante1; r=2", "r=0 t=0"},
    {"t has flags between colons", "v=restante1; t=s : y", "r=0 t=1"},
    {"unknown flags of t are ignored", "v=restante1; t=yes", "r=0 t=0"},
    {"host names become lower case", "v=restante1; h=PULL.A.Example:8443", "r=0 t=0 pull.a.example:8443"},
    {"a host outside is a proxy", "v=restante1; h=big.example,a.example,xa.example",
     "r=0 t=0 !big.example:443 a.example:443 !xa.example:443"},
    {"an empty h names no host", "v=restante1; h=; r=1", "r=1 t=0"},
    {"eight hosts are taken",
     "v=restante1; "
     "h=a.a.example,b.a.example,c.a.example,d.a.example,e.a.example,f.a.example,g.a.example,h.a.example",
     "r=0 t=0 a.a.example:443 b.a.example:443 c.a.example:443 d.a.example:443 e.a.example:443 "
     "f.a.example:443 "
     "g.a.example:443 h.a.example:443"},
    {"nine are too many",
     "v=restante1; "
     "h=a.a.example,b.a.example,c.a.example,d.a.example,e.a.example,f.a.example,g.a.example,h.a.example,"
     "i.a.example",
     NULL},
    {"an empty item is malformed", "v=restante1; h=a.a.example,,b.a.example", NULL},
    {"a final comma is malformed", "v=restante1; h=a.a.example,", NULL},
    {"port 0 is malformed", "v=restante1; h=a.a.example:0", NULL},
    {"port 65536 is malformed", "v=restante1; h=a.a.example:65536", NULL},
    {"port 65535 is taken", "v=restante1; h=a.a.example:65535", "r=0 t=0 a.a.example:65535"},
    {"an empty port is malformed", "v=restante1; h=a.a.example:", NULL},
    {"a port with a leading zero is malformed", "v=restante1; h=a.a.example:0443", NULL},
    {"a signed port is malformed", "v=restante1; h=a.a.example:+443", NULL},
    {"an IPv4 literal is no host", "v=restante1; h=192.0.2.1", NULL},
    {"a short IPv4 literal is no host", "v=restante1; h=127.1", NULL},
    {"a hexadecimal literal is no host", "v=restante1; h=0x7f.0x1", NULL},
    {"a number is no host", "v=restante1; h=2130706433", NULL},
    {"an IPv6 literal is no host", "v=restante1; h=[2001:db8::1]:443", NULL},
    {"a bare IPv6 literal is no host", "v=restante1; h=2001:db8::1", NULL},
    {"a single label is no host", "v=restante1; h=localhost", NULL},
    {"a final dot is no host name", "v=restante1; h=a.a.example.", NULL},
    {"an empty label is no host name", "v=restante1; h=a..example", NULL},
    {"a label does not begin with a hyphen", "v=restante1; h=-a.example", NULL},
    {"a label does not end with a hyphen", "v=restante1; h=a-.example", NULL},
    {"the last label does not end with a hyphen", "v=restante1; h=a.example-", NULL},
    {"a URL is no host", "v=restante1; h=https://a.example", NULL},
    {"blanks inside a name are malformed", "v=restante1; h=a. example", NULL},
    {"A-labels are taken", "v=restante1; h=xn--bcher-kva.a.example", "r=0 t=0 xn--bcher-kva.a.example:443"},
    {"prefixes of both families", "v=restante1; p=ip4:192.0.2.0/24, ip6:2001:db8::/32,ip6:2001:db9::1",
     "r=0 t=0 192.0.2.0/24 2001:db8::/32 2001:db9::1/128"},
    {"a prefix without its family is malformed", "v=restante1; p=192.0.2.7", NULL},
    {"a prefix of the other family is malformed", "v=restante1; p=ip4:2001:db8::1", NULL},
    {"host bits in a prefix are malformed", "v=restante1; p=ip4:192.0.2.7/24", NULL},
    {"a prefix longer than the address is malformed", "v=restante1; p=ip4:192.0.2.7/33", NULL},
    {"complaints need an address", "v=restante1; a=abuse", NULL},
    {"complaints are one word", "v=restante1; a=abuse@a.example x", NULL},
};

static void designation_records_are_read_by_the_grammar(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(parse_cases); i++) {
        struct designation d;
        char got[2048];
        struct buf why;
        buf_init(&why, 1024);
        enum err err = designation_parse(span_of(parse_cases[i].record), DOMAIN, &d, &why);
        if (err == ERR_OK)
            describe(&d, got);
        const char *want = parse_cases[i].want;
        if ((want == NULL) != (err == ERR_SYNTAX) ||
            (want != NULL && (err != ERR_OK || strcmp(got, want) != 0)))
            fail_msg("%s: got %s %s", parse_cases[i].name, err_name(err),
                     err == ERR_OK ? got : buf_cstr(&why));
        if (err != ERR_OK && why.len == 0)
            fail_msg("%s: no reason", parse_cases[i].name);
        buf_free(&why);
    }
}

static void a_record_longer_than_the_limit_is_malformed(void **state)
{
    (void)state;
    static char record[DESIGNATION_RECORD_MAX + 2];
    struct designation d;
    memset(record, 'x', sizeof record - 1);
    memcpy(record, "v=restante1; x=", 15);
    assert_int_equal(designation_parse(span_of(record), DOMAIN, &d, NULL), ERR_SYNTAX);
    record[DESIGNATION_RECORD_MAX] = '\0';
    assert_int_equal(designation_parse(span_of(record), DOMAIN, &d, NULL), ERR_OK);
}

static void link_hosts_are_matched_with_port_and_trust(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        uint16_t port;
        bool trust, want;
    } cases[] = {
        {"pull.a.example", 443, false, true},   {"PULL.a.example", 443, false, true},
        {"pull.a.example", 8443, false, false}, {"a.example", 443, false, false},
        {"big.example", 8443, false, false},    {"big.example", 8443, true, true},
        {"big.example", 443, true, false},      {"other.example", 443, true, false},
    };
    const char *const trusted[] = {"Big.example"};
    struct designation d;
    assert_int_equal(
        designation_parse(SPAN_LITERAL("v=restante1; h=pull.a.example, big.example:8443"), DOMAIN, &d, NULL),
        ERR_OK);
    for (size_t i = 0; i < COUNT(cases); i++)
        if (designation_has_host(&d, cases[i].host, cases[i].port, trusted, cases[i].trust ? 1 : 0) !=
            cases[i].want)
            fail_msg("%s:%u trust=%d", cases[i].host, cases[i].port, cases[i].trust);
    d.present = false;
    assert_false(designation_has_host(&d, "pull.a.example", 443, trusted, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(designation_records_are_read_by_the_grammar),
        cmocka_unit_test(a_record_longer_than_the_limit_is_malformed),
        cmocka_unit_test(link_hosts_are_matched_with_port_and_trust),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
