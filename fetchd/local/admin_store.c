/*
 * admin_store.c - see admin_store.h.
 */
#include "local/admin_store.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "local/question.h"
#include "settings/settings.h"
#include "store/backup.h"
#include "store/verify.h"

#define WHY_MAX 4096

/* A backup of the backup's own directory would never end. */
static bool lies_in(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    return len > 0 && strncmp(path, directory, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static const char *backup_directory(struct question *q)
{
    const char *directory = question_need(q, "directory");

    if (directory[0] != '/')
        question_fail(q, ERR_SYNTAX, "directory: an absolute path");
    else if (lies_in(directory, q->env->settings->data_directory))
        question_fail(q, ERR_SYNTAX, "directory: a place outside of data_directory");
    return directory;
}

static void make_backup(struct question *q, const char *directory)
{
    struct store_backup made = {.number = 0};
    struct rows *r = q->rows;
    int64_t began_ms = clock_mono_ms();
    struct buf why;

    buf_init(&why, WHY_MAX);
    log_info("backup into %s begins", directory);
    enum err e = store_backup(q->env->store, directory, RESTANTE_VERSION, &made, &why);
    if (e) {
        log_error("backup: %s", why.len ? buf_cstr(&why) : err_text(e));
        question_fail(q, e, "%s%s", why.len ? buf_cstr(&why) : err_text(e),
                      e == ERR_FORBIDDEN ? " (restante-fetchd writes it, as its own user)" : "");
    } else {
        log_info("backup %llu is complete in %s", (unsigned long long)made.number, directory);
        rows_begin(r);
        rows_number(r, "number", (int64_t)made.number);
        rows_text(r, "kind", made.full ? "full" : "incremental");
        rows_text(r, "directory", directory);
        rows_number(r, "files", (int64_t)made.tally.files);
        rows_number(r, "bytes", (int64_t)made.tally.bytes);
        rows_number(r, "payloads", (int64_t)made.payloads);
        rows_number(r, "payloads_new", (int64_t)made.tally.payloads);
        rows_number(r, "payload_bytes_new", (int64_t)made.tally.payload_bytes);
        rows_number(r, "milliseconds", clock_mono_ms() - began_ms);
        rows_text(r, "site_keys", "not in it: keep a copy of the key file elsewhere");
    }
    buf_free(&why);
}

void admin_backup(void *env, struct http_exchange *x)
{
    struct question q;

    question_open(&q, env, x);
    if (!q.who.all)
        question_forbid(&q, "a backup");
    const char *directory = backup_directory(&q);
    if (question_rows(&q, "backup"))
        make_backup(&q, directory);
    question_close(&q);
}

/* ---- check */

struct findings {
    struct verify_finding *finding; /* owned; its quarantine too */
    size_t count, room;
    enum err err;
};

static void note_finding(void *arg, const struct verify_finding *f)
{
    struct findings *list = arg;

    log_warning("check: %s: %s %s: %s%s", f->what, f->table, f->key, f->text,
                f->repaired ? " (repaired)" : "");
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        void *more = reallocarray(list->finding, room, sizeof *list->finding);
        if (!more) {
            list->err = ERR_NOMEM;
            return;
        }
        list->finding = more;
        list->room = room;
    }
    list->finding[list->count] = *f;
    list->finding[list->count].quarantine = strdup(f->quarantine);
    if (!list->finding[list->count++].quarantine)
        list->err = ERR_NOMEM;
}

static void add_findings(struct rows *r, const struct verify_result *result, const struct findings *list)
{
    rows_begin(r);
    rows_number(r, "records", (int64_t)result->records);
    rows_number(r, "rows", (int64_t)result->rows);
    rows_number(r, "findings", (int64_t)result->findings);
    rows_number(r, "repaired", (int64_t)result->repaired);
    rows_text(r, "sums", result->sums ? "compared" : "not compared: too much changed meanwhile");
    for (size_t i = 0; i < list->count; i++) {
        const struct verify_finding *f = &list->finding[i];

        rows_begin(r);
        rows_text(r, "what", f->what);
        rows_text(r, "table", f->table);
        rows_text(r, "key", f->key);
        rows_text(r, "text", f->text);
        rows_text(r, "repaired", f->repaired ? "yes" : "no");
        rows_text(r, "quarantine", f->quarantine);
    }
}

static bool flag(struct question *q, const char *name)
{
    const char *text = question_get(q, name);

    if (text && strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
        question_fail(q, ERR_SYNTAX, "%s: yes or no", name);
    return text && strcmp(text, "yes") == 0;
}

void admin_check(void *env, struct http_exchange *x)
{
    struct question q;
    struct findings list = {.err = ERR_OK};
    struct verify_result result;
    char quarantine[WHY_MAX];

    question_open(&q, env, x);
    if (!q.who.all)
        question_forbid(&q, "a check");
    snprintf(quarantine, sizeof quarantine, "%s/quarantine", q.env->settings->data_directory);
    const struct verify_options options = {.repair = flag(&q, "repair"),
                                           .deep = flag(&q, "deep"),
                                           .quarantine = quarantine,
                                           .each = note_finding,
                                           .arg = &list};
    if (question_rows(&q, "check")) {
        q.err = store_verify(q.env->store, &options, &result);
        if (!q.err)
            q.err = list.err;
        if (!q.err)
            add_findings(q.rows, &result, &list);
    }
    for (size_t i = 0; i < list.count; i++)
        free((void *)(uintptr_t)list.finding[i].quarantine);
    free(list.finding);
    question_close(&q);
}
