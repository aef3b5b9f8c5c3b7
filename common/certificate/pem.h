/*
 * pem.h - whether files in PEM can be read and belong together, before anybody uses them. No network, nothing
 * is kept. Thread-safe.
 */
#ifndef CERTIFICATE_PEM_H
#define CERTIFICATE_PEM_H

#include "base/buf.h"

/* For OpenSSL's passphrase callback, which else would ask on the terminal: there is none. */
int pem_no_passphrase(char *out, int size, int writing, void *arg);

/* Each: ERR_CONFIG when the file cannot be opened or is no such thing; *why then gets "file: what is wrong".
 */
enum err pem_check_chain(const char *certificate_file, struct buf *why); /* the certificate, then its chain */
enum err pem_check_key(const char *key_file, struct buf *why);           /* without a passphrase */
enum err pem_check_authorities(const char *ca_file, struct buf *why);
/* Of two that passed: the key is the certificate's. */
enum err pem_check_pair(const char *certificate_file, const char *key_file, struct buf *why);

/* For OpenSSL, which would ask for a passphrase on the terminal: there is none (pem_password_cb). */
int pem_no_passphrase(char *out, int size, int writing, void *arg);

#endif
