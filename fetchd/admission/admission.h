/*
 * admission.h - whether a message is wanted, before anything of it is pulled or kept: facts in, verdict and
 * reason out:
 *
 *   rate -> form -> MX -> SPF -> reverse DNS -> designation -> age -> From      who is it?
 *     -> role -> denied -> allowed -> token -> correspondent -> mailbox's rule  is he wanted?
 *     => admit | wait | challenge | deny | refuse | pass
 *
 * Each check is one file (check_*.c) and one row of the table in admission.c, in the order in which they are
 * asked, cheapest first; the first that has something to say decides. The same table judges stubs, whole
 * messages without a stub ("legacy"), and what `restantectl explain` replays. Nothing is stored here but in
 * memory (rates): what a verdict means for the store is the caller's.
 *
 * A struct facts belongs to one thread; everything else is thread-safe.
 */
#ifndef ADMISSION_ADMISSION_H
#define ADMISSION_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "admission/entry.h"
#include "admission/reason.h"
#include "base/buf.h"
#include "base/netaddr.h"
#include "dns/designation.h"
#include "mail/address.h"
#include "mail/stub.h"
#include "store/policy.h"

struct env;
struct settings;
struct admission;

enum verdict {
    VERDICT_NEXT,      /* a check: nothing against it, the next one is asked */
    VERDICT_ADMIT,     /* pull it; legacy: accept */
    VERDICT_WAIT,      /* a contact attempt */
    VERDICT_CHALLENGE, /* a contact attempt whose sender is asked to prove himself */
    VERDICT_DENY,      /* dropped; the sender is told as the mailbox chose (facts.tell_denied) */
    VERDICT_REFUSE,    /* 4xx or 5xx by the reason's error */
    VERDICT_PASS,      /* goes on as ordinary mail: the sender's domain is testing */
    VERDICT_LATER, /* only with deadline 0: an answer is not in the cache, ask again where waiting is fine */
    VERDICT_COUNT
};
const char *verdict_name(enum verdict v); /* "admit" ... */

enum facts_kind { FACTS_STUB = 1, FACTS_LEGACY = 2 };

/* A verdict with its reason, and words beyond the reason's own ("" when these say all). */
struct finding {
    enum verdict verdict;
    enum reason reason;
    char text[200];
};

struct facts {
    enum facts_kind kind;
    /* as it came: set by the caller */
    struct netaddr client;          /* family 0: not known (then the client's checks cannot pass) */
    const char *client_name, *helo; /* borrowed; may be NULL */
    const struct span *received;    /* raw values of the Received fields, topmost first; borrowed */
    size_t received_count;
    struct address sender;     /* reverse-path; a stub's own is restante+tag@domain */
    struct address originator; /* a stub's f=; legacy: = sender */
    struct address recipient;
    struct address author; /* of From; null when there is none or several */
    const char *link_host; /* stub; borrowed */
    uint16_t link_port;
    char list_id[256]; /* lower case, without <>; "" */
    bool report;       /* legacy: null reverse-path and multipart/report */
    bool bulk;         /* a list, Precedence or Auto-Submitted: never challenged */
    int64_t now_s;
    int64_t deadline_mono_ms; /* for all DNS together; 0: cached answers only */
    bool replay;       /* explain: nothing is counted, and all checks are asked, whatever was found before */
    bool rate_counted; /* asked again after VERDICT_LATER */
    const uint8_t *letter; /* 32 bytes; legacy: what makes it the same when its client tries again; borrowed,
                              NULL when not known */
    /* found by the checks, in order; zero before */
    char author_key[ADDRESS_TEXT_MAX]; /* address_key; "" for none */
    char originator_key[ADDRESS_TEXT_MAX];
    char mailbox[ADDRESS_TEXT_MAX];    /* the recipient's, lower case, without detail */
    char detail[POLICY_TOKEN_MAX + 1]; /* "" */
    char organisation[256];            /* of the sender's domain */
    bool relayed;                      /* came through a trusted relay */
    bool client_skipped;               /* and where it entered is not known: client checks are skipped */
    bool entered_known;                /* the three members below are set */
    struct netaddr entered;            /* what the client checks look at */
    char entered_helo[256];            /* "" when not told */
    char entered_name[256];            /* confirmed reverse DNS name; "" */
    char spf[16];                      /* "pass" ...; "" not asked */
    char iprev[16];                    /* the same for the reverse DNS (RFC 8601 2.7.3) */
    bool doubted;                      /* one of the proofs failed, and the next was asked all the same */
    /* The sender's domain is proven: all checks up to designation passed; of a whole message, SPF. What is
     * pulled for a stub without this is proven by its link host alone. */
    bool verified;
    struct designation designation;
    int64_t first_seen_s, registered_s; /* 0: not known */
    bool young;
    bool aligned;                         /* author and verified domain have one organisation */
    const char *identity;                 /* points to identity_text */
    char identity_text[ADDRESS_TEXT_MAX]; /* author when aligned, else originator; lower case */
    struct policy policy;             /* the mailbox's, with its domain's and the site's defaults filled in */
    char token[POLICY_TOKEN_MAX + 1]; /* that admits it; the caller uses it up */
    bool tell_denied;
    bool policy_known; /* policy is set */
    /* In observe mode, or because the sender's domain is testing: overruled has the finding that would have
     * decided. */
    bool observed;
    struct finding overruled;
};

