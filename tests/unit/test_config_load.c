#include "tests/unit/support_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODE SUPPORT_CONFIG_NODE

static void test_the_smallest_host_has_every_default(void **state)
{
    (void)state;
    struct config *c = support_config_one(NODE);
    assert_string_equal(c->node.name.text, "web-1");
    assert_string_equal(c->node.mesh.text, "shop");
    assert_string_equal(c->node.zone.text, "");
    assert_int_equal(c->node.addr.port, CONFIG_PORT_DEFAULT);
    assert_true(addr_eq(&c->node.addr, &c->node.bind));
    assert_int_equal(c->node.threads, 0);
    assert_int_equal(c->node.peer_count, 0);
    assert_int_equal(c->service_count, 0);
    assert_int_equal(c->upstream_count, 0);
    assert_int_equal(c->metrics_listen.family, ADDR_NONE);
    assert_int_equal(c->gossip_period_ms, 1000);
    assert_int_equal(c->datagram_bytes, 1200);
    assert_int_equal(c->key_hold_ms, 86400000);
    assert_int_equal(c->log.level, LOG_LEVEL_INFO);
    assert_int_equal(c->log.format, LOG_FORMAT_TEXT);
    assert_int_equal(c->log.access_only, ACCESS_ALL);
    assert_string_equal(c->log.access_to, "stdout");
    assert_false(c->log.access_query);
    config_free(c);
}

static void test_every_key_of_the_host_tables_is_read(void **state)
{
    (void)state;
    struct config *c =
        support_config_one("[node]\n"
                           "name = \"web-1\"\n"
                           "mesh = \"shop\"\n"
                           "addr = \"fd00::1\"\n"
                           "bind = \"::\"\n"
                           "port = 7500\n"
                           "zone = \"fra1-a\"\n"
                           "threads = 4\n"
                           "peers = [\"10.0.0.2\", \"10.0.0.3:7400\", \"seed.shop.internal\","
                           " \"seed:81\", \"[fd00::2]:9\", \"fd00::3\"]\n"
                           "[metrics]\n"
                           "listen = \"127.0.0.1:7490\"\n"
                           "[log]\n"
                           "format = \"json\"\n"
                           "level = \"debug\"\n"
                           "access = { to = \"/var/log/a\", only = \"errors\", query = true }\n"
                           "[gossip]\n"
                           "profile = \"wan\"\n"
                           "datagram_bytes = 1400\nkey_hold = \"90s\"\n");
    const struct config_peer *p = c->node.peer;
    assert_true(addr_is_any(&c->node.bind));
    assert_int_equal(c->node.bind.port, 7500);
    assert_int_equal(c->node.addr.port, 7500);
    assert_string_equal(c->node.zone.text, "fra1-a");
    assert_int_equal(c->node.threads, 4);
    assert_int_equal(c->node.peer_count, 6);
    assert_int_equal(p[0].kind, PEER_ADDR);
    assert_int_equal(p[0].addr.port, 7500);
    assert_int_equal(p[1].addr.port, 7400);
    assert_int_equal(p[2].kind, PEER_NAME);
    assert_string_equal(p[2].host, "seed.shop.internal");
    assert_int_equal(p[2].port, 7500);
    assert_string_equal(p[3].host, "seed");
    assert_int_equal(p[3].port, 81);
    assert_int_equal(p[4].addr.port, 9);
    assert_int_equal(p[5].addr.family, ADDR_IP6);
    assert_int_equal(c->metrics_listen.port, 7490);
    assert_int_equal(c->log.format, LOG_FORMAT_JSON);
    assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
    assert_int_equal(c->log.access_only, ACCESS_ERRORS);
    assert_string_equal(c->log.access_to, "/var/log/a");
    assert_true(c->log.access_query);
    assert_int_equal(c->gossip_period_ms, 5000);
    assert_int_equal(c->datagram_bytes, 1400);
    assert_int_equal(c->key_hold_ms, 90000);
    config_free(c);
}

