/* test_organisation.c - which names belong to one organisation. */
#include "unit.h"

#include <string.h>

#include "dns/organisation.h"

static const struct {
    const char *what, *domain, *want; /* NULL: ERR_ADDRESS */
} organisations[] = {
    {"a host below its domain", "mail.debian.org", "debian.org"},
    {"many labels", "a.b.c.d.example.com", "example.com"},
    {"the domain itself", "example.com", "example.com"},
    {"a suffix of two labels", "shop.example.co.uk", "example.co.uk"},
    {"a public suffix gives itself", "co.uk", "co.uk"},
    {"a top-level domain gives itself", "com", "com"},
    {"an unlisted top-level domain counts as a suffix", "mail.a.test", "a.test"},
    {"an unlisted top-level domain gives itself", "test", "test"},
    {"a wildcard rule", "x.y.anything.ck", "y.anything.ck"},
    {"an exception from a wildcard rule", "mail.www.ck", "www.ck"},
    {"private suffixes separate their customers", "alice.github.io", "alice.github.io"},
    {"A-labels", "mail.xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"},
    {"case and the final dot do not count", "Mail.Example.CO.UK.", "example.co.uk"},
    {"underscores may stand in names", "_restante.example.com", "example.com"},
    {"an empty name", "", NULL},
    {"an empty label", "a..example.com", NULL},
    {"a leading dot", ".example.com", NULL},
    {"an address literal", "[192.0.2.1]", NULL},
    {"a bare address", "192.0.2.1", NULL},
    {"a label of 64 octets", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com", NULL},
};

static void organisational_domains(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(organisations); i++) {
        char out[DNS_NAME_MAX + 1] = "unset";
        enum err err = organisation_of(organisations[i].domain, out);
        const char *want = organisations[i].want;
        if (err != (want != NULL ? ERR_OK : ERR_ADDRESS) || strcmp(out, want != NULL ? want : "unset") != 0)
            fail_msg("%s: %s, %s", organisations[i].what, err_name(err), out);
    }
}

static const struct {
    const char *what, *a, *b;
    bool aligned;
} pairs[] = {
    {"a host and its domain", "mail.example.com", "example.com", true},
    {"two hosts of a domain", "a.example.co.uk", "b.c.example.co.uk", true},
    {"case does not count", "EXAMPLE.com", "example.COM", true},
    {"two domains below a suffix", "a.co.uk", "b.co.uk", false},
    {"two customers of a private suffix", "alice.github.io", "bob.github.io", false},
    {"a suffix and a domain below it", "co.uk", "a.co.uk", false},
    {"a name that only ends alike", "notexample.com", "example.com", false},
    {"no name aligns with itself", "", "", false},
    {"addresses are no names", "10.0.2.1", "192.0.2.1", false},
};

static void relaxed_alignment(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++)
        if (organisation_aligned(pairs[i].a, pairs[i].b) != pairs[i].aligned)
            fail_msg("%s", pairs[i].what);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(organisational_domains),
        cmocka_unit_test(relaxed_alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
