#include "proxy/snapshot/build.h"

#include "core/base/check.h"
#include "tests/unit/support_x509.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include <cmocka.h>

#define ROWS_MAX 2000u

/* Two services, two upstreams, three endpoints of api (one of them here) and one of db; the
 * configuration is deliberately not in order. */
struct rig {
    struct config config;
    struct config_service service[2];
    struct config_upstream upstream[2];
    struct policy_rule rule;
    struct policy_caller from;
    struct policy_path path;
    char path_text[32], rule_name[32];
    struct build_endpoint row[ROWS_MAX];
    struct build_listener listener[2];
    int fd[2];
    struct build_input in;
    struct diag diag;
};

static struct name name_of(const char *text)
{
    struct name n = {{0}};
    assert_int_equal(name_set(&n, span_str(text)), ERR_OK);
    return n;
}

static struct addr addr_of(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(span_str(text), 0, &a), ERR_OK);
    return a;
}

static void add_row(struct rig *r, const char *service, uint8_t node, bool self)
{
    struct build_endpoint *row = &r->row[r->in.endpoint_count++];
    char text[32];
    *row = (struct build_endpoint){.service = name_of(service), .weight = 100, .self = self};
    snprintf(text, sizeof(text), "h%u", (unsigned)node);
    row->node = name_of(text);
    row->node_id.byte[0] = node;
    snprintf(text, sizeof(text), "10.0.0.%u:7400", (unsigned)node);
    row->addr = addr_of(text);
}

static void rig_config(struct rig *r)
{
    r->config.node.mesh = name_of("shop");
    r->config.node.name = name_of("h1");
    r->config.node.addr = addr_of("10.0.0.1:7400");
    r->service[0].name = name_of("web");
    r->service[1].name = name_of("api");
    r->service[1].connect_timeout_ms = 123;
    r->service[1].local.addr = addr_of("127.0.0.1:8081");
    r->config.service = r->service;
    r->config.service_count = 2;
    r->upstream[0].name = name_of("db");
    r->upstream[0].protocol = PROTOCOL_TCP;
    r->upstream[1].name = name_of("api");
    r->upstream[1].balance = BALANCE_ROUND_ROBIN;
    r->upstream[1].request_timeout_ms = 4321;
    for (size_t i = 0; i < 2; i++) {
        r->upstream[i].as.mesh = r->config.node.mesh;
        r->upstream[i].as.name = name_of("web");
        r->upstream[i].as.kind = IDENTITY_SERVICE;
        r->upstream[i].retry.tries = 3;
    }
    r->config.upstream = r->upstream;
    r->config.upstream_count = 2;
}

static void rig_policy(struct rig *r, const char *path)
{
    snprintf(r->path_text, sizeof(r->path_text), "%s", path);
    snprintf(r->rule_name, sizeof(r->rule_name), "web-jobs");
    r->from = (struct policy_caller){.kind = CALLER_SERVICE, .name = name_of("web")};
    r->path = (struct policy_path){.text = span_str(r->path_text)};
    r->rule = (struct policy_rule){.name = r->rule_name,
                                   .from = &r->from,
                                   .from_count = 1,
                                   .path = &r->path,
                                   .path_count = 1,
                                   .file = "parley.toml",
                                   .line = 7};
    r->service[1].policy = (struct policy){.rule = &r->rule, .rule_count = 1};
}

static struct rig *rig_new(void)
{
    struct rig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    diag_init(&r->diag);
    rig_config(r);
    rig_policy(r, "/jobs");
    add_row(r, "api", 3, false);
    add_row(r, "db", 4, false);
    r->row[1].protocol = PROTOCOL_TCP;
    add_row(r, "api", 1, true);
    add_row(r, "api", 2, false);
    r->listener[0] = (struct build_listener){
        .kind = LISTENER_MESH, .at.addr = addr_of("10.0.0.1:7400"), .fd = r->fd};
    r->listener[1] = (struct build_listener){.kind = LISTENER_HTTP,
                                             .at.addr = addr_of("127.0.0.1:9001"),
                                             .upstream = &r->upstream[1].name,
                                             .fd = r->fd};
    r->in.generation = 5;
    r->in.config = &r->config;
    r->in.node_id.byte[0] = 1;
    r->in.endpoint = r->row;
    r->in.listener = r->listener;
    r->in.listener_count = 2;
    return r;
}

