/* What the pure parts of a request cost: canonical target, filters with 100 rules, balancing,
 * metrics, access-log line, and a snapshot of 2 000 endpoints. One line each, nanoseconds a call,
 * best of five rounds. */
#include "core/base/check.h"
#include "core/wire/uri.h"
#include "proxy/filters/chain.h"
#include "proxy/observe/access_log.h"
#include "proxy/observe/metrics.h"
#include "proxy/snapshot/build.h"
#include "proxy/traffic/lb.h"
#include "tests/bench/rounds.h"

#include <stdio.h>
#include <stdlib.h>

#define CALLS     200000u
#define RULES     100u
#define ENDPOINTS 2000u
#define HEADERS   8u

struct bench {
    struct config config;
    struct config_service service;
    struct config_upstream upstream;
    struct policy_rule rule[RULES];
    struct policy_caller from[RULES];
    struct policy_path path[RULES];
    char text[RULES][32];
    struct build_endpoint row[ENDPOINTS];
    struct build_input in;
    struct snapshot *snapshot;
    struct endpoint_table table;
    struct view *view;
    struct arena arena;
    struct metrics_shard *metrics;
    struct rng rng;
    struct headers headers;
    struct spiffe_id peer;
    char line[ACCESS_LOG_LINE_BYTES_MAX];
    uint64_t sink; /* keeps results alive */
};

static struct name name_of(const char *text)
{
    struct name n = {{0}};
    CHECK(name_set(&n, span_str(text)) == ERR_OK);
    return n;
}

/* Rule 99 is the one that allows web to GET /path-99/. */
static void make_config(struct bench *b)
{
    b->config.node.mesh = name_of("shop");
    b->config.node.name = name_of("h1");
    for (unsigned i = 0; i < RULES; i++) {
        snprintf(b->text[i], sizeof(b->text[i]), "/path-%u/", i);
        b->path[i] = (struct policy_path){.text = span_str(b->text[i]), .prefix = true};
        b->from[i] = (struct policy_caller){.kind = CALLER_SERVICE, .name = name_of("web")};
        b->rule[i] = (struct policy_rule){.name = b->text[i],
                                          .action = i < 10 ? POLICY_DENY : POLICY_ALLOW,
                                          .from = &b->from[i],
                                          .from_count = 1,
                                          .path = &b->path[i],
                                          .path_count = 1,
                                          .file = "bench"};
    }
    b->service.name = name_of("api");
    b->service.policy = (struct policy){.rule = b->rule, .rule_count = RULES};
    b->upstream.name = name_of("api");
    b->upstream.as = (struct spiffe_id){name_of("shop"), name_of("web"), IDENTITY_SERVICE};
    b->config.service = &b->service;
    b->config.upstream = &b->upstream;
    b->config.service_count = b->config.upstream_count = 1;
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        b->row[i] = (struct build_endpoint){
            .service = b->upstream.name, .node = name_of("h2"), .weight = 100};
        b->row[i].node_id.byte[0] = (uint8_t)i;
        b->row[i].node_id.byte[1] = (uint8_t)(i >> 8);
    }
    b->in =
        (struct build_input){.config = &b->config, .endpoint = b->row, .endpoint_count = ENDPOINTS};
}

static void call_uri(struct bench *b)
{
    char out[256];
    struct uri_target t;
    struct span target = SPAN_LIT("/path-99/orders/17?limit=20&after=2026");
    CHECK(uri_canonical(target, false, out, sizeof(out), &t) == ERR_OK);
    b->sink += t.path.len;
}

static void call_chain(struct bench *b)
{
    const struct snapshot_service *s = &b->snapshot->service[0];
    struct chain chain;
    struct request req = {.method = SPAN_LIT("GET"), .peer = &b->peer, .headers = &b->headers};
    struct filter_outcome outcome = {.status = 200};
    req.peer_uri = SPAN_LIT("spiffe://shop/service/web");
    req.id = SPAN_LIT("01JD9C0000000000000000");
    req.target.path = SPAN_LIT("/path-99/orders/17");
    b->headers.count = HEADERS; /* what the last call added goes */
    b->headers.bytes = HEADERS * 17;
    chain_init(&chain, s->filter, s->filter_count, DIRECTION_INBOUND, &b->arena, NULL);
    CHECK(chain_request(&chain, &req, 1) == FILTER_NEXT);
    chain_finish(&chain, &outcome, 2);
    arena_reset(&b->arena);
}

