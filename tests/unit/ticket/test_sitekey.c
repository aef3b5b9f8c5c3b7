/* test_sitekey.c - the file of site keys, and records sealed under them. */
#include <fcntl.h>
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

#include "ticket/sitekey.h"

#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char directory[] = "/tmp/restante-sitekey-XXXXXX";
static char path[64];

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
    {"something behind the key", "1 " HEX64 " x\n", 0400, ":1: the key"},
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
        enum err e = site_keys_load(path, &k, &why);
        if (e != (files[i].why == NULL ? ERR_OK : ERR_CONFIG))
            fail_msg("%s: %s %s", files[i].name, err_name(e), buf_cstr(&why));
        if (files[i].why != NULL && strstr(buf_cstr(&why), files[i].why) == NULL)
            fail_msg("%s: says %s", files[i].name, buf_cstr(&why));
        site_keys_free(k);
        buf_free(&why);
    }
    struct site_keys *k = NULL;
    assert_int_equal(site_keys_load("/nonexistent/site.keys", &k, NULL), ERR_IO);
    assert_int_equal(site_keys_load(directory, &k, NULL), ERR_CONFIG);
}

static void a_created_file_is_read_again_and_never_overwritten(void **state)
{
    (void)state;
    struct site_keys *k = NULL;
    struct stat st;
    unlink(path);
    assert_int_equal(site_keys_create_file(path), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    assert_int_equal(site_keys_create_file(path), ERR_EXISTS);
    assert_int_equal(site_keys_create_file("/nonexistent/site.keys"), ERR_IO);
    assert_int_equal(site_keys_load(path, &k, NULL), ERR_OK);
    assert_int_equal(site_keys_count(k), 1);
    assert_int_equal(site_keys_current(k), 1);
    site_keys_free(k);
}

static struct site_keys *two_keys(void)
{
    static const uint16_t epochs[] = {3, 9};
    static const uint8_t keys[][SITEKEY_BYTES] = {{1, 2, 3}, {4, 5, 6}};
    struct site_keys *k = NULL;
    assert_int_equal(site_keys_from_bytes(epochs, keys, 2, &k), ERR_OK);
    return k;
}

static void epochs_have_keys_and_fingerprints_of_their_own(void **state)
{
    (void)state;
    struct site_keys *k = two_keys();
    uint8_t x[32], y[32], f[SITEKEY_FINGERPRINT_BYTES], g[SITEKEY_FINGERPRINT_BYTES];
    uint16_t e, h;
    assert_int_equal(site_keys_current(k), 9);
    site_keys_fingerprint(k, 0, &e, f);
    site_keys_fingerprint(k, 1, &h, g);
    assert_int_equal(e, 3);
    assert_int_equal(h, 9);
    assert_memory_not_equal(f, g, sizeof f);
    assert_int_equal(site_keys_derive(k, 3, "x", SPAN_LITERAL("y"), x), ERR_OK);
    assert_int_equal(site_keys_derive(k, 9, "x", SPAN_LITERAL("y"), y), ERR_OK);
    assert_memory_not_equal(x, y, sizeof x);
    assert_int_equal(site_keys_derive(k, 3, "xy", SPAN_LITERAL(""), y), ERR_OK);
    assert_memory_not_equal(x, y, sizeof x);
    assert_int_equal(site_keys_derive(k, 4, "x", SPAN_LITERAL("y"), y), ERR_NOT_FOUND);
    site_keys_free(k);
    const uint16_t twice[] = {3, 3}, zero[] = {0};
    const uint8_t keys[2][SITEKEY_BYTES] = {{0}};
    assert_int_equal(site_keys_from_bytes(twice, keys, 2, &k), ERR_CONFIG);
    assert_int_equal(site_keys_from_bytes(zero, keys, 1, &k), ERR_CONFIG);
    assert_int_equal(site_keys_from_bytes(zero, keys, 0, &k), ERR_CONFIG);
}

static void a_sealed_record_opens_in_its_place_alone(void **state)
{
    (void)state;
    struct site_keys *k = two_keys();
    struct buf sealed, again, plain;
    buf_init(&sealed, 100);
    buf_init(&again, 100);
    buf_init_secret(&plain, 100);
    assert_int_equal(site_seal(k, "job", SPAN_LITERAL("key7"), SPAN_LITERAL("hello"), &sealed), ERR_OK);
    assert_int_equal(site_seal(k, "job", SPAN_LITERAL("key7"), SPAN_LITERAL("hello"), &again), ERR_OK);
    assert_int_equal(sealed.len, 5 + SITE_SEAL_OVERHEAD);
    assert_memory_not_equal(sealed.data, again.data, sealed.len);
    assert_int_equal(site_open(k, "job", SPAN_LITERAL("key7"), buf_span(&sealed), &plain), ERR_OK);
    assert_string_equal(buf_cstr(&plain), "hello");
    assert_int_equal(site_open(k, "job", SPAN_LITERAL("key8"), buf_span(&sealed), &plain), ERR_SEAL_TAG);
    assert_int_equal(site_open(k, "dek", SPAN_LITERAL("key7"), buf_span(&sealed), &plain), ERR_SEAL_TAG);
    assert_int_equal(site_open(k, "job", SPAN_LITERAL("key7"), span_bytes(sealed.data, 33), &plain),
                     ERR_SEAL_FORMAT);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] ^= 4;
        assert_int_equal(site_open(k, "job", SPAN_LITERAL("key7"), buf_span(&sealed), &plain),
                         i < 2 ? ERR_NOT_FOUND : ERR_SEAL_TAG);
        sealed.data[i] ^= 4;
    }
    assert_string_equal(buf_cstr(&plain), "hello");
    buf_clear(&sealed);
    buf_clear(&plain);
    assert_int_equal(site_seal(k, "job", (struct span){0}, (struct span){0}, &sealed), ERR_OK);
    assert_int_equal(site_open(k, "job", (struct span){0}, buf_span(&sealed), &plain), ERR_OK);
    assert_int_equal(plain.len, 0);
    char large[101] = "";
    assert_int_equal(site_seal(k, "job", (struct span){0}, span_bytes(large, 101), &again), ERR_TOO_LARGE);
    buf_free(&sealed);
    buf_free(&again);
    buf_free(&plain);
    site_keys_free(k);
    site_keys_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_or_refused_with_file_and_line),
        cmocka_unit_test(a_created_file_is_read_again_and_never_overwritten),
        cmocka_unit_test(epochs_have_keys_and_fingerprints_of_their_own),
        cmocka_unit_test(a_sealed_record_opens_in_its_place_alone),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
