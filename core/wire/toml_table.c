#include "core/wire/toml_table.h"

#include "core/base/check.h"

static struct span index_key(const struct toml_value *table, struct toml_key *key)
{
    /* The room in front of the text was made for this by toml_key_read. */
    union {
        const char *from;
        char *to;
    } room = {.from = key->text.p - TOML_KEY_ROOM};
    memcpy(room.to, &table->u.node.id, TOML_KEY_ROOM);
    return span_of(room.to, key->text.len + TOML_KEY_ROOM);
}

static struct toml_value *find(const struct toml_scan *s, const struct toml_value *table,
                               struct toml_key *key)
{
    return map_get(&s->index, index_key(table, key));
}

void toml_table_append(struct toml_value *node, struct toml_value *v)
{
    if (node->u.node.last != NULL)
        node->u.node.last->next = v;
    else
        node->u.node.child = v;
    node->u.node.last = v;
    node->u.node.count++;
}

static enum err add(struct toml_scan *s, struct toml_value *table, struct toml_key *key,
                    struct toml_value **out)
{
    enum err err = toml_scan_count(s, &key->at);
    if (err != ERR_OK) return err;
    struct toml_value *v = arena_alloc(s->arena, sizeof(*v));
    if (v == NULL) return toml_scan_nomem(s);
    v->key = key->text;
    v->key_at = key->at;
    if (map_put(&s->index, index_key(table, key), v) != ERR_OK) return toml_scan_nomem(s);
    toml_table_append(table, v);
    *out = v;
    return ERR_OK;
}

enum err toml_table_init(struct toml_scan *s, struct toml_value *v, enum toml_origin origin,
                         const struct toml_place *at, size_t depth)
{
    if (depth >= TOML_DEPTH_MAX) {
        return toml_scan_fail(s, at, "nested deeper than %u levels", TOML_DEPTH_MAX);
    }
    v->kind = TOML_TABLE;
    v->origin = origin;
    v->at = *at;
    v->u.node.id = s->tables++;
    v->u.node.depth = (uint16_t)(depth + 1);
    return ERR_OK;
}

static enum err add_table(struct toml_scan *s, struct toml_value *parent, struct toml_key *key,
                          enum toml_origin origin, struct toml_value **out)
{
    struct toml_value *v;
    enum err err = add(s, parent, key, &v);
    if (err == ERR_OK) err = toml_table_init(s, v, origin, &key->at, parent->u.node.depth);
    if (err == ERR_OK) *out = v;
    return err;
}

static enum err twice(struct toml_scan *s, const struct toml_key *key, const struct toml_value *v)
{
    /* A table that a longer header named first is defined where its own header stands. */
    bool by_header = v->kind == TOML_TABLE && v->origin == TOML_BY_HEADER;
    return toml_scan_fail(s, &key->at, "\"%.*s\" is already defined at %s:%u", SPAN_ARG(key->text),
                          s->src->file, by_header ? v->at.line : v->key_at.line);
}

/* One step of a header towards its last part. */
static enum err step_down(struct toml_scan *s, struct toml_value **table, struct toml_key *key)
{
    struct toml_value *v = find(s, *table, key);
    if (v == NULL) return add_table(s, *table, key, TOML_BY_SUBHEADER, table);
    if (v->kind == TOML_ARRAY && v->origin == TOML_BY_HEADER) v = v->u.node.last;
    if (v->kind != TOML_TABLE || v->origin == TOML_BY_VALUE) return twice(s, key, v);
    *table = v;
    return ERR_OK;
}

static enum err open_item(struct toml_scan *s, struct toml_value *parent, struct toml_key *key,
                          const struct toml_place *at, struct toml_value **out)
{
    size_t depth = (size_t)parent->u.node.depth + 1;
    struct toml_value *array = find(s, parent, key);
    if (array != NULL && (array->kind != TOML_ARRAY || array->origin != TOML_BY_HEADER))
        return twice(s, key, array);
    struct toml_value *item = arena_alloc(s->arena, sizeof(*item));
    if (item == NULL) return toml_scan_nomem(s);
    enum err err = toml_scan_count(s, at);
    if (err == ERR_OK) err = toml_table_init(s, item, TOML_BY_HEADER, at, depth);
    if (err == ERR_OK && array == NULL) {
        err = add(s, parent, key, &array);
        if (err != ERR_OK) return err;
        array->kind = TOML_ARRAY;
        array->origin = TOML_BY_HEADER;
        array->at = *at;
        array->u.node.depth = (uint16_t)depth;
    }
    if (err != ERR_OK) return err;
    toml_table_append(array, item);
    *out = item;
    return ERR_OK;
}

enum err toml_table_header(struct toml_scan *s, struct toml_value *root, struct toml_key *key,
                           bool array, const struct toml_place *at, struct toml_value **out)
{
    struct toml_value *table = root;
    for (; key->next != NULL; key = key->next) {
        enum err err = step_down(s, &table, key);
        if (err != ERR_OK) return err;
    }
    if (array) return open_item(s, table, key, at, out);
    struct toml_value *v = find(s, table, key);
    if (v == NULL) {
        enum err err = add_table(s, table, key, TOML_BY_HEADER, &v);
        if (err != ERR_OK) return err;
    } else if (v->kind != TOML_TABLE || v->origin != TOML_BY_SUBHEADER) {
        return twice(s, key, v);
    }
    v->origin = TOML_BY_HEADER;
    v->at = *at;
    *out = v;
    return ERR_OK;
}

/* A dotted key may go through tables of dotted keys in the same section, and through one that only
 * a longer header has named so far, which it thereby defines. */
static enum err step_dotted(struct toml_scan *s, struct toml_value **table, struct toml_key *key,
                            uint32_t section)
{
    struct toml_value *v = find(s, *table, key);
    if (v == NULL) {
        enum err err = add_table(s, *table, key, TOML_BY_DOTTED_KEY, &v);
        if (err != ERR_OK) return err;
    } else if (v->kind != TOML_TABLE || v->origin == TOML_BY_HEADER || v->origin == TOML_BY_VALUE ||
               (v->origin == TOML_BY_DOTTED_KEY && v->u.node.section != section)) {
        return twice(s, key, v);
    }
    v->origin = TOML_BY_DOTTED_KEY;
    v->u.node.section = section;
    *table = v;
    return ERR_OK;
}

enum err toml_table_member(struct toml_scan *s, struct toml_value *table, struct toml_key *key,
                           uint32_t section, struct toml_value **out)
{
    for (; key->next != NULL; key = key->next) {
        enum err err = step_dotted(s, &table, key, section);
        if (err != ERR_OK) return err;
    }
    const struct toml_value *v = find(s, table, key);
    if (v != NULL) return twice(s, key, v);
    return add(s, table, key, out);
}
