#include "core/wire/toml.h"

#include "core/wire/toml_value.h"
#include "core/wire/utf8.h"

struct parse {
    struct toml_scan scan;
    struct toml_value *root;
    struct toml_value *current; /* the table that keys go into */
    uint32_t section;
};

static enum err read_header(struct parse *p)
{
    struct toml_scan *s = &p->scan;
    struct toml_place at = toml_scan_place(s);
    struct toml_key *key;
    /* Keys behind a header that is refused go nowhere, so that they are not refused in turn. */
    struct toml_value *nowhere = arena_alloc(s->arena, sizeof(*nowhere));
    if (nowhere == NULL) return toml_scan_nomem(s);
    enum err err = toml_table_init(s, nowhere, TOML_BY_HEADER, &at, 0);
    if (err != ERR_OK) return err;
    p->current = nowhere;
    p->section = ++s->sections;
    s->at++;
    bool array = toml_scan_take(s, '[');
    err = toml_key_read(s, &key);
    if (err != ERR_OK) return err;
    if (!toml_scan_take(s, ']') || (array && !toml_scan_take(s, ']')))
        return toml_scan_expected(s, array ? "\"]]\"" : "\"]\"");
    toml_scan_close(s, &at);
    return toml_table_header(s, p->root, key, array, &at, &p->current);
}

static enum err read_statement(struct parse *p)
{
    struct toml_scan *s = &p->scan;
    int c = toml_scan_peek(s, 0);
    enum err err = ERR_OK;
    if (c == '[')
        err = read_header(p);
    else if (c != '#' && !toml_scan_at_line_end(s))
        err = toml_value_pair(s, p->current, p->section);
    if (err != ERR_OK) return err;
    toml_scan_blanks(s);
    err = toml_scan_comment(s);
    if (err != ERR_OK) return err;
    return toml_scan_at_line_end(s) ? ERR_OK : toml_scan_expected(s, "the end of the line");
}

/* Goes on behind a bad line as long as it is certain where the next one starts: not inside a value
 * of several lines. */
static enum err read_statements(struct parse *p)
{
    struct toml_scan *s = &p->scan;
    for (;;) {
        toml_scan_blanks(s);
        uint32_t line = s->line;
        s->open = 0;
        enum err err = read_statement(p);
        if (s->fatal != ERR_OK) return s->fatal;
        bool lost = s->line != line || s->open > 0;
        if (err != ERR_OK && (lost || s->errors >= DIAG_ENTRIES_MAX)) return err;
        if (err != ERR_OK) toml_scan_skip_line(s);
        if (!toml_scan_newline(s)) break;
    }
    return s->errors > 0 ? ERR_INVALID : ERR_OK;
}

static enum err check_text(struct toml_scan *s)
{
    struct toml_place at = {.line = 1, .column = 1, .width = 1};
    struct span text = s->src->text;
    if (span_starts(text, SPAN_LIT("\xef\xbb\xbf"))) {
        s->at = s->line_start = s->mark = 3;
        text = span_skip(text, 3);
    }
    size_t valid = utf8_valid_len(text);
    if (valid == text.len) return ERR_OK;
    for (size_t i = 0; i < valid; i++) {
        at.column += ((uint8_t)text.p[i] & 0xc0) != 0x80;
        if (text.p[i] != '\n') continue;
        at.line++;
        at.column = 1;
    }
    at.offset = (uint32_t)(valid + s->at);
    return toml_scan_fail(s, &at, "byte 0x%02x is not UTF-8", (unsigned)(uint8_t)text.p[valid]);
}

enum err toml_parse(const struct toml_source *src, struct arena *arena, struct diag *d,
                    const struct toml_value **out)
{
    struct parse p = {.section = 0};
    struct toml_place at = {.line = 1, .column = 1, .width = 1};
    if (src->text.len > CONFIG_FILE_BYTES_MAX) {
        struct diag_at place = {.file = src->file};
        diag_error(d, &place, "larger than %u MiB", CONFIG_FILE_BYTES_MAX >> 20);
        return ERR_TOO_LARGE;
    }
    toml_scan_init(&p.scan, src, arena, d);
    enum err err = check_text(&p.scan);
    if (err != ERR_OK) goto done;
    p.root = arena_alloc(arena, sizeof(*p.root));
    err = p.root == NULL ? toml_scan_nomem(&p.scan)
                         : toml_table_init(&p.scan, p.root, TOML_BY_HEADER, &at, 0);
    if (err != ERR_OK) goto done;
    p.current = p.root;
    err = read_statements(&p);
    if (err == ERR_OK) *out = p.root;
done:
    toml_scan_fini(&p.scan);
    return err;
}

const struct toml_value *toml_get(const struct toml_value *table, const char *key)
{
    if (table->kind != TOML_TABLE) return NULL;
    for (const struct toml_value *v = table->u.node.child; v != NULL; v = v->next)
        if (span_eq_str(v->key, key)) return v;
    return NULL;
}

const char *toml_kind_text(enum toml_kind kind)
{
    switch (kind) {
    case TOML_STRING:
        return "a string";
    case TOML_INTEGER:
        return "an integer";
    case TOML_FLOAT:
        return "a float";
    case TOML_BOOL:
        return "a boolean";
    case TOML_DATETIME:
    case TOML_DATETIME_LOCAL:
        return "a date-time";
    case TOML_DATE_LOCAL:
        return "a date";
    case TOML_TIME_LOCAL:
        return "a time";
    case TOML_ARRAY:
        return "an array";
    case TOML_TABLE:
        break;
    }
    return "a table";
}

struct diag_at toml_diag_at(const struct toml_source *src, const struct toml_place *at)
{
    size_t from = at->offset < src->text.len ? at->offset : src->text.len;
    size_t to = from;
    while (from > 0 && src->text.p[from - 1] != '\n')
        from--;
    while (to < src->text.len && src->text.p[to] != '\n')
        to++;
    if (to > from && src->text.p[to - 1] == '\r') to--;
    if (from == 0 && span_starts(src->text, SPAN_LIT("\xef\xbb\xbf"))) from = to < 3 ? to : 3;
    return (struct diag_at){.file = src->file,
                            .source = span_of(src->text.p + from, to - from),
                            .line = at->line,
                            .column = at->column,
                            .width = at->width};
}
