/*
 * env.h - what the rooms of fetchd share: one immutable set of handles, made by main and alive until all
 * threads are gone. Each member's own header says how it may be used by threads.
 */
#ifndef FETCHD_ENV_H
#define FETCHD_ENV_H

struct settings;
struct store;
struct site_keys;
struct resolver;
struct claim_client;
struct trust; /* claim/: revocation of certificates */
struct smtp_client;
struct pool;
struct site;      /* site.h: the settings, read into values */
struct routes;    /* route/: the administrator's table of domains */
struct gate;      /* local/: places for notices that wait on DNS */
struct admission; /* admission/ */
struct puller;    /* pull/ */
struct lifecycle; /* lifecycle/ */
struct public;    /* public/ */
struct rdap;      /* admission/: registration dates */
struct challenge; /* admission/: what is remembered of challenges */

struct env {
    const struct settings *settings;
    const struct site *site;
    struct store *store;
    const struct site_keys *keys;
    struct resolver *resolver;
    struct claim_client *claim;
    struct trust *trust;
    struct smtp_client *letters_in; /* injection of letters and notifications */
    struct smtp_client *stubs_out;
    struct pool *work;    /* store commits, handlers */
    struct pool *lookup;  /* our own work that waits on DNS: plans, pulls */
    struct pool *notices; /* arriving stubs that wait on DNS: one thread for each place at the gate and more,
                             so that strangers never keep our own work waiting */
    struct pool *serve; /* what pullers ask: it waits on their DNS, and must not keep our own mail waiting */
    struct pool *quick; /* what pullers ask, as far as it waits for nothing: few threads do for many */
    const struct routes *routes;
    struct gate *gate;
    struct puller *puller;
    struct lifecycle *lifecycle;
    struct public *public;
    struct admission *admission;
    struct challenge *challenge;
    struct rdap *rdap; /* NULL: no rdap_url */
};

#endif
