/* test_intake.c - sealed bodies, whole and damaged, in pieces of any size. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "claim/intake.h"

#define LETTER_BYTES (2 * SEAL_CHUNK_BYTES + 1000)

struct payload {
    uint8_t *letter, *sealed;
    size_t sealed_len;
    uint8_t digest[SEAL_DIGEST_BYTES];
    struct intake_terms terms;
};

static int set_up(void **state)
{
    static struct payload p;
    struct sealer *s;
    struct buf body;
    uint8_t header[SEAL_HEADER_BYTES];
    uint64_t letter_bytes;
    buf_init(&body, 4 * SEAL_CHUNK_BYTES);
    p.letter = malloc(LETTER_BYTES);
    for (size_t i = 0; i < LETTER_BYTES; i++)
        p.letter[i] = (uint8_t)(i * 31 + i / 251);
    assert_int_equal(sealer_create(1, &s), ERR_OK);
    assert_int_equal(sealer_update(s, p.letter, LETTER_BYTES, &body), ERR_OK);
    assert_int_equal(sealer_finish(s, &body, header, p.digest, &letter_bytes), ERR_OK);
    p.terms = (struct intake_terms){.letter_bytes = LETTER_BYTES, .version = 1, .kd = {7}, .a = {0, 1}};
    assert_int_equal(wrap_seal(p.terms.kd, p.terms.a, sealer_payload_id(s), 1, sealer_dek(s), p.terms.wrap),
                     ERR_OK);
    p.sealed_len = sizeof header + body.len;
    p.sealed = malloc(p.sealed_len + 1);
    memcpy(p.sealed, header, sizeof header);
    memcpy(p.sealed + sizeof header, body.data, body.len);
    p.sealed[p.sealed_len] = 'x';
    assert_int_equal(p.sealed_len, seal_sealed_size(LETTER_BYTES));
    buf_free(&body);
    sealer_free(s);
    *state = &p;
    return 0;
}

static int tear_down(void **state)
{
    struct payload *p = *state;
    free(p->letter);
    free(p->sealed);
    return 0;
}

static enum err feed(struct intake *i, const uint8_t *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len; at += piece) {
        enum err err = intake_add(i, data + at, len - at < piece ? len - at : piece);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* Takes the whole in; ERR_OK only with a file that may be read. */
static enum err take(const struct intake_terms *terms, const uint8_t *sealed, size_t len, size_t piece,
                     int *fd, uint8_t digest[SEAL_DIGEST_BYTES])
{
    struct intake *i;
    assert_int_equal(intake_create("/tmp", terms, &i), ERR_OK);
    enum err err = feed(i, sealed, len, piece);
    if (err == ERR_OK)
        err = intake_finish(i, fd, digest);
    intake_free(i);
    return err;
}

static void check_letter(const struct payload *p, int fd, const uint8_t *digest)
{
    uint8_t *got = malloc(LETTER_BYTES + 1);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
    assert_int_equal(read(fd, got, LETTER_BYTES + 1), LETTER_BYTES);
    assert_memory_equal(got, p->letter, LETTER_BYTES);
    assert_memory_equal(digest, p->digest, SEAL_DIGEST_BYTES);
    free(got);
    close(fd);
}

static void a_body_is_opened_in_pieces_of_any_size(void **state)
{
    const struct payload *p = *state;
    static const size_t pieces[] = {1, 95, 96, 97, 16384, 65552, 1000000};
    for (size_t i = 0; i < COUNT(pieces); i++) {
        int fd = -1;
        uint8_t digest[SEAL_DIGEST_BYTES];
        assert_int_equal(take(&p->terms, p->sealed, p->sealed_len, pieces[i], &fd, digest), ERR_OK);
        check_letter(p, fd, digest);
    }
}

static void a_flipped_octet_anywhere_is_found(void **state)
{
    struct payload *p = *state;
    for (size_t at = 0; at < p->sealed_len; at += at < SEAL_HEADER_BYTES ? 1 : 9973) {
        int fd = -1;
        uint8_t digest[SEAL_DIGEST_BYTES];
        p->sealed[at] ^= 0x40;
        enum err err = take(&p->terms, p->sealed, p->sealed_len, 16384, &fd, digest);
        p->sealed[at] ^= 0x40;
        if (err < ERR_SEAL_FORMAT || err > ERR_SEAL_WRAP || fd != -1)
            fail_msg("octet %zu: %s", at, err_name(err));
    }
}

