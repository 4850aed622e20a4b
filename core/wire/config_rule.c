#include "core/wire/config_rule.h"

#include "core/base/check.h"
#include "core/wire/uri.h"

#define LIST_ITEMS_MAX   1024u
#define METHOD_BYTES_MAX 32u
#define ANY              "any-authenticated"
#define NODE_PREFIX      "node:"

/* An array of strings that is not empty: an empty one would read as "no condition". */
static bool list_of(struct config_read *r, const struct config_read_item *list, const char *key)
{
    if (!config_read_is(r, list, key, TOML_ARRAY)) return false;
    if (list->v->u.node.count == 0) {
        config_read_bad(r, list, "%s is empty and would match nothing: leave it out, or fill it",
                        key);
        return false;
    }
    if (list->v->u.node.count > LIST_ITEMS_MAX) {
        config_read_bad(r, list, "%s has more than %u items", key, LIST_ITEMS_MAX);
        return false;
    }
    return true;
}

static bool parse_caller(struct config_read *r, const struct config_read_item *item,
                         struct policy_caller *out)
{
    struct policy_caller caller = {.kind = CALLER_SERVICE};
    if (!config_read_is(r, item, "a caller", TOML_STRING)) return false;
    struct span text = item->v->u.text;
    if (span_eq_str(text, ANY)) {
        caller.kind = CALLER_ANY_AUTHENTICATED;
        *out = caller;
        return true;
    }
    struct span name = text;
    if (span_starts(text, SPAN_LIT(NODE_PREFIX))) {
        caller.kind = CALLER_NODE;
        name = span_skip(text, sizeof(NODE_PREFIX) - 1);
    }
    if (span_eq_str(text, "any")) {
        config_read_bad(r, item, "\"any\" is no caller; did you mean \"" ANY "\"?");
        return false;
    }
    if (name_set(&caller.name, name) == ERR_OK) {
        *out = caller;
        return true;
    }
    if (text.len > 0 && text.p[0] == '@')
        config_read_bad(r, item, "caller \"%.*s\" is not part of this version", SPAN_ARG(text));
    else
        config_read_bad(r, item,
                        "\"%.*s\" is no caller: a service name, \"node:NAME\" or \"" ANY "\"",
                        SPAN_ARG(text));
    return false;
}

static void read_from(struct config_read *r, const struct config_read_item *list, const char *key,
                      struct policy_rule *rule)
{
    if (!list_of(r, list, key)) return;
    rule->from = config_read_alloc(r, true, list->v->u.node.count, sizeof(*rule->from));
    if (rule->from == NULL) return;
    for (const struct toml_value *v = list->v->u.node.child; v != NULL; v = v->next) {
        struct config_read_item item = {.src = list->src, .v = v};
        if (parse_caller(r, &item, &rule->from[rule->from_count])) rule->from_count++;
    }
}

/* RFC 9110 5.6.2. */
static bool is_token(struct span s)
{
    static const char mark[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || strchr(mark, c) == NULL)) return false;
    }
    return s.len > 0 && s.len <= METHOD_BYTES_MAX;
}

/* Methods are compared byte for byte (RFC 9110 9.1): "get" in a rule would never match a GET. */
static bool method_good(struct config_read *r, const struct config_read_item *item)
{
    static const char *const common[] = {"GET",    "HEAD",    "POST",    "PUT",  "PATCH",
                                         "DELETE", "OPTIONS", "CONNECT", "TRACE"};
    if (!config_read_is(r, item, "a method", TOML_STRING)) return false;
    struct span text = item->v->u.text;
    for (size_t i = 0; i < ARRAY_LEN(common); i++) {
        if (!span_eq_nocase(text, span_str(common[i])) || span_eq_str(text, common[i])) continue;
        config_read_bad(r, item, "method \"%.*s\" never matches; did you mean \"%s\"?",
                        SPAN_ARG(text), common[i]);
        return false;
    }
    if (is_token(text)) return true;
    config_read_bad(r, item, "\"%.*s\" is not an HTTP method", SPAN_ARG(text));
    return false;
}

static void read_methods(struct config_read *r, const struct config_read_item *list,
                         struct policy_rule *rule)
{
    if (!list_of(r, list, "method")) return;
    rule->method = config_read_alloc(r, true, list->v->u.node.count, sizeof(*rule->method));
    if (rule->method == NULL) return;
    for (const struct toml_value *v = list->v->u.node.child; v != NULL; v = v->next) {
        struct config_read_item item = {.src = list->src, .v = v};
        if (!method_good(r, &item)) continue;
        const char *copy = config_read_copy(r, v->u.text);
        rule->method[rule->method_count++] = span_of(copy, v->u.text.len);
    }
}

