#include "admission/rdap_json.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#define SKEW_S 86400 /* registries and their clocks */

/* Exactly n digits at *at, which moves behind them. */
static bool digits(struct span s, size_t *at, size_t n, int *out)
{
    int value = 0;
    if (s.len - *at < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = s.ptr[(*at)++];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *out = value;
    return true;
}

static bool one_of(struct span s, size_t *at, const char *set)
{
    return *at < s.len && s.ptr[*at] != '\0' && strchr(set, s.ptr[(*at)++]) != NULL;
}

/* "Z", "+01:00": seconds east of Greenwich, and nothing behind. */
static bool read_offset(struct span s, size_t at, int *offset_s)
{
    int hours, minutes;
    if (at + 1 == s.len && (s.ptr[at] == 'Z' || s.ptr[at] == 'z')) {
        *offset_s = 0;
        return true;
    }
    char sign = at < s.len ? s.ptr[at] : '\0';
    if (!one_of(s, &at, "+-") || !digits(s, &at, 2, &hours) || !one_of(s, &at, ":") ||
        !digits(s, &at, 2, &minutes) || at != s.len || hours > 23 || minutes > 59)
        return false;
    *offset_s = (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
    return true;
}

enum err rdap_date(struct span text, int64_t *utc_s)
{
    struct tm t = {0};
    size_t at = 0;
    int year, month, offset_s, fraction;
    if (!digits(text, &at, 4, &year) || !one_of(text, &at, "-") || !digits(text, &at, 2, &month) ||
        !one_of(text, &at, "-") || !digits(text, &at, 2, &t.tm_mday) || !one_of(text, &at, "Tt ") ||
        !digits(text, &at, 2, &t.tm_hour) || !one_of(text, &at, ":") || !digits(text, &at, 2, &t.tm_min) ||
        !one_of(text, &at, ":") || !digits(text, &at, 2, &t.tm_sec))
        return ERR_SYNTAX;
    if (at < text.len && text.ptr[at] == '.') {
        at++;
        if (!digits(text, &at, 1, &fraction))
            return ERR_SYNTAX;
        while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
            at++;
    }
    if (!read_offset(text, at, &offset_s) || year < 1970 || month < 1 || month > 12 || t.tm_mday < 1 ||
        t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 60)
        return ERR_SYNTAX;
    t.tm_year = year - 1900;
    t.tm_mon = month - 1;
    if (t.tm_sec == 60)
        t.tm_sec = 59;
    int day = t.tm_mday;
    int64_t utc = (int64_t)timegm(&t);
    if (t.tm_mday != day || utc < offset_s) /* the 31st of June */
        return ERR_SYNTAX;
    *utc_s = utc - offset_s;
    return ERR_OK;
}

static struct span text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) ? span_bytes(json_string_value(value), json_string_length(value))
                                 : span_of(NULL);
}

static bool is_about(const json_t *object, const char *domain)
{
    struct span name = text_of(object, "ldhName");
    if (!span_is(text_of(object, "objectClassName"), "domain"))
        return false;
    if (json_object_get(object, "ldhName") == NULL) /* RFC 9083 5.3: may be left out */
        return true;
    if (name.len > 0 && name.ptr[name.len - 1] == '.')
        name.len--;
    return span_is_nocase(name, domain);
}

static enum err read_events(const json_t *events, int64_t now_s, int64_t *registered_s)
{
    enum err found = ERR_NOT_FOUND;
    size_t i;
    const json_t *event;
    if (events == NULL)
        return ERR_NOT_FOUND;
    if (!json_is_array(events))
        return ERR_SYNTAX;
    json_array_foreach(events, i, event)
    {
        int64_t at_s;
        if (!json_is_object(event) || !json_is_string(json_object_get(event, "eventAction")))
            return ERR_SYNTAX;
        if (!span_is(text_of(event, "eventAction"), "registration"))
            continue;
        if (rdap_date(text_of(event, "eventDate"), &at_s) != ERR_OK || at_s > now_s + SKEW_S)
            return ERR_SYNTAX;
        if (found != ERR_OK || at_s > *registered_s)
            *registered_s = at_s;
        found = ERR_OK;
    }
    return found;
}

enum err rdap_registration(struct span json, const char *domain, int64_t now_s, int64_t *registered_s)
{
    int64_t at_s = 0;
    json_t *root = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, NULL);
    enum err err = json_is_object(root) && is_about(root, domain)
                       ? read_events(json_object_get(root, "events"), now_s, &at_s)
                       : ERR_SYNTAX;
    json_decref(root);
    if (err == ERR_OK)
        *registered_s = at_s;
    return err;
}