static void test_a_service_has_its_defaults(void **state)
{
    (void)state;
    struct config *c = support_config_one(NODE "[defaults]\n"
                                               "policy = \"audit\"\n"
                                               "connect_timeout = \"2s\"\n"
                                               "[service.web]\n"
                                               "local = \"127.0.0.1:8080\"\n");
    const struct config_service *s = config_service(c, SPAN_LIT("web"));
    assert_non_null(s);
    assert_int_equal(s->local.addr.port, 8080);
    assert_int_equal(s->protocol, PROTOCOL_HTTP);
    assert_int_equal(s->health.kind, CONFIG_HEALTH_TCP);
    assert_int_equal(s->health.interval_ms, CONFIG_HEALTH_INTERVAL_MS);
    assert_int_equal(s->health.timeout_ms, CONFIG_HEALTH_TIMEOUT_MS);
    assert_int_equal(s->health.unhealthy_after, CONFIG_HEALTH_FALL);
    assert_int_equal(s->health.healthy_after, CONFIG_HEALTH_RISE);
    assert_int_equal(s->policy.fallback, POLICY_DEFAULT_AUDIT);
    assert_int_equal(s->policy.rule_count, 0);
    assert_int_equal(s->weight, CONFIG_WEIGHT);
    assert_int_equal(s->connect_timeout_ms, 2000);
    assert_int_equal(s->tag_count, 0);
    assert_string_equal(s->file, "parley.toml");
    assert_int_equal(s->line, 8);
    config_free(c);
}

static void test_every_key_of_a_service_is_read(void **state)
{
    (void)state;
    struct config *c = support_config_one(NODE "[service.web]\n"
                                               "local = \"unix:/run/web.sock\"\n"
                                               "protocol = \"tcp\"\n"
                                               "weight = 7\n"
                                               "connect_timeout = \"70ms\"\n"
                                               "tags = { version = \"1.14\", \"a b\" = \"\" }\n"
                                               "[service.web.health]\n"
                                               "http = \"/healthz?full=1\"\n"
                                               "interval = \"500ms\"\n"
                                               "unhealthy_after = 2\n"
                                               "healthy_after = 4\n"
                                               "[service.api]\n"
                                               "local = \"127.0.0.1:1\"\n"
                                               "health = \"none\"\n");
    const struct config_service *s = config_service(c, SPAN_LIT("web"));
    assert_non_null(s);
    assert_string_equal(s->local.path, "/run/web.sock");
    assert_int_equal(s->protocol, PROTOCOL_TCP);
    assert_int_equal(s->weight, 7);
    assert_int_equal(s->connect_timeout_ms, 70);
    assert_int_equal(s->tag_count, 2);
    assert_string_equal(s->tag[0].key, "version");
    assert_string_equal(s->tag[0].value, "1.14");
    assert_string_equal(s->tag[1].key, "a b");
    assert_int_equal(s->health.kind, CONFIG_HEALTH_HTTP);
    assert_string_equal(s->health.text, "/healthz?full=1");
    assert_int_equal(s->health.interval_ms, 500);
    assert_int_equal(s->health.timeout_ms, 500);
    assert_int_equal(s->health.unhealthy_after, 2);
    assert_int_equal(s->health.healthy_after, 4);
    assert_int_equal(config_service(c, SPAN_LIT("api"))->health.kind, CONFIG_HEALTH_NONE);
    assert_ptr_equal(config_service(c, SPAN_LIT("api")), &c->service[0]);
    config_free(c);
}

