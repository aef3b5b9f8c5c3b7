/* test_vectors.c - runs all of docs/vectors.json, in both directions where there are two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "base/encode.h"
#include "dns/designation.h"
#include "mail/stub.h"
#include "seal/seal.h"
#include "ticket/fieldtext.h"
#include "ticket/ticket.h"

#define OCTETS_MAX 300000

static json_t *vectors;
static struct site_keys *keys;

/* ---- reading the file ---- */

static json_t *section(const char *name)
{
    json_t *list = json_object_get(vectors, name);
    assert_true(json_array_size(list) > 0);
    return list;
}

static struct span text_of(const json_t *v, const char *name)
{
    json_t *text = json_object_get(v, name);
    assert_true(json_is_string(text));
    return span_bytes(json_string_value(text), json_string_length(text));
}

static uint64_t number_of(const json_t *v, const char *name)
{
    json_t *number = json_object_get(v, name);
    assert_true(json_is_integer(number));
    return (uint64_t)json_integer_value(number);
}

/* Exactly len octets from hex. */
static void octets_of(const json_t *v, const char *name, uint8_t *out, size_t len)
{
    assert_int_equal(decode_hex(text_of(v, name), out, len), ERR_OK);
}

/* Octets of any number from hex, appended. */
static void append_octets(const json_t *v, const char *name, struct buf *out)
{
    struct span hex = text_of(v, name);
    if (hex.len == 0)
        return;
    char *to = buf_reserve(out, hex.len / 2);
    assert_non_null(to);
    assert_int_equal(decode_hex(hex, (uint8_t *)to, hex.len / 2), ERR_OK);
    buf_added(out, hex.len / 2);
}

static void assert_octets(const json_t *v, const char *name, const uint8_t *got, size_t len)
{
    uint8_t want[SEAL_HEADER_BYTES];
    assert_true(len <= sizeof want);
    octets_of(v, name, want, len);
    assert_memory_equal(got, want, len);
}

/* The vector's error, else ERR_OK. */
static void assert_error(const json_t *v, enum err got)
{
    if (!span_is(text_of(v, "error"), err_name(got)))
        fail_msg("%s: %s", json_string_value(json_object_get(v, "name")), err_name(got));
}

static int load(void **state)
{
    (void)state;
    json_error_t error;
    uint16_t epochs[8];
    uint8_t key[8][SITEKEY_BYTES];
    vectors = json_load_file("docs/vectors.json", JSON_ALLOW_NUL, &error);
    json_t *list = json_object_get(vectors, "site_keys");
    size_t count = json_array_size(list);
    if (count == 0 || count > 8)
        return -1;
    for (size_t i = 0; i < count; i++) {
        epochs[i] = (uint16_t)number_of(json_array_get(list, i), "epoch");
        octets_of(json_array_get(list, i), "key", key[i], SITEKEY_BYTES);
    }
    return site_keys_from_bytes(epochs, key, count, &keys) == ERR_OK ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    site_keys_free(keys);
    json_decref(vectors);
    return 0;
}

/* ---- site keys and tickets ---- */

static void site_keys_have_their_fingerprints(void **state)
{
    (void)state;
    size_t i;
    json_t *v;
    json_array_foreach(section("site_keys"), i, v)
    {
        struct site_key_info k;
        assert_true(site_keys_info(keys, i, &k));
        assert_int_equal(k.epoch, number_of(v, "epoch"));
        assert_octets(v, "fingerprint", k.fingerprint, sizeof k.fingerprint);
    }
}

