#include "core/wire/json_read.h"

#include "core/base/check.h"
#include "core/wire/utf8.h"

#include <stdlib.h>

struct parser {
    struct span text; /* borrowed */
    size_t at;
    struct arena *arena; /* borrowed */
    unsigned depth;
};

static int peek(const struct parser *p)
{
    return p->at < p->text.len ? (unsigned char)p->text.p[p->at] : -1;
}

static void skip_blank(struct parser *p)
{
    int c = peek(p);
    while (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        p->at++;
        c = peek(p);
    }
}

static bool take(struct parser *p, char c)
{
    if (peek(p) != (unsigned char)c) return false;
    p->at++;
    return true;
}

static bool take_word(struct parser *p, struct span word)
{
    if (!span_starts(span_skip(p->text, p->at), word)) return false;
    p->at += word.len;
    return true;
}

static bool take_digits(struct parser *p)
{
    size_t from = p->at;
    while (peek(p) >= '0' && peek(p) <= '9')
        p->at++;
    return p->at > from;
}

static enum err read_number(struct parser *p, struct json_value *v)
{
    size_t from = p->at;
    (void)take(p, '-');
    if (!take(p, '0') && !take_digits(p)) return ERR_INVALID;
    if (take(p, '.') && !take_digits(p)) return ERR_INVALID;
    if (take(p, 'e') || take(p, 'E')) {
        if (!take(p, '-')) (void)take(p, '+');
        if (!take_digits(p)) return ERR_INVALID;
    }
    v->kind = JSON_NUMBER;
    v->text = span_of(p->text.p + from, p->at - from);
    return ERR_OK;
}

static bool take_hex4(struct parser *p, uint32_t *out)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        int c = peek(p);
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            value = value << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return false;
    }
    *out = value;
    return true;
}

