/*
 * policy.h - the store's words on who may write to whom: what mailbox owners and the administrator decided
 * (policies, entries, tokens), whom people wrote to, which domains were seen, and what is good for one use
 * only.
 *
 * Mailboxes are "local@domain" in lower case without detail ("bob@b.test"), a domain's defaults belong to
 * "@b.test". Functions marked DURABLE as in store.h; the others may be forgotten in a crash. Thread-safe.
 * Errors besides those named: as in store.h. All strings in structs are NUL-terminated.
 */
#ifndef STORE_POLICY_H
#define STORE_POLICY_H

#include "store/store.h"

#define POLICY_NOTE_MAX 200
#define POLICY_QUESTION_MAX 300
#define POLICY_ANSWERS_MAX 1000
#define POLICY_TOKEN_MAX 64 /* bytes of a token's text: lower-case letters, digits, '-', '_' */

/* ---- policies: how a mailbox (or, as default, a domain) treats those it does not know */

enum policy_rule { RULE_DEFAULT, RULE_OPEN, RULE_KNOWN, RULE_CHALLENGE, RULE_COUNT };
enum policy_legacy { LEGACY_DEFAULT, LEGACY_ACCEPT, LEGACY_ATTEMPT, LEGACY_REJECT, LEGACY_COUNT };
enum policy_mode { MODE_DEFAULT, MODE_OBSERVE, MODE_ENFORCE, MODE_COUNT }; /* domains alone */
enum policy_denial { DENIAL_DEFAULT, DENIAL_SILENT, DENIAL_TOLD, DENIAL_COUNT };
enum policy_challenge { CHALLENGE_DEFAULT, CHALLENGE_WORK, CHALLENGE_QUESTION, CHALLENGE_COUNT };
enum policy_switch { SWITCH_DEFAULT, SWITCH_ON, SWITCH_OFF, SWITCH_COUNT };

struct policy {
    enum policy_rule rule;
    enum policy_legacy legacy;
    enum policy_mode mode;
    enum policy_denial denial;
    enum policy_challenge challenge;
    enum policy_switch correspondents; /* whom the owner writes to may write back */
    char question[POLICY_QUESTION_MAX + 1];
    char answers[POLICY_ANSWERS_MAX + 1]; /* one a line, compared without case and outer blanks */
    int64_t changed_s;
};
/* What is stored under exactly this name. ERR_NOT_FOUND. */
enum err store_policy_get(struct store *s, const char *name, struct policy *out);
enum err store_policy_put(struct store *s, const char *name, const struct policy *p); /* DURABLE */

/* ---- entries: allow and deny */

enum entry_kind {
    ENTRY_ADDRESS,    /* value "a@a.test": the author, when From is aligned */
    ENTRY_ENVELOPE,   /* "a@a.test": the sender in the envelope, whatever From says */
    ENTRY_DOMAIN,     /* "a.test": that domain alone */
    ENTRY_SUBDOMAINS, /* "a.test": whatever is below it (written ".a.test") */
    ENTRY_LIST,       /* a list-id (RFC 2919), with the verified domain that it comes from */
    ENTRY_KIND_COUNT
};
struct entry {
    char mailbox[STORE_ADDRESS_MAX];
    enum entry_kind kind;
    char value[STORE_ADDRESS_MAX]; /* normal form, lower case */
    char domain[256];              /* ENTRY_LIST: the list's verified domain; "" otherwise */
    bool deny;
    bool solved;                /* made by an answered challenge */
    int64_t created_s, until_s; /* until_s 0: for ever */
    char note[POLICY_NOTE_MAX + 1];
};
/* DURABLE. One entry a (mailbox, kind, value): allow replaces deny and the other way round. */
enum err store_entry_put(struct store *s, const struct entry *e);
enum err store_entry_remove(struct store *s, const char *mailbox, enum entry_kind kind, const char *value);
/* ERR_NOT_FOUND, also for one whose time is over at now_s. */
enum err store_entry_get(struct store *s, const char *mailbox, enum entry_kind kind, const char *value,
                         int64_t now_s, struct entry *out);
/* mailbox NULL: all. Those that are over included. */
enum err store_entries(struct store *s, const char *mailbox, bool (*each)(void *arg, const struct entry *e),
                       void *arg);

/* ---- people that somebody wrote to */

/* Lazy. An existing one gets the later end; written only when it moves by more than a tenth. */
enum err store_correspondent_add(struct store *s, const char *mailbox, const char *address, int64_t now_s,
                                 int64_t until_s);
enum err store_correspondent_get(struct store *s, const char *mailbox, const char *address, int64_t now_s,
                                 int64_t *since_s); /* ERR_NOT_FOUND */
enum err store_correspondent_remove(struct store *s, const char *mailbox, const char *address);
enum err store_correspondents(struct store *s, const char *mailbox,
                              bool (*each)(void *arg, const char *address, int64_t since_s, int64_t until_s),
                              void *arg);

/* ---- tokens: user+token@domain */

struct token {
    char mailbox[STORE_ADDRESS_MAX];
    char token[POLICY_TOKEN_MAX + 1];
    int64_t created_s, until_s; /* 0: for ever */
    uint32_t letters_max;       /* 0: any number */
    uint32_t letters_used;
    bool bind;       /* to the organisational domain that uses it first */
    char bound[256]; /* that domain; "" not yet */
    bool revoked;    /* kept, so that it is listed and never made again */
    int64_t used_s;  /* last */
    char note[POLICY_NOTE_MAX + 1];
};
enum err store_token_add(struct store *s, const struct token *t); /* DURABLE. ERR_EXISTS */
enum err store_token_revoke(struct store *s, const char *mailbox, const char *token); /* DURABLE */
enum err store_token_get(struct store *s, const char *mailbox, const char *token, struct token *out);
enum err store_tokens(struct store *s, const char *mailbox, bool (*each)(void *arg, const struct token *t),
                      void *arg);
/* Whether it admits a letter from this organisational domain now: not revoked, in time, not used up, bound to
 * nobody or to this domain. Pure. */
bool token_admits(const struct token *t, const char *organisation, int64_t now_s);
/* DURABLE: one letter by legacy mail. use: SHA-256 of what makes the message the same (reverse-path,
 * recipient, Message-ID); within a day the same one uses nothing. ERR_FORBIDDEN when it admits nobody (any
 * more), ERR_NOT_FOUND. (Stubs use a token by store_job_add: see struct job.) */
enum err store_token_use(struct store *s, const char *mailbox, const char *token, const char *organisation,
                         const uint8_t use[32], int64_t now_s);
/* ERR_OK when store_token_use did it for the same message within a day: its client tries again, and the token
 * may be used up by it. ERR_NOT_FOUND. */
enum err store_token_used(struct store *s, const char *mailbox, const char *token, const uint8_t use[32],
                          int64_t now_s);

/* ---- domains seen, things for one use */

/* Lazy: notes that verified mail of this organisational domain came; *first_s: since when such came (now_s
 * for a new one). */
enum err store_domain_seen(struct store *s, const char *organisation, int64_t now_s, int64_t *first_s);
/* The same without noting. ERR_NOT_FOUND. */
enum err store_domain_first_seen(struct store *s, const char *organisation, int64_t *first_s);

/* DURABLE: ERR_OK the first time for these 32 bytes (a hash), ERR_EXISTS until expires_s ever after. */
enum err store_spend(struct store *s, const uint8_t what[32], int64_t expires_s);

#endif