static void rig_free(struct rig *r)
{
    diag_fini(&r->diag);
    free(r);
}

static struct snapshot *build(struct rig *r)
{
    struct snapshot *s = NULL;
    assert_int_equal(build_snapshot(&r->in, &r->diag, &s), ERR_OK);
    assert_non_null(s);
    return s;
}

static void test_tables_are_sorted_and_linked(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct snapshot *s = build(r);
    assert_int_equal(s->generation, 5);
    assert_string_equal(s->service[0].name.text, "api");
    assert_string_equal(s->service[1].name.text, "web");
    const struct snapshot_service *api = snapshot_service(s, SPAN_LIT("api"));
    assert_ptr_equal(api, &s->service[0]);
    assert_int_equal(api->connect_timeout_ms, 123);
    assert_int_equal(api->filter_count, 2);
    assert_null(snapshot_service(s, SPAN_LIT("ap")));
    assert_null(snapshot_service(s, SPAN_LIT("apis")));
    assert_null(snapshot_service(s, SPAN_LIT("")));
    const struct snapshot_upstream *up = snapshot_upstream(s, SPAN_LIT("api"));
    assert_ptr_equal(up, &s->upstream[0]);
    assert_int_equal(up->request_timeout_ms, 4321);
    assert_int_equal(up->endpoint_count, 3);
    for (size_t i = 1; i < up->endpoint_count; i++)
        assert_true(up->endpoint[i - 1].id < up->endpoint[i].id);
    assert_int_equal(s->listener_count, 2);
    assert_int_equal(s->listener[0].upstream, -1);
    assert_int_equal(s->listener[1].upstream, 0);
    assert_ptr_equal(s->listener[1].fd, r->fd);
    snapshot_unref(s);
    rig_free(r);
}

static void test_endpoints_of_this_host_are_reached_in_the_process(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct snapshot *s = build(r);
    const struct snapshot_upstream *up = snapshot_upstream(s, SPAN_LIT("api"));
    unsigned here = 0;
    for (size_t i = 0; i < up->endpoint_count; i++) {
        const struct snapshot_endpoint *e = &up->endpoint[i];
        assert_string_equal(e->expect.name.text, "api");
        if (e->local_service < 0) continue;
        here++;
        assert_string_equal(e->node.text, "h1");
        assert_string_equal(s->service[e->local_service].name.text, "api");
        assert_int_equal(s->service[e->local_service].endpoint_id, e->id);
    }
    assert_int_equal(here, 1);
    snapshot_unref(s);
    /* A row of ours for a service that is configured no more is no endpoint. */
    r->config.service_count = 1;
    s = build(r);
    assert_int_equal(snapshot_upstream(s, SPAN_LIT("api"))->endpoint_count, 2);
    snapshot_unref(s);
    rig_free(r);
}

static void test_everything_is_copied(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct snapshot *s = build(r);
    struct snapshot_listener kept = s->listener[1];
    memset(r->path_text, 'x', sizeof(r->path_text));
    memset(r->rule_name, 'x', sizeof(r->rule_name));
    rig_free(r);
    const struct snapshot_service *api = snapshot_service(s, SPAN_LIT("api"));
    const struct filter_ops *authz = api->filter[0].ops;
    struct spiffe_id peer = {name_of("shop"), name_of("web"), IDENTITY_SERVICE};
    struct request req = {.method = SPAN_LIT("GET"), .peer = &peer};
    req.target.path = SPAN_LIT("/jobs");
    struct filter_ctx ctx = {.direction = DIRECTION_INBOUND, .conf = api->filter[0].conf};
    assert_int_equal(authz->request(&ctx, &req), FILTER_NEXT);
    assert_string_equal(ctx.rule, "web-jobs");
    assert_int_equal(kept.upstream, 0);
    snapshot_unref(s);
}

