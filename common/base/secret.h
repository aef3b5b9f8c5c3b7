/*
 * secret.h - handling of keys in memory. Thread-safe.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

void secret_wipe(void *data, size_t len);                    /* never optimised away; NULL with 0 is fine */
bool secret_equal(const void *a, const void *b, size_t len); /* in time that depends on len alone */
enum err secret_random(void *out, size_t len); /* getrandom(2), blocks until the kernel's pool is ready */
/* No core file, no ptrace by others: RLIMIT_CORE 0 and PR_SET_DUMPABLE 0. To be called first thing in main.
 */
enum err secret_forbid_cores(void);

#endif