static void tickets_are_derived_and_named(void **state)
{
    (void)state;
    size_t i;
    json_t *v;
    json_array_foreach(section("tickets"), i, v)
    {
        uint8_t a[TICKET_A_BYTES], hash[32];
        struct ticket_keys t;
        struct ticket_url u = {0}, read;
        char tag[TICKET_TAG_LEN + 1], url[TICKET_URL_MAX + 1];
        octets_of(v, "a", a, sizeof a);
        assert_int_equal(ticket_derive(keys, a, &t), ERR_OK);
        assert_octets(v, "b", t.b, sizeof t.b);
        assert_octets(v, "ka", t.ka, sizeof t.ka);
        assert_octets(v, "kd", t.kd, sizeof t.kd);
        assert_int_equal(ticket_store_key(t.a, t.b, hash), ERR_OK);
        assert_octets(v, "store_key", hash, sizeof hash);
        assert_int_equal(ticket_ka_hash(t.ka, hash), ERR_OK);
        assert_octets(v, "ka_hash", hash, sizeof hash);

        assert_int_equal(ticket_tag_format(keys, a, tag), ERR_OK);
        assert_true(span_is(text_of(v, "tag"), tag));
        assert_int_equal(ticket_tag_parse(keys, text_of(v, "tag"), hash), ERR_OK);
        assert_memory_equal(hash, a, sizeof a);

        snprintf(u.host, sizeof u.host, "%s", text_of(v, "host").ptr);
        u.port = (uint16_t)number_of(v, "port");
        memcpy(u.a, t.a, sizeof u.a);
        memcpy(u.b, t.b, sizeof u.b);
        assert_int_equal(ticket_url_format(&u, url), ERR_OK);
        assert_true(span_is(text_of(v, "url"), url));
        assert_int_equal(ticket_url_parse(text_of(v, "url"), &read), ERR_OK);
        assert_string_equal(read.host, u.host);
        assert_int_equal(read.port, u.port);
        assert_memory_equal(read.a, u.a, sizeof u.a);
        assert_memory_equal(read.b, u.b, sizeof u.b);
    }
    json_array_foreach(section("bad_tags"), i, v)
    {
        uint8_t a[TICKET_A_BYTES];
        assert_error(v, ticket_tag_parse(keys, text_of(v, "tag"), a));
    }
    json_array_foreach(section("bad_urls"), i, v)
    {
        struct ticket_url u;
        assert_error(v, ticket_url_parse(text_of(v, "url"), &u));
    }
}

static void field_texts_agree_both_ways(void **state)
{
    (void)state;
    size_t i;
    json_t *v;
    struct buf out;
    buf_init(&out, 1000);
    json_array_foreach(section("field_texts"), i, v)
    {
        buf_clear(&out);
        assert_int_equal(fieldtext_encode(text_of(v, "text"), &out), ERR_OK);
        assert_true(span_equal(buf_span(&out), text_of(v, "field")));
        buf_clear(&out);
        assert_int_equal(fieldtext_decode(text_of(v, "field"), &out), ERR_OK);
        assert_true(span_equal(buf_span(&out), text_of(v, "text")));
    }
    json_array_foreach(section("bad_field_texts"), i, v)
        assert_error(v, fieldtext_decode(text_of(v, "field"), &out));
    buf_free(&out);
}

static enum err open_record(const json_t *v, struct buf *plain)
{
    struct buf aad, sealed;
    buf_init(&aad, OCTETS_MAX);
    buf_init(&sealed, OCTETS_MAX);
    append_octets(v, "aad", &aad);
    append_octets(v, "sealed", &sealed);
    enum err e = site_open(keys, json_string_value(json_object_get(v, "label")), buf_span(&aad),
                           buf_span(&sealed), plain);
    buf_free(&aad);
    buf_free(&sealed);
    return e;
}

static void records_open(void **state)
{
    (void)state;
    size_t i;
    json_t *v;
    struct buf plain, want;
    buf_init(&plain, OCTETS_MAX);
    buf_init(&want, OCTETS_MAX);
    json_array_foreach(section("records"), i, v)
    {
        buf_clear(&plain);
        buf_clear(&want);
        append_octets(v, "plain", &want);
        assert_int_equal(open_record(v, &plain), ERR_OK);
        assert_true(span_equal(buf_span(&plain), buf_span(&want)));
    }
    json_array_foreach(section("bad_records"), i, v) assert_error(v, open_record(v, &plain));
    buf_free(&plain);
    buf_free(&want);
}

/* ---- designations ---- */