static void test_ids_are_the_same_in_every_build(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct snapshot *a = build(r);
    struct build_endpoint first = r->row[0];
    r->row[0] = r->row[3];
    r->row[3] = first;
    r->in.generation = 6;
    r->row[0].addr = addr_of("10.9.9.9:7400");
    struct snapshot *b = build(r);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(a->upstream[0].endpoint[i].id, b->upstream[0].endpoint[i].id);
    assert_int_equal(a->upstream[0].id, b->upstream[0].id);
    assert_int_not_equal(a->upstream[0].id, a->upstream[1].id);
    assert_int_equal(a->listener[1].id, b->listener[1].id);
    assert_int_not_equal(a->listener[0].id, a->listener[1].id);
    assert_int_equal(a->service[0].endpoint_id,
                     build_endpoint_id(&r->in.node_id, &a->service[0].name));
    snapshot_unref(a);
    snapshot_unref(b);
    rig_free(r);
}

static void test_repeated_and_foreign_rows_are_left_out(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    add_row(r, "api", 2, false); /* again */
    add_row(r, "api", 9, false);
    r->row[5].protocol = PROTOCOL_TCP; /* the upstream is http */
    add_row(r, "apix", 2, false);
    add_row(r, "api", 7, false);
    r->row[7].weight = 0;
    add_row(r, "api", 8, false);
    r->row[8].weight = UINT32_MAX;
    struct snapshot *s = build(r);
    const struct snapshot_upstream *up = snapshot_upstream(s, SPAN_LIT("api"));
    assert_int_equal(up->endpoint_count, 5);
    for (size_t i = 0; i < up->endpoint_count; i++)
        assert_in_range(up->endpoint[i].weight, 1, 1000);
    assert_int_equal(snapshot_upstream(s, SPAN_LIT("db"))->endpoint_count, 1);
    snapshot_unref(s);
    rig_free(r);
}

/* Was there this warning? */
static bool told(const struct rig *r, const char *text)
{
    for (unsigned i = 0; i < r->diag.count; i++)
        if (r->diag.entry[i].level == DIAG_WARNING && strcmp(r->diag.entry[i].message, text) == 0)
            return true;
    return false;
}

static enum service_protocol own_protocol(struct rig *r)
{
    struct snapshot *s = build(r);
    const struct snapshot_service *api = snapshot_service(s, SPAN_LIT("api"));
    enum service_protocol protocol = api->protocol;
    uint32_t idle = protocol == PROTOCOL_TCP ? CONFIG_TCP_IDLE_TIMEOUT_MS : CONFIG_IDLE_TIMEOUT_MS;
    assert_int_equal(api->idle_timeout_ms, idle);
    snapshot_unref(s);
    return protocol;
}

static void test_what_an_application_was_seen_to_speak_counts(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct build_endpoint *own = &r->row[2];
    own->protocol = PROTOCOL_H2;
    own->origin = ORIGIN_LEARNED;
    assert_int_equal(own_protocol(r), PROTOCOL_HTTP); /* the file says so */
    r->service[1].learn = true;
    assert_int_equal(own_protocol(r), PROTOCOL_H2);
    /* Nothing gets past rules about paths as bytes. */
    own->protocol = PROTOCOL_TCP;
    assert_int_equal(own_protocol(r), PROTOCOL_HTTP);
    r->rule.path_count = 0;
    assert_int_equal(own_protocol(r), PROTOCOL_TCP);
    struct name api = name_of("api");
    struct policy_rule named = {.name = "mesh-rule",
                                .layer = POLICY_LAYER_MESH,
                                .to = &api,
                                .to_count = 1,
                                .path = &r->path,
                                .path_count = 1};
    struct policy_mesh mesh = {.rule = &named, .rule_count = 1};
    r->in.mesh = &mesh;
    assert_int_equal(own_protocol(r), PROTOCOL_HTTP);
    /* What was seen stops no policy: it is told, and nothing gets past the rule. */
    assert_int_equal(r->diag.errors, 0);
    assert_true(told(r, "rule \"mesh-rule\" looks at the method or path of requests to \"api\", "
                        "which was found to speak tcp on this host: what is no request is refused "
                        "there"));
    r->in.mesh = NULL;
    assert_int_equal(own_protocol(r), PROTOCOL_TCP);
    own->origin = ORIGIN_DEFAULT;
    assert_int_equal(own_protocol(r), PROTOCOL_HTTP);
    rig_free(r);
}

