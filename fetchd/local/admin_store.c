/*
 * admin_store.c - see admin_store.h.
 */
#include "local/admin_store.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "local/question.h"
#include "settings/settings.h"
#include "store/backup.h"

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
