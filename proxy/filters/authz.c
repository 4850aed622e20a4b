#include "proxy/filters/authz.h"

#include "proxy/filters/authz_compile.h"

/* What is judged. */
struct question {
    const struct spiffe_id *peer;
    bool session; /* no method, no path */
    struct span method;
    struct span path;
    struct authz_head head; /* of the path */
    struct span loose;      /* p == NULL until a deny rule needs it */
    struct arena *arena;
};

enum answer { ANSWER_NO, ANSWER_YES, ANSWER_FAILED };

static bool method_matches(const struct authz_rule *rule, struct span method)
{
    for (size_t i = 0; i < rule->method_count; i++)
        if (span_eq(rule->method[i], method)) return true;
    return rule->method_count == 0;
}

static bool path_matches(const struct authz_path *path, const struct question *q)
{
    if (((path->head.bits ^ q->head.bits) & path->head.mask) != 0) return false;
    return path->prefix ? span_starts(q->path, path->text) : span_eq(q->path, path->text);
}

static struct span without_last_slash(struct span path)
{
    if (path.len > 1 && path.p[path.len - 1] == '/') path.len--;
    return path;
}

static bool loose_matches(const struct authz_path *path, struct span loose)
{
    if (loose.len + 1 < path->loose.len) return false;
    if (path->prefix) return span_starts(loose, path->loose);
    return span_eq(without_last_slash(loose), without_last_slash(path->loose));
}

static bool has_byte(struct span s, char c)
{
    return s.len > 0 && memchr(s.p, c, s.len) != NULL;
}

static bool make_loose(struct question *q)
{
    if (q->loose.p != NULL) return true;
    if (!has_byte(q->path, '%') && !has_byte(q->path, ';')) {
        q->loose = q->path;
        return true;
    }
    char *loose = arena_alloc(q->arena, q->path.len);
    if (loose == NULL) return false;
    q->loose = span_of(loose, authz_compile_loose(q->path, true, loose));
    return true;
}

static enum answer rule_matches(const struct authz_rule *rule, struct question *q)
{
    if (q->session)
        return rule->method_count == 0 && rule->path_count == 0 ? ANSWER_YES : ANSWER_NO;
    if (!method_matches(rule, q->method)) return ANSWER_NO;
    if (rule->path_count == 0) return ANSWER_YES;
    for (size_t i = 0; i < rule->path_count; i++)
        if (path_matches(&rule->path[i], q)) return ANSWER_YES;
    if (rule->action != POLICY_DENY) return ANSWER_NO;
    if (!make_loose(q)) return ANSWER_FAILED;
    for (size_t i = 0; i < rule->path_count; i++)
        if (loose_matches(&rule->path[i], q->loose)) return ANSWER_YES;
    return ANSWER_NO;
}

static struct authz_rules rules_naming(const struct authz_conf *conf, const struct spiffe_id *peer)
{
    size_t low = 0, high = conf->caller_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = authz_compile_order(peer->kind, peer->name.text, &conf->caller[middle]);
        if (order == 0) return conf->caller[middle].rules;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return (struct authz_rules){NULL, 0};
}

static bool refuse(struct filter_ctx *ctx, enum reason reason, const char *rule, const char *layer)
{
    ctx->reason = reason;
    ctx->verdict = "deny";
    ctx->rule = rule;
    ctx->layer = layer;
    return false;
}

static bool pass(struct filter_ctx *ctx, const char *verdict, const char *rule, const char *layer)
{
    ctx->verdict = verdict;
    ctx->rule = rule;
    ctx->layer = layer;
    return true;
}

/* An unknown default denies: the switch has no way to fall into an allow. */
static bool fall_back(struct filter_ctx *ctx, enum policy_default fallback)
{
    switch (fallback) {
    case POLICY_DEFAULT_ALLOW:
        return pass(ctx, "allow", "default-allow", "default");
    case POLICY_DEFAULT_AUDIT:
        return pass(ctx, "audit", "default-deny", "default");
    case POLICY_DEFAULT_DENY:
        break;
    }
    return refuse(ctx, REASON_DENIED_DEFAULT, "default-deny", "default");
}

/* Merges the caller's rules and those for anyone by index, which is deny first, then file order. */
static bool judge(struct filter_ctx *ctx, struct question *q)
{
    const struct authz_conf *conf = ctx->conf;
    if (q->peer == NULL) return refuse(ctx, REASON_DENIED_DEFAULT, "default-deny", "default");
    struct authz_rules named = rules_naming(conf, q->peer), anyone = conf->anyone;
    while (named.count > 0 || anyone.count > 0) {
        bool take_named = anyone.count == 0 || (named.count > 0 && named.idx[0] < anyone.idx[0]);
        struct authz_rules *from = take_named ? &named : &anyone;
        const struct authz_rule *rule = &conf->rule[from->idx[0]];
        from->idx++;
        from->count--;
        enum answer answer = rule_matches(rule, q);
        if (answer == ANSWER_FAILED) return refuse(ctx, REASON_INTERNAL, "", "");
        if (answer == ANSWER_NO) continue;
        if (rule->action == POLICY_ALLOW) return pass(ctx, "allow", rule->name, rule->layer);
        return refuse(ctx, REASON_DENIED_RULE, rule->name, rule->layer);
    }
    return fall_back(ctx, conf->fallback);
}

static enum err authz_filter_compile(const struct filter_config *config, struct arena *arena,
                                     const void **conf, struct diag *d)
{
    const struct authz_conf *compiled;
    enum err err = authz_compile(config->policy, arena, &compiled, d);
    if (err == ERR_OK) *conf = compiled;
    return err;
}

static enum filter_verdict authz_session(struct filter_ctx *ctx, const struct filter_session *s)
{
    struct question q = {.peer = s->peer, .session = true};
    return judge(ctx, &q) ? FILTER_NEXT : FILTER_ABORT;
}

static enum filter_verdict authz_request(struct filter_ctx *ctx, struct request *req)
{
    struct question q = {.peer = req->peer,
                         .method = req->method,
                         .path = req->target.path,
                         .head = authz_compile_head(req->target.path),
                         .arena = ctx->arena};
    return judge(ctx, &q) ? FILTER_NEXT : FILTER_REPLY;
}

const struct filter_ops authz_filter = {
    .name = "authz",
    .compile = authz_filter_compile,
    .session = authz_session,
    .request = authz_request,
};
