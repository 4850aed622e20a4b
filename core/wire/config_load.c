#include "core/wire/config_load.h"

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/wire/config_bounds.h"
#include "core/wire/config_host.h"
#include "core/wire/config_listeners.h"
#include "core/wire/config_service.h"
#include "core/wire/config_upstream.h"

#include <stdlib.h>

#define CHUNK_BYTES       ((size_t)16 * 1024)
#define CONFIG_BYTES_MAX  ((size_t)64 << 20)
#define TREE_BYTES_MAX    ((size_t)256 << 20)
#define INCLUDE_DEFAULT   "conf.d/*.toml"
#define INCLUDE_BYTES_MAX 1024u

static void load_services(const struct config_merge *m)
{
    struct config *c = m->read->config;
    c->service = config_read_alloc(m->read, true, m->service.count, sizeof(*c->service));
    if (c->service == NULL) return;
    for (size_t i = 0; i < m->service.count; i++) {
        const struct config_merge_entry *e = &m->service.entry[i];
        CHECK(name_set(&c->service[i].name, e->item.v->key) == ERR_OK);
        config_service_load(&e->table, &e->item, &c->service[i]);
    }
    c->service_count = m->service.count;
}

static void load_upstreams(const struct config_merge *m)
{
    struct config *c = m->read->config;
    c->upstream = config_read_alloc(m->read, true, m->upstream.count, sizeof(*c->upstream));
    if (c->upstream == NULL) return;
    for (size_t i = 0; i < m->upstream.count; i++) {
        const struct config_merge_entry *e = &m->upstream.entry[i];
        CHECK(name_set(&c->upstream[i].name, e->item.v->key) == ERR_OK);
        config_upstream_load(&e->table, &e->item, &c->upstream[i]);
    }
    c->upstream_count = m->upstream.count;
}

/* [defaults] before what takes defaults from it, services before upstreams that call as one. */
static void load_sections(struct config_merge *m)
{
    const struct config_read_table *node = &m->section[CONFIG_MERGE_NODE];
    struct config_read_item place = {.src = &m->src[0], .v = NULL};
    if (node->part_count > 0)
        place = (struct config_read_item){.src = node->part[0].src, .v = node->part[0].table};
    config_host_node(node, &place);
    config_host_defaults(&m->section[CONFIG_MERGE_DEFAULTS]);
    load_services(m);
    load_upstreams(m);
    config_host_metrics(&m->section[CONFIG_MERGE_METRICS]);
    config_host_log(&m->section[CONFIG_MERGE_LOG]);
    config_host_gossip(&m->section[CONFIG_MERGE_GOSSIP]);
    config_bounds_load(&m->section[CONFIG_MERGE_LIMITS]);
    config_listeners_check(m);
}

static void keep_values(struct config_read *r)
{
    struct config *c = r->config;
    c->value = config_read_alloc(r, true, r->note_count, sizeof(*c->value));
    if (c->value == NULL) return;
    for (const struct config_read_note *n = r->first; n != NULL; n = n->next)
        c->value[c->value_count++] = n->value;
}

static uint64_t hash_texts(const struct config_text *text, size_t count)
{
    static const struct hash_key fixed = {{0}};
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++)
        hash = hash_mix(hash ^ hash_bytes(&fixed, text[i].text.p, text[i].text.len));
    return hash;
}

static size_t file_rank(const struct diag_entry *e, const struct config_text *text, size_t count)
{
    size_t rank = 0;
    while (rank < count && (e->file == NULL || strcmp(e->file, text[rank].file) != 0))
        rank++;
    return rank;
}

/* Findings in the order of the files, not of the checks. At most DIAG_ENTRIES_MAX: insertion sort,
 * which keeps the order of equals. */
static void sort_findings(struct diag *d, unsigned from, const struct config_text *text,
                          size_t count)
{
    for (unsigned i = from + 1; i < d->count; i++) {
        struct diag_entry e = d->entry[i];
        size_t rank = file_rank(&e, text, count);
        unsigned j = i;
        for (; j > from; j--) {
            const struct diag_entry *before = &d->entry[j - 1];
            size_t rank_before = file_rank(before, text, count);
            if (rank_before < rank) break;
            if (rank_before == rank && before->line < e.line) break;
            if (rank_before == rank && before->line == e.line && before->column <= e.column) break;
            d->entry[j] = *before;
        }
        d->entry[j] = e;
    }
}

/* Texts that are not TOML end the load: nothing more can be said for certain. */
static enum err parse_all(struct config_read *r, const struct toml_source *src, size_t count,
                          const struct toml_value **root)
{
    enum err result = ERR_OK;
    for (size_t i = 0; i < count; i++) {
        enum err err = toml_parse(&src[i], &r->scratch, r->diag, &root[i]);
        if (result == ERR_OK) result = err;
    }
    return result;
}

