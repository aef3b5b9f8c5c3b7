/*
 * An SPF record and the macro strings in it: what is read stays within the record and its ranges, what is
 * valid expands, and an expansion knows its bounds. The input is also an explanation.
 *
 * covers: common/proof/spf_record.c
 * covers: common/proof/spf_macro.c
 */
#include <stdlib.h>
#include <string.h>

#include "proof/spf_macro.h"
#include "proof/spf_record.h"

#define EXPANSION_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void expand(struct span text)
{
    static const struct spf_macro_values values[] = {
        {"a-b+c.d",
         "A.Example",
         "b.example",
         "",
         "unknown",
         "mx.b.example",
         {.byte = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}, .family = AF_INET},
         0},
        {"\"x y\"@\xc3\xa9",
         "a.example",
         "b.example",
         "[192.0.2.1]",
         "mx.a.example",
         "mx.b.example",
         {.byte = {0x20, 0x01, 0x0d, 0xb8}, .family = AF_INET6},
         1797811200}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct buf out;
        buf_init(&out, EXPANSION_MAX);
        enum err err = spf_macro_expand(text, &values[i], &out);
        require(err == ERR_OK || err == ERR_TOO_LARGE);
        require(out.len <= EXPANSION_MAX);
        buf_free(&out);
    }
}

static void check_domain(struct span spec, struct span record)
{
    require(spec.ptr >= record.ptr && spec.ptr + spec.len <= record.ptr + record.len);
    require(spf_macro_valid(spec, SPF_MACRO_DOMAIN) && spf_macro_valid(spec, SPF_MACRO_MODIFIER));
    require(!spf_macro_uses(spec, "crt"));
    expand(spec);
}

static void check_record(const struct spf_record *r, struct span text)
{
    struct span terms = r->terms;
    struct spf_term t;
    size_t count = 0;
    while (spf_record_next(&terms, &t)) {
        require(t.bits_v4 <= 32 && t.bits_v6 <= 128 && t.mechanism < SPF_MECHANISMS && t.text.len > 0);
        require(t.domain.len > 0 || (t.mechanism != SPF_INCLUDE && t.mechanism != SPF_EXISTS));
        if (t.domain.len > 0)
            check_domain(t.domain, text);
        require(++count <= text.len);
    }
    require(terms.len == 0);
    if (r->redirect.len > 0)
        check_domain(r->redirect, text);
    if (r->exp.len > 0)
        check_domain(r->exp, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bad, text = span_bytes(data, size);
    struct spf_record r;
    if (spf_record_is_candidate(text)) {
        if (spf_record_parse(text, &r, &bad) == ERR_OK)
            check_record(&r, text);
        else
            require(bad.len > 0 && bad.ptr > text.ptr && bad.ptr + bad.len <= text.ptr + text.len);
    }
    if (spf_macro_valid(text, SPF_MACRO_EXPLANATION))
        expand(text);
    return 0;
}
