#include "base/kill.h"

#ifdef RESTANTE_TESTING

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

/* The linker gives these two when the program has at least one kill point; weak, so that one without links
 * too. */
extern const char *const kill_points_start[] __asm__("__start_restante_kill") __attribute__((weak));
extern const char *const kill_points_stop[] __asm__("__stop_restante_kill") __attribute__((weak));

static struct {
    char *name; /* NULL: nothing armed */
    uint64_t nth;
    _Atomic uint64_t passed;
} armed;
static pthread_once_t read_once = PTHREAD_ONCE_INIT;

static void read_environment(void)
{
    const char *value = getenv("RESTANTE_KILL");
    const char *colon = value != NULL ? strrchr(value, ':') : NULL;
    if (colon != NULL && span_to_u64(span_of(colon + 1), UINT64_MAX, &armed.nth))
        armed.name = span_dup(span_bytes(value, (size_t)(colon - value)));
}

void kill_point_pass(const char *name)
{
    (void)pthread_once(&read_once, read_environment);
    if (armed.name == NULL || strcmp(armed.name, name) != 0 ||
        atomic_fetch_add(&armed.passed, 1) + 1 != armed.nth)
        return;
    (void)kill(getpid(), SIGKILL);
    for (;;) /* the signal may be on its way: nothing after the point may happen */
        (void)pause();
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void kill_points_print(FILE *out)
{
    /* Two ends of one array of the linker's. */
    // cppcheck-suppress comparePointers
    size_t count = kill_points_start == NULL ? 0 : (size_t)(kill_points_stop - kill_points_start);
    const char **names = count > 0 ? malloc(count * sizeof *names) : NULL;
    if (names == NULL)
        return;
    memcpy(names, kill_points_start, count * sizeof *names);
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            (void)fprintf(out, "%s\n", names[i]);
    free(names);
}

#else

void kill_point_pass(const char *name)
{
    (void)name;
}

void kill_points_print(FILE *out)
{
    (void)out;
}

#endif