/* How the listener of upstream "api" serves, and how many endpoints it leads to. */
static enum listener_kind served(struct rig *r, size_t *endpoints, uint64_t *id)
{
    struct snapshot *s = build(r);
    const struct snapshot_upstream *api = snapshot_upstream(s, SPAN_LIT("api"));
    enum listener_kind kind = s->listener[1].kind;
    bool tcp = kind == LISTENER_TCP;
    assert_int_equal(api->protocol == PROTOCOL_TCP, tcp);
    assert_int_equal(api->idle_timeout_ms, tcp ? 77 : 66);
    assert_int_equal(api->retry.on_reset, !tcp);
    assert_int_equal(api->retry.on_timeout, !tcp);
    assert_int_equal(api->retry.on_5xx, !tcp);
    assert_int_equal(api->retry.status_count, tcp ? 0 : 1);
    assert_int_equal(api->try_timeout_ms, tcp ? 0 : 55);
    *endpoints = api->endpoint_count;
    *id = s->listener[1].id;
    snapshot_unref(s);
    return kind;
}

static void test_callers_follow_what_is_announced(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    size_t endpoints;
    uint64_t before, id;
    r->upstream[1].learn = true;
    r->upstream[1].idle_timeout_ms = 66;
    r->upstream[1].tcp_idle_timeout_ms = 77;
    r->upstream[1].retry.on_reset = r->upstream[1].retry.on_timeout = true;
    r->upstream[1].retry.on_5xx = true;
    r->upstream[1].retry.status_count = 1;
    r->upstream[1].try_timeout_ms = 55;
    /* Three say http, and nobody knows better. */
    for (size_t i = 0; i < 4; i++)
        if (i != 1) r->row[i].origin = ORIGIN_DEFAULT;
    assert_int_equal(served(r, &endpoints, &before), LISTENER_HTTP);
    assert_int_equal(endpoints, 3);
    /* One has learned it: those who have not yet are left out, and the socket stays. */
    r->row[0].protocol = PROTOCOL_TCP;
    r->row[0].origin = ORIGIN_LEARNED;
    assert_int_equal(served(r, &endpoints, &id), LISTENER_TCP);
    assert_int_equal(endpoints, 1);
    assert_true(id == before);
    r->row[3].protocol = PROTOCOL_TCP;
    r->row[3].origin = ORIGIN_CONFIGURED;
    assert_int_equal(served(r, &endpoints, &id), LISTENER_TCP);
    assert_int_equal(endpoints, 2);
    /* One that contradicts the others takes nobody's callers away, and is told. */
    assert_int_equal(r->diag.warnings, 0);
    r->row[2].origin = ORIGIN_LEARNED;
    assert_int_equal(served(r, &endpoints, &id), LISTENER_TCP);
    assert_int_equal(endpoints, 2);
    assert_int_equal(r->diag.warnings, 1);
    assert_string_equal(r->diag.entry[0].message,
                        "upstream \"api\" is served as tcp; 1 of 3 endpoints speak http and are "
                        "left out");
    /* Those that are up come first, then those that were told. */
    r->row[0].status = ENDPOINT_DOWN;
    r->row[3].status = ENDPOINT_UNREACHABLE;
    assert_int_equal(served(r, &endpoints, &id), LISTENER_HTTP);
    assert_int_equal(endpoints, 1);
    r->row[3].status = ENDPOINT_UP;
    assert_int_equal(served(r, &endpoints, &id), LISTENER_TCP);
    r->row[3].origin = ORIGIN_LEARNED;
    r->row[2].origin = ORIGIN_CONFIGURED;
    assert_int_equal(served(r, &endpoints, &id), LISTENER_HTTP);
    r->row[2].origin = ORIGIN_LEARNED;
    assert_int_equal(served(r, &endpoints, &id), LISTENER_TCP);
    /* And who says it in the file asks nobody. */
    r->upstream[1].learn = false;
    r->row[2].origin = ORIGIN_DEFAULT;
    assert_int_equal(served(r, &endpoints, &id), LISTENER_HTTP);
    rig_free(r);
}

