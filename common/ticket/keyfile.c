/*
 * keyfile.c - see keyfile.h.
 *
 * What was read of a file is wiped in the end; a key never leaves but into site_keys or the file.
 */
#include "ticket/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/secret.h"
#include "base/when.h"

#define FILE_MAX_BYTES (1024 * 1024) /* comments and all */
#define FILE_PATH_MAX 4096
#define LOCK_TRIES 100
#define LINE_MAX_BYTES (8 + ENCODE_HEX_LEN(SITEKEY_BYTES) + CLOCK_ISO_MAX)
#define NEW_SUFFIX ".new"
#define CREATED_TEXT                                                                                         \
    "# Site keys of Restante: \"epoch key since\", epochs ascending, the last is in use.\n"                  \
    "# Whoever reads this file can read every letter in the store. Keep a copy apart from the store's.\n"    \
    "# restantectl key rotate adds a key, and takes out those that are of no use any more.\n"

bool keyfile_is_credential(const char *path)
{
    return strncmp(path, KEYFILE_CREDENTIAL, sizeof KEYFILE_CREDENTIAL - 1) == 0;
}

static enum err complain(struct buf *why, const char *path, size_t line, const char *what)
{
    if (why != NULL)
        (void)buf_printf(why, "%s:%zu: %s", path, line, what);
    return ERR_CONFIG;
}

static enum err failed(struct buf *why, const char *path)
{
    enum err e = err_from_errno(errno);

    if (why != NULL)
        (void)buf_printf(why, "%s: %s", path, strerror(errno));
    return e;
}

/* ---- lines --------------------------------------------------------------------------------------------- */

/* "epoch hex64 [since]" -> *out; a static text says what is wrong, NULL nothing. */
static const char *parse_line(struct span line, uint16_t above, struct site_key *out)
{
    struct span epoch, rest, hex, since;
    uint64_t value = 0;

    for (size_t i = 0; i < line.len; i++)
        if (line.ptr[i] == '\t')
            return "a tab; write one blank between epoch and key";
    if (!span_cut(line, ' ', &epoch, &rest))
        return "expected an epoch, a blank, and a key of 64 hexadecimal digits";
    if (!span_to_u64(epoch, UINT16_MAX, &value) || value == 0)
        return "the epoch is not a number from 1 to 65535";
    if (value <= above)
        return "epochs must ascend, each once";
    (void)span_cut(span_trim(rest), ' ', &hex, &since);
    if (decode_hex(hex, out->key, SITEKEY_BYTES) != ERR_OK)
        return "the key is not 64 lower-case hexadecimal digits";
    since = span_trim(since);
    out->since_s = 0;
    if (since.len > 0 && (since.ptr[0] == '+' || when_parse(since, 0, &out->since_s) != ERR_OK))
        return "what follows the key is no date (2026-12-31T18:00:00Z)";
    out->epoch = (uint16_t)value;
    return NULL;
}

static bool is_key_line(struct span line)
{
    line = span_trim(line);
    return line.len > 0 && line.ptr[0] != '#';
}

/* key: room for SITEKEY_EPOCHS_MAX. */
static enum err parse_text(const char *path, struct span text, struct site_key *key, size_t *count,
                           struct buf *why)
{
    size_t number = 0, n = 0;
    struct span line;

    while (text.len > 0) {
        (void)span_cut(text, '\n', &line, &text);
        number++;
        if (!is_key_line(line))
            continue;
        if (n == SITEKEY_EPOCHS_MAX)
            return complain(why, path, number, "too many keys");
        const char *wrong = parse_line(span_trim(line), n > 0 ? key[n - 1].epoch : 0, &key[n]);
        if (wrong != NULL)
            return complain(why, path, number, wrong);
        key[n++].line = (unsigned)number;
    }
    *count = n;
    return n > 0 ? ERR_OK : complain(why, path, number, "no key");
}

static enum err parse(const char *path, struct span text, struct site_keys **out, struct buf *why)
{
    size_t count = 0;
    struct site_key *key = calloc(SITEKEY_EPOCHS_MAX, sizeof *key);
    enum err e = key == NULL ? ERR_NOMEM : parse_text(path, text, key, &count, why);

    if (e == ERR_OK)
        e = site_keys_create(key, count, path, out);
    if (key != NULL)
        secret_wipe(key, SITEKEY_EPOCHS_MAX * sizeof *key);
    free(key);
    return e;
}

/* "epoch hex64 since\n" with a random key. */
static enum err append_new_key(struct buf *out, uint16_t epoch, int64_t since_s)
{
    uint8_t key[SITEKEY_BYTES];
    char hex[ENCODE_HEX_LEN(SITEKEY_BYTES) + 1], since[CLOCK_ISO_MAX];
    enum err e = secret_random(key, sizeof key);