static bool parse_path(struct config_read *r, const struct config_read_item *item,
                       struct policy_path *out)
{
    char canonical[TARGET_BYTES_MAX];
    struct uri_target target;
    if (!config_read_is(r, item, "a path", TOML_STRING)) return false;
    struct span text = item->v->u.text;
    bool prefix = text.len >= 2 && text.p[text.len - 1] == '*' && text.p[text.len - 2] == '/';
    if (prefix) text.len--;
    if (text.len == 0 || text.p[0] != '/') {
        config_read_bad(r, item, "path \"%.*s\" must start with \"/\"", SPAN_ARG(text));
        return false;
    }
    if (memchr(text.p, '*', text.len) != NULL) {
        config_read_bad(r, item, "\"*\" stands only at the end of a path, behind a \"/\"");
        return false;
    }
    if (memchr(text.p, '?', text.len) != NULL) {
        config_read_bad(r, item, "the query is not part of the path that rules see");
        return false;
    }
    if (uri_canonical(text, false, canonical, sizeof(canonical), &target) != ERR_OK) {
        config_read_bad(r, item, "path \"%.*s\" is refused in requests, so it never matches",
                        SPAN_ARG(text));
        return false;
    }
    if (!span_eq(target.path, text)) {
        config_read_bad(r, item,
                        "path \"%.*s\" never matches: write its canonical form, \"%.*s%s\"",
                        SPAN_ARG(text), SPAN_ARG(target.path), prefix ? "*" : "");
        return false;
    }
    *out = (struct policy_path){.text = span_of(config_read_copy(r, text), text.len),
                                .prefix = prefix};
    return true;
}

static void read_paths(struct config_read *r, const struct config_read_item *list,
                       struct policy_rule *rule)
{
    if (!list_of(r, list, "path")) return;
    rule->path = config_read_alloc(r, true, list->v->u.node.count, sizeof(*rule->path));
    if (rule->path == NULL) return;
    for (const struct toml_value *v = list->v->u.node.child; v != NULL; v = v->next) {
        struct config_read_item item = {.src = list->src, .v = v};
        if (parse_path(r, &item, &rule->path[rule->path_count])) rule->path_count++;
    }
}

static bool is_open(const struct policy_rule *rule)
{
    for (size_t i = 0; i < rule->from_count; i++)
        if (rule->from[i].kind == CALLER_ANY_AUTHENTICATED) return rule->path_count == 0;
    return false;
}

static void warn_if_open(struct config_read *r, const struct config_read_item *place,
                         const struct policy_rule *rule, const struct config_rule_scope *scope)
{
    if (rule->action != POLICY_ALLOW || !is_open(rule)) return;
    struct span called = scope->service;
    if (scope->mesh) called = rule->to_count > 0 ? SPAN_LIT("these") : SPAN_LIT("every other one");
    config_read_warning(r, place, "L07",
                        "rule \"%s\" has from = [\"" ANY
                        "\"] and no path; every service may call %.*s",
                        rule->name, SPAN_ARG(called));
}

static const char *read_rule_name(const struct config_read_table *t, size_t number)
{
    struct name name;
    if (config_read_find(t, "name").v != NULL)
        return config_read_name(t, "name", &name) ? config_read_copy(t->read, span_str(name.text))
                                                  : "";
    const char *text = arena_fmt(t->read->lasting, "rule-%zu", number);
    if (text == NULL) t->read->nomem = true;
    return text != NULL ? text : "";
}

static void check_http_only(struct config_read *r, const struct config_read_item *item,
                            const char *key, const struct config_rule_scope *scope)
{
    if (item->v == NULL || record_speaks_http(scope->protocol)) return;
    config_read_error(r, item->src, &item->v->key_at,
                      "%s needs an HTTP request to look at, and service \"%.*s\" is tcp", key,
                      SPAN_ARG(scope->service));
}

/* The services a mesh rule is for. */
static void read_to(struct config_read *r, const struct config_read_item *list,
                    struct policy_rule *rule)
{
    if (!list_of(r, list, "to")) return;
    rule->to = config_read_alloc(r, true, list->v->u.node.count, sizeof(*rule->to));
    if (rule->to == NULL) return;
    for (const struct toml_value *v = list->v->u.node.child; v != NULL; v = v->next) {
        struct config_read_item item = {.src = list->src, .v = v};
        if (!config_read_is(r, &item, "a service", TOML_STRING)) continue;
        if (name_set(&rule->to[rule->to_count], v->u.text) == ERR_OK)
            rule->to_count++;
        else
            config_read_bad(
                r, &item,
                "\"%.*s\" is no service name: 1 to 63 of a-z 0-9 -, a letter or digit at "
                "both ends",
                SPAN_ARG(v->u.text));
    }
}