static void assert_designation(const json_t *v, const struct designation *d)
{
    size_t i;
    json_t *item;
    assert_int_equal(d->takes_stubs, json_is_true(json_object_get(v, "takes_stubs")));
    assert_int_equal(d->testing, json_is_true(json_object_get(v, "testing")));
    assert_true(span_is(text_of(v, "complaints"), d->complaints));
    assert_int_equal(d->host_count, json_array_size(json_object_get(v, "hosts")));
    json_array_foreach(json_object_get(v, "hosts"), i, item)
    {
        assert_string_equal(d->host[i].name, json_string_value(json_array_get(item, 0)));
        assert_int_equal(d->host[i].port, json_integer_value(json_array_get(item, 1)));
        assert_int_equal(d->host[i].inside, json_is_true(json_array_get(item, 2)));
    }
    assert_int_equal(d->prefix_count, json_array_size(json_object_get(v, "prefixes")));
    json_array_foreach(json_object_get(v, "prefixes"), i, item)
    {
        char address[NETADDR_TEXT_MAX], text[NETADDR_TEXT_MAX + 16];
        netaddr_text(&d->prefix[i].addr, address);
        snprintf(text, sizeof text, "ip%c:%s/%u", d->prefix[i].addr.family == AF_INET ? '4' : '6', address,
                 d->prefix[i].bits);
        assert_string_equal(text, json_string_value(item));
    }
}

static void designations_are_read(void **state)
{
    (void)state;
    size_t i;
    json_t *v;
    struct designation d;
    json_array_foreach(section("designations"), i, v)
    {
        assert_int_equal(designation_parse(text_of(v, "record"), text_of(v, "domain").ptr, &d, NULL), ERR_OK);
        assert_designation(v, &d);
    }
    json_array_foreach(section("bad_designations"), i, v)
        assert_error(v, designation_parse(text_of(v, "record"), text_of(v, "domain").ptr, &d, NULL));
}

/* ---- stubs ---- */

static void stub_of(const json_t *v, struct stub *s)
{
    memset(s, 0, sizeof *s);
    snprintf(s->url, sizeof s->url, "%s", text_of(v, "url").ptr);
    octets_of(v, "ka", s->ka, sizeof s->ka);
    octets_of(v, "kd", s->kd, sizeof s->kd);
    assert_int_equal(address_parse(text_of(v, "from"), &s->from), ERR_OK);
    assert_int_equal(address_parse(text_of(v, "to"), &s->to), ERR_OK);
    s->size_bytes = number_of(v, "size");
    s->expires_s = (int64_t)number_of(v, "expires");
}

static void assert_stub(const struct stub *got, const struct stub *want)
{
    assert_string_equal(got->url, want->url);
    assert_memory_equal(got->ka, want->ka, sizeof got->ka);
    assert_memory_equal(got->kd, want->kd, sizeof got->kd);
    assert_true(address_equal(&got->from, &want->from));
    assert_true(address_equal(&got->to, &want->to));
    assert_int_equal(got->size_bytes, want->size_bytes);
    assert_int_equal(got->expires_s, want->expires_s);
}

static void stubs_are_written_and_read(void **state)
{
    (void)state;
    size_t i;
    json_t *v;
    struct stub want, got;
    json_array_foreach(section("stubs"), i, v)
    {
        struct buf out;
        struct span name, value, field = text_of(v, "field");
        buf_init(&out, 10000);
        stub_of(v, &want);
        assert_int_equal(stub_format(&want, &out), ERR_OK);
        assert_string_equal(buf_cstr(&out), field.ptr);
        assert_true(span_cut(span_bytes(field.ptr, field.len - 2), ':', &name, &value));
        assert_int_equal(stub_parse(value, &got, NULL), ERR_OK);
        assert_stub(&got, &want);
        buf_free(&out);
    }
    stub_of(json_array_get(section("stubs"), 0), &want);
    json_array_foreach(section("stub_spellings"), i, v)
    {
        struct span value = span_bytes(json_string_value(v), json_string_length(v));
        assert_int_equal(stub_parse(value, &got, NULL), ERR_OK);
        assert_stub(&got, &want);
    }
    json_array_foreach(section("bad_stubs"), i, v)
        assert_error(v, stub_parse(text_of(v, "value"), &got, NULL));
}

/* ---- wraps ---- */

struct wrap_parts {
    uint8_t kd[32], a[16], payload_id[SEAL_PAYLOAD_ID_BYTES], wrap[SEAL_WRAP_BYTES];
    uint32_t version;
};

static struct wrap_parts wrap_of(const json_t *v)
{
    struct wrap_parts w;
    octets_of(v, "kd", w.kd, sizeof w.kd);
    octets_of(v, "a", w.a, sizeof w.a);
    octets_of(v, "payload_id", w.payload_id, sizeof w.payload_id);
    octets_of(v, "wrap", w.wrap, sizeof w.wrap);
    w.version = (uint32_t)number_of(v, "payload_version");
    return w;
}

