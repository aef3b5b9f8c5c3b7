/*
 * letter_form.h - whether bytes that no MTA has seen are a letter that may go out as they are: what the MTA
 * and the milter see to at a submission, for a replacement. Read while it streams by. Belongs to one thread
 * at a time.
 */
#ifndef LOCAL_LETTER_FORM_H
#define LOCAL_LETTER_FORM_H

#include "base/buf.h"
#include "mail/address.h"

struct letter_form { /* all zero at the beginning */
    bool bad;        /* a bare CR or LF, or a NUL, in line + 1 */
    bool after_cr, in_body;
    bool header_8bit, body_8bit;
    uint64_t line;       /* lines so far */
    uint64_t line_bytes; /* of the one that has begun */
};
void letter_form_feed(struct letter_form *f, struct span piece);
/*
 * At the end. header: the header block. ERR_OK, or what is wrong, with a sentence in *why: ERR_BAD_BYTES;
 * ERR_SYNTAX: no header, a line in it that is no field, no From, another reverse-path in Return-Path, Bcc
 * (its recipients would see it), a stub, 8-bit text that is no UTF-8; ERR_TOO_LARGE: a field that an MTA
 * would cut.
 */
enum err letter_form_check(const struct letter_form *f, struct span header,
                           const struct address *reverse_path, struct buf *why);

#endif
