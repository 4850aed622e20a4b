#include "core/base/diag.h"

#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_BYTES_MAX 1024u
#define SOURCE_BYTES_MAX  512u
#define DISTANCE_MAX      3u    /* "retires" for "retry" */
#define FILE_BYTES_MAX    4096u /* PATH_MAX, the NUL counted */

void diag_init(struct diag *d)
{
    *d = (struct diag){.count = 0};
}

void diag_fini(struct diag *d)
{
    for (unsigned i = 0; i < d->count; i++) {
        free(d->entry[i].file);
        free(d->entry[i].message);
        free(d->entry[i].source);
    }
    *d = (struct diag){.count = 0};
}

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Bytes of a character that starts with `lead`; 0: none does. */
static size_t lead_bytes(unsigned char lead)
{
    if (lead < 0x80) return 1;
    if (lead < 0xc2) return 0;
    if (lead < 0xe0) return 2;
    if (lead < 0xf0) return 3;
    return lead < 0xf5 ? 4 : 0;
}

/* Bytes of the well-formed UTF-8 character at the start of `s`; 0: none is there (RFC 3629 4). */
static size_t char_bytes(struct span s)
{
    const unsigned char *u = (const unsigned char *)s.p;
    size_t len = lead_bytes(u[0]);
    if (len > s.len) return 0;
    for (size_t i = 1; i < len; i++)
        if (!continues(s.p[i])) return 0;
    if (len < 3) return len;
    if (u[0] == 0xe0 && u[1] < 0xa0) return 0;
    if (u[0] == 0xed && u[1] > 0x9f) return 0;
    if (u[0] == 0xf0 && u[1] < 0x90) return 0;
    if (u[0] == 0xf4 && u[1] > 0x8f) return 0;
    return len;
}

/* C0, DEL, and C1 (U+0080 to U+009F): what could drive a terminal. */
static bool is_control(struct span s, size_t len)
{
    unsigned char c = (unsigned char)s.p[0];
    return c < 0x20 || c == 0x7f || (len == 2 && c == 0xc2 && (unsigned char)s.p[1] < 0xa0);
}

/* Messages and names: controls and bytes that are no UTF-8 become \xNN. */
static void add_escaped(struct strbuf *out, struct span s)
{
    while (s.len > 0) {
        size_t len = char_bytes(s);
        if (len > 0 && !is_control(s, len)) {
            strbuf_add(out, s.p, len);
        } else {
            len = len > 0 ? len : 1;
            for (size_t i = 0; i < len; i++) {
                strbuf_str(out, "\\x");
                strbuf_hex(out, s.p + i, 1);
            }
        }
        s = span_skip(s, len);
    }
}

/* Source lines: each such byte becomes one character (a control picture, U+2400 on), so that
 * columns stay true. */
static void add_pictured(struct strbuf *out, struct span s)
{
    while (s.len > 0) {
        size_t len = char_bytes(s);
        unsigned char c = (unsigned char)s.p[0];
        if (c == '\t') {
            strbuf_char(out, ' ');
        } else if (c < 0x20) {
            char picture[3] = {'\xe2', '\x90', (char)(0x80 + c)};
            strbuf_add(out, picture, sizeof(picture));
        } else if (c == 0x7f) {
            strbuf_str(out, "\xe2\x90\xa1");
        } else if (len == 0 || is_control(s, len)) {
            strbuf_str(out, "\xef\xbf\xbd");
        } else {
            strbuf_add(out, s.p, len);
        }
        s = span_skip(s, len > 0 ? len : 1);
    }
}

/* A heap copy through `add`, cut at `max` bytes: a cut text still helps. NULL when `s` is absent or
 * memory is out. */
static char *copy_text(struct span s, size_t max, void (*add)(struct strbuf *, struct span))
{
    struct strbuf sb;
    if (s.p == NULL) return NULL;
    strbuf_init(&sb, max);
    add(&sb, s);
    sb.overflow = false;
    char *text = strbuf_take(&sb);
    strbuf_fini(&sb);
    return text;
}