    if (e == ERR_OK) {
        encode_hex(key, sizeof key, hex);
        clock_iso(since_s, since);
        e = buf_printf(out, "%u %s %s\n", epoch, hex, since);
    }
    secret_wipe(key, sizeof key);
    secret_wipe(hex, sizeof hex);
    return e;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static enum err read_all(int fd, struct buf *text)
{
    for (;;) {
        char *to = buf_reserve(text, 4096);
        if (to == NULL)
            return text->max - text->len < 4096 ? ERR_TOO_LARGE : ERR_NOMEM;
        ssize_t n = read(fd, to, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        if (n == 0)
            return ERR_OK;
        buf_added(text, (size_t)n);
    }
}

/* private: the bits of the mode that must not be there. */
static enum err read_file(int fd, const char *path, mode_t private, struct stat *st, struct buf *text,
                          struct buf *why)
{
    enum err e;

    if (fstat(fd, st) != 0)
        return failed(why, path);
    if (!S_ISREG(st->st_mode))
        return complain(why, path, 0, "not a regular file");
    if ((st->st_mode & private) != 0)
        return complain(why, path, 0, "others may read or write this file; make its mode 0400");
    e = read_all(fd, text);
    return e == ERR_TOO_LARGE ? complain(why, path, 0, "file too large") : e;
}

/* Where a credential lies; a path as it is. */
static enum err resolve(const char *path, char out[FILE_PATH_MAX], struct buf *why)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    int n;

    if (!keyfile_is_credential(path)) {
        n = snprintf(out, FILE_PATH_MAX, "%s", path);
    } else if (directory == NULL || directory[0] != '/') {
        return complain(why, path, 0, "systemd gave this process no credentials (LoadCredential=)");
    } else {
        n = snprintf(out, FILE_PATH_MAX, "%s/%s", directory, path + sizeof KEYFILE_CREDENTIAL - 1);
    }
    return n >= 0 && n < FILE_PATH_MAX ? ERR_OK : complain(why, path, 0, "the path is too long");
}

enum err keyfile_load(const char *path, struct site_keys **out, struct buf *why)
{
    char real[FILE_PATH_MAX];
    /* systemd lets the service's user in by an access list, which shows as the group's bits; nobody else can
     * enter the folder. */
    mode_t private = keyfile_is_credential(path) ? 037 : 077;
    struct buf text;
    struct stat st;
    int fd = -1;
    enum err e;

    buf_init_secret(&text, FILE_MAX_BYTES);
    if ((e = resolve(path, real, why)) != ERR_OK)
        goto out;
    fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    e = fd < 0 ? failed(why, real) : read_file(fd, real, private, &st, &text, why);
    if (e == ERR_OK)
        e = parse(real, buf_span(&text), out, why);
out:
    if (fd >= 0)
        close(fd);
    buf_free(&text);
    return e;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static enum err write_all(int fd, struct span text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        text = span_bytes(text.ptr + n, text.len - (size_t)n);
    }
    return fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
}

/* The names in a file's folder are on disk. */
static enum err sync_folder(const char *path)
{
    char folder[FILE_PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    int fd;
    enum err e;

    if (len >= sizeof folder)
        return ERR_INTERNAL;
    memcpy(folder, path, len);
    folder[len] = '\0';
    fd = open(len == 0 ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    e = fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
    close(fd);
    return e;
}

enum err keyfile_create(const char *path, int64_t now_s)
{
    struct buf text;
    int fd;
    enum err e;

    buf_init_secret(&text, sizeof CREATED_TEXT + LINE_MAX_BYTES);
    if ((e = buf_append_str(&text, CREATED_TEXT)) != ERR_OK ||
        (e = append_new_key(&text, 1, now_s)) != ERR_OK)
        goto out;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd < 0) {
        e = errno == EEXIST ? ERR_EXISTS : err_from_errno(errno);
        goto out;
    }
    e = write_all(fd, buf_span(&text));
    if (close(fd) != 0 && e == ERR_OK)
        e = err_from_errno(errno);
    if (e == ERR_OK)
        e = sync_folder(path);
    else
        (void)unlink(path);
out:
    buf_free(&text);
    return e;
}

/* Opens the file and keeps other editors out until it is closed. */
static enum err open_locked(const char *path, int *out, struct buf *why)
{
    for (unsigned tries = 0; tries < LOCK_TRIES; tries++) {
        struct stat opened, named;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0)
            return failed(why, path);
        if (flock(fd, LOCK_EX) == 0 && fstat(fd, &opened) == 0 && stat(path, &named) == 0 &&
            opened.st_ino == named.st_ino && opened.st_dev == named.st_dev) {
            *out = fd;
            return ERR_OK;
        }
        close(fd); /* another editor has put a new file into its place meanwhile */
    }
    if (why != NULL)
        (void)buf_printf(why, "%s: changes all the time", path);
    return ERR_BUSY;
}

static bool is_dropped(const struct keyfile_edit *edit, uint16_t epoch)
{
    for (size_t i = 0; i < edit->drop_count; i++)
        if (edit->drop[i] == epoch)
            return true;
    return false;
}

/* The file's text is known to be good. */
static enum err edit_text(const struct keyfile_edit *edit, struct span text, struct buf *out)
{
    enum err e = ERR_OK;
    struct span line;

