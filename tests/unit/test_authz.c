#include "proxy/filters/authz.h"

#include "core/base/check.h"
#include "core/base/rng.h"
#include "core/wire/uri.h"
#include "proxy/filters/authz_compile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define RULES_MAX 4u
#define ITEMS_MAX 4u

/* A rule as words with spaces between them: "web node:ops any", "GET POST", "/a /b/" and a star.
 * Empty: the field is absent. */
struct rule_text {
    const char *name;
    enum policy_action action;
    const char *from, *method, *path;
};

struct rig {
    struct policy policy;
    struct policy_rule rule[RULES_MAX];
    struct policy_caller from[RULES_MAX][ITEMS_MAX];
    struct span method[RULES_MAX][ITEMS_MAX];
    struct policy_path path[RULES_MAX][ITEMS_MAX];
    struct arena arena;
    struct filter_ctx ctx;
};

static bool next_word(struct span *rest, struct span *word)
{
    *word = span_cut(*rest, ' ', rest);
    return word->len > 0;
}

static void add_rule(struct rig *r, const struct rule_text *text)
{
    size_t i = r->policy.rule_count++;
    struct policy_rule *rule = &r->rule[i];
    struct span rest, word;
    *rule = (struct policy_rule){.name = text->name,
                                 .action = text->action,
                                 .from = r->from[i],
                                 .method = r->method[i],
                                 .path = r->path[i]};
    for (rest = span_str(text->from); next_word(&rest, &word);) {
        struct policy_caller *c = &r->from[i][rule->from_count++];
        bool node = span_starts(word, SPAN_LIT("node:"));
        *c = (struct policy_caller){.kind = node ? CALLER_NODE : CALLER_SERVICE};
        if (span_eq_str(word, "any"))
            c->kind = CALLER_ANY_AUTHENTICATED;
        else
            assert_int_equal(name_set(&c->name, node ? span_skip(word, 5) : word), ERR_OK);
    }
    for (rest = span_str(text->method); next_word(&rest, &word);)
        r->method[i][rule->method_count++] = word;
    for (rest = span_str(text->path); next_word(&rest, &word);) {
        bool prefix = word.p[word.len - 1] == '*';
        r->path[i][rule->path_count++] =
            (struct policy_path){span_of(word.p, word.len - prefix), prefix};
    }
}

static void rig_up(struct rig *r, enum policy_default fallback, const struct rule_text *text,
                   size_t count)
{
    *r = (struct rig){.policy = {.fallback = fallback, .rule = r->rule}};
    for (size_t i = 0; i < count; i++)
        add_rule(r, &text[i]);
    arena_init(&r->arena, 4096, 1024 * 1024);
    struct filter_config config = {.direction = DIRECTION_INBOUND, .policy = &r->policy};
    assert_int_equal(authz_filter.compile(&config, &r->arena, &r->ctx.conf, NULL), ERR_OK);
    r->ctx.arena = &r->arena;
}

static void rig_down(struct rig *r)
{
    arena_fini(&r->arena);
}

/* "web" or "node:ops-1". */
static struct spiffe_id caller(const char *text)
{
    struct span s = span_str(text);
    struct spiffe_id id = {.kind = IDENTITY_SERVICE};
    if (span_starts(s, SPAN_LIT("node:"))) {
        id.kind = IDENTITY_NODE;
        s = span_skip(s, 5);
    }
    assert_int_equal(name_set(&id.mesh, SPAN_LIT("shop")), ERR_OK);
    assert_int_equal(name_set(&id.name, s), ERR_OK);
    return id;
}

/* Canonicalises the target as the data plane does before it asks. REASON_BAD_REQUEST: refused
 * there; REASON_NONE: allowed. */
static enum reason ask(struct rig *r, const char *from, const char *method, const char *target)
{
    static char out[TARGET_BYTES_MAX];
    struct spiffe_id peer = caller(from);
    struct request req = {.method = span_str(method), .peer = &peer};
    r->ctx.reason = REASON_NONE;
    if (uri_canonical(span_str(target), false, out, sizeof(out), &req.target) != ERR_OK)
        return REASON_BAD_REQUEST;
    enum filter_verdict verdict = authz_filter.request(&r->ctx, &req);
    assert_int_equal(verdict, r->ctx.reason == REASON_NONE ? FILTER_NEXT : FILTER_REPLY);
    return r->ctx.reason;
}

