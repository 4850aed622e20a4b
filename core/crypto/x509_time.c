#include "core/crypto/x509_time.h"

#include <stdio.h>

#define DAY_S           INT64_C(86400)
#define DAYS_TO_1970    INT64_C(719528)
#define UTC_TIME_LEN    13u
#define UTC_TIME_MIN_S  (-INT64_C(631152000)) /* 1950-01-01 */
#define UTC_TIME_MAX_S  INT64_C(2524607999)   /* 2049-12-31T23:59:59 */
#define GENERALIZED_LEN 15u

struct date {
    int64_t year;
    unsigned month, day, hour, minute, second;
};

/* Calendar arithmetic in eras of 400 years that begin on 1 March (Hinnant 2013, days_from_civil and
 * its inverse). */
static int64_t days_from_date(const struct date *d)
{
    int64_t y = d->month <= 2 ? d->year - 1 : d->year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t shifted = d->month > 2 ? d->month - 3 : d->month + 9;
    int64_t doy = (153 * shifted + 2) / 5 + d->day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void date_from_days(int64_t days, struct date *d)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    d->day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    d->month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    d->year = yoe + era * 400 + (d->month <= 2 ? 1 : 0);
}

/* Floor division, so that times before 1970 belong to the day they are in. */
static int64_t day_of(int64_t when_s)
{
    int64_t day = when_s / DAY_S;
    return when_s % DAY_S < 0 ? day - 1 : day;
}

/* `count` decimal digits at `*at`. */
static bool digits(const char **at, unsigned count, unsigned *out)
{
    unsigned value = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned d = (unsigned)(unsigned char)**at - '0';
        if (d > 9) return false;
        value = value * 10 + d;
        (*at)++;
    }
    *out = value;
    return true;
}

static unsigned month_days(int64_t year, unsigned month)
{
    static const unsigned char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

bool x509_time_take(struct span *in, int64_t *out)
{
    struct span rest = *in, body;
    struct date d;
    unsigned year;
    bool utc = der_peek(rest) == DER_UTC_TIME;
    if (!der_take(&rest, utc ? DER_UTC_TIME : DER_GENERALIZED_TIME, &body)) return false;
    if (body.len != (utc ? UTC_TIME_LEN : GENERALIZED_LEN)) return false;
    if (body.p[body.len - 1] != 'Z') return false;
    const char *at = body.p;
    if (!digits(&at, utc ? 2 : 4, &year)) return false;
    /* RFC 5280 4.1.2.5.1: 50 to 99 are 1950 to 1999. */
    if (utc) year += year >= 50 ? 1900 : 2000;
    d.year = year;
    if (!digits(&at, 2, &d.month) || !digits(&at, 2, &d.day) || !digits(&at, 2, &d.hour) ||
        !digits(&at, 2, &d.minute) || !digits(&at, 2, &d.second))
        return false;
    if (d.month < 1 || d.month > 12 || d.day < 1 || d.day > month_days(d.year, d.month))
        return false;
    if (d.hour > 23 || d.minute > 59 || d.second > 59) return false;
    *out = days_from_date(&d) * DAY_S + d.hour * 3600 + d.minute * 60 + d.second;
    *in = rest;
    return true;
}

enum err x509_time_put(struct der_writer *w, int64_t when_s)
{
    char text[32];
    struct date d;
    if (when_s < X509_TIME_MIN_S || when_s > X509_TIME_MAX_S) return ERR_RANGE;
    int64_t day = day_of(when_s);
    unsigned rest = (unsigned)(when_s - day * DAY_S);
    date_from_days(day, &d);
    bool utc = when_s >= UTC_TIME_MIN_S && when_s <= UTC_TIME_MAX_S;
    unsigned year = (unsigned)d.year;
    snprintf(text, sizeof(text), "%04u%02u%02u%02u%02u%02uZ", year, d.month, d.day, rest / 3600,
             rest / 60 % 60, rest % 60);
    if (utc)
        der_put(w, DER_UTC_TIME, text + 2, UTC_TIME_LEN);
    else
        der_put(w, DER_GENERALIZED_TIME, text, GENERALIZED_LEN);
    return ERR_OK;
}

enum err x509_time_days(int64_t when_s, uint32_t *days, uint32_t *seconds)
{
    if (when_s < -DAYS_TO_1970 * DAY_S || when_s > X509_TIME_MAX_S) return ERR_RANGE;
    int64_t day = day_of(when_s);
    *days = (uint32_t)(day + DAYS_TO_1970);
    *seconds = (uint32_t)(when_s - day * DAY_S);
    return ERR_OK;
}
