/*
 * discovery.h - whether recipients' domains take stubs: DNS first, the last known answer when DNS fails for
 * now.
 */
#ifndef ROUTE_DISCOVERY_H
#define ROUTE_DISCOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct env;

enum discovery_word {
    DISCOVERY_UNKNOWN, /* DNS failed and nothing was ever known */
    DISCOVERY_NO,
    DISCOVERY_YES,
    DISCOVERY_TESTING, /* takes stubs, but says t=y: as NO unless the table says pull */
};
struct discovery_answer {
    enum discovery_word word;
    bool remembered; /* DNS failed; this is the last known answer */
};

/* Whether some of the answers are not cached: asking would wait. */
bool discovery_waits(const struct env *env, const char *const *domain, size_t count);

/*
 * Asks for all domains (A-labels, each once) at the same time, on the caller's thread and on env->lookup;
 * returns when all are answered, at the latest shortly after the deadline. What DNS says is remembered in the
 * store. Thread-safe; may be called on a thread of env->lookup (never waits for a task that has not begun).
 */
void discovery_ask(const struct env *env, const char *const *domain, size_t count, int64_t deadline_mono_ms,
                   struct discovery_answer *out);

#endif
