/*
 * store_quota.c - the words of quota.h, and the sums behind them. A row stands in QUOTA under its kind and
 * the hash of its name, domains before owners.
 */
#include "store/store_quota.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/policy_record.h"

#define DOMAIN_KIND 'd'
#define OWNER_KIND 'o'
#define CHANGES_MAX 4096 /* names that one change touches */

/* One name's part in a change. */
struct quota_change {
    struct record_key key;
    bool domain;
    char name[STORE_ADDRESS_MAX];
    int64_t letters, bytes;
};

/* ---- names --------------------------------------------------------------------------------------------- */

static void lower(char *out, size_t size, const char *text)
{
    store_text(out, size, text);
    for (char *p = out; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
}

void payload_record_belongs(struct payload_record *p, const char *owner, const char *sender,
                            uint64_t letter_bytes)
{
    const char *at = strrchr(sender, '@');

    lower(p->owner, sizeof p->owner, owner);
    lower(p->domain, sizeof p->domain, at == NULL ? "" : at);
    p->letter_bytes = letter_bytes;
}

static void name_one(struct quota_name *out, size_t *count, bool domain, const char *name, const char *crowd)
{
    struct quota_name *n = &out[*count];

    if (name[0] == '\0')
        return;
    n->domain = domain;
    /* Too long: those who begin alike share it. */
    snprintf(n->name, sizeof n->name, "%s%s%s", name, domain || crowd[0] == '\0' ? "" : " ", crowd);
    ++*count;
}

size_t payload_record_names(const struct payload_record *p, struct quota_name out[QUOTA_NAMES_MAX])
{
    size_t all_len = strlen(QUOTA_KEPT_ALL), count = 0;
    const char *crowd;

    name_one(out, &count, false, p->owner, "");
    if (strncmp(p->domain, QUOTA_KEPT_ALL, all_len) != 0) {
        name_one(out, &count, true, p->domain, "");
        return count;
    }
    name_one(out, &count, true, QUOTA_KEPT_ALL, "");
    crowd = p->domain + all_len;
    if (crowd[0] == '\0') /* kept before there were shares */
        return count;
    name_one(out, &count, false, p->owner, crowd);
    name_one(out, &count, true, QUOTA_KEPT_ALL, crowd);
    if (crowd[0] == '[') {
        name_one(out, &count, false, p->owner, QUOTA_UNPROVEN);
        name_one(out, &count, true, QUOTA_KEPT_ALL, QUOTA_UNPROVEN);
    }
    return count;
}

/* What a name of kept mail says behind its mailbox or behind QUOTA_KEPT_ALL. */
static const char *crowd_of(const char *name)
{
    const char *at;

    if (strncmp(name, QUOTA_KEPT_ALL, strlen(QUOTA_KEPT_ALL)) == 0)
        return name + strlen(QUOTA_KEPT_ALL);
    at = strncmp(name, QUOTA_KEPT, strlen(QUOTA_KEPT)) == 0 ? strrchr(name, '@') : NULL;
    at = at == NULL ? NULL : strchr(at, ' ');
    return at == NULL ? "" : at + 1;
}

int64_t quota_share_of(int percent, int64_t limit)
{
    int64_t share = limit / 100 * percent + limit % 100 * percent / 100;

    return share == 0 && limit > 0 ? 1 : share;
}

int64_t quota_share(const char *name, int64_t limit)
{
    const char *crowd = crowd_of(name);

    if (crowd[0] == '\0')
        return limit;
    return quota_share_of(strcmp(crowd, QUOTA_UNPROVEN) == 0 ? QUOTA_UNPROVEN_PERCENT : QUOTA_CROWD_PERCENT,
                          limit);
}

static enum err row_key(const char *name, bool domain, struct record_key *out)
{
    struct record_key box;
    enum err err = key_box(name, &box);

    if (err != ERR_OK)
        return err;
    out->data[0] = domain ? DOMAIN_KIND : OWNER_KIND;
    memcpy(out->data + 1, box.data, box.len);
    out->len = box.len + 1;
    return ERR_OK;
}

/* ---- in a change --------------------------------------------------------------------------------------- */

static enum err add(struct change *c, const char *name, bool domain, int64_t letters, int64_t bytes)
{
    struct quota_change *q = (struct quota_change *)(void *)c->quota.data, mine;
    size_t count = c->quota.len / sizeof *q;
    enum err err;

    for (size_t i = 0; i < count; i++)
        if (q[i].domain == domain && strcmp(q[i].name, name) == 0) {
            q[i].letters += letters;
            q[i].bytes += bytes;
            return ERR_OK;
        }
    memset(&mine, 0, sizeof mine);
    mine.domain = domain;
    mine.letters = letters;
    mine.bytes = bytes;
    store_text(mine.name, sizeof mine.name, name);
    err = row_key(name, domain, &mine.key);
    return err == ERR_OK ? buf_append(&c->quota, &mine, sizeof mine) : err;
}

enum err change_quota_add(struct change *c, const struct payload_record *p, int sign)
{
    struct quota_name name[QUOTA_NAMES_MAX];
    size_t count = payload_record_names(p, name);
    enum err err = ERR_OK;

    for (size_t i = 0; i < count && err == ERR_OK; i++)
        err = add(c, name[i].name, name[i].domain, sign, sign * (int64_t)p->letter_bytes);
    return err;
}

/* Never less than nothing, whatever a damaged row had said. */
static uint64_t sum(uint64_t have, int64_t more)
{
    return more < 0 && (uint64_t)-more > have ? 0 : have + (uint64_t)more;
}

static int64_t with_reserve(int64_t limit, const struct quota_ask *ask)
{
    return ask->system_mail ? limit + limit / 100 * ask->limits->reserve_percent +
                                  limit % 100 * ask->limits->reserve_percent / 100
                            : limit;
}

static bool above(uint64_t have, int64_t more, int64_t limit, const struct quota_ask *ask)
{
    return limit > 0 && more > 0 && sum(have, more) > (uint64_t)with_reserve(limit, ask);
}

static bool mostly_used(uint64_t have, int64_t limit)
{
    return limit > 0 && have >= (uint64_t)limit / 100 * QUOTA_WARN_PERCENT +
                                    (uint64_t)limit % 100 * QUOTA_WARN_PERCENT / 100;
}

static void explain(const struct quota_use *u, int64_t letters_max, int64_t bytes_max, struct buf *why)
{
    static const struct {
        const char *name;
        double bytes;
    } units[] = {{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}};
    size_t unit = 0;

    buf_clear(why);
    buf_printf(why, "%s: %" PRIu64, u->name, u->letters);
    if (letters_max > 0)
        buf_printf(why, " of %" PRId64, letters_max);
    buf_append_str(why, " letters, ");
    while (unit < 2 && (bytes_max > 0 ? (double)bytes_max : (double)u->bytes) < units[unit].bytes)
        unit++;
    buf_printf(why, "%.1f", (double)u->bytes / units[unit].bytes);
    if (bytes_max > 0)
        buf_printf(why, " of %.1f", (double)bytes_max / units[unit].bytes);
    buf_printf(why, " %s", units[unit].name);
}

/* Before u changes: whether it may, and whether its owner is to be told that it has become much. */
static enum err judge(struct quota_use *u, const struct quota_change *q, struct quota_ask *ask)
{
    const struct quota_limits *l = ask->limits;
    int64_t letters_max = q->domain ? l->domain_letters : l->owner_letters;
    int64_t bytes_max = quota_share(u->name, q->domain ? l->domain_bytes : l->owner_bytes);

    if (above(u->letters, q->letters, letters_max, ask) || above(u->bytes, q->bytes, bytes_max, ask)) {
        if (ask->why != NULL)
            explain(u, letters_max, bytes_max, ask->why);
        return ERR_QUOTA;
    }
    if (crowd_of(u->name)[0] != '\0')
        return ERR_OK; /* a stranger's share: nobody is told */
    if (!mostly_used(u->letters, letters_max) && !mostly_used(u->bytes, bytes_max))
        u->warned_s = 0;
    if (u->warned_s == 0 && ask->tells &&
        (mostly_used(sum(u->letters, q->letters), letters_max) ||
         mostly_used(sum(u->bytes, q->bytes), bytes_max))) {
        u->warned_s = ask->now_s;
        if (q->domain) /* nobody in particular is to be told by a letter */
            log_warning("store: %s uses more than %d %% of its quota", u->name, QUOTA_WARN_PERCENT);
        else
            ask->warn = true;
    }
    return ERR_OK;
}

static enum err row_get(struct change *c, const struct quota_change *q, struct quota_use *u)
{
    enum err err = c->s->engine->ops->get(c->txn, TABLE_QUOTA, record_key_span(&q->key), true, &c->value);

    memset(u, 0, sizeof *u);
    if (err == ERR_OK)
        err = quota_record_decode(buf_span(&c->value), u);
    if (err == ERR_STORE) {
        log_error("store: what %s uses is damaged and counted anew from nothing", q->name);
        memset(u, 0, sizeof *u);
    }
    u->domain = q->domain;
    store_text(u->name, sizeof u->name, q->name);
    return err == ERR_STORE || err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err row_put(struct change *c, const struct quota_change *q, const struct quota_use *u)
{
    const struct engine_ops *ops = c->s->engine->ops;
    struct span key = record_key_span(&q->key);
    enum err err;

    if (u->letters == 0 && u->bytes == 0) {
        err = ops->del(c->txn, TABLE_QUOTA, key);
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    }
    buf_clear(&c->value);
    err = quota_record_encode(u, &c->value);
    return err == ERR_OK ? ops->put(c->txn, TABLE_QUOTA, key, buf_span(&c->value)) : err;
}

/* Owners before domains, which more wait for; and in one order, so that nobody waits in a circle. */
static int by_key_descending(const void *a, const void *b)
{
    const struct quota_change *x = a, *y = b;

    return memcmp(y->key.data, x->key.data, x->key.len);
}

enum err change_quota_settle(struct change *c, struct quota_ask *ask)
{
    struct quota_change *q = (struct quota_change *)(void *)c->quota.data;
    size_t count = c->quota.len / sizeof *q;
    enum err err = ERR_OK;

    if (count > 1)
        qsort(q, count, sizeof *q, by_key_descending);
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        struct quota_use u;

        if (q[i].letters == 0 && q[i].bytes == 0)
            continue;
        err = row_get(c, &q[i], &u);
        if (err == ERR_OK && ask != NULL && ask->limits != NULL)
            err = judge(&u, &q[i], ask);
        u.letters = sum(u.letters, q[i].letters);
        u.bytes = sum(u.bytes, q[i].bytes);
        if (err == ERR_OK)
            err = row_put(c, &q[i], &u);
    }
    buf_clear(&c->quota);
    return err;
}

enum err change_quota_correct(struct change *c, const struct quota_use *noted, const struct quota_use *u)
{
    struct quota_change q = {.domain = u->domain};
    struct quota_use was;
    enum err err = row_key(u->name, u->domain, &q.key);

    store_text(q.name, sizeof q.name, u->name);
    if (err == ERR_OK)
        err = row_get(c, &q, &was);
    if (err == ERR_OK && noted != NULL && (was.letters != noted->letters || was.bytes != noted->bytes))
        return ERR_NOT_FOUND;
    was.letters = u->letters;
    was.bytes = u->bytes;
    return err == ERR_OK ? row_put(c, &q, &was) : err;
}

void change_quota_init(struct change *c)
{
    buf_init(&c->quota, CHANGES_MAX * sizeof(struct quota_change));
}

/* ---- looking ------------------------------------------------------------------------------------------- */

enum err store_quota(struct store *s, const char *name, struct quota_use *out)
{
    struct quota_use u;
    struct record_key key;
    struct buf value;
    enum err err = strlen(name) >= sizeof u.name ? ERR_NOT_FOUND : row_key(name, name[0] == '@', &key);

    memset(&u, 0, sizeof u);
    buf_init(&value, STORE_VALUE_MAX);
    if (err == ERR_OK)
        err = store_read(s, TABLE_QUOTA, record_key_span(&key), &value);
    if (err == ERR_OK)
        err = quota_record_decode(buf_span(&value), &u);
    buf_free(&value);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return err;
    u.domain = name[0] == '@';
    lower(u.name, sizeof u.name, name);
    *out = u;
    return ERR_OK;
}

enum err store_quotas(struct store *s, size_t limit, bool (*each)(void *arg, const struct quota_use *u),
                      void *arg)
{
    struct record_key all = {.len = 0};
    struct span key, value;
    struct walk w;
    enum err err = ERR_OK;

    walk_init(&w, s, TABLE_QUOTA, all, all, false);
    while (limit > 0 && (err = walk_next(&w, &key, &value)) == ERR_OK) {
        struct quota_use u;

        memset(&u, 0, sizeof u);
        if (quota_record_decode(value, &u) != ERR_OK)
            continue; /* a damaged one harms only itself */
        limit--;
        if (!each(arg, &u))
            break;
    }
    walk_free(&w);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}
