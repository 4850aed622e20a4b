#include "core/wire/toml_value.h"

#include <math.h>
#include <stdlib.h>

#define NUMBER_BYTES_MAX 1024u

struct token {
    struct span text; /* as written */
    struct toml_place at;
    bool negative;
    char digits[NUMBER_BYTES_MAX + 1]; /* without sign and underscores */
    size_t len;
};

static bool token_char(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' ||
           c == '-' || c == '_' || c == '.';
}

static enum err bad(struct toml_scan *s, const struct token *t, const char *why)
{
    return toml_scan_fail(s, &t->at, "%.*s is not a value: %s", SPAN_ARG(t->text), why);
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f') return (unsigned)(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return (unsigned)(c - 'A' + 10);
    return 16;
}

/* Copies without the underscores; each must stand between two digits of `base`. */
static bool strip_underscores(struct token *t, struct span text, unsigned base)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] != '_') {
            t->digits[t->len++] = text.p[i];
            continue;
        }
        if (i == 0 || i + 1 == text.len) return false;
        if (digit_value(text.p[i - 1]) >= base || digit_value(text.p[i + 1]) >= base) return false;
    }
    t->digits[t->len] = '\0';
    return true;
}

static enum err read_integer(struct toml_scan *s, const struct token *t, unsigned base,
                             struct toml_value *v)
{
    uint64_t value = 0;
    uint64_t limit = (uint64_t)INT64_MAX + (t->negative ? 1 : 0);
    if (t->len == 0) return bad(s, t, "digits are missing");
    for (size_t i = 0; i < t->len; i++) {
        unsigned digit = digit_value(t->digits[i]);
        if (digit >= base) return bad(s, t, "a text needs quotes, a number only digits");
        if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value) || value > limit)
            return bad(s, t, "integers have 64 bits");
    }
    v->kind = TOML_INTEGER;
    v->u.integer = t->negative ? (value > 0 ? -1 - (int64_t)(value - 1) : 0) : (int64_t)value;
    return ERR_OK;
}

static size_t count_digits(const char *p)
{
    size_t n = 0;
    while (p[n] >= '0' && p[n] <= '9')
        n++;
    return n;
}

/* digits [. digits] [e [+-] digits], with at least one of the two. */
static bool float_shaped(const char *p)
{
    size_t n = count_digits(p);
    bool is_float = false;
    if (n == 0) return false;
    p += n;
    if (*p == '.') {
        n = count_digits(p + 1);
        if (n == 0) return false;
        p += 1 + n;
        is_float = true;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-') p++;
        n = count_digits(p);
        if (n == 0) return false;
        p += n;
        is_float = true;
    }
    return is_float && *p == '\0';
}

static enum err read_decimal(struct toml_scan *s, struct token *t, struct span text,
                             struct toml_value *v)
{
    if (span_eq_str(text, "inf") || span_eq_str(text, "nan")) {
        double number = text.p[0] == 'i' ? HUGE_VAL : (double)NAN;
        v->kind = TOML_FLOAT;
        v->u.number = t->negative ? -number : number;
        return ERR_OK;
    }
    if (!strip_underscores(t, text, 10))
        return bad(s, t, "an underscore stands between two digits");
    if (t->len > 1 && t->digits[0] == '0' && digit_value(t->digits[1]) < 10)
        return bad(s, t, "a number has no leading zeros");
    if (!float_shaped(t->digits)) return read_integer(s, t, 10, v);
    double number = strtod(t->digits, NULL);
    if (isinf(number)) return bad(s, t, "out of range");
    v->kind = TOML_FLOAT;
    v->u.number = t->negative ? -number : number;
    return ERR_OK;
}

enum err toml_number_read(struct toml_scan *s, struct toml_value *v)
{
    struct token t = {.at = toml_scan_place(s), .len = 0};
    size_t from = s->at;
    while (token_char(toml_scan_peek(s, 0)))
        s->at++;
    t.text = span_of(s->src->text.p + from, s->at - from);
    toml_scan_close(s, &t.at);
    if (t.text.len == 0) return toml_scan_expected(s, "a value");
    if (t.text.len > NUMBER_BYTES_MAX) return toml_scan_fail(s, &t.at, "this number is too long");
    struct span text = t.text;
    bool sign = text.p[0] == '+' || text.p[0] == '-';
    t.negative = text.p[0] == '-';
    if (sign) text = span_skip(text, 1);
    unsigned base = 10;
    if (text.len >= 2 && text.p[0] == '0')
        base = text.p[1] == 'x' ? 16 : text.p[1] == 'o' ? 8 : text.p[1] == 'b' ? 2 : 10;
    if (base == 10) return read_decimal(s, &t, text, v);
    if (sign) return bad(s, &t, "only a decimal number has a sign");
    if (!strip_underscores(&t, span_skip(text, 2), base))
        return bad(s, &t, "an underscore stands between two digits");
    return read_integer(s, &t, base, v);
}
