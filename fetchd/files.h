/*
 * files.h - whether this process can read the files that restante.conf names, and what is in them fits,
 * before anything is started.
 */
#ifndef FETCHD_FILES_H
#define FETCHD_FILES_H

#include "base/buf.h"

struct settings;

/* The authorities that hold where tls_ca_file is empty: Debian's (package ca-certificates), which libcurl
 * uses too. */
#define FILES_SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

/* ERR_CONFIG: *why has a line "file:line: parameter: path: what is wrong" for each that does not. What the
 * configuration makes no use of is not looked at, nor are credentials of systemd, nor a site key that the
 * first start will make. */
enum err files_check(const struct settings *settings, struct buf *why);

#endif
