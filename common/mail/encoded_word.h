/*
 * encoded_word.h - encoded words (RFC 2047) for header fields that must be ASCII. Thread-safe.
 */
#ifndef MAIL_ENCODED_WORD_H
#define MAIL_ENCODED_WORD_H

#include "base/buf.h"

/* Appends text as encoded words with a blank between them, good for phrases and unstructured fields. Charset
 * utf-8, or unknown-8bit (RFC 1428) where it is not well-formed. */
enum err encoded_word_append(struct span text, struct buf *out);

/* Appends text, an unfolded field of whoever wrote it, with its encoded words as UTF-8, for people to read:
 * "Q" and "B" of utf-8, us-ascii and iso-8859-1; others stay as they are. Whatever the words hold comes out,
 * but a NUL as U+FFFD: escape it when it is shown. Never longer than three times the text. */
enum err encoded_word_decode(struct span text, struct buf *out);

#endif
