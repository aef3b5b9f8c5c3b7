/*
 * correspondents.c - see correspondents.h.
 */
#include "local/correspondents.h"

#include <stdio.h>
#include <stdlib.h>

#include "admission/admission.h"
#include "base/clock.h"
#include "base/log.h"
#include "env/env.h"
#include "mail/address.h"
#include "mail/header.h"
#include "pull/pull.h"
#include "settings/settings.h"
#include "store/attempt.h"
#include "store/policy.h"

bool correspondents_fit(const struct api_plan *letter)
{
    for (size_t i = 0; i < letter->field_count; i++)
        if (header_says_bulk(span_of(letter->field[i].name), span_of(letter->field[i].value)))
            return false;
    return letter->envelope.sender[0] != '\0';
}

/* The mailbox to note them for; false when its owner does not want that, or there is none. */
static bool find_mailbox(const struct env *env, const char *sender, char out[ADDRESS_TEXT_MAX])
{
    struct address address;
    struct policy policy;
    char detail[POLICY_TOKEN_MAX + 1];

    if (address_parse(span_of(sender), &address) != ERR_OK || address.null)
        return false;
    enum err e = admission_policy(env->admission, &address, &policy);
    if (e) {
        log_warning("correspondents of <%s>: %s", sender, err_text(e));
        return false;
    }
    admission_mailbox(env->admission, &address, out, detail);
    return policy.correspondents == SWITCH_ON;
}

static void log_admitted(const char *mailbox, const char *sender, uint32_t letters)
{
    struct log_line line;
    char detail[80];

    log_line_begin(&line, NULL);
    log_line_addr(&line, LOG_KEY_FROM, sender);
    log_line_addr(&line, LOG_KEY_TO, mailbox);
    snprintf(detail, sizeof detail, "the recipient wrote to him, letters that waited: %u", letters);
    log_line_status(&line, "admitted", detail);
    log_line_end(&line, LOG_LEVEL_INFO);
}

/* What he waits with under the name that was written to; what has another name in From waits on: that one was
 * not written to. */
static enum err admit(const struct env *env, const char *mailbox, const char *sender, int64_t now_s)
{
    uint32_t letters = 0;
    struct attempt *a = malloc(sizeof *a);

    if (!a)
        return ERR_NOMEM;
    enum err e = store_attempt_get(env->store, mailbox, sender, a);
    if (!e && a->waiting) {
        e = store_attempt_admit(env->store, mailbox, sender, FOREIGN_STAYS_TOO,
                                reason_code(REASON_CORRESPONDENT), now_s, &letters);
        if (letters) {
            log_admitted(mailbox, sender, letters);
            puller_wake(env->puller);
        }
    }
    free(a);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

void correspondents_note(const struct env *env, const struct api_plan *letter)
{
    const struct api_envelope *e = &letter->envelope;
    char mailbox[ADDRESS_TEXT_MAX], key[ADDRESS_TEXT_MAX];
    int64_t now = clock_now_s();
    struct address address;

    if (!correspondents_fit(letter) || !find_mailbox(env, e->sender, mailbox))
        return;
    for (size_t i = 0; i < e->recipient_count && i < CORRESPONDENTS_MAX; i++) {
        if (address_parse(span_of(e->recipient[i].address), &address) != ERR_OK || address.null)
            continue;
        address_key(&address, key);
        enum err err = store_correspondent_add(env->store, mailbox, key, now,
                                               now + env->settings->correspondents_keep_s);
        if (!err)
            err = admit(env, mailbox, key, now);
        if (err) {
            log_warning("correspondents of <%s>: %s", mailbox, err_text(err));
            return;
        }
    }
}
