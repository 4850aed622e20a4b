#include "core/wire/toml_value.h"

#include "core/wire/utf8.h"

struct string {
    char quote;
    bool multiline;
    size_t end; /* offset of the closing quotes */
};

static size_t quotes_ahead(const struct toml_scan *s, size_t at, char quote)
{
    size_t n = 0;
    while (at + n < s->src->text.len && s->src->text.p[at + n] == quote)
        n++;
    return n;
}

/* The closing quotes of a multi-line string may have one or two quotes of its content in front. */
static bool find_end(const struct toml_scan *s, struct string *str)
{
    struct span text = s->src->text;
    bool escapes = str->quote == '"';
    for (size_t i = s->at; i < text.len; i++) {
        if (escapes && text.p[i] == '\\') {
            i++;
        } else if (!str->multiline && text.p[i] == '\n') {
            return false;
        } else if (text.p[i] == str->quote) {
            size_t n = str->multiline ? quotes_ahead(s, i, str->quote) : 1;
            if (str->multiline && n < 3) {
                i += n - 1;
                continue;
            }
            str->end = str->multiline ? i + (n > 5 ? 5 : n) - 3 : i;
            return true;
        }
    }
    return false;
}

static bool hex(struct toml_scan *s, unsigned digits, uint32_t *out)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < digits; i++, s->at++) {
        int c = toml_scan_peek(s, 0);
        int low = c | 0x20;
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f')
            value = value << 4 | (uint32_t)(low - 'a' + 10);
        else
            return false;
    }
    *out = value;
    return true;
}

static enum err read_unicode(struct toml_scan *s, struct toml_place *at, unsigned digits, char *dst,
                             size_t *len)
{
    uint32_t cp;
    if (!hex(s, digits, &cp)) {
        toml_scan_close(s, at);
        return toml_scan_fail(s, at, "\\%c needs %u hexadecimal digits", digits == 4 ? 'u' : 'U',
                              digits);
    }
    size_t n = utf8_encode(cp, dst + *len);
    toml_scan_close(s, at);
    if (n == 0) return toml_scan_fail(s, at, "U+%04X is no character", (unsigned)cp);
    *len += n;
    return ERR_OK;
}

/* A backslash at the end of a line: it and all white space up to the next text are left out. */
static bool take_continuation(struct toml_scan *s)
{
    size_t ahead = 0;
    while (toml_scan_peek(s, ahead) == ' ' || toml_scan_peek(s, ahead) == '\t')
        ahead++;
    int c = toml_scan_peek(s, ahead);
    if (c != '\n' && !(c == '\r' && toml_scan_peek(s, ahead + 1) == '\n')) return false;
    do
        toml_scan_blanks(s);
    while (toml_scan_newline(s));
    return true;
}

/* On a backslash. What an escape stands for is never longer than the escape. */
static enum err read_escape(struct toml_scan *s, const struct string *str, char *dst, size_t *len)
{
    static const char letter[] = "btnfr\"\\";
    static const char meaning[] = "\b\t\n\f\r\"\\";
    struct toml_place at = toml_scan_place(s);
    s->at++;
    int c = toml_scan_peek(s, 0);
    if (str->multiline && take_continuation(s)) return ERR_OK;
    const char *found = c > 0 ? strchr(letter, c) : NULL;
    if (c == 'u' || c == 'U') {
        s->at++;
        return read_unicode(s, &at, c == 'u' ? 4 : 8, dst, len);
    }
    if (found != NULL) {
        dst[(*len)++] = meaning[found - letter];
        s->at++;
        return ERR_OK;
    }
    at.width = 2;
    return toml_scan_fail(s, &at,
                          "no such escape: TOML knows \\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX "
                          "\\UXXXXXXXX");
}

static enum err read_plain(struct toml_scan *s, const struct string *str, char *dst, size_t *len)
{
    size_t from = s->at;
    if (str->multiline && toml_scan_newline(s)) {
        dst[(*len)++] = '\n'; /* the specification lets a parser normalise line ends */
        return ERR_OK;
    }
    while (s->at < str->end) {
        int c = toml_scan_peek(s, 0);
        if ((c < 0x20 && c != '\t') || c == 0x7f) break;
        if (str->quote == '"' && c == '\\') break;
        s->at++;
    }
    memcpy(dst + *len, s->src->text.p + from, s->at - from);
    *len += s->at - from;
    if (s->at > from) return ERR_OK;
    struct toml_place at = toml_scan_place(s);
    return toml_scan_fail(s, &at, "control character U+%04X in a string: write it as an escape",
                          (unsigned)toml_scan_peek(s, 0));
}

/* Where a string of several lines was meant to end is anybody's guess. */
static enum err unterminated(struct toml_scan *s, const struct toml_place *at,
                             const struct string *str)
{
    if (str->multiline)
        return toml_scan_fatal(s, at, ERR_INVALID, "this string has no closing quotes");
    return toml_scan_fail(s, at, "this string has no closing %c on its line", str->quote);
}

enum err toml_string_read(struct toml_scan *s, bool multiline, size_t room, struct span *out)
{
    struct toml_place at = toml_scan_place(s);
    struct string str = {.quote = (char)toml_scan_peek(s, 0)};
    size_t len = 0;
    str.multiline = multiline && quotes_ahead(s, s->at, str.quote) >= 3;
    s->at += str.multiline ? 3 : 1;
    if (!find_end(s, &str)) return unterminated(s, &at, &str);
    if (str.multiline) (void)toml_scan_newline(s);
    size_t bytes = str.end > s->at ? str.end - s->at : 0;
    char *buf = arena_alloc(s->arena, room + bytes + 1);
    if (buf == NULL) return toml_scan_nomem(s);
    char *text = buf + room;
    while (s->at < str.end) {
        bool escape = str.quote == '"' && toml_scan_peek(s, 0) == '\\';
        enum err err = escape ? read_escape(s, &str, text, &len) : read_plain(s, &str, text, &len);
        if (err != ERR_OK) return err;
    }
    /* An escape that is malformed may have run into the closing quotes. */
    if (s->at != str.end) return unterminated(s, &at, &str);
    s->at += str.multiline ? 3 : 1;
    *out = span_of(text, len);
    return ERR_OK;
}