static enum reason ask_session(struct rig *r, const char *from)
{
    struct spiffe_id peer = caller(from);
    struct filter_session s = {.peer = &peer};
    r->ctx.reason = REASON_NONE;
    enum filter_verdict verdict = authz_filter.session(&r->ctx, &s);
    assert_int_equal(verdict, r->ctx.reason == REASON_NONE ? FILTER_NEXT : FILTER_ABORT);
    return r->ctx.reason;
}

struct question {
    const char *from, *method, *target;
    enum reason want;
    const char *rule;
};

static void expect_all(struct rig *r, const struct question *q, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum reason got = ask(r, q[i].from, q[i].method, q[i].target);
        if (got != q[i].want)
            fail_msg("%s %s %s: %s", q[i].from, q[i].method, q[i].target, reason_word(got));
        if (got != REASON_BAD_REQUEST) assert_string_equal(r->ctx.rule, q[i].rule);
    }
}

static void test_rules_are_the_and_of_fields_and_the_or_of_items(void **state)
{
    (void)state;
    static const struct rule_text rules[] = {
        {"enqueue", POLICY_ALLOW, "web node:ops-1", "POST PUT", "/jobs /jobs/*"},
        {"read", POLICY_ALLOW, "any", "GET", "/status"},
        {"root", POLICY_ALLOW, "jobs", "", ""},
    };
    static const struct question q[] = {
        {"web", "POST", "/jobs", REASON_NONE, "enqueue"},
        {"web", "PUT", "/jobs/17", REASON_NONE, "enqueue"},
        {"node:ops-1", "POST", "/jobs/", REASON_NONE, "enqueue"},
        {"web", "POST", "/jobs?x=/admin", REASON_NONE, "enqueue"},
        {"ops-1", "POST", "/jobs", REASON_DENIED_DEFAULT, "default-deny"},
        {"node:web", "POST", "/jobs", REASON_DENIED_DEFAULT, "default-deny"},
        {"web", "GET", "/jobs", REASON_DENIED_DEFAULT, "default-deny"},
        {"web", "POST", "/job", REASON_DENIED_DEFAULT, "default-deny"},
        {"web", "POST", "/jobsx", REASON_DENIED_DEFAULT, "default-deny"},
        {"web", "POST", "/x/jobs", REASON_DENIED_DEFAULT, "default-deny"},
        {"webx", "POST", "/jobs", REASON_DENIED_DEFAULT, "default-deny"},
        {"web", "GET", "/status", REASON_NONE, "read"},
        {"node:any", "GET", "/status", REASON_NONE, "read"},
        {"web", "GET", "/status/", REASON_DENIED_DEFAULT, "default-deny"},
        {"web", "GET", "/Status", REASON_DENIED_DEFAULT, "default-deny"},
        {"jobs", "DELETE", "/anything", REASON_NONE, "root"},
        {"jobs", "GET", "/status", REASON_NONE, "read"},
    };
    struct rig r;
    rig_up(&r, POLICY_DEFAULT_DENY, rules, ARRAY_LEN(rules));
    expect_all(&r, q, ARRAY_LEN(q));
    rig_down(&r);
}

static void test_deny_is_judged_before_any_allow(void **state)
{
    (void)state;
    static const struct rule_text rules[] = {
        {"all", POLICY_ALLOW, "", "", ""},
        {"web-all", POLICY_ALLOW, "web", "", ""},
        {"no-debug", POLICY_DENY, "", "", "/debug/*"},
        {"no-jobs", POLICY_DENY, "jobs", "DELETE", ""},
    };
    static const struct question q[] = {
        {"web", "GET", "/debug/x", REASON_DENIED_RULE, "no-debug"},
        {"jobs", "DELETE", "/debug/x", REASON_DENIED_RULE, "no-debug"},
        {"jobs", "DELETE", "/x", REASON_DENIED_RULE, "no-jobs"},
        {"jobs", "GET", "/x", REASON_NONE, "all"},
        {"web", "DELETE", "/debug", REASON_NONE, "all"},
    };
    struct rig r;
    rig_up(&r, POLICY_DEFAULT_DENY, rules, ARRAY_LEN(rules));
    expect_all(&r, q, ARRAY_LEN(q));
    assert_string_equal(r.ctx.verdict, "allow");
    assert_string_equal(r.ctx.layer, "host");
    rig_down(&r);
}

