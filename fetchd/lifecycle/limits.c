/*
 * limits.c - see limits.h.
 */
#include "lifecycle/limits.h"

void limits_of(const struct settings *settings, struct quota_limits *out)
{
    *out = (struct quota_limits){.owner_bytes = settings->quota_sender_bytes,
                                 .owner_letters = settings->quota_sender_letters,
                                 .domain_bytes = settings->quota_domain_bytes,
                                 .domain_letters = settings->quota_domain_letters,
                                 .reserve_percent = settings->quota_reserve_percent};
}

void limits_of_kept(const struct settings *settings, struct quota_limits *out)
{
    *out = (struct quota_limits){.owner_bytes = settings->attempts_size_bytes,
                                 .domain_bytes = settings->attempts_size_all_bytes};
}
