/*
 * when.c - see when.h.
 */
#include "base/when.h"

#include <stdbool.h>

#define DAY_S 86400
#define AHEAD_MAX_S (100LL * 366 * DAY_S)

/* Reads exactly `digits` digits off the front; false when they are not there or outside low..high. */
static bool number(struct span *s, size_t digits, int low, int high, int *out)
{
    int value = 0;

    if (s->len < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        char c = s->ptr[i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *s = span_bytes(s->ptr + digits, s->len - digits);
    *out = value;
    return value >= low && value <= high;
}

/* One of these characters off the front. */
static bool sign(struct span *s, const char *any, char *out)
{
    for (; s->len && *any; any++) {
        if (s->ptr[0] == *any) {
            *out = *any;
            *s = span_bytes(s->ptr + 1, s->len - 1);
            return true;
        }
    }
    return false;
}

static bool leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && leap(year));
}

static int64_t days_before(int year, int month, int day)
{
    int64_t y = year - 1;
    int64_t days = y * 365 + y / 4 - y / 100 + y / 400 - 719162; /* of 0001-01-01 to 1970-01-01 */

    for (int m = 1; m < month; m++)
        days += days_of(year, m);
    return days + day - 1;
}

/* "+01:00" as seconds. */
static bool offset(struct span *s, int64_t *out)
{
    char c;
    int hours, minutes;

    if (!sign(s, "Zz+-", &c))
        return false;
    if (c == 'Z' || c == 'z') {
        *out = 0;
        return true;
    }
    char way = c;
    if (!number(s, 2, 0, 23, &hours) || !sign(s, ":", &c) || !number(s, 2, 0, 59, &minutes))
        return false;
    *out = (hours * 3600 + minutes * 60) * (way == '-' ? -1 : 1);
    return true;
}

static bool fraction(struct span *s)
{
    char c;
    size_t digits = 0;

    if (!sign(s, ".", &c))
        return true;
    while (sign(s, "0123456789", &c))
        digits++;
    return digits > 0;
}

static bool date(struct span s, int64_t *out)
{
    char c;
    int year, month, day, hour, minute, second;
    int64_t shift;

    if (!number(&s, 4, 1970, 9999, &year) || !sign(&s, "-", &c) || !number(&s, 2, 1, 12, &month) ||
        !sign(&s, "-", &c) || !number(&s, 2, 1, 31, &day) || day > days_of(year, month))
        return false;
    int64_t midnight = days_before(year, month, day) * DAY_S;
    if (s.len == 0) {
        *out = midnight + DAY_S;
        return true;
    }
    if (!sign(&s, "Tt ", &c) || !number(&s, 2, 0, 23, &hour) || !sign(&s, ":", &c) ||
        !number(&s, 2, 0, 59, &minute) || !sign(&s, ":", &c) || !number(&s, 2, 0, 60, &second) ||
        !fraction(&s) || !offset(&s, &shift) || s.len)
        return false;
    *out = midnight + hour * 3600 + minute * 60 + second - shift;
    return true;
}

static bool ahead(struct span s, int64_t now_s, int64_t *out)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', DAY_S}, {'w', 7 * DAY_S}};
    uint64_t count;

    for (size_t i = 0; s.len && i < sizeof units / sizeof units[0]; i++) {
        if (s.ptr[s.len - 1] != units[i].unit)
            continue;
        if (!span_to_u64(span_bytes(s.ptr, s.len - 1), (uint64_t)(AHEAD_MAX_S / units[i].seconds), &count))
            return false;
        *out = now_s + (int64_t)count * units[i].seconds;
        return true;
    }
    return false;
}

enum err when_parse(struct span text, int64_t now_s, int64_t *out)
{
    char c;
    bool good = sign(&text, "+", &c) ? ahead(text, now_s, out) : date(text, out);

    return good ? ERR_OK : ERR_SYNTAX;
}
