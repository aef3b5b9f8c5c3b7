/*
 * system_mail.h - whether a letter is the system's own, which may use the reserve of a quota, so that a full
 * one never silences what tells of trouble. Thread-safe.
 */
#ifndef LOCAL_SYSTEM_MAIL_H
#define LOCAL_SYSTEM_MAIL_H

#include <stdbool.h>

#include "local/api.h"

/*
 * Nobody logged in, and the reverse-path's local part is root, postmaster, mailer-daemon or double-bounce, or
 * (from sendmail(1), where a local part is an account) one of the system's accounts, whose uid is below 1000.
 */
bool system_mail(const struct api_envelope *envelope);

#endif
