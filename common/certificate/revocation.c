#include "certificate/revocation.h"

#include <stdio.h>
#include <string.h>

#include "certificate/staple.h"

struct judgement {
    const struct revocation_rules *rules;
    struct crl_cache *cache;
    int64_t now_s, now_mono_ms;
    struct revocation_verdict *out;
};

static void say(struct judgement *j, struct x509_st *certificate, const char *what, const char *where)
{
    char subject[CERTIFICATE_NAME_MAX];
    certificate_subject(certificate, subject);
    snprintf(j->out->detail, sizeof j->out->detail, "%s%s%s (%.100s)", what, where[0] != '\0' ? ": " : "",
             where, subject);
}

static enum err revoked(struct judgement *j, struct x509_st *certificate, const char *by)
{
    char subject[CERTIFICATE_NAME_MAX], serial[CERTIFICATE_SERIAL_MAX];
    certificate_subject(certificate, subject);
    certificate_serial(certificate, serial);
    snprintf(j->out->detail, sizeof j->out->detail, "the certificate is revoked (%s, %.100s, serial %s)", by,
             subject, serial);
    return ERR_CERT_REVOKED;
}

static void need(struct judgement *j, const char *url)
{
    struct revocation_verdict *v = j->out;
    if (v->needed_count < REVOCATION_NEEDED_MAX)
        memcpy(v->needed[v->needed_count++], url, strlen(url) + 1);
}

/* The first of its lists that is at hand and says something; else the first that can still be asked for. */
static enum err by_list(struct judgement *j, struct x509_st *certificate, struct x509_st *issuer)
{
    struct crl_urls urls;
    crl_urls_of(certificate, &urls);
    if (urls.count == 0)
        say(j, certificate, "the certificate names no CRL and came without an OCSP answer", "");
    for (size_t i = 0; i < urls.count; i++) {
        struct crl *list = NULL;
        char why[CRL_WHY_MAX] = "", text[CRL_WHY_MAX + CRL_URL_MAX + 32];
        const char *because = why;
        enum err err = ERR_REVOCATION_UNKNOWN;
        switch (crl_cache_get(j->cache, urls.url[i], j->now_s, j->now_mono_ms, &list, why)) {
        case CRL_HERE:
            err = crl_judge(list, certificate, issuer, &urls, j->now_s, &because);
            crl_free(list);
            break;
        case CRL_FAILED:
            break;
        case CRL_UNKNOWN:
            if (j->rules->not_to_be_fetched) {
                because = "not fetched on the word of an authority that DNS alone names";
                break;
            }
            need(j, urls.url[i]);
            say(j, certificate, "the CRL is not here yet", urls.url[i]);
            return err;
        }
        if (err == ERR_CERT_REVOKED)
            return revoked(j, certificate, "CRL");
        if (err == ERR_OK)
            return ERR_OK;
        snprintf(text, sizeof text, "%s, %.100s", because, urls.url[i]);
        say(j, certificate, "no usable CRL", text);
    }
    return ERR_REVOCATION_UNKNOWN;
}

/* ERR_OK, ERR_CERT_REVOKED; ERR_REVOCATION_UNKNOWN with a reason for an answer that is not good. */
static enum err by_answer(struct judgement *j, struct chain *chain)
{
    const char *why = "";
    int64_t until_s = 0;
    if (j->now_s < chain_staple_good_until_s(chain))
        return ERR_OK;
    switch (staple_judge(chain_staple(chain), chain_certificate(chain, 0), chain_certificate(chain, 1),
                         j->now_s, &until_s, &why)) {
    case STAPLE_GOOD:
        chain_note_staple_good(chain, until_s);
        return ERR_OK;
    case STAPLE_REVOKED:
        return revoked(j, chain_certificate(chain, 0), "OCSP");
    case STAPLE_UNUSABLE:
        break;
    }
    say(j, chain_certificate(chain, 0), why, "");
    return ERR_REVOCATION_UNKNOWN;
}

static enum err judge_one(struct judgement *j, struct chain *chain, size_t i)
{
    struct x509_st *certificate = chain_certificate(chain, i), *issuer = chain_certificate(chain, i + 1);
    if (i == 0 && chain_staple(chain).len > 0) {
        enum err err = by_answer(j, chain);
        /* One that is there must be good; a soft rule goes on as if it were not there. */
        if (err != ERR_REVOCATION_UNKNOWN || j->rules->hard)
            return err;
    }
    if (certificate_lifetime_s(certificate) <= j->rules->short_lifetime_s)
        return ERR_OK;
    return by_list(j, certificate, issuer);
}

enum err revocation_judge(const struct revocation_rules *rules, struct crl_cache *cache, struct chain *chain,
                          int64_t now_s, int64_t now_mono_ms, struct revocation_verdict *out)
{
    struct judgement j = {rules, cache, now_s, now_mono_ms, out};
    bool unknown = false;
    out->detail[0] = '\0';
    out->needed_count = 0;
    /* The anchor is trusted by configuration, or by DNS: nobody can revoke it but who said so. */
    for (size_t i = 0; i + 1 < chain_length(chain); i++) {
        size_t needed = out->needed_count;
        enum err err = judge_one(&j, chain, i);
        if (err == ERR_CERT_REVOKED) {
            out->needed_count = 0;
            return err;
        }
        /* Nothing that could be fetched would help: no use in fetching for the others. */
        if (err != ERR_OK && rules->hard && out->needed_count == needed) {
            out->needed_count = 0;
            return err;
        }
        unknown = unknown || err != ERR_OK;
    }
    if (out->needed_count > 0 || (unknown && rules->hard))
        return ERR_REVOCATION_UNKNOWN;
    if (!unknown)
        out->detail[0] = '\0';
    return ERR_OK;
}
