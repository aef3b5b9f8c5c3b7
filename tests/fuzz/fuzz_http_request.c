/*
 * What a client sends behind the preface and its SETTINGS, against a whole server on a UNIX socket: routing,
 * header handling, bodies and the order of frames above nghttp2. covers: fetchd/http/head.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "site.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct site site;

static void end(void)
{
    site_stop(&site);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_set_level(LOG_LEVEL_ERROR);
    site_limits.body_idle_ms = 20; /* waiting teaches nothing */
    site_limits.drain_ms = 20;
    site_limits.head_ms = 20;
    site_start(&site, NULL, NULL);
    atexit(end);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    char answer[65536];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(sun.sun_path, site.socket_path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof sun) != 0)
        abort();
    /* A GOAWAY behind it lets the server close when all is answered. */
    static const char goaway[] = "\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\0";
    send(fd, preface, sizeof preface - 1, MSG_NOSIGNAL);
    send(fd, data, size, MSG_NOSIGNAL);
    send(fd, goaway, sizeof goaway - 1, MSG_NOSIGNAL);
    struct timeval patience = {.tv_usec = 100000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (recv(fd, answer, sizeof answer, 0) > 0) {
    }
    close(fd);
    return 0;
}