static void test_rules_are_read_in_their_order(void **state)
{
    (void)state;
    struct config *c =
        support_config_one(NODE "[service.web]\n"
                                "local = \"127.0.0.1:8080\"\n"
                                "allow = [\"api\", \"node:ops-1\", \"any-authenticated\"]\n"
                                "[[service.web.rule]]\n"
                                "name = \"enqueue\"\n"
                                "from = [\"api\"]\n"
                                "method = [\"POST\", \"purge\"]\n"
                                "path = [\"/jobs\", \"/jobs/*\", \"/*\"]\n"
                                "[[service.web.rule]]\n"
                                "action = \"deny\"\n"
                                "path = [\"/debug/*\"]\n");
    const struct policy *p = &c->service[0].policy;
    assert_int_equal(p->rule_count, 3);
    const struct policy_rule *allow = &p->rule[0], *job = &p->rule[1], *debug = &p->rule[2];
    assert_string_equal(allow->name, "allow");
    assert_int_equal(allow->action, POLICY_ALLOW);
    assert_int_equal(allow->from_count, 3);
    assert_int_equal(allow->from[0].kind, CALLER_SERVICE);
    assert_string_equal(allow->from[0].name.text, "api");
    assert_int_equal(allow->from[1].kind, CALLER_NODE);
    assert_string_equal(allow->from[1].name.text, "ops-1");
    assert_int_equal(allow->from[2].kind, CALLER_ANY_AUTHENTICATED);
    assert_string_equal(job->name, "enqueue");
    assert_int_equal(job->line, 8);
    assert_int_equal(job->method_count, 2);
    assert_true(span_eq_str(job->method[1], "purge"));
    assert_int_equal(job->path_count, 3);
    assert_true(span_eq_str(job->path[0].text, "/jobs") && !job->path[0].prefix);
    assert_true(span_eq_str(job->path[1].text, "/jobs/") && job->path[1].prefix);
    assert_true(span_eq_str(job->path[2].text, "/") && job->path[2].prefix);
    assert_string_equal(debug->name, "rule-2");
    assert_int_equal(debug->action, POLICY_DENY);
    assert_int_equal(debug->from_count, 0);
    config_free(c);
}

/* Who says CONNECT says HTTP: nothing is left to be learned. */
static void test_connect_is_for_proxies_alone(void **state)
{
    (void)state;
    struct config *c = support_config_one(NODE "[service.web]\n"
                                               "local = \"127.0.0.1:3128\"\n"
                                               "connect = true\n"
                                               "[upstream.api]\n"
                                               "listen = \"127.0.0.1:9001\"\n"
                                               "connect = true\n"
                                               "[upstream.db]\n"
                                               "listen = \"127.0.0.1:9002\"\n");
    const struct config_service *web = config_service(c, SPAN_LIT("web"));
    const struct config_upstream *api = config_upstream(c, SPAN_LIT("api"));
    const struct config_upstream *db = config_upstream(c, SPAN_LIT("db"));
    assert_true(web->connect && !web->learn);
    assert_true(api->connect && !api->learn);
    assert_true(!db->connect && db->learn);
    struct strbuf sb;
    strbuf_init(&sb, 65536);
    config_load_show(c, &sb);
    assert_non_null(strstr(sb.p, "service.web.protocol = \"http\"   # default\n"));
    assert_non_null(strstr(sb.p, "upstream.db.protocol = \"http\"   # default, until learned\n"));
    strbuf_fini(&sb);
    config_free(c);
}

static void test_upstreams_told_apart_by_sni_share_an_address(void **state)
{
    (void)state;
    struct config *c = support_config_one(NODE "[service.web]\n"
                                               "local = \"unix:/run/web.sock\"\n"
                                               "protocol = \"tls-passthrough\"\n"
                                               "proxy_protocol = \"v2\"\n"
                                               "[upstream.api]\n"
                                               "listen = \"unix:/run/tls.sock\"\n"
                                               "protocol = \"tls-passthrough\"\n"
                                               "[upstream.db]\n"
                                               "listen = \"unix:/run/tls.sock\"\n"
                                               "protocol = \"tls-passthrough\"\n"
                                               "sni = [\"db\", \"*.db\"]\n");
    const struct config_service *web = config_service(c, SPAN_LIT("web"));
    const struct config_upstream *u = config_upstream(c, SPAN_LIT("api"));
    const struct config_upstream *db = config_upstream(c, SPAN_LIT("db"));
    assert_non_null(web);
    assert_non_null(u);
    assert_non_null(db);
    assert_int_equal(web->protocol, PROTOCOL_TCP);
    assert_int_equal(web->proxy_protocol, PROXY_PROTO_V2);
    assert_int_equal(u->protocol, PROTOCOL_TCP);
    assert_string_equal(u->listen.path, "/run/tls.sock");
    assert_int_equal(u->sni_count, 2);
    assert_string_equal(u->sni[0], "api");
    assert_string_equal(u->sni[1], "api.shop");
    assert_int_equal(db->sni_count, 2);
    assert_string_equal(db->sni[1], "*.db");
    assert_false(u->proxy_protocol);
    config_free(c);
}