/* Behind "\u". A high surrogate must be followed by a low one. */
static bool take_code_point(struct parser *p, uint32_t *cp)
{
    uint32_t low;
    if (!take_hex4(p, cp)) return false;
    if (*cp < 0xd800 || *cp > 0xdbff) return true;
    if (!take(p, '\\') || !take(p, 'u') || !take_hex4(p, &low)) return false;
    if (low < 0xdc00 || low > 0xdfff) return false;
    *cp = 0x10000 + ((*cp - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* Behind a backslash: the bytes it stands for, 0 when it is no escape. */
static size_t take_escape(struct parser *p, char dst[4])
{
    static const char letter[] = "\"\\/bfnrt";
    static const char meaning[] = "\"\\/\b\f\n\r\t";
    uint32_t cp;
    int c = peek(p);
    if (c <= 0) return 0;
    p->at++;
    if (c == 'u') return take_code_point(p, &cp) ? utf8_encode(cp, dst) : 0;
    const char *at = strchr(letter, c);
    if (at == NULL) return 0;
    dst[0] = meaning[at - letter];
    return 1;
}

/* Where the closing quote of the string that starts at p->at is. */
static bool find_end(const struct parser *p, size_t *end)
{
    for (size_t i = p->at; i < p->text.len; i++) {
        if (p->text.p[i] == '"') {
            *end = i;
            return true;
        }
        if (p->text.p[i] == '\\') i++;
    }
    return false;
}

static enum err read_string(struct parser *p, struct span *out)
{
    size_t end, len = 0;
    if (!take(p, '"') || !find_end(p, &end)) return ERR_INVALID;
    /* No escape is shorter than what it stands for. */
    char *text = arena_alloc(p->arena, end - p->at + 1);
    if (text == NULL) return ERR_NOMEM;
    while (p->at < end) {
        uint32_t cp;
        size_t n = utf8_decode(span_skip(p->text, p->at), &cp);
        if (n == 0 || cp < 0x20) return ERR_INVALID;
        if (cp == '\\') {
            char bytes[4];
            p->at++;
            n = take_escape(p, bytes);
            if (n == 0 || p->at > end) return ERR_INVALID;
            memcpy(text + len, bytes, n);
        } else {
            memcpy(text + len, p->text.p + p->at, n);
            p->at += n;
        }
        len += n;
    }
    p->at = end + 1;
    *out = span_of(text, len);
    return ERR_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const struct json_value *const *x = a, *const *y = b;
    return span_cmp((*x)->key, (*y)->key);
}

static enum err check_keys_differ(struct parser *p, const struct json_value *object)
{
    size_t n = 0;
    const struct json_value **key = arena_array(p->arena, object->count, sizeof(*key));
    if (key == NULL) return ERR_NOMEM;
    for (const struct json_value *v = object->child; v != NULL; v = v->next)
        key[n++] = v;
    qsort(key, n, sizeof(*key), compare_keys);
    for (size_t i = 1; i < n; i++)
        if (span_eq(key[i - 1]->key, key[i]->key)) return ERR_INVALID;
    return ERR_OK;
}

static enum err read_value(struct parser *p, struct json_value *v);

static enum err read_member(struct parser *p, struct json_value *v, bool has_key)
{
    skip_blank(p);
    if (has_key) {
        enum err err = read_string(p, &v->key);
        if (err != ERR_OK) return err;
        skip_blank(p);
        if (!take(p, ':')) return ERR_INVALID;
        skip_blank(p);
    }
    enum err err = read_value(p, v);
    skip_blank(p);
    return err;
}

/* Behind the opening bracket. JSON_DEPTH_MAX bounds the recursion. */
static enum err read_children(struct parser *p, struct json_value *v, char end)
{
    struct json_value **link = &v->child;
    if (p->depth == JSON_DEPTH_MAX) return ERR_TOO_LARGE;
    skip_blank(p);
    if (take(p, end)) return ERR_OK;
    p->depth++;
    for (;;) {
        struct json_value *child = arena_alloc(p->arena, sizeof(*child));
        if (child == NULL) return ERR_NOMEM;
        enum err err = read_member(p, child, v->kind == JSON_OBJECT);
        if (err != ERR_OK) return err;
        *link = child;
        link = &child->next;
        v->count++;
        if (take(p, end)) break;
        if (!take(p, ',')) return ERR_INVALID;
    }
    p->depth--;
    return v->kind == JSON_OBJECT ? check_keys_differ(p, v) : ERR_OK;
}

static enum err read_value(struct parser *p, struct json_value *v)
{
    switch (peek(p)) {
    case '{':
        p->at++;
        v->kind = JSON_OBJECT;
        return read_children(p, v, '}');
    case '[':
        p->at++;
        v->kind = JSON_ARRAY;
        return read_children(p, v, ']');
    case '"':
        v->kind = JSON_STRING;
        return read_string(p, &v->text);
    case 't':
    case 'f':
        v->kind = JSON_BOOL;
        v->boolean = peek(p) == 't';
        return take_word(p, v->boolean ? SPAN_LIT("true") : SPAN_LIT("false")) ? ERR_OK
                                                                               : ERR_INVALID;
    case 'n':
        v->kind = JSON_NULL;
        return take_word(p, SPAN_LIT("null")) ? ERR_OK : ERR_INVALID;
    default:
        return read_number(p, v);
    }
}

enum err json_read(struct span text, struct arena *arena, const struct json_value **out,
                   size_t *offset)
{
    struct parser p = {.text = text, .arena = arena};
    struct json_value *root = arena_alloc(arena, sizeof(*root));
    enum err err = ERR_NOMEM;
    if (root == NULL) goto fail;
    err = read_member(&p, root, false);
    if (err == ERR_OK && p.at < text.len) err = ERR_INVALID;
    if (err != ERR_OK) goto fail;
    *out = root;
    return ERR_OK;
fail:
    if (offset != NULL) *offset = p.at;
    return err;
}

const struct json_value *json_read_get(const struct json_value *v, const char *key)
{
    if (v == NULL || v->kind != JSON_OBJECT) return NULL;
    for (const struct json_value *child = v->child; child != NULL; child = child->next)
        if (span_eq_str(child->key, key)) return child;
    return NULL;
}

struct span json_read_str(const struct json_value *v, const char *key, struct span none)
{
    const struct json_value *m = json_read_get(v, key);
    return m != NULL && m->kind == JSON_STRING ? m->text : none;
}

uint64_t json_read_u64(const struct json_value *v, const char *key, uint64_t none)
{
    uint64_t value;
    const struct json_value *m = json_read_get(v, key);
    if (m == NULL || m->kind != JSON_NUMBER || !span_u64(m->text, &value)) return none;
    return value;
}

bool json_read_bool(const struct json_value *v, const char *key, bool none)
{
    const struct json_value *m = json_read_get(v, key);
    return m != NULL && m->kind == JSON_BOOL ? m->boolean : none;
}
