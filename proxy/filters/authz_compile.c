#include "proxy/filters/authz_compile.h"

#include "core/wire/uri.h"

#include <stdlib.h>

int authz_compile_order(enum identity_kind kind, const char *name, const struct authz_caller *c)
{
    if (kind != c->kind) return kind < c->kind ? -1 : 1;
    return strcmp(name, c->name.text);
}

struct authz_head authz_compile_head(struct span text)
{
    struct authz_head head = {0, 0};
    static const uint8_t ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    size_t len = text.len < sizeof(ones) ? text.len : sizeof(ones);
    if (len == 0) return head;
    memcpy(&head.bits, text.p, len);
    memcpy(&head.mask, ones, len);
    return head;
}

static int hex_value(char c)
{
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

size_t authz_compile_loose(struct span path, bool cut, char *out)
{
    size_t len = 0;
    bool cutting = false;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.p[i];
        bool slash = c == '/';
        /* Canonical: an escape is whole, upper-case, and never that of a slash. */
        if (c == '%' && path.len - i > 2) {
            c = (char)(hex_value(path.p[i + 1]) * 16 + hex_value(path.p[i + 2]));
            i += 2;
        }
        if (slash)
            cutting = false;
        else if (cut && c == ';')
            cutting = true;
        if (cutting || (slash && len > 0 && out[len - 1] == '/')) continue;
        out[len++] = c;
    }
    return len;
}

/* False, and said in `d`, when requests never look like `text`. */
static bool path_possible(const struct policy_rule *rule, struct span text, struct diag *d)
{
    char canonical[TARGET_BYTES_MAX];
    struct uri_target t = {.path = {NULL, 0}};
    struct diag_at at = {.file = rule->file, .line = rule->line};
    if (uri_canonical(text, false, canonical, sizeof(canonical), &t) != ERR_OK) {
        diag_error(d, &at, "path \"%.*s\" of rule \"%s\" is not the path of any request",
                   SPAN_ARG(text), rule->name);
        return false;
    }
    if (span_eq(t.path, text)) return true;
    diag_error(d, &at,
               "path \"%.*s\" of rule \"%s\" never matches: requests for it become \"%.*s\"",
               SPAN_ARG(text), rule->name, SPAN_ARG(t.path));
    return false;
}

static enum err compile_paths(const struct policy_rule *from, struct arena *arena,
                              struct authz_rule *to, struct diag *d)
{
    struct authz_path *path = arena_array(arena, from->path_count, sizeof(*path));
    if (path == NULL) return ERR_NOMEM;
    for (size_t i = 0; i < from->path_count; i++) {
        struct span text = from->path[i].text;
        if (!path_possible(from, text, d)) return ERR_INVALID;
        char *loose = arena_alloc(arena, text.len);
        path[i].text = arena_span(arena, text);
        path[i].prefix = from->path[i].prefix;
        path[i].head = authz_compile_head(text);
        if (loose == NULL || path[i].text.p == NULL) return ERR_NOMEM;
        path[i].loose = span_of(loose, authz_compile_loose(text, false, loose));
    }
    to->path = path;
    to->path_count = from->path_count;
    return ERR_OK;
}

static enum err compile_rule(const struct policy_rule *from, struct arena *arena,
                             struct authz_rule *to, struct diag *d)
{
    struct span *method = arena_array(arena, from->method_count, sizeof(*method));
    to->action = from->action;
    to->layer = policy_layer_word(from->layer);
    to->name = arena_dup(arena, from->name, strlen(from->name));
    if (method == NULL || to->name == NULL) return ERR_NOMEM;
    for (size_t i = 0; i < from->method_count; i++) {
        method[i] = arena_span(arena, from->method[i]);
        if (method[i].p == NULL) return ERR_NOMEM;
    }
    to->method = method;
    to->method_count = from->method_count;
    return compile_paths(from, arena, to, d);
}

/* --- Callers --- */

/* One (rule, caller) pair of the policy; a rule for anyone has none. */
struct mention {
    enum identity_kind kind;
    const char *name;
    uint32_t rule;
};

