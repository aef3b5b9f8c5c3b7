/*
 * correspondents.c - see correspondents.h.
 */
#include "local/correspondents.h"

#include "admission/admission.h"
#include "base/clock.h"
#include "base/log.h"
#include "env/env.h"
#include "mail/address.h"
#include "mail/header.h"
#include "settings/settings.h"
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
        if (err) {
            log_warning("correspondents of <%s>: %s", mailbox, err_text(err));
            return;
        }
    }
}
