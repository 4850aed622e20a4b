/* Any bytes as a TOML document. A tree that comes back is within its bounds: every place lies in
 * the text and in order, strings are UTF-8, no key is twice in a table, nothing is too deep. */
#include "core/base/check.h"
#include "core/wire/toml.h"
#include "core/wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(const struct toml_source *src, const struct toml_place *at)
{
    struct diag_at shown = toml_diag_at(src, at);
    CHECK(at->line >= 1 && at->column >= 1 && at->width >= 1);
    CHECK(at->offset <= src->text.len);
    CHECK(at->column <= utf8_count(shown.source) + 1);
}

static void check_key(const struct toml_value *table, const struct toml_value *v)
{
    CHECK(utf8_valid_len(v->key) == v->key.len);
    for (const struct toml_value *w = table->u.node.child; w != v; w = w->next)
        CHECK(!span_eq(w->key, v->key));
}

static void check_value(const struct toml_source *src, const struct toml_value *v, unsigned depth)
{
    uint32_t count = 0;
    bool table = v->kind == TOML_TABLE;
    CHECK(depth <= TOML_DEPTH_MAX);
    if (depth > 0 && !(table && v->origin == TOML_BY_DOTTED_KEY)) check_place(src, &v->at);
    if (v->kind == TOML_STRING) {
        CHECK(utf8_valid_len(v->u.text) == v->u.text.len);
        CHECK(v->u.text.p[v->u.text.len] == '\0');
    }
    if (!table && v->kind != TOML_ARRAY) return;
    for (const struct toml_value *child = v->u.node.child; child != NULL; child = child->next) {
        if (table) check_place(src, &child->key_at);
        if (table && count < 64) check_key(v, child);
        check_value(src, child, depth + 1);
        count++;
    }
    CHECK(count == v->u.node.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct toml_source src = {.file = "-", .text = span_of(data, size)};
    const struct toml_value *root = NULL;
    struct arena arena;
    struct diag diag;
    arena_init(&arena, 4096, (size_t)64 << 20);
    diag_init(&diag);
    enum err err = toml_parse(&src, &arena, &diag, &root);
    CHECK((err == ERR_OK) == (root != NULL));
    CHECK((err == ERR_OK) == (diag.errors == 0));
    if (err == ERR_OK) check_value(&src, root, 0);
    diag_fini(&diag);
    arena_fini(&arena);
    return 0;
}
