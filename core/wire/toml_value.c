#include "core/wire/toml_value.h"

static enum err read_word(struct toml_scan *s, struct toml_value *v)
{
    struct span rest = span_skip(s->src->text, s->at);
    struct span word = toml_scan_peek(s, 0) == 't' ? SPAN_LIT("true") : SPAN_LIT("false");
    int c = toml_scan_peek(s, word.len);
    bool longer =
        (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c == '-';
    /* Anything else that starts like this is reported as a number would be. */
    if (!span_starts(rest, word) || longer) return toml_number_read(s, v);
    v->kind = TOML_BOOL;
    v->u.boolean = word.len == 4;
    s->at += word.len;
    return ERR_OK;
}

static enum err too_deep(struct toml_scan *s)
{
    struct toml_place at = toml_scan_place(s);
    return toml_scan_fail(s, &at, "nested deeper than %u levels", TOML_DEPTH_MAX);
}

static enum err read_array(struct toml_scan *s, size_t depth, struct toml_value *v)
{
    if (depth >= TOML_DEPTH_MAX) return too_deep(s);
    v->kind = TOML_ARRAY;
    v->origin = TOML_BY_VALUE;
    v->u.node.depth = (uint16_t)(depth + 1);
    s->at++;
    s->open++;
    for (;;) {
        enum err err = toml_scan_space(s);
        if (err != ERR_OK) return err;
        if (toml_scan_take(s, ']')) break;
        struct toml_place at = toml_scan_place(s);
        err = toml_scan_count(s, &at);
        if (err != ERR_OK) return err;
        struct toml_value *item = arena_alloc(s->arena, sizeof(*item));
        if (item == NULL) return toml_scan_nomem(s);
        err = toml_value_read(s, depth + 1, item);
        if (err == ERR_OK) err = toml_scan_space(s);
        if (err != ERR_OK) return err;
        toml_table_append(v, item);
        if (toml_scan_take(s, ',')) continue;
        if (toml_scan_take(s, ']')) break;
        return toml_scan_expected(s, "\",\" or \"]\"");
    }
    s->open--;
    return ERR_OK;
}

static enum err read_inline_table(struct toml_scan *s, size_t depth, struct toml_value *v)
{
    struct toml_place at = toml_scan_place(s);
    enum err err = toml_table_init(s, v, TOML_BY_VALUE, &at, depth);
    if (err != ERR_OK) return err;
    uint32_t section = ++s->sections;
    s->at++;
    s->open++;
    toml_scan_blanks(s);
    bool more = toml_scan_peek(s, 0) != '}';
    while (more) {
        toml_scan_blanks(s);
        err = toml_value_pair(s, v, section);
        if (err != ERR_OK) return err;
        toml_scan_blanks(s);
        more = toml_scan_take(s, ',');
    }
    if (toml_scan_take(s, '}')) {
        s->open--;
        return ERR_OK;
    }
    if (!toml_scan_at_line_end(s)) return toml_scan_expected(s, "\",\" or \"}\"");
    at = toml_scan_place(s);
    return toml_scan_fail(s, &at, "an inline table ends on its line: \"}\" is missing");
}

enum err toml_value_read(struct toml_scan *s, size_t depth, struct toml_value *v)
{
    struct toml_place at = toml_scan_place(s);
    int c = toml_scan_peek(s, 0);
    enum err err;
    if (c == '"' || c == '\'') {
        v->kind = TOML_STRING;
        err = toml_string_read(s, true, 0, &v->u.text);
    } else if (c == '[') {
        err = read_array(s, depth, v);
    } else if (c == '{') {
        err = read_inline_table(s, depth, v);
    } else if (c == 't' || c == 'f') {
        err = read_word(s, v);
    } else if (toml_date_is_next(s)) {
        err = toml_date_read(s, v);
    } else {
        err = toml_number_read(s, v);
    }
    if (err != ERR_OK) return err;
    toml_scan_close(s, &at);
    v->at = at;
    return ERR_OK;
}

/* The value is read before its key is looked up: a key that exists already is then no reason to
 * lose the place behind it. */
enum err toml_value_pair(struct toml_scan *s, struct toml_value *table, uint32_t section)
{
    struct toml_key *key;
    struct toml_value *v, read = {.kind = TOML_STRING};
    size_t depth = table->u.node.depth;
    enum err err = toml_key_read(s, &key);
    if (err != ERR_OK) return err;
    if (!toml_scan_take(s, '=')) return toml_scan_expected(s, "\"=\" behind the key");
    toml_scan_blanks(s);
    for (const struct toml_key *k = key; k->next != NULL; k = k->next)
        depth++; /* a dotted key puts tables in between */
    err = toml_value_read(s, depth, &read);
    if (err == ERR_OK) err = toml_table_member(s, table, key, section, &v);
    if (err != ERR_OK) return err;
    v->kind = read.kind;
    v->origin = read.origin;
    v->at = read.at;
    v->u = read.u;
    return ERR_OK;
}
