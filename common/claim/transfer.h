/*
 * transfer.h - one request from its start to its outcome, over one or (when its body is resumed) several HTTP
 * exchanges; inside this room. Everything runs on the client's thread but transfer_create.
 */
#ifndef CLAIM_TRANSFER_H
#define CLAIM_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>

#include "claim/answer.h"
#include "claim/handshake.h"
#include "claim/host.h"
#include "claim/intake.h"

struct transfer {
    struct transfer *next; /* in one of the client's lists */
    struct host *host;     /* borrowed; counted there as waiting or running */
    struct claim_request request;
    char *strings[5]; /* own the request's texts */
    claim_done done;
    void *arg;
    struct claim_outcome outcome;
    /* clock */
    int64_t queued_mono_ms;     /* when it was started */
    int64_t not_before_mono_ms; /* while waiting */
    int64_t deadline_mono_ms;   /* of the phase it is in, while running */
    int64_t total_mono_ms;      /* of the body */
    int64_t window_mono_ms;     /* when the window of the minimum rate began */
    uint64_t window_bytes;
    /* one exchange */
    const struct claim_options *options;
    const struct peer_policy *policy;
    struct peer_addresses addresses; /* the checked ones */
    struct tlsa_set tlsa;
    struct handshake *handshake; /* its own; that of a reused connection is another */
    struct peer_gate gate;
    bool again; /* nothing was asked yet: to be begun anew, see gate */
    CURL *easy;
    struct curl_slist *fields, *resolve;
    char error_text[CURL_ERROR_SIZE];
    struct answer answer;
    bool asked;          /* the request has left */
    bool judged;         /* the answer's head was read and accepted or not: err says which */
    bool restante;       /* the head said so: the host is alive and ours */
    enum err err;        /* our own reason for ending the exchange; ERR_OK: none */
    uint64_t text_bytes; /* of a body that nobody wants */
    /* over all exchanges */
    struct intake *intake; /* CLAIM: from the first 200 on */
    char etag[256];
    int resumed;             /* times */
    enum err interrupted_by; /* what the last exchange with a body ended with */
    int begun_again;         /* times */
    bool fresh;              /* no old connection will do */
};

/* Copies the request. ERR_SYNTAX, ERR_BAD_BYTES for texts that fit in no field; ERR_NOMEM. */
enum err transfer_create(const struct claim_request *request, claim_done done, void *arg,
                         struct transfer **out);
void transfer_free(struct transfer *t); /* wipes; closes the letter's file unless somebody took it */

/* Makes the exchange's curl handle, ready to be added; addresses and tlsa are set. ERR_NOMEM, ERR_INTERNAL.
 */
enum err transfer_begin(struct transfer *t, const struct claim_options *options,
                        const struct peer_policy *policy, int64_t now_mono_ms);
/* Over its deadline or below the minimum rate: ERR_TIMEOUT, ERR_SLOW; else ERR_OK. */
enum err transfer_check_clock(struct transfer *t, int64_t now_mono_ms);
/* The exchange is over: with curl's code, or because of cause (ERR_OK: none). Releases the handle, which must
 * be off the multi handle. True when it is to go on at not_before_mono_ms: with the rest of the body, or
 * (again is set) from the start, once the lists in gate.revocation were asked for. False when the outcome is
 * final. */
bool transfer_end(struct transfer *t, CURLcode code, enum err cause, int64_t now_mono_ms);
/* Sets a final error without an exchange. */
void transfer_fail(struct transfer *t, enum err err, const char *detail);

#endif