static void wraps_agree_both_ways(void **state)
{
    (void)state;
    size_t i;
    json_t *v;
    uint8_t dek[SEAL_DEK_BYTES], wrap[SEAL_WRAP_BYTES];
    json_array_foreach(section("wraps"), i, v)
    {
        struct wrap_parts w = wrap_of(v);
        octets_of(v, "dek", dek, sizeof dek);
        assert_int_equal(wrap_seal(w.kd, w.a, w.payload_id, w.version, dek, wrap), ERR_OK);
        assert_memory_equal(wrap, w.wrap, sizeof wrap);
        memset(dek, 0, sizeof dek);
        assert_int_equal(wrap_open(w.kd, w.a, w.payload_id, w.version, w.wrap, dek), ERR_OK);
        assert_octets(v, "dek", dek, sizeof dek);
    }
    json_array_foreach(section("bad_wraps"), i, v)
    {
        struct wrap_parts w = wrap_of(v);
        assert_error(v, wrap_open(w.kd, w.a, w.payload_id, w.version, w.wrap, dek));
    }
}

/* ---- payloads ---- */

static uint8_t letter[OCTETS_MAX];

static void make_letter(void)
{
    for (size_t i = 0; i < sizeof letter; i++)
        letter[i] = (uint8_t)(31 * i + i / 251);
}

/* Seals the vector's letter in pieces; *out is initialised. */
static void seal_vector(const json_t *v, struct buf *out, uint8_t dek[SEAL_DEK_BYTES])
{
    struct seal_secrets secrets;
    struct sealer *s = NULL;
    uint8_t header[SEAL_HEADER_BYTES] = {0}, digest[SEAL_DIGEST_BYTES];
    uint64_t len = number_of(v, "letter_bytes"), sealed;
    octets_of(v, "dek", secrets.dek, sizeof secrets.dek);
    octets_of(v, "payload_id", secrets.payload_id, sizeof secrets.payload_id);
    octets_of(v, "salt", secrets.salt, sizeof secrets.salt);
    memcpy(dek, secrets.dek, SEAL_DEK_BYTES);
    buf_init(out, OCTETS_MAX);
    assert_int_equal(buf_append(out, header, sizeof header), ERR_OK);
    assert_int_equal(sealer_create_with((uint32_t)number_of(v, "payload_version"), &secrets, &s), ERR_OK);
    for (uint64_t at = 0; at < len; at += 40000)
        assert_int_equal(sealer_update(s, letter + at, len - at < 40000 ? len - at : 40000, out), ERR_OK);
    assert_int_equal(sealer_finish(s, out, header, digest, &sealed), ERR_OK);
    memcpy(out->data, header, sizeof header);
    assert_int_equal(sealed, len);
    assert_octets(v, "letter_sha256", digest, sizeof digest);
    assert_octets(v, "header", header, sizeof header);
    sealer_free(s);
}

static enum err open_sealed(const uint8_t dek[SEAL_DEK_BYTES], uint64_t announced, struct span sealed,
                            struct buf *out, uint8_t digest[SEAL_DIGEST_BYTES])
{
    struct opener *o = NULL;
    uint64_t len;
    enum err e = opener_create(dek, announced, &o);
    for (size_t at = 0; at < sealed.len && e == ERR_OK; at += 30000)
        e = opener_update(o, sealed.ptr + at, sealed.len - at < 30000 ? sealed.len - at : 30000, out);
    if (e == ERR_OK)
        e = opener_finish(o, digest, &len);
    opener_free(o);
    return e;
}

