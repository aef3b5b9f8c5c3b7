/*
 * A letter as it streams by, behind a line with its reverse-path: what is read of it does not depend on the
 * pieces, its texts are fit for a record and a stub, and what passes as a replacement could be sent.
 *
 * covers: fetchd/local/letter.c
 * covers: fetchd/local/letter_form.c
 */
#include <stdlib.h>
#include <string.h>

#include "local/letter.h"
#include "local/letter_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

struct reading {
    enum err form, facts_err;
    struct letter_form seen;
    struct letter_facts facts;
};

static void read_letter(const struct address *reverse_path, struct span letter, size_t piece,
                        struct reading *out)
{
    struct letter_scan *scan = NULL;
    struct buf why;

    memset(out, 0, sizeof *out);
    buf_init(&why, 250);
    require(letter_scan_create(&scan) == ERR_OK);
    for (size_t at = 0; at < letter.len; at += piece) {
        const struct span part = {letter.ptr + at, letter.len - at < piece ? letter.len - at : piece};
        letter_form_feed(&out->seen, part);
        require(letter_scan_feed(scan, part.ptr, part.len) == ERR_OK);
    }
    out->form = letter_form_check(&out->seen, letter_scan_header(scan), reverse_path, &why);
    require((out->form == ERR_OK) == (why.len == 0));
    out->facts_err = letter_scan_finish(scan, reverse_path, &out->facts);
    letter_scan_free(scan);
    letter_scan_free(NULL);
    buf_free(&why);
}

static void check_text(const char *text)
{
    for (; *text; text++)
        require((unsigned char)*text >= ' ' && *text != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span line, letter;
    struct address path;
    static struct reading whole, pieces;

    if (!span_cut(span_bytes(data, size), '\n', &line, &letter) || address_parse(line, &path))
        return 0;
    read_letter(&path, letter, size + 1, &whole);
    read_letter(&path, letter, 1 + size % 7 + size / 500, &pieces);
    require(whole.form == pieces.form && whole.facts_err == pieces.facts_err);
    if (whole.facts_err)
        return 0;
    require(memcmp(&whole.facts, &pieces.facts, sizeof whole.facts) == 0);
    require(whole.facts.from[0] && whole.facts.from_field[0]);
    check_text(whole.facts.from_field);
    check_text(whole.facts.subject);
    check_text(whole.facts.message_id);
    if (whole.form == ERR_OK)
        require(memchr(letter.ptr, '\0', letter.len) == NULL && letter.ptr[letter.len - 1] != '\r');
    return 0;
}
