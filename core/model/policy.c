#include "core/model/policy.h"

#include <stdlib.h>

void policy_mesh_free(struct policy_mesh *p)
{
    if (p == NULL) return;
    arena_fini(&p->arena);
    free(p);
}

const char *policy_layer_word(enum policy_layer layer)
{
    return layer == POLICY_LAYER_MESH ? "mesh" : "host";
}

static bool names(const struct name *list, size_t count, const struct name *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (name_eq(&list[i], wanted)) return true;
    return false;
}

bool policy_reads_requests(const struct policy_rule *rule)
{
    return rule->method_count > 0 || rule->path_count > 0;
}

bool policy_applies(const struct policy_rule *rule, const struct name *service)
{
    return rule->to_count == 0 || names(rule->to, rule->to_count, service);
}

static void add_mesh(const struct policy_mesh *mesh, enum policy_action action,
                     const struct name *service, struct policy_rule *to, size_t *count)
{
    for (size_t i = 0; mesh != NULL && i < mesh->rule_count; i++)
        if (mesh->rule[i].action == action && policy_applies(&mesh->rule[i], service))
            to[(*count)++] = mesh->rule[i];
}

static void add_host(const struct policy *host, enum policy_action action, struct policy_rule *to,
                     size_t *count)
{
    for (size_t i = 0; i < host->rule_count; i++)
        if (host->rule[i].action == action) to[(*count)++] = host->rule[i];
}

enum err policy_merge(const struct policy *host, const struct policy_mesh *mesh,
                      const struct name *service, struct arena *arena, struct policy *out)
{
    size_t most = host->rule_count + (mesh != NULL ? mesh->rule_count : 0), count = 0;
    struct policy_rule *rule = arena_array(arena, most, sizeof(*rule));
    if (rule == NULL) return ERR_NOMEM;
    add_mesh(mesh, POLICY_DENY, service, rule, &count);
    add_host(host, POLICY_DENY, rule, &count);
    add_host(host, POLICY_ALLOW, rule, &count);
    add_mesh(mesh, POLICY_ALLOW, service, rule, &count);
    *out = (struct policy){.fallback = host->fallback, .rule = rule, .rule_count = count};
    return ERR_OK;
}

/* --- Coverage --- */

static bool anyone(const struct policy_rule *rule)
{
    for (size_t i = 0; i < rule->from_count; i++)
        if (rule->from[i].kind == CALLER_ANY_AUTHENTICATED) return true;
    return rule->from_count == 0;
}

static bool from_covers(const struct policy_rule *a, const struct policy_rule *b)
{
    if (anyone(a)) return true;
    if (anyone(b)) return false;
    for (size_t i = 0; i < b->from_count; i++) {
        size_t k = 0;
        while (k < a->from_count &&
               (a->from[k].kind != b->from[i].kind || !name_eq(&a->from[k].name, &b->from[i].name)))
            k++;
        if (k == a->from_count) return false;
    }
    return true;
}

static bool to_covers(const struct policy_rule *a, const struct policy_rule *b)
{
    if (a->to_count == 0) return true;
    for (size_t i = 0; i < b->to_count; i++)
        if (!names(a->to, a->to_count, &b->to[i])) return false;
    return b->to_count > 0;
}

static bool method_covers(const struct policy_rule *a, const struct policy_rule *b)
{
    if (a->method_count == 0) return true;
    for (size_t i = 0; i < b->method_count; i++) {
        size_t k = 0;
        while (k < a->method_count && !span_eq(a->method[k], b->method[i]))
            k++;
        if (k == a->method_count) return false;
    }
    return b->method_count > 0;
}

static bool path_covers(const struct policy_rule *a, const struct policy_rule *b)
{
    if (a->path_count == 0) return true;
    for (size_t i = 0; i < b->path_count; i++) {
        const struct policy_path *p = &b->path[i];
        bool found = false;
        for (size_t k = 0; k < a->path_count && !found; k++)
            found = a->path[k].prefix ? span_starts(p->text, a->path[k].text)
                                      : !p->prefix && span_eq(p->text, a->path[k].text);
        if (!found) return false;
    }
    return b->path_count > 0;
}

bool policy_covers(const struct policy_rule *a, const struct policy_rule *b)
{
    return to_covers(a, b) && from_covers(a, b) && method_covers(a, b) && path_covers(a, b);
}
