/*
 * store_handover.c - see store_handover.h.
 *
 * A change notes in its transaction; the notes are added to the journal after the commit, and written and
 * synced with every flush, while the database's log is synced. So whoever is answered after a flush finds
 * what he was told in both. A power cut between the two syncs may leave an end in the database alone, of
 * which nobody was told yet: opening notes again what ended at the end of the journal's time. A claim in that
 * gap was not answered; when it is repeated, it is noted again.
 */
#include "store/store_handover.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/ticket_state.h"

#define META_KEY "handover"
#define AGAIN_S 300 /* before the journal's last entry: notes come behind their commits by less */

/* ---- notes --------------------------------------------------------------------------------------------- */

enum err change_note(struct change *c, const struct handover_entry *e)
{
    return c->s->handover == NULL ? ERR_OK : handover_encode(e, &c->notes);
}

enum err change_note_ticket(struct change *c, enum handover_kind what, uint32_t arg, const struct ticket *t,
                            int64_t at_s, struct span body)
{
    struct handover_entry e = {.what = what, .arg = arg, .at_s = at_s, .body = body};

    memcpy(e.key, t->key, sizeof e.key);
    memcpy(e.a, t->a, sizeof e.a);
    return change_note(c, &e);
}

enum err change_note_claim(struct change *c, const struct ticket *t, int64_t at_s)
{
    struct handover_entry e = {.what = HANDOVER_CLAIMED, .at_s = at_s};

    memcpy(e.key, t->key, sizeof e.key);
    memcpy(e.a, t->a, sizeof e.a);
    memcpy(e.extra, t->lease_token, sizeof t->lease_token);
    return change_note(c, &e);
}

static const struct {
    enum ticket_state state;
    enum handover_kind what;
    bool words; /* of the other side */
} end_row[] = {
    {TICKET_DELIVERED, HANDOVER_ACKED, false},
    {TICKET_REFUSED, HANDOVER_REFUSED, true},
    {TICKET_RETRACTED, HANDOVER_RETRACTED, false},
    {TICKET_EXPIRED, HANDOVER_EXPIRED, false},
    {TICKET_UNCONFIRMED, HANDOVER_UNCONFIRMED, false},
    {TICKET_BOUNCED, HANDOVER_BOUNCED, true},
    {TICKET_PLAIN, HANDOVER_PLAIN, false},
};

enum err change_note_words(struct change *c, enum handover_kind what, const struct ticket *t, int64_t at_s)
{
    char words[sizeof t->remote_reason + sizeof t->remote_text];
    size_t len = strlen(t->remote_reason) + 1;

    memcpy(words, t->remote_reason, len);
    memcpy(words + len, t->remote_text, strlen(t->remote_text) + 1);
    return change_note_ticket(c, what, 0, t, at_s, span_bytes(words, len + strlen(t->remote_text) + 1));
}

enum err change_note_end(struct change *c, const struct ticket *t, int64_t at_s)
{
    for (size_t i = 0; i < sizeof end_row / sizeof *end_row; i++) {
        if (end_row[i].state != t->state)
            continue;
        return end_row[i].words ? change_note_words(c, end_row[i].what, t, at_s)
                                : change_note_ticket(c, end_row[i].what, 0, t, at_s, span_bytes(NULL, 0));
    }
    return ERR_OK;
}

enum err change_note_job(struct change *c, enum handover_kind what, const struct job *j, int64_t at_s)
{
    struct handover_entry e = {.what = what, .at_s = at_s, .body = buf_span(&c->value)};

    memcpy(e.key, j->id, sizeof j->id);
    return change_note(c, &e);
}

/* ---- the flush ----------------------------------------------------------------------------------------- */

static enum err sync_both(void *arg)
{
    struct store *s = arg;
    bool noted = handover_sync(s->handover);
    enum err err = s->engine->ops->flush(s->engine), journal = noted ? handover_synced(s->handover) : ERR_OK;

    return err == ERR_OK ? journal : err;
}

enum err store_flush(struct store *s)
{
    return s->handover == NULL ? s->engine->ops->flush(s->engine) : group_sync_run(&s->flush, sync_both, s);
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static enum err put_id(struct change *c, void *arg)
{
    return c->s->engine->ops->put(c->txn, TABLE_META, SPAN_LITERAL(META_KEY),
                                  span_bytes(arg, HANDOVER_ID_BYTES));
}

static enum err del_id(struct change *c, void *arg)
{
    enum err err = c->s->engine->ops->del(c->txn, TABLE_META, SPAN_LITERAL(META_KEY));

    (void)arg;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

struct again {
    uint8_t key[TICKET_STORE_KEY_BYTES];
    int64_t since_s;
    struct ticket_record *r;
};

static enum err note_again(struct change *c, void *arg)
{
    struct again *a = arg;
    enum err err;

    memset(a->r, 0, sizeof *a->r);
    err = change_ticket_get(c, a->key, a->r);
    if (err == ERR_OK && ticket_state_ended(a->r->t.state) && a->r->t.changed_s >= a->since_s)
        err = change_note_end(c, &a->r->t, a->r->t.changed_s);
    /* Purged meanwhile, or damaged: check finds that. */
    return err == ERR_NOT_FOUND || err == ERR_STORE ? ERR_OK : err;
}

/* What ended shortly before the journal's last entry, or after it. */
static enum err note_ends_again(struct store *s, int64_t last_s)
{
    struct again a = {.since_s = last_s - AGAIN_S, .r = malloc(sizeof *a.r)};
    struct walk w;
    struct span key, value;
    int64_t timer_s;
    enum err err;

    if (a.r == NULL)
        return ERR_NOMEM;
    walk_init(&w, s, TABLE_TIMER, record_key_timer(TIMER_PURGE_TICKET, a.since_s + s->tombstone_s, NULL, 0),
              record_key_timer(TIMER_PURGE_TICKET, INT64_MAX, NULL, 0), false);
    while ((err = walk_next(&w, &key, &value)) == ERR_OK)
        if (record_key_timer_parse(key, sizeof a.key, &timer_s, a.key) &&
            (err = store_change_lazy(s, note_again, &a)) != ERR_OK)
            break;
    walk_free(&w);
    free(a.r);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err store_handover_open(struct store *s, const struct store_options *o, struct buf *why)
{
    const struct handover_options options = {.directory = o->handover_directory,
                                             .keep_s = o->handover_keep_s};
    struct handover_position at;
    bool known = false;
    struct buf id;
    int64_t last_s;
    enum err err;

    buf_init(&id, STORE_VALUE_MAX);
    err = store_read(s, TABLE_META, SPAN_LITERAL(META_KEY), &id);
    if (err == ERR_OK)
        known = id.len == HANDOVER_ID_BYTES;
    else if (err == ERR_NOT_FOUND)
        err = ERR_OK;
    if (err == ERR_OK && o->handover_directory == NULL) {
        if (id.len > 0)
            err = store_change(s, del_id, NULL);
        goto out;
    }
    if (err == ERR_OK)
        err = handover_open(&options, known ? (const uint8_t *)id.data : NULL, &s->handover, &last_s, why);
    if (err != ERR_OK)
        goto out;
    handover_position(s->handover, &at);
    if (!known || memcmp(id.data, at.id, sizeof at.id) != 0)
        err = store_change(s, put_id, at.id);
    else
        err = note_ends_again(s, last_s);
    if (err == ERR_OK)
        err = store_flush(s);
out:
    buf_free(&id);
    return err;
}
