#include "core/wire/json.h"

#include "core/base/check.h"
#include "core/wire/utf8.h"

#include <math.h>

#define LINE_SEPARATOR      UINT32_C(0x2028)
#define PARAGRAPH_SEPARATOR UINT32_C(0x2029)

void json_init(struct json *j, struct strbuf *out)
{
    *j = (struct json){.out = out};
}

static uint64_t level_bit(const struct json *j)
{
    return UINT64_C(1) << (j->depth - 1);
}

static bool in_object(const struct json *j)
{
    return j->depth > 0 && (j->object & level_bit(j)) != 0;
}

static void comma_if_due(struct json *j)
{
    if (j->depth == 0) return;
    if ((j->filled & level_bit(j)) != 0) strbuf_char(j->out, ',');
    j->filled |= level_bit(j);
}

static void before_value(struct json *j)
{
    CHECK(in_object(j) == j->after_key);
    if (!j->after_key) comma_if_due(j);
    j->after_key = false;
}

static void open_level(struct json *j, bool object)
{
    before_value(j);
    CHECK(j->depth < JSON_DEPTH_MAX);
    j->depth++;
    j->filled &= ~level_bit(j);
    j->object &= ~level_bit(j);
    if (object) j->object |= level_bit(j);
    strbuf_char(j->out, object ? '{' : '[');
}

void json_object(struct json *j)
{
    open_level(j, true);
}

void json_object_end(struct json *j)
{
    CHECK(in_object(j) && !j->after_key);
    j->depth--;
    strbuf_char(j->out, '}');
}

void json_array(struct json *j)
{
    open_level(j, false);
}

void json_array_end(struct json *j)
{
    CHECK(j->depth > 0 && !in_object(j));
    j->depth--;
    strbuf_char(j->out, ']');
}

static void add_escape(struct strbuf *out, uint32_t cp)
{
    static const char named[] = "\"\\\b\f\n\r\t";
    static const char letter[] = "\"\\bfnrt";
    const char *at = cp > 0 && cp < 0x80 ? strchr(named, (int)cp) : NULL;
    strbuf_char(out, '\\');
    if (at != NULL)
        strbuf_char(out, letter[at - named]);
    else
        strbuf_fmt(out, "u%04x", (unsigned)cp);
}

static bool needs_escape(uint32_t cp)
{
    return cp < 0x20 || cp == '"' || cp == '\\' || cp == 0x7f || cp == LINE_SEPARATOR ||
           cp == PARAGRAPH_SEPARATOR;
}

/* Runs of ordinary characters go out in one piece. */
static void add_string(struct strbuf *out, struct span s)
{
    size_t from = 0, at = 0;
    strbuf_char(out, '"');
    while (at < s.len) {
        uint32_t cp = 0;
        size_t len = utf8_decode(span_skip(s, at), &cp);
        if (len > 0 && !needs_escape(cp)) {
            at += len;
            continue;
        }
        strbuf_add(out, s.p + from, at - from);
        if (len == 0)
            strbuf_str(out, "\xef\xbf\xbd");
        else
            add_escape(out, cp);
        at += len > 0 ? len : 1;
        from = at;
    }
    strbuf_add(out, s.p + from, at - from);
    strbuf_char(out, '"');
}

void json_key(struct json *j, const char *key)
{
    CHECK(in_object(j) && !j->after_key);
    comma_if_due(j);
    add_string(j->out, span_str(key));
    strbuf_char(j->out, ':');
    j->after_key = true;
}

void json_str(struct json *j, struct span s)
{
    before_value(j);
    add_string(j->out, s);
}

void json_cstr(struct json *j, const char *s)
{
    if (s == NULL)
        json_null(j);
    else
        json_str(j, span_str(s));
}

void json_u64(struct json *j, uint64_t v)
{
    before_value(j);
    strbuf_u64(j->out, v);
}

void json_i64(struct json *j, int64_t v)
{
    before_value(j);
    if (v < 0) strbuf_char(j->out, '-');
    strbuf_u64(j->out, v < 0 ? ~(uint64_t)v + 1 : (uint64_t)v);
}

void json_f64(struct json *j, double v, int decimals)
{
    CHECK(decimals >= 0 && decimals <= 9);
    if (!isfinite(v)) {
        json_null(j);
        return;
    }
    before_value(j);
    strbuf_fmt(j->out, "%.*f", decimals, v);
}

void json_bool(struct json *j, bool v)
{
    before_value(j);
    strbuf_str(j->out, v ? "true" : "false");
}

void json_null(struct json *j)
{
    before_value(j);
    strbuf_str(j->out, "null");
}

void json_raw(struct json *j, struct span text)
{
    before_value(j);
    strbuf_span(j->out, text);
}

void json_member_cstr(struct json *j, const char *key, const char *value)
{
    json_key(j, key);
    json_cstr(j, value);
}

void json_member_u64(struct json *j, const char *key, uint64_t value)
{
    json_key(j, key);
    json_u64(j, value);
}

void json_member_bool(struct json *j, const char *key, bool value)
{
    json_key(j, key);
    json_bool(j, value);
}

void json_member_hex(struct json *j, const char *key, const void *bytes, size_t len)
{
    json_key(j, key);
    before_value(j);
    strbuf_char(j->out, '"');
    strbuf_hex(j->out, bytes, len);
    strbuf_char(j->out, '"');
}

void json_member_base64(struct json *j, const char *key, const void *bytes, size_t len)
{
    json_key(j, key);
    before_value(j);
    strbuf_char(j->out, '"');
    strbuf_base64(j->out, bytes, len);
    strbuf_char(j->out, '"');
}
