/*
 * kill.h - kill points: named places where a test build dies at once (SIGKILL to itself), to show that
 * nothing is lost.
 *
 * KILL_POINT("deposit-commit-before") compiles to nothing without RESTANTE_TESTING. With it,
 * RESTANTE_KILL=name:nth in the environment kills the process when a point of that name is passed for the nth
 * time (from 1; counted over all threads and all places of that name). The names are gathered by the linker,
 * so `--kill-points` can list them without a second list.
 */
#ifndef BASE_KILL_H
#define BASE_KILL_H

#include <stdio.h>

/* What the macro calls; name is a static string. Thread-safe. */
void kill_point_pass(const char *name);
/* Prints the names of all points in this program, one a line, sorted, each once. Nothing without
 * RESTANTE_TESTING. */
void kill_points_print(FILE *out);

#ifdef RESTANTE_TESTING
/* A pointer a point in a section of its own: the linker makes the list. Sanitizers leave such sections alone.
 */
#define KILL_POINT(point_name)                                                                               \
    do {                                                                                                     \
        static const char *const kill_point_here __attribute__((section("restante_kill"), used)) =           \
            (point_name);                                                                                    \
        kill_point_pass(kill_point_here);                                                                    \
    } while (0)
#else
#define KILL_POINT(point_name)                                                                               \
    do {                                                                                                     \
    } while (0)
#endif

#endif
