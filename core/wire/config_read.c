#include "core/wire/config_read.h"

#include "core/base/check.h"
#include "core/wire/utf8.h"

#include <stdio.h>

#define MESSAGE_BYTES_MAX 900u
#define VALUE_BYTES_MAX   65536u
#define DURATION_TEXT_MAX 16u
#define MS_PER_S          1000u
#define MS_PER_MINUTE     60000u
#define MS_PER_HOUR       3600000u

void *config_read_alloc(struct config_read *r, bool lasting, size_t count, size_t size)
{
    void *p = arena_array(lasting ? r->lasting : &r->scratch, count, size);
    if (p == NULL) r->nomem = true;
    return p;
}

const char *config_read_copy(struct config_read *r, struct span s)
{
    const char *copy = arena_dup(r->lasting, s.p, s.len);
    if (copy == NULL) r->nomem = true;
    return copy != NULL ? copy : "";
}

/* Findings that nobody will see cost no search for their line. */
static bool diag_is_full(const struct config_read *r)
{
    return r->diag == NULL || r->diag->count == DIAG_ENTRIES_MAX;
}

void config_read_error(struct config_read *r, const struct toml_source *src,
                       const struct toml_place *at, const char *fmt, ...)
{
    char text[MESSAGE_BYTES_MAX];
    struct diag_at place = {.line = 0};
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!diag_is_full(r)) place = toml_diag_at(src, at);
    diag_error(r->diag, &place, "%s", len < 0 ? "not valid" : text);
    r->errors++;
}

void config_read_warning(struct config_read *r, const struct config_read_item *item,
                         const char *code, const char *fmt, ...)
{
    char text[MESSAGE_BYTES_MAX];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    struct config_read_remark *remark = config_read_alloc(r, false, 1, sizeof(*remark));
    const char *copy = arena_dup(&r->scratch, text, len < 0 ? 0 : strlen(text));
    if (remark == NULL || copy == NULL) {
        r->nomem = true;
        return;
    }
    *remark = (struct config_read_remark){.code = code, .text = copy, .item = *item};
    if (r->last_remark != NULL)
        r->last_remark->next = remark;
    else
        r->remark = remark;
    r->last_remark = remark;
}

void config_read_remarks(struct config_read *r)
{
    for (const struct config_read_remark *m = r->remark; m != NULL; m = m->next) {
        struct diag_at at = {.line = 0};
        if (!diag_is_full(r)) at = toml_diag_at(m->item.src, &m->item.v->at);
        at.code = m->code;
        diag_warning(r->diag, &at, "%s", m->text);
    }
}

struct config_read_table config_read_sub(const struct config_read_table *t,
                                         const struct config_read_item *item, const char *key)
{
    struct config_read *r = t->read;
    struct config_read_table sub = {.read = r, .path = ""};
    struct config_read_part *part = config_read_alloc(r, false, 1, sizeof(*part));
    const char *path = arena_fmt(&r->scratch, "%s.%s", t->path, key);
    if (part == NULL || path == NULL) {
        r->nomem = true;
        return sub;
    }
    *part = (struct config_read_part){.src = item->src, .table = item->v};
    sub.path = path;
    sub.part = part;
    sub.part_count = 1;
    return sub;
}

struct config_read_item config_read_find(const struct config_read_table *t, const char *key)
{
    for (size_t i = 0; i < t->part_count; i++) {
        const struct toml_value *v = toml_get(t->part[i].table, key);
        if (v != NULL) return (struct config_read_item){.src = t->part[i].src, .v = v};
    }
    return (struct config_read_item){.v = NULL};
}

static bool is_among(struct span word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_eq_str(word, list[i])) return true;
    return false;
}