static void read_rule(const struct config_read_table *t, const struct config_read_item *place,
                      const struct config_rule_scope *scope, struct policy_rule *rule)
{
    static const char *const known[] = {"name", "action", "from", "method", "path", "to"};
    static const char *const later[] = {"mode", "host", "header", "headers", "jwt", "users"};
    const struct config_read_words keys = {known, ARRAY_LEN(known) - !scope->mesh, later,
                                           ARRAY_LEN(later)};
    static const char *const action[] = {"allow", "deny"}; /* enum policy_action */
    static const char *const action_later[] = {"audit"};
    static const struct config_read_words actions = {action, ARRAY_LEN(action), action_later,
                                                     ARRAY_LEN(action_later)};
    struct config_read *r = t->read;
    struct config_read_item from = config_read_find(t, "from");
    struct config_read_item method = config_read_find(t, "method");
    struct config_read_item path = config_read_find(t, "path");
    struct config_read_item to = config_read_find(t, "to");
    config_read_keys(t, &keys);
    rule->action = (enum policy_action)config_read_word(t, "action", &actions, POLICY_ALLOW);
    check_http_only(r, &method, "method", scope);
    check_http_only(r, &path, "path", scope);
    if (from.v != NULL) read_from(r, &from, "from", rule);
    if (to.v != NULL && scope->mesh) read_to(r, &to, rule);
    if (method.v != NULL) read_methods(r, &method, rule);
    if (path.v != NULL) read_paths(r, &path, rule);
    config_read_note(t, "from", &from, "[]");
    config_read_note(t, "method", &method, "[]");
    config_read_note(t, "path", &path, "[]");
    /* Leaving a line out must never open more (security.md G12). */
    if (rule->action == POLICY_ALLOW && from.v == NULL)
        config_read_bad(r, place,
                        "an allow rule needs from; to open it to every caller of the mesh write "
                        "from = [\"" ANY "\"]");
    warn_if_open(r, place, rule, scope);
}

static const struct policy_rule *rule_named(const struct policy_rule *rule, size_t count,
                                            const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rule[i].name, name) == 0) return &rule[i];
    return NULL;
}

static void check_taken(struct config_read *r, const struct config_read_item *item,
                        const struct config_rule_scope *scope, const struct policy_rule *other)
{
    if (other == NULL || other->name[0] == '\0') return;
    if (scope->mesh)
        config_read_bad(r, item, "rule \"%s\" is already defined at %s:%u", other->name,
                        other->file, other->line);
    else
        config_read_bad(r, item, "service \"%.*s\" has two rules named \"%s\"",
                        SPAN_ARG(scope->service), other->name);
}

void config_rule_list(const struct config_read_table *t, const struct config_read_item *list,
                      const struct config_rule_scope *scope, struct policy_rule *rule,
                      size_t *count)
{
    struct config_read *r = t->read;
    size_t number = scope->mesh ? *count : 0;
    for (const struct toml_value *v = list->v->u.node.child; v != NULL; v = v->next) {
        struct config_read_item item = {.src = list->src, .v = v};
        const char *path = arena_fmt(&r->scratch, "rule.%zu", ++number);
        if (path == NULL) {
            r->nomem = true;
            return;
        }
        if (!config_read_is(r, &item, "a rule", TOML_TABLE)) continue;
        struct config_read_table sub = config_read_sub(t, &item, path);
        const char *name = read_rule_name(&sub, number);
        rule[*count] =
            (struct policy_rule){.name = name,
                                 .layer = scope->mesh ? POLICY_LAYER_MESH : POLICY_LAYER_HOST,
                                 .file = config_read_copy(r, span_str(item.src->file)),
                                 .line = v->at.line};
        read_rule(&sub, &item, scope, &rule[*count]);
        check_taken(r, &item, scope, rule_named(rule, *count, name));
        (*count)++;
    }
}

void config_rule_load(const struct config_read_table *t, struct span name,
                      enum service_protocol protocol, struct policy *out)
{
    struct config_read *r = t->read;
    struct config_rule_scope scope = {.service = name, .protocol = protocol};
    struct config_read_item allow = config_read_find(t, "allow");
    struct config_read_item list = config_read_find(t, "rule");
    size_t most = 1, count = 0;
    *out = (struct policy){.fallback = r->defaults.fallback};
    config_read_note(t, "allow", &allow, "[]");
    if (list.v != NULL && !config_read_is(r, &list, "rule", TOML_ARRAY)) list.v = NULL;
    if (list.v != NULL && list.v->u.node.count >= CONFIG_RULES_MAX) {
        config_read_bad(r, &list, "service \"%.*s\" has more than %u rules", SPAN_ARG(name),
                        CONFIG_RULES_MAX);
        return;
    }
    if (list.v != NULL) most += list.v->u.node.count;
    struct policy_rule *rule = config_read_alloc(r, true, most, sizeof(*rule));
    if (rule == NULL) return;
    if (allow.v != NULL) {
        rule[0] = (struct policy_rule){.name = "allow",
                                       .action = POLICY_ALLOW,
                                       .file = config_read_copy(r, span_str(allow.src->file)),
                                       .line = allow.v->key_at.line};
        read_from(r, &allow, "allow", &rule[0]);
        warn_if_open(r, &allow, &rule[0], &scope);
        count = 1;
    }
    if (list.v != NULL) config_rule_list(t, &list, &scope, rule, &count);
    out->rule = rule;
    out->rule_count = count;
}