static void test_an_upstream_has_its_defaults(void **state)
{
    (void)state;
    struct config *c = support_config_one(NODE "[upstream.api]\n"
                                               "listen = \"127.0.0.1:9001\"\n"
                                               "[upstream.db]\n"
                                               "listen = \"127.0.0.1:5432\"\n"
                                               "protocol = \"tcp\"\n");
    const struct config_upstream *u = config_upstream(c, SPAN_LIT("api"));
    const struct config_upstream *db = config_upstream(c, SPAN_LIT("db"));
    assert_non_null(u);
    assert_non_null(db);
    assert_int_equal(u->listen.addr.port, 9001);
    assert_int_equal(u->as.kind, IDENTITY_NODE);
    assert_string_equal(u->as.name.text, "web-1");
    assert_string_equal(u->as.mesh.text, "shop");
    assert_int_equal(u->balance, BALANCE_LEAST_LOADED);
    assert_int_equal(u->retry.tries, CONFIG_TRIES);
    assert_true(u->retry.on_connect && u->retry.on_reset);
    assert_int_equal(u->connect_timeout_ms, CONFIG_CONNECT_TIMEOUT_MS);
    assert_int_equal(u->request_timeout_ms, CONFIG_REQUEST_TIMEOUT_MS);
    assert_int_equal(u->idle_timeout_ms, CONFIG_IDLE_TIMEOUT_MS);
    assert_int_equal(db->protocol, PROTOCOL_TCP);
    assert_int_equal(db->idle_timeout_ms, CONFIG_TCP_IDLE_TIMEOUT_MS);
    assert_true(db->retry.on_connect && !db->retry.on_reset);
    config_free(c);
}

static void test_every_key_of_an_upstream_is_read(void **state)
{
    (void)state;
    struct config *c = support_config_one(NODE "[defaults]\n"
                                               "request_timeout = \"1m\"\n"
                                               "idle_timeout = \"2h\"\n"
                                               "[service.web]\n"
                                               "local = \"127.0.0.1:8080\"\n"
                                               "[upstream.api]\n"
                                               "listen = \"[::1]:9001\"\n"
                                               "as = \"node\"\n"
                                               "balance = \"round-robin\"\n"
                                               "retry = { tries = 5, on = [\"connect\"] }\n"
                                               "connect_timeout = \"20ms\"\n"
                                               "[upstream.db]\n"
                                               "listen = \"127.0.0.1:5432\"\n"
                                               "protocol = \"tcp\"\n");
    const struct config_upstream *u = config_upstream(c, SPAN_LIT("api"));
    const struct config_upstream *db = config_upstream(c, SPAN_LIT("db"));
    assert_int_equal(u->as.kind, IDENTITY_NODE);
    assert_int_equal(u->balance, BALANCE_ROUND_ROBIN);
    assert_int_equal(u->retry.tries, 5);
    assert_true(u->retry.on_connect && !u->retry.on_reset);
    assert_int_equal(u->connect_timeout_ms, 20);
    assert_int_equal(u->request_timeout_ms, 60000);
    assert_int_equal(u->idle_timeout_ms, 7200000);
    /* The only service of the host is who its applications call as. */
    assert_int_equal(db->as.kind, IDENTITY_SERVICE);
    assert_string_equal(db->as.name.text, "web");
    assert_int_equal(db->idle_timeout_ms, 7200000);
    config_free(c);
}

