/* Any bytes as JSON, and as a string to write. A tree that was read, written and read again is the
 * same; a string that was written is read back, with U+FFFD for what was not UTF-8. */
#include "core/base/check.h"
#include "core/wire/json_read.h"
#include "core/wire/utf8.h"

#define TREE_BYTES_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* JSON_DEPTH_MAX bounds the recursion. */
static void write_value(struct json *j, const struct json_value *v)
{
    switch (v->kind) {
    case JSON_NULL:
        json_null(j);
        return;
    case JSON_BOOL:
        json_bool(j, v->boolean);
        return;
    case JSON_NUMBER:
        json_raw(j, v->text);
        return;
    case JSON_STRING:
        json_str(j, v->text);
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    bool object = v->kind == JSON_OBJECT;
    if (object)
        json_object(j);
    else
        json_array(j);
    for (const struct json_value *child = v->child; child != NULL; child = child->next) {
        if (object) json_key(j, child->key.p);
        write_value(j, child);
    }
    if (object)
        json_object_end(j);
    else
        json_array_end(j);
}

static bool same(const struct json_value *a, const struct json_value *b)
{
    if (a->kind != b->kind || a->boolean != b->boolean || a->count != b->count) return false;
    if (!span_eq(a->text, b->text) || !span_eq(a->key, b->key)) return false;
    const struct json_value *y = b->child;
    for (const struct json_value *x = a->child; x != NULL; x = x->next, y = y->next)
        if (y == NULL || !same(x, y)) return false;
    return y == NULL;
}

/* The writer's keys are C strings: a NUL in one cannot be written. */
static bool has_nul_key(const struct json_value *v)
{
    if (v->key.len > 0 && memchr(v->key.p, '\0', v->key.len) != NULL) return true;
    for (const struct json_value *child = v->child; child != NULL; child = child->next)
        if (has_nul_key(child)) return true;
    return false;
}

static void try_document(struct span in, struct arena *arena)
{
    const struct json_value *v, *again;
    struct strbuf out;
    struct json j;
    size_t offset = 0;
    if (json_read(in, arena, &v, &offset) != ERR_OK) {
        CHECK(offset <= in.len);
        return;
    }
    if (has_nul_key(v)) return;
    strbuf_init(&out, TREE_BYTES_MAX);
    json_init(&j, &out);
    write_value(&j, v);
    CHECK(strbuf_ok(&out));
    CHECK(json_read(strbuf_view(&out), arena, &again, NULL) == ERR_OK);
    CHECK(same(v, again));
    strbuf_fini(&out);
}

static void try_string(struct span in, struct arena *arena)
{
    const struct json_value *v;
    struct strbuf out;
    struct json j;
    strbuf_init(&out, TREE_BYTES_MAX);
    json_init(&j, &out);
    json_str(&j, in);
    CHECK(strbuf_ok(&out));
    CHECK(json_read(strbuf_view(&out), arena, &v, NULL) == ERR_OK);
    CHECK(v->kind == JSON_STRING && utf8_valid_len(v->text) == v->text.len);
    if (utf8_valid_len(in) == in.len) CHECK(span_eq(v->text, in));
    strbuf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, 4096, TREE_BYTES_MAX);
    try_document(span_of(data, size), &arena);
    try_string(span_of(data, size), &arena);
    arena_fini(&arena);
    return 0;
}