/* `text` of `cap` bytes was cut by vsnprintf: without the half of a character at its end. */
static struct span without_half_char(const char *text, size_t cap)
{
    size_t len = cap - 1;
    while (len > 0 && continues(text[len - 1]))
        len--;
    if (len > 0 && (unsigned char)text[len - 1] >= 0xc0) len--;
    return span_of(text, len);
}

void diag_add(struct diag *d, enum diag_level level, const struct diag_at *at, const char *fmt, ...)
{
    static const struct diag_at nowhere = {.line = 0};
    char text[MESSAGE_BYTES_MAX];
    if (d == NULL) return;
    if (at == NULL) at = &nowhere;
    if (level == DIAG_ERROR)
        d->errors++;
    else
        d->warnings++;
    if (d->count == DIAG_ENTRIES_MAX) return;
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    struct span message = len < 0                       ? SPAN_LIT("(unprintable)")
                          : (size_t)len >= sizeof(text) ? without_half_char(text, sizeof(text))
                                                        : span_of(text, (size_t)len);
    struct diag_entry e = {
        .level = level, .line = at->line, .column = at->column, .code = at->code};
    e.width = at->column > 0 && at->width == 0 ? 1 : at->width;
    e.message = copy_text(message, 4 * MESSAGE_BYTES_MAX, add_escaped);
    if (e.message == NULL) return;
    e.file = copy_text(span_str(at->file), FILE_BYTES_MAX, add_escaped);
    e.source = copy_text(at->source, SOURCE_BYTES_MAX, add_pictured);
    d->entry[d->count++] = e;
}

static size_t count_chars(const char *s)
{
    size_t n = 0;
    for (; *s != '\0'; s++)
        n += !continues(*s);
    return n;
}

static void print_source(const struct diag_entry *e, struct strbuf *out)
{
    strbuf_fmt(out, "%5u | %s\n", e->line, e->source);
    size_t chars = count_chars(e->source);
    /* A caret one past the end shows where something is missing. */
    if (e->column == 0 || e->column > chars + 1) return;
    size_t room = chars + 1 - e->column;
    strbuf_str(out, "      | ");
    for (unsigned i = 1; i < e->column; i++)
        strbuf_char(out, ' ');
    strbuf_char(out, '^');
    for (size_t i = 1; i < e->width && i < room; i++)
        strbuf_char(out, '~');
    strbuf_char(out, '\n');
}

static void print_entry(const struct diag_entry *e, struct strbuf *out)
{
    if (e->file != NULL) {
        strbuf_str(out, e->file);
        if (e->line > 0) strbuf_fmt(out, ":%u", e->line);
        if (e->line > 0 && e->column > 0) strbuf_fmt(out, ":%u", e->column);
        strbuf_str(out, ": ");
    }
    strbuf_str(out, e->level == DIAG_ERROR ? "error" : "warning");
    if (e->code != NULL) strbuf_fmt(out, "[%s]", e->code);
    strbuf_fmt(out, ": %s", e->message);
    strbuf_char(out, '\n');
    if (e->line > 0 && e->source != NULL) print_source(e, out);
}

void diag_print(const struct diag *d, struct strbuf *out)
{
    for (unsigned i = 0; i < d->count; i++)
        print_entry(&d->entry[i], out);
    if (d->errors + d->warnings < 2) return;
    strbuf_fmt(out, "%u error%s, %u warning%s", d->errors, d->errors == 1 ? "" : "s", d->warnings,
               d->warnings == 1 ? "" : "s");
    if (d->errors + d->warnings > d->count) strbuf_fmt(out, " (the first %u shown)", d->count);
    strbuf_char(out, '\n');
}

const char *diag_did_you_mean(struct span word, const char *const *candidates, size_t n)
{
    const char *closest = NULL, *longer = NULL;
    unsigned best = DISTANCE_MAX + 1;
    size_t longer_count = 0;
    if (word.len == 0) return NULL;
    for (size_t i = 0; i < n; i++) {
        struct span candidate = span_str(candidates[i]);
        unsigned d = span_distance(word, candidate);
        if (d < best && d * 2 < word.len) {
            best = d;
            closest = candidates[i];
        }
        if (span_starts(candidate, word)) {
            longer = candidates[i];
            longer_count++;
        }
    }
    if (closest != NULL) return closest;
    return longer_count == 1 ? longer : NULL;
}
