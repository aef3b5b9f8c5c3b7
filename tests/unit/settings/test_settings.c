#include "unit.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "settings/settings.h"

static char path[] = "/tmp/settings.XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static enum err load(const char *text, struct settings **out, struct buf *why)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    buf_init(why, CONFIG_WHY_MAX);
    *out = NULL;
    return settings_load(path, out, why);
}

static void every_row_is_complete_and_its_own(void **state)
{
    (void)state;
    assert_true(settings_row_count > 50);
    for (size_t i = 0; i < settings_row_count; i++) {
        const struct config_row *r = &settings_rows[i];
        for (const char *c = r->name; *c != '\0'; c++)
            assert_true(islower((unsigned char)*c) || *c == '_');
        assert_true(r->min <= r->max);
        assert_true(r->programs != 0);
        assert_true(r->offset < sizeof(struct settings));
        assert_true(strlen(r->help) > 10 && r->help[strlen(r->help) - 1] == '.');
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(r->name, settings_rows[k].name);
            assert_int_not_equal(r->offset, settings_rows[k].offset);
        }
    }
}

static void an_empty_file_gives_working_defaults(void **state)
{
    struct settings *s;
    struct buf why;
    char host[256] = "";
    (void)state;
    assert_int_equal(load("", &s, &why), ERR_OK);
    (void)gethostname(host, sizeof host - 1);
    assert_string_equal(s->myhostname, host);
    assert_string_equal(s->authserv_id, host);
    assert_int_equal(s->config_version, 1);
    assert_int_equal(s->letter_max_bytes, 104857600);
    assert_int_equal(s->payload_record_max_bytes, 32560);
    assert_int_equal(s->retention_s, 30 * 86400);
    assert_int_equal(s->tombstone_s, 30 * 86400);
    assert_int_equal(s->lease_s, 300);
    assert_int_equal(s->lease_total_s, 3600);
    assert_int_equal(s->lease_bodies_max, 50);
    assert_int_equal(s->log_level, LOG_LEVEL_INFO);
    assert_true(s->http_threads >= 1);
    settings_free(s);
    settings_free(NULL);
    buf_free(&why);
}

