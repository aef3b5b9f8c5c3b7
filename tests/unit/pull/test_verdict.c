/* What an outcome of a claim, ack or nack means for its job. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "pull/inject.h"
#include "pull/verdict.h"

static const struct {
    const char *name;
    enum claim_verb verb;
    enum err err;
    const char *reason;
    enum verdict want;
} cases[] = {
    {"claim_that_gave_the_letter_goes_on", CLAIM_CLAIM, ERR_OK, "", VERDICT_GO_ON},
    {"ack_that_was_taken_goes_on", CLAIM_ACK, ERR_OK, "", VERDICT_GO_ON},
    {"claim_of_an_acked_ticket_means_done", CLAIM_CLAIM, ERR_GONE, "acked", VERDICT_ACKED},
    {"claim_of_a_retracted_ticket_ends", CLAIM_CLAIM, ERR_GONE, "retracted", VERDICT_ENDED},
    {"ack_of_an_expired_ticket_ends", CLAIM_ACK, ERR_GONE, "expired", VERDICT_ENDED},
    {"mismatch_ends_the_job_without_a_nack", CLAIM_CLAIM, ERR_CLAIM_MISMATCH, "", VERDICT_ENDED},
    {"unknown_ticket_is_retried", CLAIM_CLAIM, ERR_NOT_FOUND, "", VERDICT_LATER},
    {"not_designated_is_retried", CLAIM_CLAIM, ERR_FORBIDDEN, "", VERDICT_LATER},
    {"leased_by_another_is_retried", CLAIM_CLAIM, ERR_LEASED, "", VERDICT_LATER},
    {"flipped_byte_counts_as_corrupt", CLAIM_CLAIM, ERR_SEAL_TAG, "", VERDICT_CORRUPT},
    {"trailing_bytes_count_as_corrupt", CLAIM_CLAIM, ERR_SEAL_TRAILING, "", VERDICT_CORRUPT},
    {"letter_above_our_limit_is_refused", CLAIM_CLAIM, ERR_TOO_LARGE, "", VERDICT_TOO_LARGE},
    {"no_connection_is_retried", CLAIM_CLAIM, ERR_CONNECT, "", VERDICT_LATER},
    {"bad_certificate_is_retried", CLAIM_CLAIM, ERR_TLS, "", VERDICT_LATER},
    {"wrong_digest_of_an_ack_is_retried", CLAIM_ACK, ERR_WRONG_DIGEST, "", VERDICT_LATER},
    {"nack_refused_for_now_is_retried", CLAIM_NACK, ERR_RATE, "", VERDICT_LATER},
};

static void outcomes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct claim_outcome o = {.err = cases[i].err};
        snprintf(o.reason, sizeof o.reason, "%s", cases[i].reason);
        if (verdict_of(cases[i].verb, &o) != cases[i].want)
            fail_msg("%s", cases[i].name);
    }
}

static void backoff_doubles_and_stays_within_bounds(void **state)
{
    (void)state;
    for (uint32_t random = 0; random < 1000; random += 7) {
        for (uint32_t tries = 0; tries < 40; tries++) {
            int64_t wait = verdict_backoff_s(tries, 60, 14400, 0, random);
            int64_t middle = tries < 8 ? 60 << tries : 14400;
            middle = middle > 14400 ? 14400 : middle;
            assert_in_range(wait, middle - middle / 4, middle + middle / 4);
        }
    }
}

static void backoff_honours_retry_after_up_to_a_day(void **state)
{
    (void)state;
    assert_int_equal(verdict_backoff_s(0, 60, 14400, 5000, 0), 5000);
    assert_int_equal(verdict_backoff_s(0, 60, 14400, INT64_MAX, 0), 86400);
    assert_true(verdict_backoff_s(0, 60, 14400, -5, 0) >= 45);
}

static void a_host_left_alone_is_called_soon_after_its_pause_and_never_at_once(void **state)
{
    static const struct {
        int64_t pause_ms, least, most;
    } pauses[] = {{-1, 1, 2}, {0, 1, 2}, {1, 1, 2}, {1000, 1, 2}, {1001, 2, 3}, {3600000, 3600, 4501}};
    (void)state;
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        int64_t low = INT64_MAX, high = 0;
        for (uint32_t random = 0; random < 5000; random++) {
            int64_t wait = verdict_pause_s(pauses[i].pause_ms, random);
            low = wait < low ? wait : low;
            high = wait > high ? wait : high;
        }
        assert_int_equal(low, pauses[i].least);
        assert_int_equal(high, pauses[i].most);
    }
}

static void notify_of_the_injection_never_asks_for_success(void **state)
{
    static const struct {
        const char *asked, *want;
    } notify[] = {
        {"", ""},
        {"NEVER", "NEVER"},
        {"SUCCESS", "NEVER"},
        {"SUCCESS,FAILURE", "FAILURE"},
        {"FAILURE,DELAY", "FAILURE,DELAY"},
        {"nonsense", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof notify / sizeof *notify; i++) {
        char out[64];
        inject_notify(notify[i].asked, out);
        assert_string_equal(out, notify[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes),
        cmocka_unit_test(backoff_doubles_and_stays_within_bounds),
        cmocka_unit_test(backoff_honours_retry_after_up_to_a_day),
        cmocka_unit_test(a_host_left_alone_is_called_soon_after_its_pause_and_never_at_once),
        cmocka_unit_test(notify_of_the_injection_never_asks_for_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
