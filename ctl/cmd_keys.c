/*
 * cmd_keys.c - the site keys: root edits their file here, and restante-fetchd is asked to read it again.
 *
 * A key's octets pass from the random number generator into the file, and nowhere else.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "ask.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/secret.h"
#include "base/when.h"
#include "local/api.h"
#include "settings/settings.h"
#include "ticket/keyfile.h"

#define EPOCH_MAX UINT16_MAX
#define JSON_MAX (1024 * 1024)

/* One call of a command: what the file says, and what restante-fetchd says. */
struct keys {
    const struct command *command;
    struct settings *settings;
    const char *file;       /* as configured, or --file; borrows */
    bool other_file;        /* --file: fetchd does not read it */
    struct site_keys *read; /* of the file; NULL: not to be read here */
    struct ask ask;         /* fetchd's last answer */
    bool answered;
    enum err err;
    struct buf why;
};

static void keys_open(struct keys *k, const struct command *c)
{
    const char *file = command_value(c, "file");

    *k = (struct keys){.command = c};
    (void)secret_forbid_cores(); /* all keys of the site pass through here */
    buf_init(&k->why, 8192);
    k->err = settings_load(c->config, &k->settings, &k->why);
    if (k->err == ERR_IO)
        k->err = ERR_CONFIG; /* a file that cannot be read is as wrong as one that can */
    k->other_file = file != NULL;
    k->file = file ? file : k->err ? NULL : k->settings->site_keys_file;
}

static int keys_close(struct keys *k)
{
    int status = k->err ? ask_failed(k->err, &k->why) : EX_OK;

    if (k->ask.command)
        ask_free(&k->ask);
    site_keys_free(k->read);
    settings_free(k->settings);
    buf_free(&k->why);
    return status;
}

/* Asks fetchd; parameter NULL: only for the list. False, and no error, when it does not run. */
static bool call(struct keys *k, const char *parameter, const char *value)
{
    if (k->err)
        return false;
    if (k->ask.command)
        ask_free(&k->ask);
    ask_init(&k->ask, k->command, API_KEYS_PATH);
    k->ask.patient = true; /* it looks through the store */
    if (parameter)
        ask_add(&k->ask, parameter, value);
    k->answered = parameter ? ask_post(&k->ask, "keys") : ask_get(&k->ask, "keys");
    if (!k->answered && !(k->ask.err == ERR_UNAVAILABLE && k->ask.status == 0)) {
        k->err = k->ask.err;
        (void)buf_append_span(&k->why, buf_span(&k->ask.why));
    }
    return k->answered;
}

/* The row of an epoch in fetchd's answer; -1: it does not know it. */
static int row_of(const struct keys *k, uint16_t epoch)
{
    size_t count = k->answered ? rows_count(k->ask.rows) : 0;

    for (size_t i = 0; i < count; i++)
        if (rows_get_number(k->ask.rows, i, "epoch") == epoch)
            return (int)i;
    return -1;
}

static const char *row_text(const struct keys *k, int row, const char *key)
{
    return row < 0 ? "" : rows_get_text(k->ask.rows, (size_t)row, key);
}

static bool row_is(const struct keys *k, int row, const char *state)
{
    return strcmp(row_text(k, row, "state"), state) == 0;
}

static int64_t row_time(const struct keys *k, int row, const char *key)
{
    int64_t s = 0;
    const char *text = row_text(k, row, key);

    return text[0] && when_parse(span_of(text), 0, &s) == ERR_OK ? s : 0;
}

/* The key with the highest epoch in the file. */
static struct site_key_info newest(const struct keys *k)
{
    struct site_key_info info = {.epoch = 0};

    for (size_t i = 0; site_keys_info(k->read, i, &info); i++)
        ;
    return info;
}

/* ---- list */