/* security.md G01: an allow for everything and a deny for /admin. */
static void test_no_spelling_of_a_denied_path_gets_through(void **state)
{
    (void)state;
    static const struct rule_text rules[] = {{"all", POLICY_ALLOW, "", "", ""},
                                             {"no-admin", POLICY_DENY, "", "", "/admin"},
                                             {"no-tree", POLICY_DENY, "", "", "/tree/*"},
                                             {"no-at", POLICY_DENY, "", "", "/@in/%C3%A9 /p|q"}};
    static const char *const denied[] = {
        "/admin",       "//admin",   "/./admin",       "/x/../admin", "/admin/",
        "/%61dmin",     "/admin;x",  "/admin;x=1/",    "/;y/admin",   "/;/admin",
        "/admin%3Bx",   "/admin/;p", "/tree/",         "/tree/a",     "/tree;x/a",
        "/tree%3b/a",   "/%74ree/a", "/;a/tree;b/c;d", "/@in/%C3%A9", "/%40in/%c3%a9",
        "/@in/%C3%A9/", "/p|q",      "/p%7Cq",         "/p%7cq;z/",   "/admin?x",
        "/admin/?/..",  "/tree//a"};
    static const char *const refused[] = {"/admin%2f", "/\\admin",  "/x/..;/admin", "/admin#f",
                                          "/admin%00", "/%5cadmin", "/../admin"};
    static const char *const open[] = {"/adminx", "/tree", "/trees/a", "/x/admin", "/p", "/ADMIN"};
    struct rig r;
    rig_up(&r, POLICY_DEFAULT_DENY, rules, ARRAY_LEN(rules));
    for (size_t i = 0; i < ARRAY_LEN(denied); i++)
        if (ask(&r, "web", "GET", denied[i]) != REASON_DENIED_RULE) fail_msg("%s", denied[i]);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (ask(&r, "web", "GET", refused[i]) != REASON_BAD_REQUEST) fail_msg("%s", refused[i]);
    for (size_t i = 0; i < ARRAY_LEN(open); i++)
        if (ask(&r, "web", "GET", open[i]) != REASON_NONE) fail_msg("%s", open[i]);
    rig_down(&r);
}

static void test_an_allow_needs_the_exact_bytes(void **state)
{
    (void)state;
    static const struct rule_text rules[] = {{"a", POLICY_ALLOW, "", "", "/pub /img/*"}};
    static const struct question q[] = {
        {"web", "GET", "/pub", REASON_NONE, "a"},
        {"web", "GET", "/%70ub", REASON_NONE, "a"},
        {"web", "GET", "/pub;x", REASON_DENIED_DEFAULT, "default-deny"},
        {"web", "GET", "/pub/", REASON_DENIED_DEFAULT, "default-deny"},
        {"web", "GET", "/img/../admin", REASON_DENIED_DEFAULT, "default-deny"},
        {"web", "GET", "/img/..;/admin", REASON_BAD_REQUEST, ""},
        {"web", "GET", "/img/%2e%2e/admin", REASON_DENIED_DEFAULT, "default-deny"},
        {"web", "GET", "/img/..%2fadmin", REASON_BAD_REQUEST, ""},
        {"web", "GET", "/img;/x", REASON_DENIED_DEFAULT, "default-deny"},
    };
    struct rig r;
    rig_up(&r, POLICY_DEFAULT_DENY, rules, ARRAY_LEN(rules));
    expect_all(&r, q, ARRAY_LEN(q));
    rig_down(&r);
}

/* security.md B22, G16: methods are compared byte for byte; HEAD needs its own allow. */
static void test_methods_are_exact(void **state)
{
    (void)state;
    static const struct rule_text rules[] = {{"get", POLICY_ALLOW, "", "GET", ""}};
    static const char *const other[] = {"get", "HEAD", "GETX", "GE", "POST", ""};
    struct rig r;
    rig_up(&r, POLICY_DEFAULT_DENY, rules, ARRAY_LEN(rules));
    assert_int_equal(ask(&r, "web", "GET", "/"), REASON_NONE);
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        assert_int_equal(ask(&r, "web", other[i], "/"), REASON_DENIED_DEFAULT);
    rig_down(&r);
}

