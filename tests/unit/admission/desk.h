/*
 * desk.h - a desk at which messages are judged: admission on a real store and a name server of the test's,
 * and messages of a few words.
 */
#ifndef TEST_ADMISSION_DESK_H
#define TEST_ADMISSION_DESK_H

#include "unit.h"

#include "../proof/zone.h"
#include "../store/rig.h"
#include "admission/admission.h"
#include "env/env.h"
#include "env/site.h"
#include "settings/settings.h"

#define NOW RIG_NOW_S

struct desk {
    struct rig rig;
    struct zone zone;
    struct settings settings;
    struct site site;
    struct env env;
    char *proxy[1], *relay[1];
};

/* Of a cmocka test: *state is a struct desk. good.test has all that is wanted of a sender's domain; each of
 * the others (desk.c) lacks one thing. */
int desk_set_up(void **state);
int desk_tear_down(void **state);

struct desk_message {
    enum facts_kind kind; /* 0: a stub */
    const char *sender;   /* NULL: x@domain's stub */
    const char *author, *recipient, *client, *list_id, *host;
    bool bulk, report;
};

void desk_address(const char *text, struct address *out);
/* The message's facts; host: for what they borrow. */
void desk_fill(const struct desk_message *m, char host[256], struct facts *f);
struct finding desk_judge(struct desk *b, const struct desk_message *m, struct facts *f);
/* Fails, by the case's name, if it is not judged so. */
void desk_expect(struct desk *b, const char *name, const struct desk_message *m, enum verdict v,
                 enum reason r);

/* What bob@b.test or the administrator said. until_s 0: for ever. */
void desk_put_entry(struct desk *b, const char *text, const char *domain, bool deny, bool solved,
                    int64_t until_s);
void desk_put_policy(struct desk *b, const char *name, struct policy p);
void desk_add_token(struct desk *b, struct token t, const char *text);

#endif