static void add_epoch(struct rows *out, const struct keys *k, uint16_t epoch,
                      const struct site_key_info *in_file)
{
    int row = row_of(k, epoch);
    char fingerprint[ENCODE_HEX_LEN(SITEKEY_FINGERPRINT_BYTES) + 1] = "";
    const char *state = row_text(k, row, "state"), *known = row_text(k, row, "fingerprint");

    if (in_file)
        encode_hex(in_file->fingerprint, sizeof in_file->fingerprint, fingerprint);
    if (k->read && !in_file && !row_is(k, row, "retired"))
        state = "missing in the file";
    else if (in_file && row >= 0 && strcmp(known, fingerprint) != 0)
        state = "another key in the file";
    else if (in_file && row < 0)
        state = k->answered ? "not read yet" : epoch == newest(k).epoch ? "newest" : "older";
    rows_begin(out);
    rows_number(out, "epoch", epoch);
    rows_text(out, "state", state);
    rows_time(out, "since", row >= 0 ? row_time(k, row, "since") : in_file ? in_file->since_s : 0);
    rows_time(out, "until", row_time(k, row, "until"));
    rows_time(out, "retired", row_time(k, row, "retired"));
    rows_text(out, "fingerprint", in_file ? fingerprint : known);
}

/* All that the file or fetchd has. */
static struct rows *merge(struct keys *k)
{
    struct site_key_info info;
    struct rows *out = NULL;
    size_t in_file = 0;

    if (!k->err)
        k->err = rows_create("keys", &out);
    for (uint32_t epoch = 1; !k->err && epoch <= EPOCH_MAX; epoch++) {
        bool has = k->read && site_keys_info(k->read, in_file, &info) && info.epoch == epoch;
        if (has)
            in_file++;
        if (has || row_of(k, (uint16_t)epoch) >= 0)
            add_epoch(out, k, (uint16_t)epoch, has ? &info : NULL);
    }
    return out;
}

static const struct table_column key_columns[] = {
    {"EPOCH", "epoch", 0, false},    {"STATE", "state", 0, false},
    {"SINCE", "since", 0, true},     {"NOT-BEFORE", "until", 0, true},
    {"RETIRED", "retired", 0, true}, {"FINGERPRINT", "fingerprint", 0, false},
};

static int command_list(const struct command *c)
{
    struct keys k;
    struct buf json;

    keys_open(&k, c);
    /* A credential is fetchd's alone: what it says is all then. */
    if (!k.err && !keyfile_is_credential(k.file))
        k.err = keyfile_load(k.file, &k.read, &k.why);
    if (!call(&k, NULL, NULL) && !k.err) {
        if (k.read)
            fputs("restantectl: restante-fetchd does not run: what is in use is not known\n", stderr);
        else if (buf_append_str(&k.why, "restante-fetchd does not run") == ERR_OK)
            k.err = ERR_UNAVAILABLE;
    }
    struct rows *rows = merge(&k);
    buf_init(&json, JSON_MAX);
    if (!k.err && c->json && !(k.err = rows_format(rows, &json)))
        fwrite(json.data, 1, json.len, stdout);
    else if (!k.err)
        table_print(stdout, rows, key_columns, sizeof key_columns / sizeof *key_columns);
    buf_free(&json);
    rows_free(rows);
    return keys_close(&k);
}

/* ---- rotate */

static void edit_file(struct keys *k, const struct keyfile_edit *edit)
{
    if (!k->err)
        k->err = keyfile_edit(k->file, edit, &k->why);
    if (k->err)
        return;
    site_keys_free(k->read);
    k->read = NULL;
    k->err = keyfile_load(k->file, &k->read, &k->why);
}

/* Reads the file, and has fetchd read it: what is wrong with it must be said before anything is added to it.
 */
static void agree(struct keys *k)
{
    if (!k->err)
        k->err = keyfile_load(k->file, &k->read, &k->why);
    if (k->other_file)
        call(k, NULL, NULL);
    else
        call(k, "reload", "yes");
}

static bool is_due(const struct keys *k)
{
    struct site_key_info key = newest(k);
    int64_t life_s = k->settings->site_key_lifetime_s;
    int64_t since_s = key.since_s ? key.since_s : row_time(k, row_of(k, key.epoch), "since");

    return life_s > 0 && clock_now_s() - since_s >= life_s;
}