static void test_defaults_allow_audit_or_deny(void **state)
{
    (void)state;
    static const struct {
        enum policy_default fallback;
        enum reason want;
        const char *verdict, *rule;
    } row[] = {{POLICY_DEFAULT_DENY, REASON_DENIED_DEFAULT, "deny", "default-deny"},
               {POLICY_DEFAULT_ALLOW, REASON_NONE, "allow", "default-allow"},
               {POLICY_DEFAULT_AUDIT, REASON_NONE, "audit", "default-deny"}};
    static const struct rule_text rules[] = {{"no-x", POLICY_DENY, "", "", "/x"}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct rig r;
        rig_up(&r, row[i].fallback, rules, 1);
        assert_int_equal(ask(&r, "web", "GET", "/"), row[i].want);
        assert_string_equal(r.ctx.verdict, row[i].verdict);
        assert_string_equal(r.ctx.rule, row[i].rule);
        assert_string_equal(r.ctx.layer, "default");
        assert_int_equal(ask_session(&r, "web"), row[i].want);
        assert_int_equal(ask(&r, "web", "GET", "/x"), REASON_DENIED_RULE);
        rig_down(&r);
    }
}

/* security.md G12: an L7 rule never opens or shuts a session; with a default of deny nothing does
 * but a rule about callers alone. */
static void test_sessions_are_judged_by_their_caller_alone(void **state)
{
    (void)state;
    static const struct rule_text rules[] = {{"paths", POLICY_ALLOW, "", "", "/a"},
                                             {"methods", POLICY_ALLOW, "", "GET", ""},
                                             {"deny-path", POLICY_DENY, "", "", "/a"},
                                             {"web", POLICY_ALLOW, "web", "", ""}};
    struct rig r;
    rig_up(&r, POLICY_DEFAULT_DENY, rules, ARRAY_LEN(rules));
    assert_int_equal(ask_session(&r, "web"), REASON_NONE);
    assert_string_equal(r.ctx.rule, "web");
    assert_int_equal(ask_session(&r, "api"), REASON_DENIED_DEFAULT);
    assert_int_equal(ask_session(&r, "node:web"), REASON_DENIED_DEFAULT);
    rig_down(&r);
    static const struct rule_text shut[] = {{"all", POLICY_ALLOW, "any", "", ""},
                                            {"no-api", POLICY_DENY, "api", "", ""}};
    rig_up(&r, POLICY_DEFAULT_ALLOW, shut, ARRAY_LEN(shut));
    assert_int_equal(ask_session(&r, "api"), REASON_DENIED_RULE);
    assert_int_equal(ask_session(&r, "web"), REASON_NONE);
    rig_down(&r);
}

static void test_a_caller_without_identity_is_denied_whatever_the_policy(void **state)
{
    (void)state;
    static const struct rule_text rules[] = {{"all", POLICY_ALLOW, "any", "", ""}};
    struct rig r;
    rig_up(&r, POLICY_DEFAULT_ALLOW, rules, 1);
    struct request req = {.method = SPAN_LIT("GET")};
    struct filter_session s = {NULL, NULL};
    req.target.path = SPAN_LIT("/");
    assert_int_equal(authz_filter.request(&r.ctx, &req), FILTER_REPLY);
    assert_int_equal(authz_filter.session(&r.ctx, &s), FILTER_ABORT);
    assert_int_equal(r.ctx.reason, REASON_DENIED_DEFAULT);
    rig_down(&r);
}

static void test_no_memory_for_the_judgement_denies(void **state)
{
    (void)state;
    static const struct rule_text rules[] = {{"all", POLICY_ALLOW, "", "", ""},
                                             {"no", POLICY_DENY, "", "", "/admin"}};
    struct rig r;
    struct arena none;
    rig_up(&r, POLICY_DEFAULT_ALLOW, rules, 2);
    arena_init(&none, 16, 0);
    r.ctx.arena = &none;
    assert_int_equal(ask(&r, "web", "GET", "/ok"), REASON_NONE);
    assert_int_equal(ask(&r, "web", "GET", "/ok;x"), REASON_INTERNAL);
    assert_string_equal(r.ctx.verdict, "deny");
    arena_fini(&none);
    rig_down(&r);
}

