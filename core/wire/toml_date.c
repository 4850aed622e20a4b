#include "core/wire/toml_value.h"

/* RFC 3339 as TOML takes it: date, time, date-time with a "T" or one space, with or without an
 * offset. */

struct field {
    unsigned least, most;
    const char *name;
};

static bool digit_at(const struct toml_scan *s, size_t ahead)
{
    int c = toml_scan_peek(s, ahead);
    return c >= '0' && c <= '9';
}

static bool time_ahead(const struct toml_scan *s, size_t ahead)
{
    return digit_at(s, ahead) && digit_at(s, ahead + 1) && toml_scan_peek(s, ahead + 2) == ':';
}

static bool date_ahead(const struct toml_scan *s)
{
    for (size_t i = 0; i < 4; i++)
        if (!digit_at(s, i)) return false;
    return toml_scan_peek(s, 4) == '-' && digit_at(s, 5);
}

bool toml_date_is_next(const struct toml_scan *s)
{
    return date_ahead(s) || time_ahead(s, 0);
}

static enum err read_field(struct toml_scan *s, unsigned digits, struct field f, unsigned *out)
{
    struct toml_place at = toml_scan_place(s);
    unsigned value = 0;
    for (unsigned i = 0; i < digits; i++) {
        if (!digit_at(s, 0)) return toml_scan_expected(s, "a digit of a date or time");
        value = value * 10 + (unsigned)(toml_scan_peek(s, 0) - '0');
        s->at++;
    }
    toml_scan_close(s, &at);
    if (value < f.least || value > f.most)
        return toml_scan_fail(s, &at, "%s %0*u is not between %u and %u", f.name, (int)digits,
                              value, f.least, f.most);
    *out = value;
    return ERR_OK;
}

static enum err take(struct toml_scan *s, char c, const char *what)
{
    return toml_scan_take(s, c) ? ERR_OK : toml_scan_expected(s, what);
}

static unsigned days_in(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static enum err read_date(struct toml_scan *s, struct toml_date *d)
{
    unsigned year = 0, month = 1, day = 0;
    enum err err = read_field(s, 4, (struct field){0, 9999, "year"}, &year);
    if (err == ERR_OK) err = take(s, '-', "\"-\" behind the year");
    if (err == ERR_OK) err = read_field(s, 2, (struct field){1, 12, "month"}, &month);
    if (err == ERR_OK) err = take(s, '-', "\"-\" behind the month");
    if (err == ERR_OK) err = read_field(s, 2, (struct field){1, days_in(year, month), "day"}, &day);
    d->year = (uint16_t)year;
    d->month = (uint8_t)month;
    d->day = (uint8_t)day;
    return err;
}

static enum err read_fraction(struct toml_scan *s, struct toml_date *d)
{
    uint32_t unit = 100000000;
    if (!toml_scan_take(s, '.')) return ERR_OK;
    if (!digit_at(s, 0)) return toml_scan_expected(s, "a digit of the fraction");
    for (; digit_at(s, 0); s->at++) {
        d->nanosecond += unit * (uint32_t)(toml_scan_peek(s, 0) - '0');
        unit /= 10;
    }
    return ERR_OK;
}

static enum err read_time(struct toml_scan *s, struct toml_date *d)
{
    unsigned hour = 0, minute = 0, second = 0;
    enum err err = read_field(s, 2, (struct field){0, 23, "hour"}, &hour);
    if (err == ERR_OK) err = take(s, ':', "\":\" behind the hour");
    if (err == ERR_OK) err = read_field(s, 2, (struct field){0, 59, "minute"}, &minute);
    if (err == ERR_OK) err = take(s, ':', "\":\" and the seconds");
    if (err == ERR_OK) err = read_field(s, 2, (struct field){0, 60, "second"}, &second);
    if (err == ERR_OK) err = read_fraction(s, d);
    d->hour = (uint8_t)hour;
    d->minute = (uint8_t)minute;
    d->second = (uint8_t)second;
    return err;
}

static enum err read_offset(struct toml_scan *s, struct toml_date *d, bool *found)
{
    unsigned hour = 0, minute = 0;
    int c = toml_scan_peek(s, 0);
    *found = c == 'Z' || c == 'z' || c == '+' || c == '-';
    if (!*found) return ERR_OK;
    s->at++;
    if (c == 'Z' || c == 'z') return ERR_OK;
    enum err err = read_field(s, 2, (struct field){0, 23, "hour of the offset"}, &hour);
    if (err == ERR_OK) err = take(s, ':', "\":\" in the offset");
    if (err == ERR_OK)
        err = read_field(s, 2, (struct field){0, 59, "minute of the offset"}, &minute);
    int minutes = (int)(hour * 60 + minute);
    d->offset_minutes = (int16_t)(c == '-' ? -minutes : minutes);
    return err;
}

enum err toml_date_read(struct toml_scan *s, struct toml_value *v)
{
    struct toml_date d = {.year = 0};
    bool offset = false;
    v->kind = TOML_TIME_LOCAL;
    enum err err = ERR_OK;
    if (date_ahead(s)) {
        err = read_date(s, &d);
        if (err != ERR_OK) return err;
        int c = toml_scan_peek(s, 0);
        v->kind = TOML_DATE_LOCAL;
        bool has_time = c == 'T' || c == 't' || (c == ' ' && time_ahead(s, 1));
        if (has_time) {
            s->at++;
            v->kind = TOML_DATETIME_LOCAL;
            err = read_time(s, &d);
            if (err == ERR_OK) err = read_offset(s, &d, &offset);
            if (offset) v->kind = TOML_DATETIME;
        }
    } else {
        err = read_time(s, &d);
    }
    v->u.date = d;
    return err;
}
