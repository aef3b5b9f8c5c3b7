/*
 * limits.h - how much of the store a sender may use, as restante.conf says. Pure; thread-safe.
 */
#ifndef LIFECYCLE_LIMITS_H
#define LIFECYCLE_LIMITS_H

#include "settings/settings.h"
#include "store/quota.h"

void limits_of(const struct settings *settings, struct quota_limits *out);
/* Of what is kept for recipients (QUOTA_KEPT): a mailbox as an owner, all of it as a domain. */
void limits_of_kept(const struct settings *settings, struct quota_limits *out);

#endif