    while (text.len > 0 && e == ERR_OK) {
        struct site_key key;
        (void)span_cut(text, '\n', &line, &text);
        bool drop =
            is_key_line(line) && parse_line(span_trim(line), 0, &key) == NULL && is_dropped(edit, key.epoch);
        secret_wipe(&key, sizeof key);
        if (!drop && (e = buf_append_span(out, line)) == ERR_OK)
            e = buf_append_char(out, '\n');
    }
    return e == ERR_OK && edit->add != 0 ? append_new_key(out, edit->add, edit->since_s) : e;
}

/* Writes the text beside the file, with its owner and mode, and puts it into its place. */
static enum err put_in_place(const char *path, const struct stat *st, struct span text, struct buf *why)
{
    char beside[FILE_PATH_MAX + sizeof NEW_SUFFIX];
    int fd;
    enum err e;

    snprintf(beside, sizeof beside, "%s" NEW_SUFFIX, path);
    (void)unlink(beside); /* of an editor that was killed: nobody else is here */
    fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(why, beside);
    e = fchown(fd, st->st_uid, st->st_gid) == 0 && fchmod(fd, st->st_mode & 07777) == 0
            ? write_all(fd, text)
            : err_from_errno(errno);
    if (close(fd) != 0 && e == ERR_OK)
        e = err_from_errno(errno);
    if (e == ERR_OK && rename(beside, path) != 0)
        e = err_from_errno(errno);
    if (e != ERR_OK) {
        if (why != NULL)
            (void)buf_printf(why, "%s: %s", beside, errno != 0 ? strerror(errno) : err_text(e));
        (void)unlink(beside);
        return e;
    }
    return sync_folder(path);
}

/* Nobody may find dropped keys on the disk: what the name no longer leads to is written over. Best effort:
 * file systems that write elsewhere keep them a while. A file that has another name (a copy by link) is not
 * ours to destroy. */
static void destroy_old(int fd, off_t size)
{
    static const char zero[4096];
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0 || st.st_nlink != 0)
        return;
    for (off_t at = 0; at < size; at += (off_t)sizeof zero) {
        size_t len = size - at < (off_t)sizeof zero ? (size_t)(size - at) : sizeof zero;
        if (pwrite(fd, zero, len, at) < 0)
            return;
    }
    (void)fsync(fd);
}

static enum err check_edit(const char *path, const struct keyfile_edit *edit, const struct site_keys *old,
                           struct buf *why)
{
    uint16_t current = site_keys_current(old);
    enum err e = ERR_OK;

    if (edit->add != 0 && edit->add <= current) {
        if (why != NULL)
            (void)buf_printf(why, "%s: the new epoch must be higher than %u", path, current);
        e = ERR_CONFIG;
    } else if (is_dropped(edit, current)) {
        if (why != NULL)
            (void)buf_printf(why, "%s: the key of epoch %u is in use", path, current);
        e = ERR_CONFIG;
    }
    return e;
}

enum err keyfile_edit(const char *path, const struct keyfile_edit *edit, struct buf *why)
{
    struct site_keys *old = NULL;
    struct buf text, edited;
    struct stat st;
    char *real = NULL;
    int fd = -1, old_fd = -1;
    enum err e;

    buf_init_secret(&text, FILE_MAX_BYTES);
    buf_init_secret(&edited, FILE_MAX_BYTES + LINE_MAX_BYTES);
    if (keyfile_is_credential(path)) {
        e = complain(why, path, 0, "a credential is changed where it comes from (LoadCredential=)");
        goto out;
    }
    if ((real = realpath(path, NULL)) == NULL || strlen(real) >= FILE_PATH_MAX) {
        e = failed(why, path); /* a link stays a link */
        goto out;
    }
    if ((e = open_locked(real, &fd, why)) != ERR_OK ||
        (e = read_file(fd, real, 077, &st, &text, why)) != ERR_OK ||
        (e = parse(real, buf_span(&text), &old, why)) != ERR_OK ||
        (e = check_edit(real, edit, old, why)) != ERR_OK ||
        (e = edit_text(edit, buf_span(&text), &edited)) != ERR_OK)
        goto out;
    if (edit->drop_count > 0)
        old_fd = open(real, O_WRONLY | O_CLOEXEC); /* root may, whatever its mode */
    if ((e = put_in_place(real, &st, buf_span(&edited), why)) == ERR_OK)
        destroy_old(old_fd, st.st_size);
out:
    if (old_fd >= 0)
        close(old_fd);
    if (fd >= 0)
        close(fd);
    site_keys_free(old);
    free(real);
    buf_free(&text);
    buf_free(&edited);
    return e;
}
