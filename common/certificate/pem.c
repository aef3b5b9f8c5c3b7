/*
 * pem.c - see pem.h. The files are read by the functions of OpenSSL that will read them in earnest.
 */
#include "certificate/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

int pem_no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static enum err complain(struct buf *why, const char *file)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    buf_printf(why, "%s: %s", file, reason == NULL ? "OpenSSL gives no reason" : reason);
    ERR_clear_error();
    return ERR_CONFIG;
}

/* OpenSSL does not say why a file cannot be opened. */
static enum err check_opens(const char *file, struct buf *why)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        buf_printf(why, "%s: %s", file, strerror(errno));
        return ERR_CONFIG;
    }
    close(fd);
    return ERR_OK;
}

static int use_key(SSL_CTX *c, const char *file)
{
    return SSL_CTX_use_PrivateKey_file(c, file, SSL_FILETYPE_PEM);
}

/* Takes a file into a fresh context, and a second one, if any, into the same. */
static enum err check(const char *file, int (*use)(SSL_CTX *c, const char *file), const char *key_file,
                      struct buf *why)
{
    enum err e = check_opens(file, why);
    SSL_CTX *c = e == ERR_OK ? SSL_CTX_new(TLS_method()) : NULL;

    if (c == NULL)
        return e == ERR_OK ? ERR_NOMEM : e;
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(c, pem_no_passphrase);
    if (use(c, file) != 1)
        e = complain(why, file);
    else if (key_file != NULL && use_key(c, key_file) != 1)
        e = complain(why, key_file);
    SSL_CTX_free(c);
    return e;
}

enum err pem_check_chain(const char *certificate_file, struct buf *why)
{
    return check(certificate_file, SSL_CTX_use_certificate_chain_file, NULL, why);
}

enum err pem_check_key(const char *key_file, struct buf *why)
{
    return check(key_file, use_key, NULL, why);
}

enum err pem_check_authorities(const char *ca_file, struct buf *why)
{
    return check(ca_file, SSL_CTX_load_verify_file, NULL, why);
}

/* A key that follows a certificate into a context must be its own. */
enum err pem_check_pair(const char *certificate_file, const char *key_file, struct buf *why)
{
    return check(certificate_file, SSL_CTX_use_certificate_chain_file, key_file, why);
}
