/*
 * host.c - a host that fails again and again is left alone, longer each time; then one transfer tries, and
 * only its success lets the others pass. All of it is forgotten when the process ends.
 */
#include "claim/host.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#define FORGET_MS 600000
#define SWEEP_MAX 2048 /* thrown out in one walk */

struct hosts {
    void *tree; /* of struct host, by name and port */
};

struct hosts *hosts_create(void)
{
    return calloc(1, sizeof(struct hosts));
}

void hosts_free(struct hosts *h)
{
    if (h == NULL)
        return;
    tdestroy(h->tree, free);
    free(h);
}

static int by_name_and_port(const void *a, const void *b)
{
    const struct host *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : (int)x->port - (int)y->port;
}

struct host *hosts_get(struct hosts *h, const char *name, uint16_t port, int64_t now_mono_ms)
{
    struct host *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return NULL;
    strncpy(fresh->name, name, sizeof fresh->name - 1);
    fresh->port = port;
    struct host **found = tsearch(fresh, &h->tree, by_name_and_port);
    struct host *host = found != NULL ? *found : NULL;
    if (host != fresh)
        free(fresh);
    if (host != NULL)
        host->used_mono_ms = now_mono_ms;
    return host;
}

struct sweep {
    int64_t now_mono_ms;
    size_t count;
    struct host *host[SWEEP_MAX];
};

static void find_idle(const void *node, VISIT which, void *arg)
{
    struct host *h = *(struct host *const *)node;
    struct sweep *s = arg;
    if ((which == preorder || which == leaf) && s->count < SWEEP_MAX && h->running == 0 && h->waiting == 0 &&
        !h->looking_up && !h->fetching && !host_is_open(h, s->now_mono_ms) &&
        s->now_mono_ms - h->used_mono_ms > FORGET_MS)
        s->host[s->count++] = h;
}

void hosts_sweep(struct hosts *h, int64_t now_mono_ms)
{
    struct sweep s;
    do {
        s = (struct sweep){.now_mono_ms = now_mono_ms};
        twalk_r(h->tree, find_idle, &s);
        for (size_t i = 0; i < s.count; i++) {
            tdelete(s.host[i], &h->tree, by_name_and_port);
            free(s.host[i]);
        }
    } while (s.count == SWEEP_MAX); /* a domain may designate new names as fast as its letters come */
}

bool host_is_open(const struct host *h, int64_t now_mono_ms)
{
    return now_mono_ms < h->open_until_mono_ms;
}

int host_limit(const struct host *h, int transfers_max)
{
    return h->failures >= HOST_FAILURES_MAX ? 1 : transfers_max;
}

void host_succeeded(struct host *h)
{
    h->failures = 0;
    h->pause_ms = 0;
}

void host_failed(struct host *h, int64_t now_mono_ms, uint32_t random)
{
    if (h->failures < HOST_FAILURES_MAX)
        h->failures++;
    if (h->failures < HOST_FAILURES_MAX || host_is_open(h, now_mono_ms))
        return;
    h->pause_ms = h->pause_ms == 0 ? HOST_PAUSE_FIRST_MS : h->pause_ms * 2;
    if (h->pause_ms > HOST_PAUSE_MAX_MS)
        h->pause_ms = HOST_PAUSE_MAX_MS;
    /* Three quarters to five quarters of it, so that many sites do not come back at once. */
    int64_t quarter = h->pause_ms / 4;
    host_leave_alone(h, now_mono_ms, h->pause_ms - quarter + (int64_t)(random % (uint64_t)(2 * quarter + 1)));
}

void host_leave_alone(struct host *h, int64_t now_mono_ms, int64_t pause_ms)
{
    if (h->open_until_mono_ms < now_mono_ms + pause_ms)
        h->open_until_mono_ms = now_mono_ms + pause_ms;
}
