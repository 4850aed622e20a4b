#include "core/wire/config_merge.h"

#include "core/base/check.h"

#include <stdlib.h>

static const char *const section_name[] = {"node",   "defaults", "metrics",  "log",    "gossip",
                                           "limits", "service",  "upstream", "include"};
static const char *const section_later[] = {"gateway", "ui", "tracing", "policy", "route", "admin"};

static void add_part(struct config_merge *m, size_t section, const struct config_read_item *item)
{
    struct config_read_table *t = &m->section[section];
    if (t->part == NULL) t->part = config_read_alloc(m->read, false, m->count, sizeof(*t->part));
    if (t->part == NULL) return;
    t->part[t->part_count++] = (struct config_read_part){.src = item->src, .table = item->v};
}

static const struct config_merge_entry *find_named(const struct config_merge_list *list,
                                                   struct span name)
{
    for (size_t i = 0; i < list->count; i++)
        if (span_eq(list->entry[i].item.v->key, name)) return &list->entry[i];
    return NULL;
}

/* False: it is not to be read. */
static bool check_named(struct config_merge *m, const struct config_merge_list *list,
                        const struct config_read_item *item)
{
    struct config_read *r = m->read;
    struct span key = item->v->key;
    const struct config_merge_entry *other = find_named(list, key);
    bool reserved = span_eq_str(key, "node") || span_eq_str(key, "any") ||
                    span_eq_str(key, "any-authenticated");
    if (!name_valid(key)) {
        config_read_error(r, item->src, &item->v->key_at,
                          "\"%.*s\" is not a name: 1 to 63 of a-z 0-9 -, a letter or digit at both "
                          "ends",
                          SPAN_ARG(key));
        return false;
    }
    if (reserved) {
        config_read_error(r, item->src, &item->v->key_at,
                          "\"%.*s\" is a word of the rules and cannot name a service",
                          SPAN_ARG(key));
        return false;
    }
    if (other != NULL) {
        config_read_error(r, item->src, &item->v->key_at, "%s \"%.*s\" is already defined at %s:%u",
                          list->section, SPAN_ARG(key), other->item.src->file,
                          other->item.v->at.line);
        return false;
    }
    if (list->count == list->limit) {
        config_read_error(r, item->src, &item->v->key_at, "more than %zu of [%s.*]", list->limit,
                          list->section);
        return false;
    }
    return config_read_is(r, item, list->section, TOML_TABLE);
}

static void add_named(struct config_merge *m, struct config_merge_list *list,
                      const struct config_read_item *tables)
{
    struct config_read *r = m->read;
    struct config_read_table parent = {.read = r, .path = list->section};
    for (const struct toml_value *v = tables->v->u.node.child; v != NULL; v = v->next) {
        struct config_read_item item = {.src = tables->src, .v = v};
        char name[NAME_BYTES_MAX + 1];
        if (!check_named(m, list, &item)) continue;
        if (list->entry == NULL)
            list->entry = config_read_alloc(r, false, list->limit, sizeof(*list->entry));
        if (list->entry == NULL || !span_to_cstr(v->key, name, sizeof(name))) return;
        list->entry[list->count++] = (struct config_merge_entry){
            .item = item, .table = config_read_sub(&parent, &item, name)};
    }
}

static void add_top(struct config_merge *m, size_t file, const struct toml_value *v)
{
    struct config_read *r = m->read;
    struct config_read_item item = {.src = &m->src[file], .v = v};
    size_t i = 0;
    while (i < ARRAY_LEN(section_name) && !span_eq_str(v->key, section_name[i]))
        i++;
    if (i < ARRAY_LEN(section_name)) {
        if (span_eq_str(v->key, "include")) {
            if (file > 0)
                config_read_error(r, item.src, &v->key_at, "include is for the main file only");
            else
                (void)config_read_is(r, &item, "include", TOML_ARRAY);
            return;
        }
        if (!config_read_is(r, &item, section_name[i], TOML_TABLE)) return;
        if (i < CONFIG_MERGE_SECTIONS)
            add_part(m, i, &item);
        else
            add_named(m, span_eq_str(v->key, "service") ? &m->service : &m->upstream, &item);
        return;
    }
    for (size_t j = 0; j < ARRAY_LEN(section_later); j++) {
        if (!span_eq_str(v->key, section_later[j])) continue;
        config_read_error(r, item.src, &v->key_at, "[%s] is not part of this version",
                          section_later[j]);
        return;
    }
    const char *near = diag_did_you_mean(v->key, section_name, ARRAY_LEN(section_name));
    bool table = v->kind == TOML_TABLE || v->kind == TOML_ARRAY;
    config_read_error(r, item.src, &v->key_at, "unknown %s \"%.*s\"%s%s%s",
                      table ? "section" : "key", SPAN_ARG(v->key),
                      near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
                      near != NULL ? "\"?" : "");
}

static int compare_named(const void *a, const void *b)
{
    const struct config_merge_entry *x = a, *y = b;
    return span_cmp(x->item.v->key, y->item.v->key);
}

void config_merge_files(struct config_merge *m, struct config_read *r,
                        const struct toml_source *src, const struct toml_value *const *root,
                        size_t count)
{
    *m = (struct config_merge){.read = r, .src = src, .count = count};
    for (size_t i = 0; i < CONFIG_MERGE_SECTIONS; i++)
        m->section[i] = (struct config_read_table){.read = r, .path = section_name[i]};
    m->service = (struct config_merge_list){.section = "service", .limit = NODE_SERVICES_MAX};
    m->upstream = (struct config_merge_list){.section = "upstream", .limit = CONFIG_UPSTREAMS_MAX};
    for (size_t i = 0; i < count; i++)
        for (const struct toml_value *v = root[i]->u.node.child; v != NULL; v = v->next)
            add_top(m, i, v);
    if (m->service.count > 0)
        qsort(m->service.entry, m->service.count, sizeof(*m->service.entry), compare_named);
    if (m->upstream.count > 0)
        qsort(m->upstream.entry, m->upstream.count, sizeof(*m->upstream.entry), compare_named);
}