static void test_own_health_is_what_was_announced(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct snapshot *s = build(r);
    assert_int_equal(snapshot_service(s, SPAN_LIT("api"))->health, HEALTH_UP);
    assert_int_equal(snapshot_service(s, SPAN_LIT("web"))->health, HEALTH_UNKNOWN);
    snapshot_unref(s);
    r->row[2].status = ENDPOINT_DOWN;
    s = build(r);
    assert_int_equal(snapshot_service(s, SPAN_LIT("api"))->health, HEALTH_DOWN);
    snapshot_unref(s);
    rig_free(r);
}

static void test_identities_are_referenced_and_may_be_missing(void **state)
{
    (void)state;
    static struct support_x509_ca ca;
    support_x509_ca_new("shop", &ca);
    struct identity *id[2] = {support_x509_identity(&ca, "spiffe://shop/service/web"),
                              support_x509_identity(&ca, "spiffe://shop/node/h1")};
    struct trust *trust = support_x509_trust(&ca);
    struct rig *r = rig_new();
    r->in.identity = id;
    r->in.identity_count = 2;
    r->in.trust = trust;
    struct snapshot *s = build(r);
    identity_unref(id[0]);
    identity_unref(id[1]);
    identity_trust_unref(trust);
    assert_null(snapshot_service(s, SPAN_LIT("api"))->identity);
    const struct identity *web = snapshot_service(s, SPAN_LIT("web"))->identity;
    assert_ptr_equal(snapshot_upstream(s, SPAN_LIT("api"))->identity, web);
    assert_string_equal(identity_uri(web), "spiffe://shop/service/web");
    assert_string_equal(identity_uri(s->node_identity), "spiffe://shop/node/h1");
    assert_string_equal(identity_trust_mesh(s->trust)->text, "shop");
    snapshot_unref(s);
    rig_free(r);
}

static void test_a_policy_that_can_never_match_is_an_error(void **state)
{
    (void)state;
    static const char *const bad[] = {"/a/../b", "//a", "/%61", "/a%2fb", "a", "/a#b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct rig *r = rig_new();
        struct snapshot *s = NULL;
        rig_policy(r, bad[i]);
        assert_int_equal(build_snapshot(&r->in, &r->diag, &s), ERR_INVALID);
        assert_null(s);
        assert_int_equal(r->diag.errors, 1);
        assert_string_equal(r->diag.entry[0].file, "parley.toml");
        assert_int_equal(r->diag.entry[0].line, 7);
        assert_non_null(strstr(r->diag.entry[0].message, "web-jobs"));
        rig_free(r);
    }
}

static void test_a_mesh_rule_on_requests_needs_a_service_with_requests(void **state)
{
    struct rig *r = rig_new();
    struct snapshot *s = NULL;
    struct name web = name_of("web");
    (void)state;
    struct policy_rule rule = r->rule;
    struct policy_mesh mesh = {.rule = &rule, .rule_count = 1};
    rule.layer = POLICY_LAYER_MESH;
    r->service[0].protocol = PROTOCOL_TCP;
    r->in.mesh = &mesh;
    assert_int_equal(build_snapshot(&r->in, &r->diag, &s), ERR_OK); /* every service: http alone */
    snapshot_free(s);
    rule.to = &web;
    rule.to_count = 1;
    assert_int_equal(build_snapshot(&r->in, &r->diag, &s), ERR_INVALID);
    assert_int_equal(r->diag.errors, 1);
    assert_non_null(strstr(r->diag.entry[0].message, "which is tcp on this host"));
    r->service[0].protocol = PROTOCOL_HTTP;
    assert_int_equal(build_snapshot(&r->in, &r->diag, &s), ERR_OK);
    snapshot_free(s);
    rig_free(r);
}

static void test_a_listener_without_its_upstream_is_an_error(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct snapshot *s = NULL;
    struct name gone = name_of("gone");
    r->listener[1].upstream = &gone;
    assert_int_equal(build_snapshot(&r->in, &r->diag, &s), ERR_INVALID);
    assert_int_equal(r->diag.errors, 1);
    rig_free(r);
}

