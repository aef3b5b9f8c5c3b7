/*
 * kill.h - kill points: named places where a test build dies at once (SIGKILL to itself), to show that
 * nothing is lost.
 *
 * KILL_POINT("deposit-commit-before") compiles to nothing without RESTANTE_TESTING. With it,
 * RESTANTE_KILL=name:nth in the environment kills the process when that point is passed for the nth time
 * (counted over all threads, from 1). The names are gathered by the linker, so `--kill-points` can list them
 * without a second list.
 */
#ifndef BASE_KILL_H
#define BASE_KILL_H

#include <stdatomic.h>
#include <stdio.h>

struct kill_point {
    const char *name;
    atomic_uint passed;
};

void kill_point_pass(struct kill_point *point);
/* Prints the names of all points in this program, one a line, sorted, each once. Nothing without
 * RESTANTE_TESTING. */
void kill_points_print(FILE *out);

#ifdef RESTANTE_TESTING
#define KILL_POINT(point_name)                                                                               \
    do {                                                                                                     \
        static struct kill_point kill_point_here __attribute__((section("restante_kill"), used, aligned(16), \
                                                                no_sanitize("address"))) = {point_name, 0};  \
        kill_point_pass(&kill_point_here);                                                                   \
    } while (0)
#else
#define KILL_POINT(point_name)                                                                               \
    do {                                                                                                     \
    } while (0)
#endif

#endif