static void the_host_name_given_names_the_rest(void **state)
{
    struct settings *s;
    struct buf why;
    (void)state;
    assert_int_equal(load("myhostname = mx.a.test\nlog_level = debug\nhttp_threads = 3\n", &s, &why), ERR_OK);
    assert_string_equal(s->authserv_id, "mx.a.test");
    assert_int_equal(s->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(s->http_threads, 3);
    settings_free(s);
    assert_int_equal(load("myhostname = mx.a.test\nauthserv_id = a.test\n", &s, &why), ERR_OK);
    assert_string_equal(s->authserv_id, "a.test");
    settings_free(s);
    buf_free(&why);
}

static void what_does_not_fit_together_is_told_with_its_line(void **state)
{
    static const struct {
        const char *in, *want; /* NULL: good */
    } rows[] = {
        {"config_version = 2", "1: config_version: 2 is out of range: 1 to 1"},
        {"submission_networks = 127.0.0.0/8, [::1]/128", NULL},
        {"submission_networks = 127.0.0.1/8", "1: submission_networks: \"127.0.0.1/8\" is no network "
                                              "(address/bits, with no bit set behind the prefix)"},
        {"\nproxy_protocol_from = a.test", "2: proxy_protocol_from: \"a.test\" is no network (address/bits, "
                                           "with no bit set behind the prefix)"},
        {"allow_special_ranges = yes",
         "1: allow_special_ranges: \"yes\" is no network (address/bits, with no bit set behind the prefix)"},
        {"local_domains = a.test, <b.test>", "1: local_domains: \"<b.test>\" is no name"},
        {"pickup_domains = x@a.test", "1: pickup_domains: \"x@a.test\" is no name"},
        {"system_users_domain = b.test", NULL},
        {"system_users_domain = @b.test", "1: system_users_domain: \"@b.test\" is no name"},
        {"system_users_domain = a.test, b.test", "1: system_users_domain: \"a.test, b.test\" is no name"},
        {"recipient_delimiter = +-", NULL},
        {"recipient_delimiter =", NULL},
        {"recipient_delimiter = @",
         "1: recipient_delimiter: \"@\": expected characters such as + or -, without blanks"},
        {"recipient_delimiter = \"+\"",
         "1: recipient_delimiter: \"\"+\"\": expected characters such as + or -, without blanks"},
        {"recipient_delimiter = x",
         "1: recipient_delimiter: \"x\": expected characters such as + or -, without blanks"},
        {"rdap_url = https://", "1: rdap_url: \"https://\": expected https://host/ or https://host/path/"},
        {"trusted_proxies = pull.example:443", "1: trusted_proxies: \"pull.example:443\" is no name"},
        {"data_directory = lib", "1: data_directory: \"lib\" is not an absolute path"},
        {"site_keys_file = keys", "1: site_keys_file: \"keys\" is not an absolute path"},
        {"site_keys_file = credential:site.keys", NULL},
        {"site_keys_file = credential:", "1: site_keys_file: \"credential:\": expected credential:NAME"},
        {"site_keys_file = credential:../x",
         "1: site_keys_file: \"credential:../x\": expected credential:NAME"},
        {"site_key_lifetime = 0", NULL},
        {"site_key_lifetime = never",
         "1: site_key_lifetime: \"never\" is not a time (a number of seconds, or with s, m, h, d or w)"},
        {"listen_https = 127.0.0.1, [::1]:8443, :443", NULL},
        {"listen_https =", NULL},
        {"listen_https = www.a.test:443", "1: listen_https: \"www.a.test\" is no IP address"},
        {"listen_https = ::1", "1: listen_https: \"::1\" is not address or with :port"},
        {"link_host = pull.a.test:8443", NULL},
        {"link_host = https://pull.a.test/",
         "1: link_host: \"https://pull.a.test/\" is not host or with :port"},
        {"link_host = :443", "1: link_host: \":443\" has no host"},
        {"resolver = 127.0.0.1", NULL},
        {"resolver = [::1]:5353", NULL},
        {"resolver = localhost", "1: resolver: \"localhost\" is no IP address"},
        {"letters_in = unix:/var/spool/postfix/private/x", NULL},
        {"letters_in = unix:x", "1: letters_in: \"unix:x\": expected unix:/path"},
        {"letters_in = 127.0.0.1", "1: letters_in: \"127.0.0.1\" is not address:port"},
        {"stubs_out = mta:25", "1: stubs_out: \"mta\" is no IP address"},
        {"stubs_out = :25", "1: stubs_out: \":25\" has no host"},
        {"milter_socket = inet:8891@127.0.0.1", NULL},
        {"milter_socket = /run/x", "1: milter_socket: \"/run/x\": expected unix:/path or inet:port@address"},
        {"rdap_url = https://rdap.example/v1/", NULL},
        {"rdap_url = http://rdap.example/",
         "1: rdap_url: \"http://rdap.example/\": expected https://host/ or https://host/path/"},
        {"rdap_url = https://rdap.example",
         "1: rdap_url: \"https://rdap.example\": expected https://host/ or https://host/path/"},
        {"journal = archive@a.example", NULL},
        {"journal = archive", "1: journal: \"archive\" is no address"},
        {"journal = @a.example", "1: journal: \"@a.example\" is no address"},
        {"journal = archive@", "1: journal: \"archive@\" is no address"},
        {"journal = a@a.example, b@a.example", "1: journal: \"a@a.example, b@a.example\" is no address"},
        {"journal = archive@[192.0.2.7]", "1: journal: \"[192.0.2.7]\" is no name"},
        {"pull_bind_address = 192.0.2.7", NULL},
        {"pull_bind_address = 192.0.2.7:80", "1: pull_bind_address: \"192.0.2.7:80\" is no IP address"},
        {"retry_min = 5h", "1: retry_min: must not be greater than retry_max"},
        {"retry_min = 5h\nretry_max = 4h", "2: retry_max: must not be smaller than retry_min"},
        {"lease = 1h\nlease_total = 10m", "2: lease_total: must not be smaller than lease"},
        {"pulls_max = 8", "1: pulls_max: must not be smaller than pulls_host_max"},
        {"client_key_file = /x",
         "1: client_key_file: client_certificate_file and client_key_file go together"},
        {"client_certificate_file = /x",
         "1: client_certificate_file: client_certificate_file and client_key_file go together"},
        {"letter_max = 20k", "1: letter_max: must not be smaller than payload_record_max"},
        {"min_retention = 31d", "1: min_retention: must not be greater than max_retention"},
        {"min_retention = 31d\nretention = 60d", NULL},
        {"max_retention = 30m", "1: max_retention: must not be smaller than min_retention"},
        {"renotify_schedule =", NULL},
        {"renotify_schedule = 60, 2m 1H", NULL},
        {"\nrenotify_schedule = 1h 4x",
         "2: renotify_schedule: \"4x\" is not a time (a number of seconds, or with s, m, h, d or w)"},
        {"renotify_schedule = 1h -4h",
         "1: renotify_schedule: \"-4h\" is not a time (a number of seconds, or with s, m, h, d or w)"},
        {"renotify_schedule = 0 1h", "1: renotify_schedule: 0 is not longer than what stands before it"},
        {"renotify_schedule = 4h 1h", "1: renotify_schedule: 1h is not longer than what stands before it"},
        {"renotify_schedule = 1h 60m", "1: renotify_schedule: 60m is not longer than what stands before it"},
        {"renotify_schedule = 1h 401d", "1: renotify_schedule: 401d is longer than 400d"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct settings *s;
        struct buf why;
        char want[300] = "";
        enum err e = load(rows[i].in, &s, &why);
        if (rows[i].want != NULL)
            (void)snprintf(want, sizeof want, "%s:%s", path, rows[i].want);
        if ((e == ERR_OK) != (rows[i].want == NULL) || strcmp(buf_cstr(&why), want) != 0)
            fail_msg("%s: got \"%s\"", rows[i].in, buf_cstr(&why));
        settings_free(s);
        buf_free(&why);
    }
}

static void the_schedule_is_read_and_retention_is_bounded(void **state)
{
    static const struct {
        const char *in;
        int64_t retention_s, max_s;
    } rows[] = {
        {"", 30 * 86400, 30 * 86400},
        {"retention = 60d\n", 60 * 86400, 60 * 86400},
        {"retention = 60d\nmax_retention = 30d\n", 30 * 86400, 30 * 86400},
        {"max_retention = 7d\n", 7 * 86400, 7 * 86400},
        {"retention = 2h\n", 7200, 30 * 86400},
    };
    struct settings *s;
    struct buf why;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(load(rows[i].in, &s, &why), ERR_OK);
        assert_int_equal(s->retention_s, rows[i].retention_s);
        assert_int_equal(s->max_retention_s, rows[i].max_s);
        settings_free(s);
        buf_free(&why);
    }
    assert_int_equal(load("", &s, &why), ERR_OK);
    assert_int_equal(s->renotify_count, 5);
    assert_int_equal(s->renotify_s[0], 3600);
    assert_int_equal(s->renotify_s[4], 7 * 86400);
    settings_free(s);
    buf_free(&why);
}

static void the_dump_reads_back(void **state)
{
    struct settings *s;
    struct buf why;
    char *dump = NULL, *again = NULL;
    size_t len = 0;
    (void)state;
    assert_int_equal(load("local_domains = a.test b.test\nretention = 36h\nstub_subject = yes\n", &s, &why),
                     ERR_OK);
    for (int round = 0; round < 2; round++) {
        FILE *f = open_memstream(round == 0 ? &dump : &again, &len);
        settings_print(f, s, SETTINGS_FETCHD);
        (void)fclose(f);
        settings_free(s);
        assert_int_equal(load(dump, &s, &why), ERR_OK);
    }
    settings_free(s);
    assert_string_equal(dump, again);
    assert_non_null(strstr(dump, "\nlocal_domains = a.test, b.test\n"));
    assert_non_null(strstr(dump, "\nretention = 36h\n"));
    assert_null(strstr(dump, "milter_socket"));
    free(dump);
    free(again);
    buf_free(&why);
}

static void a_missing_file_is_an_error(void **state)
{
    struct settings *s = NULL;
    struct buf why;
    (void)state;
    buf_init(&why, CONFIG_WHY_MAX);
    assert_int_equal(settings_load("/nonexistent/restante.conf", &s, &why), ERR_IO);
    assert_string_equal(buf_cstr(&why), "/nonexistent/restante.conf:0: No such file or directory");
    buf_free(&why);
}

static void the_example_file_is_good(void **state)
{
    struct settings *s = NULL;
    struct buf why;
    (void)state;
    buf_init(&why, CONFIG_WHY_MAX);
    if (settings_load("packaging/restante.conf", &s, &why) != ERR_OK)
        fail_msg("%s", buf_cstr(&why));
    assert_string_equal(s->link_host, "pull.a.example");
    settings_free(s);
    buf_free(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_complete_and_its_own),
        cmocka_unit_test(an_empty_file_gives_working_defaults),
        cmocka_unit_test(the_host_name_given_names_the_rest),
        cmocka_unit_test(what_does_not_fit_together_is_told_with_its_line),
        cmocka_unit_test(the_schedule_is_read_and_retention_is_bounded),
        cmocka_unit_test(the_dump_reads_back),
        cmocka_unit_test(a_missing_file_is_an_error),
        cmocka_unit_test(the_example_file_is_good),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
