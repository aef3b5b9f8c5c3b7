/*
 * verify_internal.h - what the files of store_verify share.
 */
#ifndef STORE_VERIFY_INTERNAL_H
#define STORE_VERIFY_INTERNAL_H

#include "store/store_internal.h"
#include "store/store_payload.h"
#include "store/verify.h"

#define VERIFY_PROBLEMS_MAX 16

struct verify {
    struct store *s;
    const struct verify_options *o;
    struct verify_result *result;
    int64_t now_s;
    /* the record that is being looked at */
    enum engine_table table;
    uint8_t key[ENGINE_KEY_MAX];
    size_t key_len;
    struct {
        const char *what, *text;
        bool repaired;
    } problem[VERIFY_PROBLEMS_MAX];
    size_t problems;
    bool changed;         /* there is something to commit */
    char quarantine[256]; /* the name of its file; "" */
    struct buf value;     /* as it lies in the table */
    struct buf extra;
    int blob_fd;      /* of the payload that is being looked at; -1: none */
    bool blob_unread; /* there is one, which cannot be opened */
    union {
        struct ticket_record *ticket;
        struct job_record *job;
        struct attempt_record *attempt;
        void *any;
    } r; /* scratch of VERIFY_RECORD_BYTES */
};
#define VERIFY_RECORD_BYTES (sizeof(union verify_any))
union verify_any {
    struct ticket_record ticket;
    struct job_record job;
    struct attempt_record attempt;
};

/* Looks at one record in a transaction: body reads it again (ERR_NOT_FOUND: it has gone), says what is wrong
 * with verify_problem, and where that says so repairs it. Then tells. */
typedef enum err (*verify_body)(struct change *c, struct verify *v);
enum err verify_record(struct verify *v, enum engine_table table, struct span key, verify_body body);
/* What it is made of, for what is no record: the record is named, what is said of it is told. */
void verify_begin(struct verify *v, enum engine_table table, struct span key);
void verify_tell(struct verify *v, bool committed);
/* In the quarantine's own list. */
void verify_note(const struct verify *v, const struct verify_finding *f);
/* Every row of a table. */
enum err verify_table(struct verify *v, enum engine_table table, verify_body body);
/* A record that is damaged. (A store whose records are of a later version does not open: one that says so
 * is.) */
bool verify_unreadable(enum err err);
/* True: it is to be repaired in this change. */
bool verify_problem(struct verify *v, const char *what, const char *text);
/* The last one cannot be repaired. */
void verify_no_repair(struct verify *v);
/* Bytes that are about to be taken out are put into the quarantine; ERR_CANCELLED when there is none. */
enum err verify_quarantine(struct verify *v, struct span bytes);
/* The same of v->value, v->extra and v->blob_fd: a payload's record, which has its sealed key, and the bytes
 * as they are. ERR_CANCELLED also when these cannot be read: what nobody has elsewhere stays. */
enum err verify_quarantine_bytes(struct verify *v);
/* Reads a row into v->extra. */
enum err verify_get(struct change *c, struct verify *v, enum engine_table table, struct span key);
/* The row itself: v->value is quarantined, and it goes. */
enum err verify_take_out(struct change *c, struct verify *v);

/* As verify_record, of a payload, with its bytes at hand for: */
enum err verify_payload(struct verify *v, const uint8_t id[SEAL_PAYLOAD_ID_BYTES], verify_body body);
/* The payload of v->value, which p is, is put into the quarantine, and goes. */
enum err verify_payload_out(struct change *c, struct verify *v, struct payload_record *p);
/* verify_rows.c */
enum err verify_indexes(struct verify *v);
/* verify_files.c */
enum err verify_files(struct verify *v);
/* verify_sums.c */
enum err verify_sums(struct verify *v);

#endif
