#include "core/wire/toml_scan.h"

#include "core/base/check.h"
#include "core/wire/utf8.h"

#include <stdio.h>

#define MESSAGE_BYTES_MAX 512u

/* The key of the index comes from the text itself: to aim collisions at it, a text would have to
 * collide under a hash of that same text. */
static struct hash_key index_key(struct span text)
{
    struct hash_key key = {{0}};
    uint64_t half[2];
    half[0] = hash_bytes(&key, text.p, text.len);
    half[1] = hash_mix(half[0]);
    memcpy(key.byte, half, sizeof(key.byte));
    return key;
}

void toml_scan_init(struct toml_scan *s, const struct toml_source *src, struct arena *arena,
                    struct diag *d)
{
    *s = (struct toml_scan){
        .src = src, .arena = arena, .diag = d, .line = 1, .mark_column = 1, .fatal = ERR_OK};
    struct hash_key key = index_key(src->text);
    map_init(&s->index, &key, TOML_KEYS_MAX);
}

void toml_scan_fini(struct toml_scan *s)
{
    map_fini(&s->index);
}

int toml_scan_peek(const struct toml_scan *s, size_t ahead)
{
    size_t left = s->src->text.len - s->at;
    return ahead < left ? (unsigned char)s->src->text.p[s->at + ahead] : -1;
}

bool toml_scan_take(struct toml_scan *s, char c)
{
    if (toml_scan_peek(s, 0) != (unsigned char)c) return false;
    s->at++;
    return true;
}

void toml_scan_blanks(struct toml_scan *s)
{
    int c = toml_scan_peek(s, 0);
    while (c == ' ' || c == '\t') {
        s->at++;
        c = toml_scan_peek(s, 0);
    }
}

bool toml_scan_newline(struct toml_scan *s)
{
    bool crlf = toml_scan_peek(s, 0) == '\r' && toml_scan_peek(s, 1) == '\n';
    if (!crlf && toml_scan_peek(s, 0) != '\n') return false;
    s->at += crlf ? 2 : 1;
    s->line++;
    s->line_start = s->mark = s->at;
    s->mark_column = 1;
    return true;
}

bool toml_scan_at_line_end(const struct toml_scan *s)
{
    int c = toml_scan_peek(s, 0);
    return c == -1 || c == '\n' || (c == '\r' && toml_scan_peek(s, 1) == '\n');
}

enum err toml_scan_comment(struct toml_scan *s)
{
    if (!toml_scan_take(s, '#')) return ERR_OK;
    while (!toml_scan_at_line_end(s)) {
        int c = toml_scan_peek(s, 0);
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            struct toml_place at = toml_scan_place(s);
            return toml_scan_fail(s, &at, "control character U+%04X in a comment", (unsigned)c);
        }
        s->at++;
    }
    return ERR_OK;
}

enum err toml_scan_space(struct toml_scan *s)
{
    do {
        toml_scan_blanks(s);
        enum err err = toml_scan_comment(s);
        if (err != ERR_OK) return err;
    } while (toml_scan_newline(s));
    return ERR_OK;
}

void toml_scan_skip_line(struct toml_scan *s)
{
    struct span rest = span_skip(s->src->text, s->at);
    const char *end = rest.len > 0 ? memchr(rest.p, '\n', rest.len) : NULL;
    s->at += end != NULL ? (size_t)(end - rest.p) : rest.len;
}

static uint32_t column(struct toml_scan *s)
{
    if (s->at < s->mark) {
        s->mark = s->line_start;
        s->mark_column = 1;
    }
    struct span passed = span_of(s->src->text.p + s->mark, s->at - s->mark);
    s->mark_column += (uint32_t)utf8_count(passed);
    s->mark = s->at;
    return s->mark_column;
}

struct toml_place toml_scan_place(struct toml_scan *s)
{
    return (struct toml_place){
        .line = s->line, .column = column(s), .width = 1, .offset = (uint32_t)s->at};
}

void toml_scan_close(struct toml_scan *s, struct toml_place *at)
{
    uint32_t end = at->line == s->line ? column(s) : at->column;
    at->width = end > at->column ? end - at->column : 1;
}

enum err toml_scan_fail(struct toml_scan *s, const struct toml_place *at, const char *fmt, ...)
{
    char text[MESSAGE_BYTES_MAX];
    struct diag_at place = toml_diag_at(s->src, at);
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    diag_error(s->diag, &place, "%s", len < 0 ? "not TOML" : text);
    s->errors++;
    return ERR_INVALID;
}

enum err toml_scan_expected(struct toml_scan *s, const char *what)
{
    struct toml_place at = toml_scan_place(s);
    struct span rest = span_skip(s->src->text, s->at);
    uint32_t cp = 0;
    size_t len = utf8_decode(rest, &cp);
    if (toml_scan_peek(s, 0) == -1)
        return toml_scan_fail(s, &at, "expected %s, found the end of the file", what);
    if (toml_scan_at_line_end(s))
        return toml_scan_fail(s, &at, "expected %s, found the end of the line", what);
    if (cp < 0x20 || cp == 0x7f)
        return toml_scan_fail(s, &at, "expected %s, found control character U+%04X", what,
                              (unsigned)cp);
    return toml_scan_fail(s, &at, "expected %s, found '%.*s'", what, (int)len, rest.p);
}

enum err toml_scan_fatal(struct toml_scan *s, const struct toml_place *at, enum err err,
                         const char *text)
{
    (void)toml_scan_fail(s, at, "%s", text);
    s->fatal = err;
    return err;
}

enum err toml_scan_nomem(struct toml_scan *s)
{
    struct toml_place at = toml_scan_place(s);
    return toml_scan_fatal(s, &at, ERR_NOMEM, "out of memory for this file");
}

enum err toml_scan_count(struct toml_scan *s, const struct toml_place *at)
{
    if (s->values == TOML_KEYS_MAX)
        return toml_scan_fatal(s, at, ERR_TOO_LARGE, "more values than a file may hold");
    s->values++;
    return ERR_OK;
}