static void test_where_requests_are_spread_is_read(void **state)
{
    (void)state;
    struct config *c =
        support_config_one(NODE "[upstream.api]\n"
                                "listen = \"127.0.0.1:9001\"\n"
                                "balance = \"hash:header:X-User\"\n"
                                "tags = { tier = \"gold\" }\n"
                                "split = [{ to = { version = \"2.0\", os = \"x\" }, "
                                "weight = 5 }, { to = { a = \"b\" }, weight = 95 }]\n"
                                "aperture = 0\n"
                                "slow_start = \"30s\"\n"
                                "panic = \"0%\"\n"
                                "[upstream.db]\n"
                                "listen = \"127.0.0.1:5432\"\n"
                                "protocol = \"tcp\"\n"
                                "balance = \"ring:source\"\n"
                                "[upstream.web]\n"
                                "listen = \"127.0.0.1:9002\"\n"
                                "balance = \"ring:cookie:Session\"\n");
    const struct config_upstream *u = config_upstream(c, SPAN_LIT("api"));
    assert_int_equal(u->balance, BALANCE_HASH);
    assert_int_equal(u->affinity.kind, AFFINITY_HEADER);
    assert_string_equal(u->affinity.name, "x-user");
    assert_int_equal(u->tag_count, 1);
    assert_string_equal(u->tag[0].value, "gold");
    assert_int_equal(u->split_count, 2);
    assert_int_equal(u->split[0].tag_count, 2);
    assert_string_equal(u->split[0].tag[1].key, "os");
    assert_int_equal(u->split[0].percent, 5);
    assert_int_equal(u->split[1].percent, 95);
    assert_int_equal(u->aperture, 0);
    assert_int_equal(u->slow_start_ms, 30000);
    assert_int_equal(u->panic_percent, 0);
    u = config_upstream(c, SPAN_LIT("db"));
    assert_int_equal(u->balance, BALANCE_RING);
    assert_int_equal(u->affinity.kind, AFFINITY_SOURCE);
    assert_int_equal(u->aperture, CONFIG_APERTURE);
    u = config_upstream(c, SPAN_LIT("web"));
    assert_int_equal(u->affinity.kind, AFFINITY_COOKIE);
    assert_string_equal(u->affinity.name, "Session");
    config_free(c);
}

static void test_what_failures_lead_to_is_read(void **state)
{
    (void)state;
    struct config *c =
        support_config_one(NODE "[upstream.api]\n"
                                "listen = \"127.0.0.1:9001\"\n"
                                "try_timeout = \"2s\"\n"
                                "retry = { on = [\"timeout\", \"503\", \"503\", \"429\", \"5xx\"], "
                                "budget = \"50%\", idempotent_only = false, "
                                "backoff = \"5ms..1000ms\" }\n"
                                "eject = { after = 0, for = \"1s\", max = \"30%\", "
                                "rate = \"60%\", latency = 5 }\n");
    const struct config_upstream *u = config_upstream(c, SPAN_LIT("api"));
    assert_false(u->retry.on_connect || u->retry.on_reset);
    assert_true(u->retry.on_timeout && u->retry.on_5xx && u->retry.any_method);
    assert_int_equal(u->retry.status_count, 2);
    assert_int_equal(u->retry.status[0], 503);
    assert_int_equal(u->retry.status[1], 429);
    assert_int_equal(u->retry.budget_percent, 50);
    assert_int_equal(u->retry.backoff_least_ms, 5);
    assert_int_equal(u->retry.backoff_most_ms, 1000);
    assert_int_equal(u->try_timeout_ms, 2000);
    assert_int_equal(u->eject.after, 0);
    assert_int_equal(u->eject.for_ms, 1000);
    assert_int_equal(u->eject.max_percent, 30);
    assert_int_equal(u->eject.rate_percent, 60);
    assert_int_equal(u->eject.latency_times, 5);
    config_free(c);
}

static void test_files_are_merged(void **state)
{
    (void)state;
    static const char *const text[] = {
        NODE "[service.web]\nlocal = \"127.0.0.1:8080\"\n",
        "[node]\nzone = \"a\"\n[service.api]\nlocal = \"127.0.0.1:8081\"\n",
        "[upstream.db]\nlisten = \"127.0.0.1:1\"\nas = \"api\"\n[log]\nlevel = \"warn\"\n"};
    struct config *c = support_config_load(text, 3);
    assert_string_equal(c->node.zone.text, "a");
    assert_int_equal(c->service_count, 2);
    assert_string_equal(c->service[0].name.text, "api");
    assert_string_equal(c->service[0].file, "conf.d/a.toml");
    assert_string_equal(c->upstream[0].as.name.text, "api");
    assert_string_equal(c->upstream[0].file, "conf.d/b.toml");
    assert_int_equal(c->log.level, LOG_LEVEL_WARN);
    config_free(c);
}

