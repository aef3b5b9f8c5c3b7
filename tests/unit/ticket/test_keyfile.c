/* test_keyfile.c - the file of site keys: read, refused, made, edited in one moment; and as a credential. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ticket/keyfile.h"

#define NOW_S 1790000000
#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char directory[] = "/tmp/restante-keyfile-XXXXXX";
static char path[128];

static int make_directory(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/site.keys", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static void write_file(const char *text, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static const struct {
    const char *name, *text;
    mode_t mode;
    const char *why; /* NULL: good */
} files[] = {
    {"one key", "1 " HEX64 "\n", 0400, NULL},
    {"comments, blank lines, no final newline", "# a\n\n  # b\n1 " HEX64 "\n 7  " HEX64, 0600, NULL},
    {"empty", "", 0400, ":0: no key"},
    {"only a comment", "# nothing\n", 0400, ":1: no key"},
    {"group may read", "1 " HEX64 "\n", 0440, "mode 0400"},
    {"others may read", "1 " HEX64 "\n", 0404, "mode 0400"},
    {"epoch 0", "0 " HEX64 "\n", 0400, ":1: the epoch"},
    {"epoch 65536", "65536 " HEX64 "\n", 0400, ":1: the epoch"},
    {"epoch with leading zero", "01 " HEX64 "\n", 0400, ":1: the epoch"},
    {"no key", "1\n", 0400, ":1: expected"},
    {"short key", "1 0011\n", 0400, ":1: the key"},
    {"upper-case key", "1 AA112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 0400,
     ":1: the key"},
    {"long key", "1 " HEX64 "00\n", 0400, ":1: the key"},
    {"since", "1 " HEX64 " 2026-11-21T04:08:44Z\n2 " HEX64 "  2026-11-22\n3 " HEX64 " \n", 0400, NULL},
    {"no date behind the key", "1 " HEX64 " x\n", 0400, ":1: what follows the key is no date"},
    {"something behind the date", "1 " HEX64 " 2026-11-21T04:08:44Z x\n", 0400, ":1: what follows"},
    {"a span of time for a date", "1 " HEX64 " +3d\n", 0400, ":1: what follows"},
    {"tab", "1\t" HEX64 "\n", 0400, ":1: a tab"},
    {"epoch twice", "1 " HEX64 "\n\n1 " HEX64 "\n", 0400, ":3: epochs must ascend"},
    {"epochs descend", "2 " HEX64 "\n1 " HEX64 "\n", 0400, ":2: epochs must ascend"},
};

static void files_are_read_or_refused_with_file_and_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct site_keys *k = NULL;
        struct buf why;
        buf_init(&why, 1000);
        write_file(files[i].text, files[i].mode);
        enum err e = keyfile_load(path, &k, &why);
        if (e != (files[i].why == NULL ? ERR_OK : ERR_CONFIG))
            fail_msg("%s: %s %s", files[i].name, err_name(e), buf_cstr(&why));
        if (files[i].why != NULL && strstr(buf_cstr(&why), files[i].why) == NULL)
            fail_msg("%s: says %s", files[i].name, buf_cstr(&why));
        site_keys_free(k);
        buf_free(&why);
    }
    struct site_keys *k = NULL;
    assert_int_equal(keyfile_load("/nonexistent/site.keys", &k, NULL), ERR_IO);
    assert_int_equal(keyfile_load(directory, &k, NULL), ERR_CONFIG);
}

static void a_created_file_is_read_again_and_never_overwritten(void **state)
{
    (void)state;
    struct site_keys *k = NULL;
    struct stat st;
    unlink(path);
    assert_int_equal(keyfile_create(path, NOW_S), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    assert_int_equal(keyfile_create(path, NOW_S), ERR_EXISTS);
    assert_int_equal(keyfile_create("/nonexistent/site.keys", NOW_S), ERR_IO);
    assert_int_equal(keyfile_load(path, &k, NULL), ERR_OK);
    struct site_key_info i;
    assert_true(site_keys_info(k, 0, &i));
    assert_int_equal(i.since_s, NOW_S);
    assert_false(site_keys_info(k, 1, &i));
    assert_int_equal(site_keys_current(k), 1);
    site_keys_free(k);
}

static void read_file(char out[2000])
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    out[fread(out, 1, 1999, f)] = '\0';
    fclose(f);
}

static enum err edit(uint16_t add, const uint16_t *drop, size_t count, char why[300])
{
    struct buf text;
    buf_init(&text, 300);
    enum err e = keyfile_edit(
        path, &(struct keyfile_edit){.add = add, .since_s = NOW_S, .drop = drop, .drop_count = count}, &text);
    snprintf(why, 300, "%s", buf_cstr(&text));
    buf_free(&text);
    return e;
}

