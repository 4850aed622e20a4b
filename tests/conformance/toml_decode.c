/* toml-decode: a TOML document on stdin to the tagged JSON of the toml-test suite on stdout.
 *
 * Exit 0: printed. 1: not TOML; stderr says where and why, as "-:LINE:COLUMN: error: ...". 2: no
 * input or no room.
 *
 *   {"key": {"type": "integer", "value": "42"}, "array": [...], "table": {...}}
 */
#include "core/wire/json.h"
#include "core/wire/toml.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BYTES_MAX  ((size_t)256 << 20)
#define OUTPUT_BYTES_MAX ((size_t)256 << 20)

static void add_string(struct strbuf *out, struct span s)
{
    struct json j;
    json_init(&j, out);
    json_str(&j, s);
}

static void add_day(struct strbuf *out, const struct toml_date *d)
{
    strbuf_fmt(out, "%04u-%02u-%02u", (unsigned)d->year, (unsigned)d->month, (unsigned)d->day);
}

static void add_time(struct strbuf *out, const struct toml_date *d)
{
    strbuf_fmt(out, "%02u:%02u:%02u", (unsigned)d->hour, (unsigned)d->minute, (unsigned)d->second);
    if (d->nanosecond > 0) strbuf_fmt(out, ".%09" PRIu32, d->nanosecond);
}

static void add_offset(struct strbuf *out, int minutes)
{
    int absolute = abs(minutes);
    if (minutes == 0)
        strbuf_char(out, 'Z');
    else
        strbuf_fmt(out, "%c%02d:%02d", minutes < 0 ? '-' : '+', absolute / 60, absolute % 60);
}

static void add_number(struct strbuf *out, double v)
{
    if (isnan(v))
        strbuf_str(out, "nan");
    else if (isinf(v))
        strbuf_str(out, v < 0 ? "-inf" : "inf");
    else
        strbuf_fmt(out, "%.17g", v);
}

static const char *add_scalar(struct strbuf *out, const struct toml_value *v)
{
    switch (v->kind) {
    case TOML_STRING:
        strbuf_span(out, v->u.text);
        return "string";
    case TOML_INTEGER:
        strbuf_fmt(out, "%" PRId64, v->u.integer);
        return "integer";
    case TOML_FLOAT:
        add_number(out, v->u.number);
        return "float";
    case TOML_BOOL:
        strbuf_str(out, v->u.boolean ? "true" : "false");
        return "bool";
    case TOML_DATE_LOCAL:
        add_day(out, &v->u.date);
        return "date-local";
    case TOML_TIME_LOCAL:
        add_time(out, &v->u.date);
        return "time-local";
    case TOML_DATETIME_LOCAL:
    case TOML_DATETIME:
        add_day(out, &v->u.date);
        strbuf_char(out, 'T');
        add_time(out, &v->u.date);
        if (v->kind == TOML_DATETIME_LOCAL) return "datetime-local";
        add_offset(out, v->u.date.offset_minutes);
        return "datetime";
    case TOML_ARRAY:
    case TOML_TABLE:
        break;
    }
    return "";
}

/* The parser bounds the depth: TOML_DEPTH_MAX. */
static void add_value(struct strbuf *out, const struct toml_value *v)
{
    bool table = v->kind == TOML_TABLE;
    if (!table && v->kind != TOML_ARRAY) {
        struct strbuf text;
        strbuf_init(&text, OUTPUT_BYTES_MAX);
        const char *type = add_scalar(&text, v);
        strbuf_fmt(out, "{\"type\":\"%s\",\"value\":", type);
        add_string(out, strbuf_view(&text));
        strbuf_char(out, '}');
        if (!strbuf_ok(&text)) out->overflow = true;
        strbuf_fini(&text);
        return;
    }
    strbuf_char(out, table ? '{' : '[');
    for (const struct toml_value *child = v->u.node.child; child != NULL; child = child->next) {
        if (child != v->u.node.child) strbuf_char(out, ',');
        if (table) {
            add_string(out, child->key);
            strbuf_char(out, ':');
        }
        add_value(out, child);
    }
    strbuf_char(out, table ? '}' : ']');
}

/* One byte more than a document may have, so that the parser sees when it is too large. */
static bool read_input(struct strbuf *in)
{
    char block[65536];
    size_t n;
    while (in->len <= CONFIG_FILE_BYTES_MAX && (n = fread(block, 1, sizeof(block), stdin)) > 0)
        strbuf_add(in, block, n);
    return !ferror(stdin) && strbuf_ok(in);
}

int main(void)
{
    struct strbuf in, out;
    struct arena arena;
    struct diag diag;
    const struct toml_value *root = NULL;
    int status = 2;
    strbuf_init(&in, (size_t)CONFIG_FILE_BYTES_MAX + 131072);
    strbuf_init(&out, OUTPUT_BYTES_MAX);
    arena_init(&arena, 65536, ARENA_BYTES_MAX);
    diag_init(&diag);
    if (!read_input(&in)) goto done;
    struct toml_source src = {.file = "-", .text = strbuf_view(&in)};
    if (toml_parse(&src, &arena, &diag, &root) == ERR_OK) {
        add_value(&out, root);
        strbuf_char(&out, '\n');
        status = strbuf_ok(&out) && fwrite(out.p, 1, out.len, stdout) == out.len ? 0 : 2;
    } else {
        diag_print(&diag, &out);
        fwrite(out.p, 1, out.len, stderr);
        status = 1;
    }
done:
    diag_fini(&diag);
    arena_fini(&arena);
    strbuf_fini(&out);
    strbuf_fini(&in);
    return status;
}