static void test_the_hash_follows_every_text(void **state)
{
    (void)state;
    static const char *const one[] = {NODE, "# a\n"};
    static const char *const two[] = {NODE, "# b\n"};
    struct config *a = support_config_load(one, 2), *b = support_config_load(two, 2),
                  *c = support_config_load(one, 2), *d = support_config_load(one, 1);
    assert_true(a->text_hash == c->text_hash);
    assert_true(a->text_hash != b->text_hash);
    assert_true(a->text_hash != d->text_hash);
    config_free(a);
    config_free(b);
    config_free(c);
    config_free(d);
}

static const char *const origins[] = {NODE "[defaults]\nidle_timeout = \"90s\"\n"
                                           "[limits]\nheader_bytes = \"16KiB\"\n",
                                      "[upstream.api]\n"
                                      "listen = \"127.0.0.1:9001\"\n"
                                      "retry = { tries = 2 }\n"};

static void test_effective_values_name_their_origin(void **state)
{
    (void)state;
    struct config *c = support_config_load(origins, 2);
    struct strbuf sb;
    strbuf_init(&sb, 65536);
    config_load_show(c, &sb);
    assert_string_equal(sb.p, "node.name = \"web-1\"   # parley.toml:2\n"
                              "node.mesh = \"shop\"   # parley.toml:3\n"
                              "node.port = 7400   # default\n"
                              "node.addr = \"10.0.0.1\"   # parley.toml:4\n"
                              "node.bind = \"10.0.0.1\"   # parley.toml:4\n"
                              "node.peers = []   # default\n"
                              "node.threads = 0   # default\n"
                              "defaults.policy = \"deny\"   # default\n"
                              "defaults.connect_timeout = \"500ms\"   # default\n"
                              "defaults.request_timeout = \"15s\"   # default\n"
                              "defaults.idle_timeout = \"90s\"   # parley.toml:6\n"
                              "upstream.api.listen = \"127.0.0.1:9001\"   # conf.d/a.toml:2\n"
                              "upstream.api.protocol = \"http\"   # default, until learned\n"
                              "upstream.api.proxy_protocol = false   # default\n"
                              "upstream.api.connect = false   # default\n"
                              "upstream.api.as = \"node\"   # default\n"
                              "upstream.api.balance = \"least-loaded\"   # default\n"
                              "upstream.api.tags = {}   # default\n"
                              "upstream.api.aperture = 20   # default\n"
                              "upstream.api.slow_start = \"0ms\"   # default\n"
                              "upstream.api.panic = \"10%\"   # default\n"
                              "upstream.api.retry.tries = 2   # conf.d/a.toml:3\n"
                              "upstream.api.retry.on = [\"connect\", \"reset\"]   # default\n"
                              "upstream.api.retry.budget = \"20%\"   # default\n"
                              "upstream.api.retry.idempotent_only = true   # default\n"
                              "upstream.api.retry.backoff = \"10ms..250ms\"   # default\n"
                              "upstream.api.eject.after = 5   # default\n"
                              "upstream.api.eject.for = \"10s\"   # default\n"
                              "upstream.api.eject.max = \"50%\"   # default\n"
                              "upstream.api.eject.rate = \"0%\"   # default\n"
                              "upstream.api.eject.latency = 0   # default\n"
                              "upstream.api.connect_timeout = \"500ms\"   # default\n"
                              "upstream.api.idle_timeout = \"90s\"   # parley.toml:6\n"
                              "upstream.api.try_timeout = \"0ms\"   # default\n"
                              "upstream.api.request_timeout = \"15s\"   # default\n"
                              "log.format = \"text\"   # default\n"
                              "log.level = \"info\"   # default\n"
                              "log.access.to = \"stdout\"   # default\n"
                              "log.access.only = \"all\"   # default\n"
                              "log.access.query = false   # default\n"
                              "gossip.profile = \"lan\"   # default\n"
                              "gossip.datagram_bytes = 1200   # default\n"
                              "gossip.key_hold = \"24h\"   # default\n"
                              "limits.connections = 65536   # default\n"
                              "limits.connections_per_client = 4096   # default\n"
                              "limits.handshakes = 256   # default\n"
                              "limits.requests = 65536   # default\n"
                              "limits.requests_per_connection = 100000   # default\n"
                              "limits.streams = 128   # default\n"
                              "limits.header_bytes = \"16KiB\"   # parley.toml:8\n"
                              "limits.header_fields = 128   # default\n"
                              "limits.url_bytes = \"8KiB\"   # default\n"
                              "limits.header_timeout = \"10s\"   # default\n"
                              "limits.keep_alive = \"1m\"   # default\n"
                              "limits.link_idle = \"5m\"   # default\n"
                              "limits.min_rate = \"240B\"   # default\n"
                              "limits.memory = \"auto\"   # default\n");
    strbuf_fini(&sb);
    config_free(c);
}