static void an_edited_file_keeps_all_other_lines_and_its_mode(void **state)
{
    (void)state;
    const uint16_t drop[] = {3, 4, 99};
    char text[2000], why[300], beside[160];
    struct stat st;
    struct site_keys *k = NULL;
    write_file("# mine\n1 " HEX64 "\n\n3 " HEX64 "\n  4  " HEX64 " 2026-01-01\n# end\n7 " HEX64, 0640 & 0700);
    snprintf(beside, sizeof beside, "%s.new", path);
    close(open(beside, O_WRONLY | O_CREAT, 0644)); /* of one that was killed */
    assert_int_equal(edit(9, drop, 3, why), ERR_OK);
    read_file(text);
    static const char kept[] = "# mine\n1 " HEX64 "\n\n# end\n7 " HEX64 "\n9 ";
    assert_memory_equal(text, kept, sizeof kept - 1);
    assert_string_equal(text + sizeof kept - 1 + 64, " 2026-09-21T14:13:20Z\n");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(access(beside, F_OK), -1);
    assert_int_equal(keyfile_load(path, &k, NULL), ERR_OK);
    assert_int_equal(site_keys_current(k), 9);
    assert_false(site_keys_has(k, 3));
    assert_true(site_keys_has(k, 7));
    site_keys_free(k);
}

static void a_link_stays_a_link(void **state)
{
    (void)state;
    char link[100], why[300], real[128];
    struct stat st;
    write_file("1 " HEX64 "\n", 0400);
    snprintf(link, sizeof link, "%s/link", directory);
    memcpy(real, path, sizeof real);
    assert_int_equal(symlink("site.keys", link), 0);
    snprintf(path, sizeof path, "%s", link);
    assert_int_equal(edit(2, NULL, 0, why), ERR_OK);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    unlink(link);
    memcpy(path, real, sizeof path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
}

static void what_must_not_be_edited_is_not(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t add, drop;
        const char *why;
    } cases[] = {
        {"1 " HEX64 "\n5 " HEX64 "\n", 5, 0, "higher than 5"},
        {"1 " HEX64 "\n5 " HEX64 "\n", 4, 0, "higher than 5"},
        {"1 " HEX64 "\n5 " HEX64 "\n", 0, 5, "epoch 5 is in use"},
        {"1 " HEX64 "\n5 " HEX64 "\n", 6, 5, "epoch 5 is in use"},
        {"1 " HEX64 "\n5 x\n", 6, 0, ":2: the key"},
        {"", 1, 0, ":0: no key"},
    };
    char text[2000], why[300];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(cases[i].text, 0400);
        assert_int_equal(edit(cases[i].add, &cases[i].drop, 1, why), ERR_CONFIG);
        if (strstr(why, cases[i].why) == NULL)
            fail_msg("%zu: says %s", i, why);
        read_file(text);
        assert_string_equal(text, cases[i].text);
    }
    write_file("1 " HEX64 "\n", 0440);
    assert_int_equal(edit(2, NULL, 0, why), ERR_CONFIG);
    unlink(path);
    assert_int_equal(edit(2, NULL, 0, why), ERR_IO);
    assert_int_equal(keyfile_edit("credential:site.keys", &(struct keyfile_edit){.add = 2}, NULL),
                     ERR_CONFIG);
}

static void *add_some(void *arg)
{
    uint16_t *first = arg;
    for (uint16_t e = *first; e < 100; e = (uint16_t)(e + 2))
        (void)keyfile_edit(path, &(struct keyfile_edit){.add = e, .since_s = NOW_S}, NULL);
    return NULL;
}

/* Whatever the order, no key is lost: each is there unless a higher one was there first. */
static void two_editors_at_once_lose_nothing(void **state)
{
    (void)state;
    uint16_t even = 2, odd = 3;
    pthread_t other;
    struct site_keys *k = NULL;
    write_file("1 " HEX64 "\n", 0400);
    assert_int_equal(pthread_create(&other, NULL, add_some, &odd), 0);
    add_some(&even);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(keyfile_load(path, &k, NULL), ERR_OK);
    assert_true(site_keys_has(k, 1));
    assert_int_equal(site_keys_current(k), 99);
    site_keys_free(k);
}

static void a_credential_is_read_from_its_folder(void **state)
{
    (void)state;
    struct site_keys *k = NULL;
    struct buf why;
    buf_init(&why, 300);
    write_file("1 " HEX64 "\n", 0440); /* as systemd's access list shows */
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(keyfile_load("credential:site.keys", &k, &why), ERR_CONFIG);
    assert_non_null(strstr(buf_cstr(&why), "LoadCredential="));
    setenv("CREDENTIALS_DIRECTORY", directory, 1);
    assert_int_equal(keyfile_load("credential:site.keys", &k, NULL), ERR_OK);
    site_keys_free(k);
    k = NULL;
    write_file("1 " HEX64 "\n", 0444);
    assert_int_equal(keyfile_load("credential:site.keys", &k, NULL), ERR_CONFIG);
    assert_true(keyfile_is_credential("credential:x"));
    assert_false(keyfile_is_credential("/credential:x"));
    buf_free(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_or_refused_with_file_and_line),
        cmocka_unit_test(a_created_file_is_read_again_and_never_overwritten),
        cmocka_unit_test(an_edited_file_keeps_all_other_lines_and_its_mode),
        cmocka_unit_test(a_link_stays_a_link),
        cmocka_unit_test(what_must_not_be_edited_is_not),
        cmocka_unit_test(two_editors_at_once_lose_nothing),
        cmocka_unit_test(a_credential_is_read_from_its_folder),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
