/* test_claim_status.c - what each status means for each request; only the hoped-for one is success. */
#include "unit.h"

#include "claim/claim_status.h"

#define RESUME 99

static const int requests[] = {CLAIM_CLAIM, RESUME, CLAIM_ACK, CLAIM_NACK, CLAIM_STATUS, CLAIM_HEAD};

static const struct {
    int status;
    enum err want[COUNT(requests)]; /* in the order above */
} cases[] = {
    {200, {ERR_OK, ERR_OK, ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP}},
    {204, {ERR_HTTP, ERR_HTTP, ERR_OK, ERR_OK, ERR_OK, ERR_OK}},
    {206, {ERR_HTTP, ERR_OK, ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP}},
    {301, {ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP}},
    {308, {ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP}},
    {400, {ERR_SYNTAX, ERR_SYNTAX, ERR_SYNTAX, ERR_SYNTAX, ERR_SYNTAX, ERR_SYNTAX}},
    {403, {ERR_FORBIDDEN, ERR_FORBIDDEN, ERR_FORBIDDEN, ERR_FORBIDDEN, ERR_FORBIDDEN, ERR_FORBIDDEN}},
    {404, {ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_NOT_FOUND}},
    {409,
     {ERR_CLAIM_MISMATCH, ERR_LEASE_ENDED, ERR_NEVER_CLAIMED, ERR_LEASE_ENDED, ERR_LEASE_ENDED, ERR_HTTP}},
    {410, {ERR_GONE, ERR_GONE, ERR_GONE, ERR_GONE, ERR_GONE, ERR_GONE}},
    {416, {ERR_HTTP, ERR_LEASE_ENDED, ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP}},
    {422, {ERR_HTTP, ERR_HTTP, ERR_WRONG_DIGEST, ERR_HTTP, ERR_HTTP, ERR_HTTP}},
    {423, {ERR_LEASED, ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP}},
    {429, {ERR_RATE, ERR_RATE, ERR_RATE, ERR_RATE, ERR_RATE, ERR_RATE}},
    {500, {ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP, ERR_HTTP}},
    {503,
     {ERR_UNAVAILABLE, ERR_UNAVAILABLE, ERR_UNAVAILABLE, ERR_UNAVAILABLE, ERR_UNAVAILABLE, ERR_UNAVAILABLE}},
};

static void each_status_has_its_meaning(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t j = 0; j < COUNT(requests); j++) {
            bool resuming = requests[j] == RESUME;
            enum claim_verb verb = resuming ? CLAIM_CLAIM : (enum claim_verb)requests[j];
            enum err got = claim_status_err(verb, resuming, cases[i].status);
            if (got != cases[i].want[j])
                fail_msg("%d for request %zu: %s", cases[i].status, j, err_name(got));
        }
}

static void only_410_ends_a_ticket(void **state)
{
    (void)state;
    for (int status = 100; status < 600; status++)
        for (size_t j = 0; j < COUNT(requests); j++) {
            bool resuming = requests[j] == RESUME;
            enum claim_verb verb = resuming ? CLAIM_CLAIM : (enum claim_verb)requests[j];
            if ((claim_status_err(verb, resuming, status) == ERR_GONE) != (status == 410))
                fail_msg("%d", status);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_has_its_meaning),
        cmocka_unit_test(only_410_ends_a_ticket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