static void test_every_limit_of_the_host_is_read(void **state)
{
    (void)state;
    static const struct config_bounds want = {.connections = 1000,
                                              .connections_per_client = 10,
                                              .handshakes = 20,
                                              .requests = 500,
                                              .requests_per_connection = 0,
                                              .streams = 7,
                                              .header_bytes = 8192,
                                              .header_fields = 64,
                                              .url_bytes = 2048,
                                              .header_timeout_ms = 5000,
                                              .keep_alive_ms = 30000,
                                              .link_idle_ms = 600000,
                                              .min_rate = 0,
                                              .memory_bytes = 24u << 20};
    struct config *c = support_config_one(
        NODE "[limits]\nconnections = 1000\nconnections_per_client = 10\n"
             "handshakes = 20\nrequests = 500\nrequests_per_connection = 0\n"
             "streams = 7\nheader_bytes = \"8KiB\"\nheader_fields = 64\n"
             "url_bytes = \"2048B\"\nheader_timeout = \"5s\"\nkeep_alive = \"30s\"\n"
             "link_idle = \"10m\"\nmin_rate = \"0B\"\nmemory = \"24MiB\"\n");
    assert_memory_equal(&c->bounds, &want, sizeof want);
    config_free(c);
}

static void test_includes_default_to_conf_d(void **state)
{
    (void)state;
    struct arena arena;
    struct span *patterns;
    size_t count;
    arena_init(&arena, 4096, 65536);
    struct config_text none = {"parley.toml", SPAN_LIT(NODE)};
    assert_int_equal(config_load_includes(&none, &arena, NULL, &patterns, &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_true(span_eq_str(patterns[0], "conf.d/*.toml"));
    struct config_text two = {"parley.toml",
                              SPAN_LIT("include = [\"a.toml\", \"/etc/b/*.toml\"]\n")};
    assert_int_equal(config_load_includes(&two, &arena, NULL, &patterns, &count), ERR_OK);
    assert_int_equal(count, 2);
    assert_true(span_eq_str(patterns[1], "/etc/b/*.toml"));
    struct config_text empty = {"parley.toml", SPAN_LIT("include = []\n")};
    assert_int_equal(config_load_includes(&empty, &arena, NULL, &patterns, &count), ERR_OK);
    assert_int_equal(count, 0);
    static const char *const bad[] = {"include = \"a\"", "include = [1]", "include = [\"\"]",
                                      "include = [\"a\\u0000\"]", "include = ["};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct config_text text = {"parley.toml", span_str(bad[i])};
        struct diag d;
        diag_init(&d);
        assert_int_equal(config_load_includes(&text, &arena, &d, &patterns, &count), ERR_INVALID);
        assert_int_equal(d.errors, 1);
        diag_fini(&d);
    }
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_smallest_host_has_every_default),
        cmocka_unit_test(test_every_key_of_the_host_tables_is_read),
        cmocka_unit_test(test_a_service_has_its_defaults),
        cmocka_unit_test(test_every_key_of_a_service_is_read),
        cmocka_unit_test(test_rules_are_read_in_their_order),
        cmocka_unit_test(test_connect_is_for_proxies_alone),
        cmocka_unit_test(test_upstreams_told_apart_by_sni_share_an_address),
        cmocka_unit_test(test_an_upstream_has_its_defaults),
        cmocka_unit_test(test_every_key_of_an_upstream_is_read),
        cmocka_unit_test(test_where_requests_are_spread_is_read),
        cmocka_unit_test(test_what_failures_lead_to_is_read),
        cmocka_unit_test(test_files_are_merged),
        cmocka_unit_test(test_the_hash_follows_every_text),
        cmocka_unit_test(test_effective_values_name_their_origin),
        cmocka_unit_test(test_every_limit_of_the_host_is_read),
        cmocka_unit_test(test_includes_default_to_conf_d),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