static void test_a_caller_named_twice_counts_once(void **state)
{
    (void)state;
    static const struct rule_text rules[] = {{"r", POLICY_ALLOW, "web web api web", "", ""},
                                             {"n", POLICY_ALLOW, "web any", "POST", ""}};
    struct rig r;
    rig_up(&r, POLICY_DEFAULT_DENY, rules, 2);
    const struct authz_conf *conf = r.ctx.conf;
    assert_int_equal(conf->caller_count, 2);
    assert_int_equal(conf->caller[0].rules.count, 1);
    assert_int_equal(conf->caller[1].rules.count, 1);
    assert_int_equal(conf->anyone.count, 1);
    assert_int_equal(ask(&r, "db", "POST", "/"), REASON_NONE);
    assert_int_equal(ask(&r, "db", "GET", "/"), REASON_DENIED_DEFAULT);
    rig_down(&r);
}

/* The compiled form against a judge that reads the policy as it is written. */
static bool plainly_matches(const struct policy_rule *rule, const struct spiffe_id *peer,
                            struct span method, struct span path)
{
    bool from = rule->from_count == 0, m = rule->method_count == 0, p = rule->path_count == 0;
    for (size_t i = 0; i < rule->from_count; i++) {
        const struct policy_caller *c = &rule->from[i];
        enum policy_caller_kind kind = peer->kind == IDENTITY_NODE ? CALLER_NODE : CALLER_SERVICE;
        from |= c->kind == CALLER_ANY_AUTHENTICATED ||
                (c->kind == kind && name_eq(&c->name, &peer->name));
    }
    for (size_t i = 0; i < rule->method_count; i++)
        m |= span_eq(rule->method[i], method);
    for (size_t i = 0; i < rule->path_count; i++)
        p |= rule->path[i].prefix ? span_starts(path, rule->path[i].text)
                                  : span_eq(path, rule->path[i].text);
    return from && m && p;
}

static void test_compiled_and_plain_judgement_agree(void **state)
{
    (void)state;
    static const char *const from[] = {"", "web", "any", "node:web api", "api web", "node:api"};
    static const char *const method[] = {"", "GET", "POST GET"};
    static const char *const path[] = {"", "/a", "/a/*", "/b /a", "/*"};
    static const char *const who[] = {"web", "api", "node:web", "node:api", "db"};
    static const char *const target[] = {"/", "/a", "/ab", "/a/c", "/b"};
    struct rng rng;
    rng_seed(&rng, 3);
    for (unsigned round = 0; round < 3000; round++) {
        struct rule_text rules[RULES_MAX];
        for (size_t i = 0; i < RULES_MAX; i++)
            rules[i] = (struct rule_text){"r", rng_below(&rng, 2) ? POLICY_ALLOW : POLICY_DENY,
                                          from[rng_below(&rng, ARRAY_LEN(from))],
                                          method[rng_below(&rng, ARRAY_LEN(method))],
                                          path[rng_below(&rng, ARRAY_LEN(path))]};
        struct rig r;
        rig_up(&r, POLICY_DEFAULT_DENY, rules, 1 + rng_below(&rng, RULES_MAX));
        const char *w = who[rng_below(&rng, ARRAY_LEN(who))];
        const char *t = target[rng_below(&rng, ARRAY_LEN(target))];
        struct spiffe_id peer = caller(w);
        bool allow = false, deny = false;
        for (size_t i = 0; i < r.policy.rule_count; i++) {
            if (!plainly_matches(&r.rule[i], &peer, SPAN_LIT("GET"), span_str(t))) continue;
            allow |= r.rule[i].action == POLICY_ALLOW;
            deny |= r.rule[i].action == POLICY_DENY;
        }
        enum reason want = deny ? REASON_DENIED_RULE : allow ? REASON_NONE : REASON_DENIED_DEFAULT;
        assert_int_equal(ask(&r, w, "GET", t), want);
        rig_down(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_are_the_and_of_fields_and_the_or_of_items),
        cmocka_unit_test(test_deny_is_judged_before_any_allow),
        cmocka_unit_test(test_no_spelling_of_a_denied_path_gets_through),
        cmocka_unit_test(test_an_allow_needs_the_exact_bytes),
        cmocka_unit_test(test_methods_are_exact),
        cmocka_unit_test(test_defaults_allow_audit_or_deny),
        cmocka_unit_test(test_sessions_are_judged_by_their_caller_alone),
        cmocka_unit_test(test_a_caller_without_identity_is_denied_whatever_the_policy),
        cmocka_unit_test(test_no_memory_for_the_judgement_denies),
        cmocka_unit_test(test_a_caller_named_twice_counts_once),
        cmocka_unit_test(test_compiled_and_plain_judgement_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