static void a_body_must_have_its_length(void **state)
{
    const struct payload *p = *state;
    static const size_t cuts[] = {0, 1, 95, 96, 97, 65647, 65648, 65649};
    int fd = -1;
    uint8_t digest[SEAL_DIGEST_BYTES];
    for (size_t i = 0; i < COUNT(cuts); i++)
        assert_int_equal(take(&p->terms, p->sealed, cuts[i], 16384, &fd, digest), ERR_SEAL_TRUNCATED);
    assert_int_equal(take(&p->terms, p->sealed, p->sealed_len - 1, 16384, &fd, digest), ERR_SEAL_TRUNCATED);
    assert_int_equal(take(&p->terms, p->sealed, p->sealed_len + 1, 16384, &fd, digest), ERR_SEAL_TRAILING);
    assert_int_equal(take(&p->terms, p->sealed, p->sealed_len + 1, p->sealed_len, &fd, digest),
                     ERR_SEAL_TRAILING);
    assert_int_equal(fd, -1);
}

static void the_header_must_agree_with_the_answer(void **state)
{
    const struct payload *p = *state;
    int fd = -1;
    uint8_t digest[SEAL_DIGEST_BYTES];
    struct intake_terms t = p->terms;
    t.version = 2;
    assert_int_equal(take(&t, p->sealed, p->sealed_len, 16384, &fd, digest), ERR_SEAL_FORMAT);
    t = p->terms;
    t.letter_bytes++;
    assert_int_equal(take(&t, p->sealed, p->sealed_len, 16384, &fd, digest), ERR_SEAL_LENGTH);
    t = p->terms;
    t.kd[0] ^= 1;
    assert_int_equal(take(&t, p->sealed, p->sealed_len, 16384, &fd, digest), ERR_SEAL_WRAP);
    t = p->terms;
    t.wrap[0] ^= 1;
    assert_int_equal(take(&t, p->sealed, p->sealed_len, 16384, &fd, digest), ERR_SEAL_WRAP);
    assert_int_equal(fd, -1);
}

static void a_body_can_begin_anew_until_an_error(void **state)
{
    const struct payload *p = *state;
    struct intake *i;
    int fd = -1;
    uint8_t digest[SEAL_DIGEST_BYTES];
    assert_int_equal(intake_create("/tmp", &p->terms, &i), ERR_OK);
    assert_int_equal(feed(i, p->sealed, 100000, 777), ERR_OK);
    assert_int_equal(intake_received(i), 100000);
    assert_int_equal(intake_expected(i), p->sealed_len);
    assert_int_equal(intake_restart(i), ERR_OK);
    assert_int_equal(intake_received(i), 0);
    assert_int_equal(feed(i, p->sealed, p->sealed_len, 5000), ERR_OK);
    assert_int_equal(intake_finish(i, &fd, digest), ERR_OK);
    intake_free(i);
    check_letter(p, fd, digest);
    assert_int_equal(intake_create("/tmp", &p->terms, &i), ERR_OK);
    assert_int_equal(intake_add(i, p->letter, 200), ERR_SEAL_FORMAT);
    assert_int_equal(intake_restart(i), ERR_SEAL_FORMAT);
    assert_int_equal(intake_add(i, p->sealed, 10), ERR_SEAL_FORMAT);
    intake_free(i);
}

static void a_folder_that_is_none_is_an_error(void **state)
{
    const struct payload *p = *state;
    struct intake *i = NULL;
    assert_int_equal(intake_create("/nonexistent", &p->terms, &i), ERR_IO);
    assert_null(i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_opened_in_pieces_of_any_size),
        cmocka_unit_test(a_flipped_octet_anywhere_is_found),
        cmocka_unit_test(a_body_must_have_its_length),
        cmocka_unit_test(the_header_must_agree_with_the_answer),
        cmocka_unit_test(a_body_can_begin_anew_until_an_error),
        cmocka_unit_test(a_folder_that_is_none_is_an_error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
