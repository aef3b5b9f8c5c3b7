/*
 * http_site: the server of site.h as a program, for clients in other languages.
 *
 *   http_site NAME=VALUE ...   names: tls (address:port), certificate, key, ca, proxy (a prefix), and each of
 * the limits. Prints the path of its UNIX socket and runs until its standard input ends. A line "reload"
 * there loads the certificate again and prints the outcome, "gate 0" and "gate 1" close and open the gate of
 * /wait, "counts" prints what happened.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "site.h"

static bool set_limit(const char *name, size_t len, long long value)
{
    const struct {
        const char *name;
        int64_t *number;
        size_t *size;
    } rows[] = {
        {"header_list_max", NULL, &site_limits.header_list_max},
        {"connections_max", NULL, &site_limits.connections_max},
        {"connections_address_max", NULL, &site_limits.connections_address_max},
        {"handshake_ms", &site_limits.handshake_ms, NULL},
        {"idle_ms", &site_limits.idle_ms, NULL},
        {"head_ms", &site_limits.head_ms, NULL},
        {"body_idle_ms", &site_limits.body_idle_ms, NULL},
        {"rate_min_bytes_s", &site_limits.rate_min_bytes_s, NULL},
        {"rate_window_ms", &site_limits.rate_window_ms, NULL},
        {"drain_bytes", &site_limits.drain_bytes, NULL},
        {"drain_ms", &site_limits.drain_ms, NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strlen(rows[i].name) != len || strncmp(rows[i].name, name, len) != 0)
            continue;
        if (rows[i].number != NULL)
            *rows[i].number = value;
        else
            *rows[i].size = (size_t)value;
        return true;
    }
    return false;
}

static void obey(struct site *s, const char *line)
{
    struct buf why;

    buf_init(&why, 1000);
    if (strcmp(line, "reload\n") == 0) {
        enum err e = http_tls_reload(s->server, &why);
        printf("%s %s\n", err_name(e), buf_cstr(&why));
    } else if (strcmp(line, "gate 0\n") == 0) {
        site_close_gate();
        printf("closed\n");
    } else if (strcmp(line, "gate 1\n") == 0) {
        site_open_gate();
        printf("open\n");
    } else if (strcmp(line, "counts\n") == 0) {
        printf("%u %u %u %u %u %u\n", site_handled(), site_states(), site_released(), site_sent(true),
               site_sent(false), site_at_gate());
    } else {
        printf("?\n");
    }
    buf_free(&why);
}

int main(int argc, char **argv)
{
    const char *address = NULL;
    struct http_tls tls = {0};
    struct netprefix prefix;
    struct site s;
    char line[100];

    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        size_t len = value == NULL ? 0 : (size_t)(value++ - argv[i]);
        if (value == NULL) {
            fprintf(stderr, "%s: not NAME=VALUE\n", argv[i]);
            return 2;
        }
        if (strncmp(argv[i], "tls", len) == 0) {
            address = value;
        } else if (strncmp(argv[i], "certificate", len) == 0) {
            tls.certificate_file = value;
        } else if (strncmp(argv[i], "key", len) == 0) {
            tls.key_file = value;
        } else if (strncmp(argv[i], "ca", len) == 0) {
            tls.client_ca_file = value;
        } else if (strncmp(argv[i], "proxy", len) == 0 &&
                   netprefix_parse(span_of(value), &prefix) == ERR_OK) {
            tls.proxy_protocol_from = &prefix;
            tls.proxy_protocol_count = 1;
        } else if (!set_limit(argv[i], len, strtoll(value, NULL, 10))) {
            fprintf(stderr, "%s: unknown\n", argv[i]);
            return 2;
        }
    }
    site_start(&s, address, &tls);
    printf("%s\n", s.socket_path);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        obey(&s, line);
        fflush(stdout);
    }
    site_open_gate();
    site_stop(&s);
    return 0;
}