static void check_key(const struct config_read_table *t, size_t part,
                      const struct config_read_words *words, const struct toml_value *v)
{
    struct config_read *r = t->read;
    const struct toml_source *src = t->part[part].src;
    if (is_among(v->key, words->later, words->later_count)) {
        config_read_error(r, src, &v->key_at, "\"%.*s\" in [%s] is not part of this version",
                          SPAN_ARG(v->key), t->path);
        return;
    }
    if (!is_among(v->key, words->known, words->known_count)) {
        if (span_eq_str(v->key, "include")) {
            config_read_error(r, src, &v->key_at,
                              "include is above all tables, not in [%s]: move it up", t->path);
            return;
        }
        const char *near = diag_did_you_mean(v->key, words->known, words->known_count);
        config_read_error(r, src, &v->key_at, "unknown key \"%.*s\" in [%s]%s%s%s",
                          SPAN_ARG(v->key), t->path, near != NULL ? "; did you mean \"" : "",
                          near != NULL ? near : "", near != NULL ? "\"?" : "");
        return;
    }
    for (size_t i = 0; i < part; i++)
        for (const struct toml_value *w = t->part[i].table->u.node.child; w != NULL; w = w->next)
            if (span_eq(v->key, w->key))
                config_read_error(r, src, &v->key_at,
                                  "\"%.*s\" of [%s] is already defined at %s:%u", SPAN_ARG(v->key),
                                  t->path, t->part[i].src->file, w->key_at.line);
}

void config_read_keys(const struct config_read_table *t, const struct config_read_words *words)
{
    for (size_t i = 0; i < t->part_count; i++)
        for (const struct toml_value *v = t->part[i].table->u.node.child; v != NULL; v = v->next)
            check_key(t, i, words, v);
}

bool config_read_is(struct config_read *r, const struct config_read_item *item, const char *name,
                    enum toml_kind kind)
{
    if (item->v->kind == kind) return true;
    config_read_bad(r, item, "%s must be %s, not %s", name, toml_kind_text(kind),
                    toml_kind_text(item->v->kind));
    return false;
}

bool config_read_member(const struct config_read_table *t, const char *key, enum toml_kind kind,
                        struct config_read_item *out)
{
    struct config_read_item item = config_read_find(t, key);
    if (item.v == NULL || !config_read_is(t->read, &item, key, kind)) return false;
    *out = item;
    return true;
}

static void add_quoted(struct strbuf *out, struct span s)
{
    strbuf_char(out, '"');
    while (s.len > 0) {
        uint32_t cp = 0;
        size_t len = utf8_decode(s, &cp);
        if (len == 0) break; /* the parser has checked: never */
        if (cp == '"' || cp == '\\') strbuf_char(out, '\\');
        if (cp < 0x20 || cp == 0x7f)
            strbuf_fmt(out, "\\u%04X", (unsigned)cp);
        else
            strbuf_add(out, s.p, len);
        s = span_skip(s, len);
    }
    strbuf_char(out, '"');
}

/* As TOML writes it on one line; dates do not occur in our keys. */
static void add_value(struct strbuf *out, const struct toml_value *v)
{
    bool table = v->kind == TOML_TABLE;
    if (v->kind == TOML_STRING)
        add_quoted(out, v->u.text);
    else if (v->kind == TOML_INTEGER)
        strbuf_fmt(out, "%lld", (long long)v->u.integer);
    else if (v->kind == TOML_BOOL)
        strbuf_str(out, v->u.boolean ? "true" : "false");
    if (!table && v->kind != TOML_ARRAY) return;
    strbuf_str(out, table ? "{ " : "[");
    for (const struct toml_value *child = v->u.node.child; child != NULL; child = child->next) {
        if (child != v->u.node.child) strbuf_str(out, ", ");
        if (table) {
            if (name_valid(child->key))
                strbuf_span(out, child->key);
            else
                add_quoted(out, child->key);
            strbuf_str(out, " = ");
        }
        add_value(out, child);
    }
    strbuf_str(out, table ? " }" : "]");
}

void config_read_note(const struct config_read_table *t, const char *key,
                      const struct config_read_item *item, const char *none)
{
    struct config_read *r = t->read;
    struct config_read_note *note = config_read_alloc(r, false, 1, sizeof(*note));
    const char *path = arena_fmt(r->lasting, "%s.%s", t->path, key);
    if (note == NULL || path == NULL) {
        r->nomem = true;
        return;
    }
    note->value.key = path;
    if (item->v == NULL) {
        note->value.value = config_read_copy(r, span_str(none));
    } else {
        struct strbuf text;
        strbuf_init(&text, VALUE_BYTES_MAX);
        add_value(&text, item->v);
        note->value.value =
            config_read_copy(r, strbuf_ok(&text) ? strbuf_view(&text) : SPAN_LIT("..."));
        strbuf_fini(&text);
        note->value.file = config_read_copy(r, span_str(item->src->file));
        note->value.line = item->v->at.line;
    }
    if (r->last != NULL)
        r->last->next = note;
    else
        r->first = note;
    r->last = note;
    r->note_count++;
}