static enum err load_into(struct config_read *r, const struct config_text *text, size_t count)
{
    struct config_merge merge;
    struct toml_source *src = config_read_alloc(r, false, count, sizeof(*src));
    const struct toml_value **root = config_read_alloc(r, false, count, sizeof(*root));
    if (src == NULL || root == NULL) return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        src[i] = (struct toml_source){.file = text[i].file, .text = text[i].text};
    enum err err = parse_all(r, src, count, root);
    if (err != ERR_OK) return err;
    config_merge_files(&merge, r, src, root, count);
    load_sections(&merge);
    config_read_remarks(r);
    keep_values(r);
    r->config->text_hash = hash_texts(text, count);
    if (r->nomem) return ERR_NOMEM;
    return r->errors > 0 ? ERR_INVALID : ERR_OK;
}

enum err config_load(const struct config_text *text, size_t count, struct diag *d,
                     struct config **out)
{
    struct config_read r = {.diag = d};
    unsigned from = d != NULL ? d->count : 0;
    CHECK(count > 0);
    if (count > (size_t)CONFIG_INCLUDES_MAX + 1) {
        diag_error(d, NULL, "more than %u included files", CONFIG_INCLUDES_MAX);
        return ERR_TOO_LARGE;
    }
    r.config = calloc(1, sizeof(*r.config));
    if (r.config == NULL) return ERR_NOMEM;
    arena_init(&r.config->arena, CHUNK_BYTES, CONFIG_BYTES_MAX);
    r.lasting = &r.config->arena;
    arena_init(&r.scratch, CHUNK_BYTES, TREE_BYTES_MAX);
    enum err err = load_into(&r, text, count);
    if (d != NULL) sort_findings(d, from, text, count);
    arena_fini(&r.scratch);
    if (err == ERR_OK)
        *out = r.config;
    else
        config_free(r.config);
    return err;
}

static bool pattern_good(struct config_read *r, const struct config_read_item *item)
{
    if (!config_read_is(r, item, "an include", TOML_STRING)) return false;
    struct span text = item->v->u.text;
    bool clean = text.len > 0 && text.len <= INCLUDE_BYTES_MAX;
    for (size_t i = 0; i < text.len; i++)
        clean = clean && (uint8_t)text.p[i] >= 0x20 && text.p[i] != 0x7f;
    if (!clean) config_read_bad(r, item, "an include is the path of a file, or a pattern");
    return clean;
}

static enum err read_includes(struct config_read *r, const struct toml_source *src,
                              struct arena *arena, struct span **patterns, size_t *count)
{
    const struct toml_value *root;
    enum err err = toml_parse(src, &r->scratch, r->diag, &root);
    if (err != ERR_OK) return err;
    struct config_read_item list = {.src = src, .v = toml_get(root, "include")};
    if (list.v != NULL && !config_read_is(r, &list, "include", TOML_ARRAY)) return ERR_INVALID;
    size_t n = list.v != NULL ? list.v->u.node.count : 1, used = 0;
    if (n > CONFIG_INCLUDES_MAX) {
        config_read_bad(r, &list, "more than %u includes", CONFIG_INCLUDES_MAX);
        return ERR_INVALID;
    }
    struct span *all = arena_array(arena, n, sizeof(*all));
    if (all == NULL) return ERR_NOMEM;
    if (list.v == NULL) all[used++] = arena_span(arena, SPAN_LIT(INCLUDE_DEFAULT));
    for (const struct toml_value *v = list.v != NULL ? list.v->u.node.child : NULL; v != NULL;
         v = v->next) {
        struct config_read_item item = {.src = src, .v = v};
        if (pattern_good(r, &item)) all[used++] = arena_span(arena, v->u.text);
    }
    for (size_t i = 0; i < used; i++)
        if (all[i].p == NULL) return ERR_NOMEM;
    if (r->errors > 0) return ERR_INVALID;
    *patterns = all;
    *count = used;
    return ERR_OK;
}

enum err config_load_includes(const struct config_text *main_text, struct arena *arena,
                              struct diag *d, struct span **patterns, size_t *count)
{
    struct config_read r = {.diag = d};
    struct toml_source src = {.file = main_text->file, .text = main_text->text};
    arena_init(&r.scratch, CHUNK_BYTES, TREE_BYTES_MAX);
    enum err err = read_includes(&r, &src, arena, patterns, count);
    arena_fini(&r.scratch);
    return err;
}

void config_load_show(const struct config *c, struct strbuf *out)
{
    for (size_t i = 0; i < c->value_count; i++) {
        const struct config_value *v = &c->value[i];
        strbuf_fmt(out, "%s = %s   # ", v->key, v->value);
        if (v->file != NULL)
            strbuf_fmt(out, "%s:%u\n", v->file, v->line);
        else
            strbuf_str(out, v->until_learned ? "default, until learned\n" : "default\n");
    }
}
