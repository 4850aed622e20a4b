#include "core/wire/config_policy.h"

#include "core/base/check.h"
#include "core/wire/config_rule.h"

#include <stdlib.h>

#define CHUNK_BYTES      ((size_t)16 * 1024)
#define POLICY_BYTES_MAX ((size_t)64 << 20)
#define TREE_BYTES_MAX   ((size_t)256 << 20)
#define POLICY_TEXTS_MAX ((size_t)CONFIG_INCLUDES_MAX)

struct load {
    struct config_read read;
    struct toml_source *src;
    const struct toml_value **root;
    struct policy_rule *rule;
    size_t count, most;
    struct policy_mesh *mesh;
};

/* The `rule` array of a text; what else stands at its top is an error. */
static struct config_read_item rules_of(struct load *l, const struct toml_source *src,
                                        const struct toml_value *root)
{
    static const char *const known[] = {"rule"};
    static const char *const later[] = {"route", "split", "limit", "fault", "service"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), later, ARRAY_LEN(later)};
    struct config_read_part part = {.src = src, .table = root};
    struct config_read_table top = {
        .read = &l->read, .path = "the mesh policy", .part = &part, .part_count = 1};
    config_read_keys(&top, &keys);
    struct config_read_item list = config_read_find(&top, "rule");
    if (list.v != NULL && !config_read_is(&l->read, &list, "rule", TOML_ARRAY)) list.v = NULL;
    return list;
}

static void read_text(struct load *l, size_t i)
{
    static const struct config_rule_scope scope = {.protocol = PROTOCOL_HTTP, .mesh = true};
    struct config_read *r = &l->read;
    struct config_read_item list = rules_of(l, &l->src[i], l->root[i]);
    struct config_read_table top = {.read = r, .path = "mesh"};
    if (list.v == NULL) return;
    if (list.v->u.node.count > l->most - l->count) {
        config_read_bad(r, &list, "the mesh policy has more than %u rules", CONFIG_RULES_MAX);
        return;
    }
    config_rule_list(&top, &list, &scope, l->rule, &l->count);
}

/* Deny rules decide before allow rules, and the earlier one of the same kind first. */
static bool comes_before(const struct policy_rule *rule, size_t a, size_t b)
{
    if (rule[a].action != rule[b].action) return rule[a].action == POLICY_DENY;
    return a < b;
}

/* Host rules may come between, so this is what can be said of the mesh policy alone. */
static void lint_unreachable(struct load *l)
{
    for (size_t b = 0; b < l->count; b++) {
        for (size_t a = 0; a < l->count; a++) {
            const struct policy_rule *first = &l->rule[a], *second = &l->rule[b];
            if (a == b || !comes_before(l->rule, a, b) || !policy_covers(first, second)) continue;
            struct diag_at at = {.file = second->file, .line = second->line, .code = "L08"};
            diag_warning(l->read.diag, &at,
                         "rule \"%s\" never decides: rule \"%s\" (%s:%u) matches all that it does "
                         "and comes first",
                         second->name, first->name, first->file, first->line);
            break;
        }
    }
}

static enum err parse_all(struct load *l, const struct config_text *text, size_t count)
{
    struct config_read *r = &l->read;
    enum err result = ERR_OK;
    l->src = config_read_alloc(r, false, count, sizeof(*l->src));
    l->root = config_read_alloc(r, false, count, sizeof(*l->root));
    if (l->src == NULL || l->root == NULL) return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        l->src[i] = (struct toml_source){.file = text[i].file, .text = text[i].text};
        enum err err = toml_parse(&l->src[i], &r->scratch, r->diag, &l->root[i]);
        if (result == ERR_OK) result = err;
    }
    return result;
}

static enum err load_all(struct load *l, const struct config_text *text, size_t count)
{
    struct config_read *r = &l->read;
    enum err err = parse_all(l, text, count);
    if (err != ERR_OK) return err;
    l->most = CONFIG_RULES_MAX;
    l->rule = config_read_alloc(r, true, l->most, sizeof(*l->rule));
    if (l->rule == NULL) return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        read_text(l, i);
    config_read_remarks(r);
    if (r->nomem) return ERR_NOMEM;
    if (r->errors > 0) return ERR_INVALID;
    lint_unreachable(l);
    l->mesh->rule = l->rule;
    l->mesh->rule_count = l->count;
    return ERR_OK;
}

static enum err check_sizes(const struct config_text *text, size_t count, struct diag *d)
{
    if (count > POLICY_TEXTS_MAX) {
        diag_error(d, NULL, "more than %zu texts in a mesh policy", POLICY_TEXTS_MAX);
        return ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < count; i++) {
        if (text[i].text.len <= CONFIG_POLICY_TEXT_BYTES_MAX) continue;
        diag_error(d, &(struct diag_at){.file = text[i].file}, "the text is over 1 MiB");
        return ERR_TOO_LARGE;
    }
    return ERR_OK;
}

enum err config_policy_load(const struct config_text *text, size_t count, struct diag *d,
                            struct policy_mesh **out)
{
    struct load l = {.read = {.diag = d}};
    enum err err = check_sizes(text, count, d);
    if (err != ERR_OK) return err;
    l.mesh = calloc(1, sizeof(*l.mesh));
    if (l.mesh == NULL) return ERR_NOMEM;
    arena_init(&l.mesh->arena, CHUNK_BYTES, POLICY_BYTES_MAX);
    arena_init(&l.read.scratch, CHUNK_BYTES, TREE_BYTES_MAX);
    l.read.lasting = &l.mesh->arena;
    err = load_all(&l, text, count);
    arena_fini(&l.read.scratch);
    if (err == ERR_OK)
        *out = l.mesh;
    else
        policy_mesh_free(l.mesh);
    return err;
}
