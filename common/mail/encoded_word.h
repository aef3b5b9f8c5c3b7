/*
 * encoded_word.h - encoded words (RFC 2047) for header fields that must be ASCII. Thread-safe.
 */
#ifndef MAIL_ENCODED_WORD_H
#define MAIL_ENCODED_WORD_H

#include "base/buf.h"

/* Appends text as encoded words with a blank between them, good for phrases and unstructured fields. Charset
 * utf-8, or unknown-8bit (RFC 1428) where it is not well-formed. */
enum err encoded_word_append(struct span text, struct buf *out);

#endif