static void call_lb(struct bench *b)
{
    size_t pick;
    struct lb_request req = {
        .view = b->view, .upstream = b->snapshot->upstream, .now_ms = 1, .rng = &b->rng};
    CHECK(lb_pick(&req, &pick) == ERR_OK);
    b->sink += pick;
}

static void call_metrics(struct bench *b)
{
    struct metrics_exchange x = {
        .labels = {DIRECTION_INBOUND, SPAN_LIT("api"), SPAN_LIT("web")},
        .status = 200,
        .origin_app = true,
        .duration_us = 900,
        .app_us = 700,
        .was_in_flight = true,
        .verdict = "allow",
        .rule = "orders",
        .layer = "host",
    };
    metrics_in_flight(b->metrics, &x.labels);
    metrics_request(b->metrics, &x);
}

static void call_log(struct bench *b)
{
    struct strbuf out;
    static const struct addr client = {.family = ADDR_IP4, .ip = {10, 0, 0, 1}, .port = 51034};
    struct access_record r = {.wall_us = UINT64_C(1795344242118201),
                              .id = SPAN_LIT("01JD9C0000000000000000"),
                              .direction = DIRECTION_INBOUND,
                              .service = SPAN_LIT("api"),
                              .peer = SPAN_LIT("web"),
                              .peer_id = SPAN_LIT("spiffe://shop/service/web"),
                              .node = SPAN_LIT("api-1"),
                              .client = &client,
                              .proto = "h2",
                              .method = SPAN_LIT("GET"),
                              .host = SPAN_LIT("api"),
                              .path = SPAN_LIT("/path-99/orders/17"),
                              .status = 200,
                              .origin_app = true,
                              .verdict = "allow",
                              .rule = "orders",
                              .tries = 1,
                              .duration_us = 900,
                              .app_us = 700,
                              .tls = true,
                              .user_agent = SPAN_LIT("curl/7.88.1")};
    strbuf_init_fixed(&out, b->line, sizeof(b->line));
    access_log_line(&r, false, &out);
    b->sink += out.len;
}

static void call_build(struct bench *b)
{
    struct snapshot *s;
    CHECK(build_snapshot(&b->in, NULL, &s) == ERR_OK);
    snapshot_unref(s);
}

static void bench_lb(struct bench *b, size_t endpoints, enum config_balance balance)
{
    static const struct hash_key key = {{5}};
    char what[64];
    b->in.endpoint_count = endpoints;
    b->upstream.balance = balance;
    CHECK(build_snapshot(&b->in, NULL, &b->snapshot) == ERR_OK);
    endpoint_state_table_init(&b->table, &key);
    CHECK(view_new(b->snapshot, &b->table, 1000, &b->view) == ERR_OK);
    snprintf(what, sizeof(what), "lb_pick %s, %zu endpoints",
             balance == BALANCE_ROUND_ROBIN ? "round-robin" : "least-loaded", endpoints);
    rounds_report(what, b, call_lb, endpoints > 100 ? CALLS / 100 : CALLS);
    snapshot_unref(view_unpin(b->view, &b->table));
    endpoint_state_table_fini(&b->table);
}

int main(void)
{
    struct bench *b = calloc(1, sizeof(*b));
    if (b == NULL) return 1;
    make_config(b);
    rng_seed(&b->rng, 1);
    arena_init(&b->arena, 4096, 65536);
    b->peer = b->upstream.as;
    for (size_t i = 0; i < HEADERS; i++)
        CHECK(headers_add(&b->headers, SPAN_LIT("accept-language"), SPAN_LIT("en")) == ERR_OK);
    CHECK(metrics_shard_new(&b->metrics) == ERR_OK);

    rounds_report("uri_canonical, 38 bytes", b, call_uri, CALLS);
    CHECK(build_snapshot(&b->in, NULL, &b->snapshot) == ERR_OK);
    rounds_report("chain_request inbound, 100 rules, 8 headers", b, call_chain, CALLS);
    snapshot_unref(b->snapshot);
    bench_lb(b, 3, BALANCE_LEAST_LOADED);
    bench_lb(b, 50, BALANCE_LEAST_LOADED);
    bench_lb(b, ENDPOINTS, BALANCE_LEAST_LOADED);
    bench_lb(b, 50, BALANCE_ROUND_ROBIN);
    rounds_report("metrics of one request, 2 calls", b, call_metrics, CALLS);
    rounds_report("access_log_line", b, call_log, CALLS);
    b->in.endpoint_count = ENDPOINTS;
    rounds_report("build_snapshot, 2 000 endpoints", b, call_build, 20);

    metrics_shard_free(b->metrics);
    arena_fini(&b->arena);
    free(b);
    return 0;
}