/* One that neither the file nor the store has ever had. */
static uint16_t next_epoch(struct keys *k)
{
    int64_t highest = newest(k).epoch;

    for (size_t i = 0; k->answered && i < rows_count(k->ask.rows); i++)
        if (rows_get_number(k->ask.rows, i, "epoch") > highest)
            highest = rows_get_number(k->ask.rows, i, "epoch");
    if (highest >= EPOCH_MAX) {
        k->err = ERR_EXISTS;
        (void)buf_append_str(&k->why, "no epoch is left: the highest has been used");
        return 0;
    }
    return (uint16_t)(highest + 1);
}

static void add_key(struct keys *k)
{
    bool runs = k->answered;
    struct keyfile_edit edit = {.since_s = clock_now_s()};

    if (k->err || !(edit.add = next_epoch(k)))
        return;
    edit_file(k, &edit);
    if (k->err)
        return;
    if (!runs || k->other_file) {
        printf("%s: a key of epoch %u, which restante-fetchd uses after its next start\n", k->file, edit.add);
    } else if (call(k, "reload", "yes")) {
        printf("%s: a key of epoch %u, in use from now on\n", k->file, edit.add);
    } else {
        (void)buf_printf(&k->why, "%s%s has a new key of epoch %u, but restante-fetchd does not use it yet",
                         k->why.len ? "; " : "", k->file, edit.add);
        k->err = k->err ? k->err : ERR_UNAVAILABLE;
    }
    puts("Renew the copy of this file that you keep apart from the backups of the store.");
}

/* Keys of which nothing is left: fetchd notes that they are over, and only then they go. */
static void remove_unused(struct keys *k)
{
    struct site_key_info info;
    uint16_t *drop = calloc(SITEKEY_EPOCHS_MAX, sizeof *drop);
    struct keyfile_edit edit = {.drop = drop};
    char number[8];

    if (!drop && !k->err)
        k->err = ERR_NOMEM;
    for (size_t i = 0; !k->err && k->answered && site_keys_info(k->read, i, &info); i++) {
        snprintf(number, sizeof number, "%u", info.epoch);
        if (row_is(k, row_of(k, info.epoch), "unused"))
            call(k, "retire", number);
        if (!k->err && row_is(k, row_of(k, info.epoch), "retired"))
            drop[edit.drop_count++] = info.epoch;
    }
    if (!k->err && edit.drop_count)
        edit_file(k, &edit);
    for (size_t i = 0; !k->err && i < edit.drop_count; i++)
        printf("%s: the key of epoch %u is gone, nothing was left of it\n", k->file, drop[i]);
    free(drop);
}

static int command_rotate(const struct command *c)
{
    struct keys k;
    bool due = command_value(c, "due") != NULL;

    keys_open(&k, c);
    if (!k.err && keyfile_is_credential(k.file)) {
        k.err = ERR_CONFIG;
        (void)buf_append_str(&k.why,
                             "the site keys are a credential of systemd: name the file that it comes from "
                             "(--file), and restart restante-fetchd afterwards");
    }
    agree(&k);
    if (!k.err && due && !k.answered) {
        k.err = ERR_UNAVAILABLE;
        (void)buf_append_str(&k.why, "restante-fetchd does not run: nothing is done");
    }
    if (!k.err && (!due || is_due(&k)))
        add_key(&k);
    remove_unused(&k);
    return keys_close(&k);
}

static const struct command_option list_options[] = {{"file", NULL, false}, {NULL, NULL, false}};
static const struct command_option rotate_options[] = {
    {"due", NULL, true}, {"file", NULL, false}, {NULL, NULL, false}};

const struct command_row commands_of_keys[] = {
    {"key list", "[--file FILE]", "the site keys: which is current, which are in use, never a key itself", 0,
     0, list_options, true, command_list},
    {"key rotate", "[--due] [--file FILE]",
     "puts a new site key in the place of the current one (--due: if it is old enough), and destroys those "
     "of\n"
     "      which nothing is left",
     0, 0, rotate_options, false, command_rotate},
    {.name = NULL},
};