static int mention_cmp(const void *a, const void *b)
{
    const struct mention *x = a, *y = b;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    int order = strcmp(x->name, y->name);
    if (order != 0) return order;
    return x->rule < y->rule ? -1 : x->rule > y->rule;
}

static bool names_nobody(const struct policy_rule *rule)
{
    for (size_t i = 0; i < rule->from_count; i++)
        if (rule->from[i].kind == CALLER_ANY_AUTHENTICATED) return true;
    return rule->from_count == 0;
}

static size_t count_mentions(const struct policy *policy)
{
    size_t count = 0;
    for (size_t i = 0; i < policy->rule_count; i++)
        if (!names_nobody(&policy->rule[i])) count += policy->rule[i].from_count;
    return count;
}

/* Sorted mentions to one table entry a caller, with its rules, each once. */
static void fold_mentions(const struct mention *m, size_t count, struct authz_caller *caller,
                          uint32_t *idx, struct authz_conf *conf)
{
    size_t callers = 0, used = 0;
    for (size_t i = 0; i < count; i++) {
        struct authz_caller *c = callers > 0 ? &caller[callers - 1] : NULL;
        if (c == NULL || authz_compile_order(m[i].kind, m[i].name, c) != 0) {
            c = &caller[callers++];
            *c = (struct authz_caller){.kind = m[i].kind, .rules = {.idx = idx + used}};
            strncpy(c->name.text, m[i].name, NAME_BYTES_MAX);
        } else if (idx[used - 1] == m[i].rule) {
            continue;
        }
        idx[used++] = m[i].rule;
        c->rules.count++;
    }
    conf->caller = caller;
    conf->caller_count = callers;
}

/* `order[i]` is the policy's index of compiled rule i. */
static enum err compile_callers(const struct policy *policy, const uint32_t *order,
                                struct arena *arena, struct authz_conf *conf)
{
    size_t count = count_mentions(policy), at = 0, anyone_count = 0;
    struct mention *mention = calloc(count > 0 ? count : 1, sizeof(*mention));
    struct authz_caller *caller = arena_array(arena, count, sizeof(*caller));
    uint32_t *idx = arena_array(arena, count, sizeof(*idx));
    uint32_t *anyone = arena_array(arena, policy->rule_count, sizeof(*anyone));
    if (mention == NULL || caller == NULL || idx == NULL || anyone == NULL) {
        free(mention);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct policy_rule *rule = &policy->rule[order[i]];
        if (names_nobody(rule)) {
            anyone[anyone_count++] = (uint32_t)i;
            continue;
        }
        for (size_t k = 0; k < rule->from_count; k++)
            mention[at++] = (struct mention){rule->from[k].kind == CALLER_NODE ? IDENTITY_NODE
                                                                               : IDENTITY_SERVICE,
                                             rule->from[k].name.text, (uint32_t)i};
    }
    qsort(mention, count, sizeof(*mention), mention_cmp);
    fold_mentions(mention, count, caller, idx, conf);
    free(mention);
    conf->anyone = (struct authz_rules){anyone, anyone_count};
    return ERR_OK;
}

enum err authz_compile(const struct policy *policy, struct arena *arena,
                       const struct authz_conf **out, struct diag *d)
{
    struct authz_conf *conf = arena_alloc(arena, sizeof(*conf));
    struct authz_rule *rule = arena_array(arena, policy->rule_count, sizeof(*rule));
    uint32_t *order = arena_array(arena, policy->rule_count, sizeof(*order));
    size_t count = 0;
    if (conf == NULL || rule == NULL || order == NULL) return ERR_NOMEM;
    for (unsigned pass = 0; pass < 2; pass++) {
        enum policy_action action = pass == 0 ? POLICY_DENY : POLICY_ALLOW;
        for (size_t i = 0; i < policy->rule_count; i++) {
            if (policy->rule[i].action != action) continue;
            enum err err = compile_rule(&policy->rule[i], arena, &rule[count], d);
            if (err != ERR_OK) return err;
            order[count++] = (uint32_t)i;
        }
    }
    conf->fallback = policy->fallback;
    conf->rule = rule;
    conf->rule_count = count;
    enum err err = compile_callers(policy, order, arena, conf);
    if (err != ERR_OK) return err;
    *out = conf;
    return ERR_OK;
}