static char *format_duration(uint32_t ms, char dst[DURATION_TEXT_MAX])
{
    uint32_t unit = ms == 0 || ms % MS_PER_S != 0 ? 1
                    : ms % MS_PER_MINUTE != 0     ? MS_PER_S
                    : ms % MS_PER_HOUR != 0       ? MS_PER_MINUTE
                                                  : MS_PER_HOUR;
    const char *word = unit == 1 ? "ms" : unit == MS_PER_S ? "s" : unit == MS_PER_HOUR ? "h" : "m";
    snprintf(dst, DURATION_TEXT_MAX, "%u%s", (unsigned)(ms / unit), word);
    return dst;
}

static bool parse_duration(struct span text, uint64_t *ms)
{
    static const struct {
        const char *word;
        uint32_t ms;
    } unit[] = {{"ms", 1}, {"s", MS_PER_S}, {"m", MS_PER_MINUTE}, {"h", MS_PER_HOUR}};
    size_t digits = 0;
    uint64_t value;
    while (digits < text.len && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;
    if (!span_u64(span_of(text.p, digits), &value)) return false;
    struct span word = span_skip(text, digits);
    for (size_t i = 0; i < ARRAY_LEN(unit); i++)
        if (span_eq_str(word, unit[i].word))
            return !__builtin_mul_overflow(value, (uint64_t)unit[i].ms, ms);
    return false;
}

void config_read_duration(const struct config_read_table *t, const char *key,
                          struct config_read_range range, uint32_t *ms)
{
    struct config_read_item item = config_read_find(t, key);
    char text[DURATION_TEXT_MAX], most[DURATION_TEXT_MAX];
    char quoted[DURATION_TEXT_MAX + 2];
    uint64_t value = range.none;
    *ms = range.none;
    snprintf(quoted, sizeof(quoted), "\"%s\"", format_duration(range.none, text));
    config_read_note(t, key, item.v != NULL ? &item : &range.from, quoted);
    if (item.v == NULL) return;
    const struct toml_value *v = item.v;
    uint64_t bare;
    if (v->kind == TOML_INTEGER || v->kind == TOML_FLOAT ||
        (v->kind == TOML_STRING && span_u64(v->u.text, &bare))) {
        config_read_bad(t->read, &item,
                        "%s needs a unit: add one, as in \"500ms\", \"2s\", \"1m\" or \"1h\"", key);
        return;
    }
    if (!config_read_is(t->read, &item, key, TOML_STRING)) return;
    if (!parse_duration(v->u.text, &value)) {
        config_read_bad(t->read, &item,
                        "\"%.*s\" is no duration: write a whole number and ms, s, m or h, as in "
                        "\"500ms\"",
                        SPAN_ARG(v->u.text));
        return;
    }
    if (value < range.least || value > range.most) {
        config_read_bad(t->read, &item, "%s must be between %s and %s", key,
                        format_duration(range.least, text), format_duration(range.most, most));
        return;
    }
    *ms = (uint32_t)value;
}

void config_read_integer(const struct config_read_table *t, const char *key,
                         struct config_read_range range, uint32_t *out)
{
    struct config_read_item item = config_read_find(t, key);
    char none[16];
    snprintf(none, sizeof(none), "%u", (unsigned)range.none);
    config_read_note(t, key, &item, none);
    *out = range.none;
    if (item.v == NULL || !config_read_is(t->read, &item, key, TOML_INTEGER)) return;
    int64_t value = item.v->u.integer;
    if (value < (int64_t)range.least || value > (int64_t)range.most) {
        config_read_bad(t->read, &item, "%s must be between %u and %u", key, (unsigned)range.least,
                        (unsigned)range.most);
        return;
    }
    *out = (uint32_t)value;
}

static char *format_bytes(uint64_t bytes, char dst[DURATION_TEXT_MAX])
{
    static const char *const word[] = {"B", "KiB", "MiB", "GiB"};
    size_t unit = 0;
    while (unit + 1 < ARRAY_LEN(word) && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(dst, DURATION_TEXT_MAX, "%llu%s", (unsigned long long)bytes, word[unit]);
    return dst;
}

static bool parse_bytes(struct span text, uint64_t *bytes)
{
    static const struct {
        const char *word;
        uint64_t bytes;
    } unit[] = {{"B", 1}, {"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30}};
    size_t digits = 0;
    uint64_t value;
    while (digits < text.len && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;
    if (!span_u64(span_of(text.p, digits), &value)) return false;
    for (size_t i = 0; i < ARRAY_LEN(unit); i++)
        if (span_eq_str(span_skip(text, digits), unit[i].word))
            return !__builtin_mul_overflow(value, unit[i].bytes, bytes);
    return false;
}

void config_read_bytes(const struct config_read_table *t, const char *key,
                       struct config_read_sizes range, uint64_t *out)
{
    struct config_read_item item = config_read_find(t, key);
    char text[DURATION_TEXT_MAX], most[DURATION_TEXT_MAX], quoted[DURATION_TEXT_MAX + 2];
    uint64_t value;
    *out = range.none;
    snprintf(quoted, sizeof(quoted), "\"%s\"", format_bytes(range.none, text));
    config_read_note(t, key, &item, quoted);
    if (item.v == NULL) return;
    if (item.v->kind == TOML_INTEGER || item.v->kind == TOML_FLOAT) {
        config_read_bad(t->read, &item, "%s needs a unit: add one, as in \"512B\" or \"64KiB\"",
                        key);
        return;
    }
    if (!config_read_is(t->read, &item, key, TOML_STRING)) return;
    if (!parse_bytes(item.v->u.text, &value)) {
        config_read_bad(t->read, &item,
                        "\"%.*s\" is no size: write a whole number and B, KiB, MiB or GiB, as in "
                        "\"64KiB\"",
                        SPAN_ARG(item.v->u.text));
        return;
    }
    if (value < range.least || value > range.most) {
        config_read_bad(t->read, &item, "%s must be between %s and %s", key,
                        format_bytes(range.least, text), format_bytes(range.most, most));
        return;
    }
    *out = value;
}

void config_read_percent(const struct config_read_table *t, const char *key,
                         struct config_read_range range, uint32_t *out)
{
    struct config_read_item item = config_read_find(t, key);
    char none[16];
    uint64_t value;
    snprintf(none, sizeof(none), "\"%u%%\"", (unsigned)range.none);
    config_read_note(t, key, &item, none);
    *out = range.none;
    if (item.v == NULL) return;
    if (item.v->kind == TOML_INTEGER || item.v->kind == TOML_FLOAT) {
        config_read_bad(t->read, &item, "%s needs a unit: add it, as in \"20%%\"", key);
        return;
    }
    if (!config_read_is(t->read, &item, key, TOML_STRING)) return;
    struct span text = item.v->u.text;
    bool unit = text.len > 1 && text.p[text.len - 1] == '%';
    if (!unit || !span_u64(span_of(text.p, text.len - 1), &value)) {
        config_read_bad(t->read, &item, "\"%.*s\" is no percentage, as in \"20%%\"",
                        SPAN_ARG(text));
        return;
    }
    if (value < range.least || value > range.most) {
        config_read_bad(t->read, &item, "%s must be between %u%% and %u%%", key,
                        (unsigned)range.least, (unsigned)range.most);
        return;
    }
    *out = (uint32_t)value;
}

void config_read_bool(const struct config_read_table *t, const char *key, bool none, bool *out)
{
    struct config_read_item item = config_read_find(t, key);
    config_read_note(t, key, &item, none ? "true" : "false");
    *out = none;
    if (item.v == NULL || !config_read_is(t->read, &item, key, TOML_BOOL)) return;
    *out = item.v->u.boolean;
}

static void add_choices(struct strbuf *out, const struct config_read_words *words)
{
    for (size_t i = 0; i < words->known_count; i++) {
        const char *glue = i == 0 ? "" : i + 1 == words->known_count ? " or " : ", ";
        strbuf_fmt(out, "%s\"%s\"", glue, words->known[i]);
    }
}

bool config_read_index(struct config_read *r, const struct config_read_item *item,
                       const struct config_read_words *words, const char *name, unsigned *out)
{
    char text[MESSAGE_BYTES_MAX];
    struct strbuf choices;
    if (!config_read_is(r, item, name, TOML_STRING)) return false;
    struct span word = item->v->u.text;
    for (size_t i = 0; i < words->known_count; i++) {
        if (!span_eq_str(word, words->known[i])) continue;
        *out = (unsigned)i;
        return true;
    }
    strbuf_init_fixed(&choices, text, sizeof(text));
    add_choices(&choices, words);
    if (is_among(word, words->later, words->later_count)) {
        config_read_bad(r, item, "%s \"%.*s\" is not part of this version, which knows %s", name,
                        SPAN_ARG(word), text);
        return false;
    }
    const char *near = diag_did_you_mean(word, words->known, words->known_count);
    config_read_bad(r, item, "%s must be %s, not \"%.*s\"%s%s%s", name, text, SPAN_ARG(word),
                    near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
                    near != NULL ? "\"?" : "");
    return false;
}

unsigned config_read_word(const struct config_read_table *t, const char *key,
                          const struct config_read_words *words, unsigned none)
{
    struct config_read_item item = config_read_find(t, key);
    char quoted[64];
    unsigned index = none;
    CHECK(none < words->known_count);
    snprintf(quoted, sizeof(quoted), "\"%s\"", words->known[none]);
    config_read_note(t, key, &item, quoted);
    if (item.v == NULL) return none;
    return config_read_index(t->read, &item, words, key, &index) ? index : none;
}

bool config_read_protocol(const struct config_read_table *t, enum service_protocol *out, bool *tls)
{
    static const char *const known[] = {"http", "tcp", "h2", "grpc", "tls-passthrough"};
    static const struct config_read_words words = {known, ARRAY_LEN(known), NULL, 0};
    unsigned word = config_read_word(t, "protocol", &words, PROTOCOL_HTTP);
    struct config_read_item connect = config_read_find(t, "connect");
    /* Who says CONNECT says HTTP. */
    bool said = config_read_find(t, "protocol").v != NULL ||
                (connect.v != NULL && connect.v->kind == TOML_BOOL && connect.v->u.boolean);
    if (!said && t->read->last != NULL) t->read->last->value.until_learned = true;
    *tls = word > PROTOCOL_GRPC;
    *out = *tls ? PROTOCOL_TCP : (enum service_protocol)word;
    return said;
}

bool config_read_connect(const struct config_read_table *t, enum service_protocol protocol)
{
    struct config_read_item item = config_read_find(t, "connect");
    bool on = false;
    if (protocol == PROTOCOL_HTTP || protocol == PROTOCOL_H2)
        config_read_bool(t, "connect", false, &on);
    else if (item.v != NULL)
        config_read_error(t->read, item.src, &item.v->key_at,
                          "connect is for http and h2: with tcp all bytes pass, and grpc has no "
                          "CONNECT");
    return on;
}

bool config_read_name(const struct config_read_table *t, const char *key, struct name *out)
{
    struct config_read_item item;
    if (!config_read_member(t, key, TOML_STRING, &item)) return false;
    config_read_note(t, key, &item, "");
    if (name_set(out, item.v->u.text) == ERR_OK) return true;
    config_read_bad(t->read, &item,
                    "\"%.*s\" is not a name: 1 to 63 of a-z 0-9 -, a letter or digit at both ends",
                    SPAN_ARG(item.v->u.text));
    return false;
}

bool config_read_listen(const struct config_read_table *t, const char *key, struct addr *out)
{
    struct config_read_item item;
    if (!config_read_member(t, key, TOML_STRING, &item)) return false;
    config_read_note(t, key, &item, "");
    if (addr_parse(item.v->u.text, 0, out) == ERR_OK) return true;
    config_read_bad(
        t->read, &item,
        "\"%.*s\" is not an address and port, as in \"127.0.0.1:9001\" or \"[::1]:9001\"",
        SPAN_ARG(item.v->u.text));
    return false;
}