/* f->entered and its companions, found out once (check_entered.c). */
void facts_entered(struct admission *a, struct facts *f);

/* One row. It may set facts of its own. ERR_* only for our own failures (store, memory): temporary. */
struct check {
    const char *name; /* as `restantectl explain` shows it */
    unsigned kinds;   /* enum facts_kind bits */
    enum err (*ask)(struct admission *a, struct facts *f, struct finding *out);
};
extern const struct check admission_checks[];
extern const size_t admission_check_count;

/* Borrows env (settings, site, store, resolver) for its life. */
enum err admission_create(const struct env *env, struct admission **out, struct buf *why);
void admission_free(struct admission *a);

/*
 * Asks the checks in order until one decides (with f->replay: all of them; the first that is no VERDICT_NEXT
 * decides). After each that was asked, told(arg, check, finding) is called (told may be NULL). *out:
 * VERDICT_LATER only with deadline 0.
 *
 * In observe mode what would be refused, denied or kept waiting is admitted where that can be (a stub whose
 * link host is designated; a whole message always), and passed on as ordinary mail where not; a designation
 * that cannot be asked is temporary all the same. Of a testing domain (t=y) nothing is refused for its MX,
 * SPF or reverse DNS, the recipient's word stands. f->overruled then has the real finding, and an admission
 * has its reason.
 */
enum err admission_judge(struct admission *a, struct facts *f,
                         void (*told)(void *arg, const struct check *c, const struct finding *found),
                         void *arg, struct finding *out);

/* The policy in force of a mailbox: its own, else its domain's, else the site's. No member is _DEFAULT
 * afterwards. */
enum err admission_policy(struct admission *a, const struct address *recipient, struct policy *out);
/* The site's own: what restante.conf says. Pure. */
struct policy admission_site_policy(const struct settings *s);
/* "bob@b.test" and "token" of bob+token@b.test with the configured separators; detail "" when there is none,
 * when it is too long, or no token's text. Pure but for the settings. */
void admission_mailbox(const struct admission *a, const struct address *recipient,
                       char mailbox[ADDRESS_TEXT_MAX], char detail[POLICY_TOKEN_MAX + 1]);

/* One line for the log and Authentication-Results: "spf=pass smtp.mailfrom=a.test; iprev=pass
 * policy.iprev=192.0.2.1"; bounded. */
void admission_proof(const struct facts *f, char out[256]);

#endif
