/* child.h - runs a function in a child process and catches its standard error: for what dies or writes there.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child's wait status; what it wrote to stderr is in out (NUL-terminated, at most size - 1 bytes). The
 * child leaves by _exit, so that neither cmocka nor a leak checker of the parent's memory speaks in it. */
static inline int child_run(void (*run)(void), char *out, size_t size)
{
    int fd[2];
    if (pipe(fd) != 0)
        abort();
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        (void)dup2(fd[1], STDERR_FILENO);
        run();
        _exit(0);
    }
    (void)close(fd[1]);
    size_t len = 0;
    ssize_t n;
    while (len < size - 1 && (n = read(fd[0], out + len, size - 1 - len)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    (void)close(fd[0]);
    int status = -1;
    if (waitpid(pid, &status, 0) != pid)
        abort();
    return status;
}

#endif
