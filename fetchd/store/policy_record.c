/*
 * policy_record.c - the tables of fields behind the records of policy.h. As in records.c, rows may be
 * appended with a higher `since` and a higher version, never changed, moved or removed.
 */
#include "store/policy_record.h"

#include <ctype.h>
#include <string.h>

#define POLICY(type, m) CODEC_FIELD(type, 1, struct policy_record, m)
static const struct codec_field policy_field[] = {
    POLICY(CODEC_TEXT, name),
    CODEC_FIELD_ENUM(1, struct policy_record, p.rule, RULE_COUNT),
    CODEC_FIELD_ENUM(1, struct policy_record, p.legacy, LEGACY_COUNT),
    CODEC_FIELD_ENUM(1, struct policy_record, p.mode, MODE_COUNT),
    CODEC_FIELD_ENUM(1, struct policy_record, p.denial, DENIAL_COUNT),
    CODEC_FIELD_ENUM(1, struct policy_record, p.challenge, CHALLENGE_COUNT),
    CODEC_FIELD_ENUM(1, struct policy_record, p.correspondents, SWITCH_COUNT),
    POLICY(CODEC_TEXT, p.question),
    POLICY(CODEC_TEXT, p.answers),
    POLICY(CODEC_S64, p.changed_s),
};

#define ENTRY(type, m) CODEC_FIELD(type, 1, struct entry, m)
static const struct codec_field entry_field[] = {
    ENTRY(CODEC_TEXT, mailbox),  CODEC_FIELD_ENUM(1, struct entry, kind, ENTRY_KIND_COUNT),
    ENTRY(CODEC_TEXT, value),    ENTRY(CODEC_TEXT, domain),
    ENTRY(CODEC_BOOL, deny),     ENTRY(CODEC_BOOL, solved),
    ENTRY(CODEC_S64, created_s), ENTRY(CODEC_S64, until_s),
    ENTRY(CODEC_TEXT, note),
};

#define CORRESPONDENT(type, m) CODEC_FIELD(type, 1, struct correspondent_record, m)
static const struct codec_field correspondent_field[] = {
    CORRESPONDENT(CODEC_TEXT, mailbox),
    CORRESPONDENT(CODEC_TEXT, address),
    CORRESPONDENT(CODEC_S64, since_s),
    CORRESPONDENT(CODEC_S64, until_s),
};

#define TOKEN(type, m) CODEC_FIELD(type, 1, struct token, m)
static const struct codec_field token_field[] = {
    TOKEN(CODEC_TEXT, mailbox), TOKEN(CODEC_TEXT, token),      TOKEN(CODEC_S64, created_s),
    TOKEN(CODEC_S64, until_s),  TOKEN(CODEC_U32, letters_max), TOKEN(CODEC_U32, letters_used),
    TOKEN(CODEC_BOOL, bind),    TOKEN(CODEC_TEXT, bound),      TOKEN(CODEC_BOOL, revoked),
    TOKEN(CODEC_S64, used_s),   TOKEN(CODEC_TEXT, note),
};

static const struct codec_field seen_field[] = {
    CODEC_FIELD(CODEC_S64, 1, struct seen_record, first_s),
    CODEC_FIELD(CODEC_S64, 2, struct seen_record, last_s),
};

static const struct codec_field spent_field[] = {
    CODEC_FIELD(CODEC_S64, 1, struct spent_record, expires_s),
};

#define CODEC(version, field)                                                                                \
    {                                                                                                        \
        version, field, sizeof(field) / sizeof *(field)                                                      \
    }
static const struct codec codec_of[TABLE_COUNT] = {
    [TABLE_POLICY] = CODEC(1, policy_field),
    [TABLE_ENTRY] = CODEC(1, entry_field),
    [TABLE_CORRESPONDENT] = CODEC(1, correspondent_field),
    [TABLE_TOKEN] = CODEC(1, token_field),
    [TABLE_SEEN] = CODEC(2, seen_field),
    [TABLE_SPENT] = CODEC(1, spent_field),
};

enum err policy_record_encode(enum engine_table table, const void *record, struct buf *out)
{
    return codec_encode(&codec_of[table], record, out);
}

enum err policy_record_decode(enum engine_table table, struct span bytes, void *record)
{
    return codec_decode(&codec_of[table], bytes, record);
}

uint32_t policy_records_version(void)
{
    uint32_t sum = 0;

    for (int i = 0; i < TABLE_COUNT; i++)
        sum += codec_of[i].version;
    return sum;
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

static enum err add_hash(struct record_key *k, int kind, const char *text)
{
    char lower[STORE_ADDRESS_MAX * 2];
    uint8_t hash[CRYPT_SHA256_BYTES];
    size_t len = strlen(text);
    enum err err;

    if (len >= sizeof lower)
        return ERR_TOO_LARGE;
    lower[0] = (char)kind;
    for (size_t i = 0; i < len; i++)
        lower[i + 1] = (char)tolower((unsigned char)text[i]);
    err = crypt_sha256(span_bytes(lower, len + 1), hash);
    if (err == ERR_OK) {
        memcpy(k->data + k->len, hash, KEY_HASH_BYTES);
        k->len += KEY_HASH_BYTES;
    }
    return err;
}

enum err key_box(const char *mailbox, struct record_key *out)
{
    out->len = 0;
    return add_hash(out, 0, mailbox);
}

enum err key_in_box(const char *mailbox, int kind, const char *text, struct record_key *out)
{
    enum err err = key_box(mailbox, out);

    return err == ERR_OK ? add_hash(out, kind, text) : err;
}

void key_box_range(const struct record_key *box, struct record_key *from, struct record_key *until)
{
    *from = *until = *box;
    /* The next box: one more, with the carry; behind the last of all there is no end. */
    for (size_t i = until->len; i > 0; i--)
        if (++until->data[i - 1] != 0)
            return;
    until->len = 0;
}