static void payloads_agree_both_ways(void **state)
{
    (void)state;
    size_t i;
    json_t *v;
    make_letter();
    json_array_foreach(section("payloads"), i, v)
    {
        struct buf sealed, out;
        uint8_t sum[32], dek[SEAL_DEK_BYTES];
        struct seal_header header;
        seal_vector(v, &sealed, dek);
        assert_int_equal(sealed.len, number_of(v, "sealed_bytes"));
        assert_int_equal(sealed.len, seal_sealed_size(number_of(v, "letter_bytes")));
        assert_int_equal(crypt_sha256(buf_span(&sealed), sum), ERR_OK);
        assert_octets(v, "sealed_sha256", sum, sizeof sum);
        if (json_object_get(v, "sealed") != NULL) {
            struct buf given;
            buf_init(&given, OCTETS_MAX);
            append_octets(v, "sealed", &given);
            assert_true(span_equal(buf_span(&given), buf_span(&sealed)));
            buf_free(&given);
        }
        assert_int_equal(seal_header_parse(buf_span(&sealed), &header), ERR_OK);
        assert_int_equal(header.letter_bytes, number_of(v, "letter_bytes"));
        assert_int_equal(header.payload_version, number_of(v, "payload_version"));
        assert_octets(v, "payload_id", header.payload_id, sizeof header.payload_id);
        buf_init(&out, OCTETS_MAX);
        assert_int_equal(open_sealed(dek, sealed.len, buf_span(&sealed), &out, sum), ERR_OK);
        assert_octets(v, "letter_sha256", sum, sizeof sum);
        assert_int_equal(out.len, number_of(v, "letter_bytes"));
        buf_free(&sealed);
        buf_free(&out);
    }
}

static void edit(const json_t *how, struct buf *sealed, uint8_t dek[SEAL_DEK_BYTES])
{
    static uint8_t kept[70000];
    if (json_object_get(how, "xor") != NULL) {
        size_t at = number_of(how, "at");
        assert_true(at < sealed->len);
        sealed->data[at] = (char)(sealed->data[at] ^ (char)number_of(how, "xor"));
    } else if (json_object_get(how, "cut") != NULL) {
        assert_true(number_of(how, "cut") < sealed->len);
        sealed->len = number_of(how, "cut");
    } else if (json_object_get(how, "append") != NULL) {
        append_octets(how, "append", sealed);
    } else if (json_object_get(how, "swap") != NULL) {
        size_t a = number_of(how, "swap"), b = number_of(how, "and"), octets = number_of(how, "octets");
        assert_true(octets <= sizeof kept && a + octets <= sealed->len && b + octets <= sealed->len);
        memcpy(kept, sealed->data + a, octets);
        memcpy(sealed->data + a, sealed->data + b, octets);
        memcpy(sealed->data + b, kept, octets);
    } else if (json_object_get(how, "copy") != NULL) {
        size_t a = number_of(how, "copy"), b = number_of(how, "to"), octets = number_of(how, "octets");
        assert_true(a + octets <= b && b + octets <= sealed->len);
        memcpy(sealed->data + b, sealed->data + a, octets);
    } else {
        dek[number_of(how, "dek")] ^= 1;
    }
}

static const json_t *payload_of(uint64_t letter_bytes)
{
    size_t i;
    json_t *v;
    json_array_foreach(section("payloads"), i, v) if (number_of(v, "letter_bytes") == letter_bytes) return v;
    fail();
    return NULL;
}

static void changed_payloads_are_refused_and_release_whole_chunks_alone(void **state)
{
    (void)state;
    size_t i, j;
    json_t *v, *how;
    make_letter();
    json_array_foreach(section("bad_payloads"), i, v)
    {
        struct buf sealed, out;
        uint8_t dek[SEAL_DEK_BYTES], digest[SEAL_DIGEST_BYTES];
        json_t *announced = json_object_get(v, "announced");
        seal_vector(payload_of(number_of(v, "of")), &sealed, dek);
        json_array_foreach(json_object_get(v, "edits"), j, how) edit(how, &sealed, dek);
        buf_init(&out, OCTETS_MAX);
        assert_error(v, open_sealed(dek, json_is_null(announced) ? UINT64_MAX : number_of(v, "announced"),
                                    buf_span(&sealed), &out, digest));
        if (out.len != number_of(v, "released"))
            fail_msg("%s: %zu octets released", text_of(v, "name").ptr, out.len);
        if (out.len > 0)
            assert_memory_equal(out.data, letter, out.len);
        buf_free(&sealed);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(site_keys_have_their_fingerprints),
        cmocka_unit_test(tickets_are_derived_and_named),
        cmocka_unit_test(field_texts_agree_both_ways),
        cmocka_unit_test(records_open),
        cmocka_unit_test(designations_are_read),
        cmocka_unit_test(stubs_are_written_and_read),
        cmocka_unit_test(wraps_agree_both_ways),
        cmocka_unit_test(payloads_agree_both_ways),
        cmocka_unit_test(changed_payloads_are_refused_and_release_whole_chunks_alone),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
