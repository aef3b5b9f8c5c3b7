/*
 * files.c - see files.h.
 */
#include "files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "certificate/pem.h"
#include "settings/settings.h"
#include "ticket/keyfile.h"

#define LINE_MAX_BYTES 2048

static void complain(const struct settings *s, const char *name, const struct buf *wrong, struct buf *why)
{
    if (why->len > 0)
        buf_append_char(why, '\n');
    settings_place(s, name, why);
    buf_printf(why, ": %s", buf_cstr(wrong));
}

/* True: as it should be. */
static bool look(const struct settings *s, const char *name, const char *path,
                 enum err (*check)(const char *path, struct buf *why), struct buf *why)
{
    struct buf wrong;

    if (!path[0])
        return true;
    buf_init(&wrong, LINE_MAX_BYTES);
    enum err e = check(path, &wrong);
    if (e)
        complain(s, name, &wrong, why);
    buf_free(&wrong);
    return !e;
}

static void look_at_pair(const struct settings *s, const char *certificate_name, const char *certificate_file,
                         const char *key_name, const char *key_file, struct buf *why)
{
    bool good = look(s, certificate_name, certificate_file, pem_check_chain, why);
    struct buf wrong;

    good = look(s, key_name, key_file, pem_check_key, why) && good;
    if (!good || !certificate_file[0])
        return;
    buf_init(&wrong, LINE_MAX_BYTES);
    if (pem_check_pair(certificate_file, key_file, &wrong))
        complain(s, key_name, &wrong, why);
    buf_free(&wrong);
}

static enum err check_table(const char *path, struct buf *why)
{
    if (access(path, R_OK) == 0 ||
        errno == ENOENT) /* a missing one is empty; what it says, its reader says */
        return ERR_OK;
    buf_printf(why, "%s: %s", path, strerror(errno));
    return ERR_CONFIG;
}

static enum err check_keys(const char *path, struct buf *why)
{
    struct site_keys *keys = NULL;
    enum err e = keyfile_load(path, &keys, why);

    site_keys_free(keys);
    return e;
}

/* Made by the first start, when there is no store yet. */
static bool keys_are_to_be_made(const struct settings *s)
{
    char db[4096];

    snprintf(db, sizeof db, "%s/db", s->data_directory);
    return access(s->site_keys_file, F_OK) != 0 && errno == ENOENT && access(db, F_OK) != 0;
}

enum err files_check(const struct settings *s, struct buf *why)
{
    size_t before = why->len;

    look(s, "domains_file", s->domains_file, check_table, why);
    if (!keyfile_is_credential(s->site_keys_file) && !keys_are_to_be_made(s))
        look(s, "site_keys_file", s->site_keys_file, check_keys, why);
    if (s->listen_https.count > 0)
        look_at_pair(s, "tls_certificate_file", s->tls_certificate_file, "tls_key_file", s->tls_key_file,
                     why);
    look(s, "tls_ca_file", s->tls_ca_file[0] ? s->tls_ca_file : FILES_SYSTEM_CA, pem_check_authorities, why);
    look_at_pair(s, "client_certificate_file", s->client_certificate_file, "client_key_file",
                 s->client_key_file, why);
    return why->len == before ? ERR_OK : ERR_CONFIG;
}