static void test_references_count_the_holders(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct snapshot *s = build(r);
    assert_ptr_equal(snapshot_ref(s), s);
    assert_int_equal(s->refs, 2);
    snapshot_unref(s);
    assert_int_equal(s->refs, 1);
    snapshot_unref(s);
    snapshot_unref(NULL);
    rig_free(r);
}

static void test_two_thousand_endpoints_build(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->in.endpoint_count = 0;
    for (unsigned i = 0; i < ROWS_MAX; i++) {
        add_row(r, i % 2 ? "api" : "db", (uint8_t)(i % 200), false);
        r->row[i].protocol = i % 2 ? PROTOCOL_HTTP : PROTOCOL_TCP;
        r->row[i].node_id.byte[1] = (uint8_t)(i / 200);
    }
    struct snapshot *s = build(r);
    assert_int_equal(s->upstream[0].endpoint_count, ROWS_MAX / 2);
    assert_int_equal(s->upstream[1].endpoint_count, ROWS_MAX / 2);
    assert_true(s->arena.bytes_used < 1024 * ROWS_MAX);
    snapshot_unref(s);
    rig_free(r);
}

static const char *reached_by(const struct snapshot *s, const char *sni)
{
    const struct snapshot_upstream *u = snapshot_sni(s, &s->listener[1], span_str(sni));
    return u != NULL ? u->name.text : "";
}

static void test_sni_reaches_the_upstream_that_names_it_best(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    const char *api[] = {"*.example", "api"}, *db[] = {"*.db.example", "a.example"};
    const char *bare[] = {"*.other"};
    struct target at = {.addr = addr_of("127.0.0.1:9443")};
    r->upstream[0].sni = db;
    r->upstream[0].sni_count = 2;
    r->upstream[1].sni = api;
    r->upstream[1].sni_count = 2;
    r->upstream[0].listen = r->upstream[1].listen = at;
    r->listener[1] = (struct build_listener){.kind = LISTENER_TLS, .at = at, .fd = r->fd};
    struct snapshot *s = build(r);
    assert_string_equal(reached_by(s, "api"), r->upstream[1].name.text);
    assert_string_equal(reached_by(s, "a.example"), r->upstream[0].name.text);
    assert_string_equal(reached_by(s, "b.example"), r->upstream[1].name.text);
    assert_string_equal(reached_by(s, "x.y.db.example"), r->upstream[0].name.text);
    assert_string_equal(reached_by(s, "db.example"), r->upstream[1].name.text);
    assert_string_equal(reached_by(s, "example"), "");
    assert_string_equal(reached_by(s, ".example"), "");
    assert_string_equal(reached_by(s, ""), "");
    snapshot_unref(s);
    /* One that listens elsewhere has no part in it. */
    r->upstream[1].sni = bare;
    r->upstream[1].sni_count = 1;
    r->upstream[1].listen.addr.port++;
    s = build(r);
    assert_string_equal(reached_by(s, "b.example"), "");
    assert_string_equal(reached_by(s, "x.other"), "");
    snapshot_unref(s);
    rig_free(r);
}

int main(void)
{
    if (sodium_init() < 0) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_are_sorted_and_linked),
        cmocka_unit_test(test_endpoints_of_this_host_are_reached_in_the_process),
        cmocka_unit_test(test_sni_reaches_the_upstream_that_names_it_best),
        cmocka_unit_test(test_everything_is_copied),
        cmocka_unit_test(test_ids_are_the_same_in_every_build),
        cmocka_unit_test(test_repeated_and_foreign_rows_are_left_out),
        cmocka_unit_test(test_what_an_application_was_seen_to_speak_counts),
        cmocka_unit_test(test_callers_follow_what_is_announced),
        cmocka_unit_test(test_own_health_is_what_was_announced),
        cmocka_unit_test(test_identities_are_referenced_and_may_be_missing),
        cmocka_unit_test(test_a_policy_that_can_never_match_is_an_error),
        cmocka_unit_test(test_a_mesh_rule_on_requests_needs_a_service_with_requests),
        cmocka_unit_test(test_a_listener_without_its_upstream_is_an_error),
        cmocka_unit_test(test_references_count_the_holders),
        cmocka_unit_test(test_two_thousand_endpoints_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
