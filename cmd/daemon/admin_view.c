#include "cmd/daemon/admin_route.h"

#include "cmd/daemon/circuits.h"
#include "cmd/daemon/compile.h"
#include "cmd/daemon/drain.h"
#include "cmd/daemon/endpoints.h"
#include "cmd/daemon/enroll.h"
#include "cmd/daemon/health_run.h"
#include "cmd/daemon/identities.h"
#include "cmd/daemon/issue.h"
#include "cmd/daemon/learn.h"
#include "cmd/daemon/mesh.h"
#include "cmd/daemon/policy_run.h"
#include "cmd/daemon/telemetry.h"
#include "core/base/check.h"
#include "gossip/gossip.h"
#include "proxy/net/worker.h"
#include "proxy/snapshot/build.h"

#include <stdlib.h>
#include <string.h>

static const char *const health_words[] = {
    [HEALTH_UNKNOWN] = "unknown", [HEALTH_UP] = "up", [HEALTH_DOWN] = "down"};
static const char *const protocol_words[] = {[PROTOCOL_HTTP] = "http",
                                             [PROTOCOL_TCP] = "tcp",
                                             [PROTOCOL_H2] = "h2",
                                             [PROTOCOL_GRPC] = "grpc"};

static void key_addr(struct json *j, const char *key, const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    json_member_cstr(j, key, addr_format(a, text));
}

static void key_target(struct json *j, const char *key, const struct target *t)
{
    char text[ADDR_TEXT_MAX];
    json_member_cstr(j, key, addr_target_format(t, text));
}

enum admin_progress admin_view_ready(struct admin_call *call)
{
    const struct daemon *d = call->daemon;
    bool ready = d->ready && !drain_active(d->drain);
    if (!ready) {
        admin_route_fail(call, 503, "%s", d->ready ? "draining" : "starting");
        return ADMIN_DONE;
    }
    json_object(&call->json);
    json_member_bool(&call->json, "ready", true);
    json_member_bool(&call->json, "synced", gossip_synced(mesh_gossip(d->mesh)));
    json_object_end(&call->json);
    return ADMIN_DONE;
}

static void status_config(struct json *j, const struct daemon *d)
{
    json_key(j, "config");
    json_object(j);
    json_member_bool(j, "ok", !d->config_last_good && d->reloads_refused == 0);
    json_member_bool(j, "last_good", d->config_last_good);
    json_member_u64(j, "reloads_refused", d->reloads_refused);
    if (d->reloads_refused > 0) json_member_cstr(j, "refusal", d->reload_refusal);
    admin_route_time(j, "loaded_at", (int64_t)d->reload_wall_s);
    json_member_u64(j, "generation", compile_generation(d->compile));
    json_object_end(j);
}

static void status_policy(struct json *j, const struct daemon *d)
{
    const struct gossip *g = mesh_gossip(d->mesh);
    struct manifest_ref head = gossip_policy_head(g, MANIFEST_POLICY);
    struct status own;
    gossip_policy_status(g, &own);
    json_key(j, "policy");
    json_object(j);
    json_member_u64(j, "generation", policy_run_active(d->policy).gen);
    json_member_u64(j, "head", head.gen);
    json_member_cstr(j, "state", head.gen > 0 ? status_word(own.state) : "none");
    json_member_cstr(j, "reason", own.reason);
    json_member_u64(j, "rules",
                    policy_run_rules(d->policy) ? policy_run_rules(d->policy)->rule_count : 0);
    json_member_u64(j, "nodes_stale", policy_run_stale(d->policy));
    json_object_end(j);
}

static void status_members(struct json *j, const struct daemon *d)
{
    uint64_t count[MEMBER_STATES] = {0};
    struct gossip_member m;
    size_t pos = 0;
    while (gossip_member_next(mesh_gossip(d->mesh), &pos, &m))
        count[m.state]++;
    json_key(j, "members");
    json_object(j);
    for (unsigned s = 0; s < MEMBER_STATES; s++)
        json_member_u64(j, gossip_state_word((enum member_state)s), count[s]);
    json_object_end(j);
}

static void key_protocol(struct json *j, enum service_protocol protocol,
                         enum protocol_origin origin)
{
    static const char *const words[] = {[ORIGIN_CONFIGURED] = "configured",
                                        [ORIGIN_LEARNED] = "learned",
                                        [ORIGIN_DEFAULT] = "default"};
    json_member_cstr(j, "protocol", protocol_words[protocol]);
    json_member_cstr(j, "protocol_from", words[origin]);
}

static void status_services(struct json *j, const struct daemon *d)
{
    const struct config *c = d->config;
    json_key(j, "services");
    json_array(j);
    for (size_t i = 0; i < c->service_count; i++) {
        char local[ADDR_TEXT_MAX], why[HEALTH_RUN_TEXT_BYTES];
        struct health_run_status hs = {0};
        (void)!health_run_status(d->health, &c->service[i].name, &hs);
        enum service_protocol protocol;
        enum protocol_origin origin = learn_of(d->learn, &c->service[i], &protocol);
        json_object(j);
        json_member_cstr(j, "name", c->service[i].name.text);
        key_protocol(j, protocol, origin);
        json_member_cstr(j, "local", addr_target_format(&c->service[i].local, local));
        json_member_cstr(j, "health", health_words[hs.health]);
        json_member_cstr(j, "error", health_run_text(&hs, why));
        json_object_end(j);
    }
    json_array_end(j);
}

/* How many endpoints of a service are in each state, from the last build. */
static void count_endpoints(const struct daemon *d, const struct name *service,
                            uint64_t count[ENDPOINT_STATUSES])
{
    size_t n;
    const struct build_endpoint *e = compile_endpoints(d->compile, &n);
    for (unsigned i = 0; i < ENDPOINT_STATUSES; i++)
        count[i] = 0;
    for (size_t i = 0; i < n; i++)
        if (name_eq(&e[i].service, service)) count[e[i].status]++;
}

/* Where it does not say, what its endpoints are known to speak. */
static void upstream_protocol(struct json *j, const struct daemon *d,
                              const struct config_upstream *u)
{
    const struct snapshot_upstream *now = compile_upstream(d->compile, &u->name);
    enum protocol_origin origin = u->learn ? ORIGIN_DEFAULT : ORIGIN_CONFIGURED;
    size_t n;
    const struct build_endpoint *e = compile_endpoints(d->compile, &n);
    for (size_t i = 0; i < n && origin == ORIGIN_DEFAULT; i++)
        if (name_eq(&e[i].service, &u->name) && e[i].origin != ORIGIN_DEFAULT)
            origin = ORIGIN_LEARNED;
    key_protocol(j, now != NULL ? now->protocol : u->protocol, origin);
}

static void status_upstreams(struct json *j, const struct daemon *d)
{
    const struct config *c = d->config;
    json_key(j, "upstreams");
    json_array(j);
    for (size_t i = 0; i < c->upstream_count; i++) {
        const struct config_upstream *u = &c->upstream[i];
        uint64_t count[ENDPOINT_STATUSES];
        count_endpoints(d, &u->name, count);
        json_object(j);
        json_member_cstr(j, "name", u->name.text);
        key_target(j, "listen", &u->listen);
        json_member_cstr(j, "as", u->as.name.text);
        upstream_protocol(j, d, u);
        json_member_bool(j, "identity", identities_get(d->identities, &u->as) != NULL);
        for (unsigned s = 0; s < ENDPOINT_STATUSES; s++)
            json_member_u64(j, endpoints_status_word((enum endpoint_status)s), count[s]);
        json_member_u64(j, "ejected",
                        circuits_of_service(compile_circuits(d->compile), &u->name).open_workers);
        json_object_end(j);
    }
    json_array_end(j);
}

enum admin_progress admin_view_status(struct admin_call *call)
{
    const struct daemon *d = call->daemon;
    struct json *j = &call->json;
    struct drain_status dr;
    uint64_t sessions = 0;
    drain_status(d->drain, &dr);
    for (unsigned i = 0; i < d->worker_count; i++)
        sessions += worker_sessions(d->worker[i].worker);
    json_object(j);
    json_member_cstr(j, "mesh", d->config->node.mesh.text);
    json_member_cstr(j, "node", d->config->node.name.text);
    key_addr(j, "addr", &d->config->node.addr);
    json_member_cstr(j, "version", PARLEY_VERSION);
    json_member_cstr(j, "state", d->ready ? drain_word(dr.state) : "starting");
    json_member_u64(j, "uptime_s", (loop_now_ms(d->loop) - d->started_ms) / 1000);
    json_member_bool(j, "synced", gossip_synced(mesh_gossip(d->mesh)));
    json_member_u64(j, "workers", d->worker_count);
    json_member_u64(j, "in_flight", dr.in_flight);
    json_member_u64(j, "sessions", sessions);
    json_member_bool(j, "signer", enroll_signer(d->enroll) != NULL);
    const struct identity *node = identities_node(d->identities);
    admin_route_time(j, "cert_not_after", identity_not_after_s(node));
    admin_route_time(j, "cert_renew_due", issue_renew_due_s(enroll_renewals(d->enroll), node));
    status_config(j, d);
    status_policy(j, d);
    status_members(j, d);
    status_services(j, d);
    status_upstreams(j, d);
    json_object_end(j);
    return ADMIN_DONE;
}

static const char *member_word(const struct gossip_member *m, const struct node_record *r)
{
    bool draining = r && r->draining && m->state == MEMBER_ALIVE;
    return draining ? "draining" : gossip_state_word(m->state);
}

static bool is_member_word(struct span word)
{
    for (unsigned s = 0; s < MEMBER_STATES; s++)
        if (span_eq_str(word, gossip_state_word((enum member_state)s))) return true;
    return span_eq_str(word, "draining");
}

static void member_policy(struct admin_call *call, const struct gossip_member *m)
{
    uint64_t gen;
    json_member_cstr(&call->json, "config", policy_run_member_word(call->daemon->policy, m, &gen));
    json_member_u64(&call->json, "config_gen", gen);
}

static void member_row(struct admin_call *call, const struct gossip_member *m,
                       const struct node_record *r)
{
    struct json *j = &call->json;
    json_object(j);
    json_member_cstr(j, "node", m->name.text);
    key_addr(j, "address", &m->addr);
    json_member_cstr(j, "status", member_word(m, r));
    /* Of ourselves, and of who was known from disk, gossip keeps no time: since the start, then. */
    uint64_t since_ms = call->daemon->started_ms;
    if (m->since_ms > since_ms) since_ms = m->since_ms;
    json_member_u64(j, "since_s", (loop_now_ms(call->daemon->loop) - since_ms) / 1000);
    json_member_bool(j, "self", m->self);
    json_member_bool(j, "not_from_here", m->not_from_here);
    json_member_bool(j, "lossy", m->lossy);
    json_member_u64(j, "rtt_us", m->rtt_us);
    json_member_u64(j, "estimate_us", m->estimate_us);
    json_member_u64(j, "loss_permille", m->loss_permille);
    json_member_bool(j, "signer", m->roles & ADMISSION_ROLE_SIGNER);
    json_member_u64(j, "epoch", m->epoch);
    json_member_u64(j, "incarnation", m->incarnation);
    json_member_cstr(j, "version", r ? r->version : "");
    json_member_cstr(j, "zone", r ? r->zone.text : "");
    member_policy(call, m);
    admin_route_time(j, "cert_not_after", r ? r->cert_not_after_s : 0);
    json_key(j, "services");
    json_array(j);
    for (uint32_t i = 0; r && i < r->service_count; i++)
        json_cstr(j, r->service[i].service.text);
    json_array_end(j);
    json_object_end(j);
}

static int by_name(const void *a, const void *b)
{
    const struct gossip_member *x = a, *y = b;
    int order = strcmp(x->name.text, y->name.text);
    return order != 0 ? order : name_node_id_cmp(&x->id, &y->id);
}

/* All members by name: the order gossip keeps them in changes from call to call. */
static struct gossip_member *sorted_members(struct admin_call *call, size_t *count)
{
    const struct gossip *g = mesh_gossip(call->daemon->mesh);
    struct gossip_member m;
    size_t pos = 0, n = 0;
    while (gossip_member_next(g, &pos, &m))
        n++;
    struct gossip_member *all = arena_array(call->arena, n, sizeof *all);
    pos = 0;
    *count = 0;
    while (all && *count < n && gossip_member_next(g, &pos, &all[*count]))
        *count += 1;
    if (all) qsort(all, *count, sizeof *all, by_name);
    return all;
}

enum admin_progress admin_view_members(struct admin_call *call)
{
    struct span only = admin_route_query(call, "status");
    if (only.len > 0 && !is_member_word(only)) {
        admin_route_fail(call, 400,
                         "\"%.*s\" is no state of a member: alive, draining, suspect, "
                         "unreachable, dead, left or banned",
                         SPAN_ARG(only));
        return ADMIN_DONE;
    }
    size_t count;
    struct gossip_member *m = sorted_members(call, &count);
    struct node_record *r = arena_alloc(call->arena, sizeof *r);
    if (!m || !r) {
        admin_route_fail(call, 500, "out of memory");
        return ADMIN_DONE;
    }
    json_array(&call->json);
    for (size_t i = 0; i < count; i++) {
        const struct mesh *mesh = call->daemon->mesh;
        const struct node_record *known = mesh_record(mesh, &m[i].id, r) == ERR_OK ? r : NULL;
        if (only.len == 0 || span_eq_str(only, member_word(&m[i], known)))
            member_row(call, &m[i], known);
    }
    json_array_end(&call->json);
    return ADMIN_DONE;
}

static void no_service(struct admin_call *call, struct span wanted)
{
    const char *names[64];
    size_t n, count = 0;
    const struct build_endpoint *e = compile_endpoints(call->daemon->compile, &n);
    for (size_t i = 0; i < n && count < ARRAY_LEN(names); i++)
        if (count == 0 || !span_eq_str(span_str(names[count - 1]), e[i].service.text))
            names[count++] = e[i].service.text;
    const char *near = diag_did_you_mean(wanted, names, count);
    admin_route_fail(call, 404, "no service \"%.*s\"%s%s%s", SPAN_ARG(wanted),
                     near ? "; did you mean \"" : "; see: parley services", near ? near : "",
                     near ? "\"?" : "");
}

/* Why the instance of this host is down; nothing when it has none, or does not check it. */
static void key_why(struct json *j, const struct daemon *d, const struct name *service)
{
    struct health_run_status hs;
    char why[HEALTH_RUN_TEXT_BYTES];
    if (health_run_status(d->health, service, &hs) == ERR_OK)
        json_member_cstr(j, "error", health_run_text(&hs, why));
}

/* One service: the endpoints e[0..n) of its name. */
static void service_row(struct admin_call *call, const struct build_endpoint *e, size_t n)
{
    struct json *j = &call->json;
    const struct config_upstream *u =
        config_upstream(call->daemon->config, span_str(e->service.text));
    uint64_t count[ENDPOINT_STATUSES] = {0};
    const struct build_endpoint *best = e;
    bool here = false;
    uint64_t learned_tcp = 0;
    for (size_t i = 0; i < n; i++) {
        count[e[i].status]++;
        here |= e[i].self;
        learned_tcp += e[i].origin == ORIGIN_LEARNED && e[i].protocol == PROTOCOL_TCP;
        if (e[i].origin < best->origin) best = &e[i];
    }
    json_object(j);
    json_member_cstr(j, "service", e->service.text);
    key_protocol(j, best->protocol, best->origin);
    json_member_u64(j, "learned_tcp", learned_tcp);
    for (unsigned s = 0; s < ENDPOINT_STATUSES; s++)
        json_member_u64(j, endpoints_status_word((enum endpoint_status)s), count[s]);
    json_member_bool(j, "here", here);
    key_why(j, call->daemon, &e->service);
    if (u) key_target(j, "listen", &u->listen);
    json_object_end(j);
}

enum admin_progress admin_view_services(struct admin_call *call)
{
    struct span only = admin_route_query(call, "name");
    bool found = only.len == 0;
    size_t n, next;
    const struct build_endpoint *e = compile_endpoints(call->daemon->compile, &n);
    json_array(&call->json);
    for (size_t i = 0; i < n; i = next) {
        for (next = i + 1; next < n && name_eq(&e[next].service, &e[i].service);)
            next++;
        if (only.len > 0 && !span_eq_str(only, e[i].service.text)) continue;
        found = true;
        service_row(call, &e[i], next - i);
    }
    json_array_end(&call->json);
    if (!found) no_service(call, only);
    return ADMIN_DONE;
}

static void endpoint_tags(struct json *j, const struct build_endpoint *e)
{
    json_key(j, "tags");
    json_object(j);
    for (uint32_t i = 0; i < e->tag_count; i++)
        json_member_cstr(j, e->tag[i].key, e->tag[i].value);
    json_object_end(j);
}

/* Of this host's own requests to it. */
static void endpoint_circuit(struct json *j, const struct daemon *d, const struct build_endpoint *e)
{
    uint64_t id = build_endpoint_id(&e->node_id, &e->service);
    struct circuits_state s = circuits_get(compile_circuits(d->compile), id);
    json_member_cstr(j, "circuit", s.open_workers > 0 ? "open" : "closed");
    json_member_cstr(j, "circuit_cause", circuit_cause_word(s.cause));
    json_member_u64(j, "circuit_workers", s.open_workers);
    json_member_u64(j, "ejections", s.opened_total);
}

enum admin_progress admin_view_endpoints(struct admin_call *call)
{
    const struct daemon *d = call->daemon;
    struct json *j = &call->json;
    size_t n, rows = 0;
    const struct build_endpoint *e = compile_endpoints(d->compile, &n);
    if (!name_valid(call->argument)) {
        admin_route_fail(call, 400, "a service name is 1 to 63 of a-z, 0-9 and -");
        return ADMIN_DONE;
    }
    json_array(j);
    for (size_t i = 0; i < n; i++) {
        if (!span_eq_str(call->argument, e[i].service.text)) continue;
        rows++;
        json_object(j);
        json_member_cstr(j, "service", e[i].service.text);
        json_member_cstr(j, "node", e[i].node.text);
        key_addr(j, "address", &e[i].addr);
        json_member_cstr(j, "status", endpoints_status_word(e[i].status));
        json_member_u64(j, "weight", e[i].weight);
        json_member_cstr(j, "zone", e[i].zone ? e[i].zone->text : "");
        endpoint_tags(j, &e[i]);
        endpoint_circuit(j, d, &e[i]);
        json_member_bool(j, "self", e[i].self);
        if (e[i].self) key_why(j, d, &e[i].service);
        json_object_end(j);
    }
    json_array_end(j);
    if (rows > 0 || config_upstream(d->config, call->argument)) return ADMIN_DONE;
    no_service(call, call->argument);
    return ADMIN_DONE;
}

enum admin_progress admin_view_certs(struct admin_call *call)
{
    const struct daemon *d = call->daemon;
    struct json *j = &call->json;
    size_t count;
    struct identity *const *id = identities_all(d->identities, &count);
    int64_t now_s = loop_wall_s(d->loop);
    json_array(j);
    for (size_t i = 0; i < count; i++) {
        int64_t due = issue_renew_due_s(enroll_renewals(d->enroll), id[i]);
        int64_t end = identity_not_after_s(id[i]);
        json_object(j);
        json_member_cstr(j, "identity", identity_uri(id[i]));
        admin_route_time(j, "not_before", identity_not_before_s(id[i]));
        admin_route_time(j, "not_after", end);
        admin_route_time(j, "renew_due", due);
        json_member_cstr(j, "state",
                         end <= now_s   ? "expired"
                         : due <= now_s ? "renewal due"
                                        : "ok");
        json_object_end(j);
    }
    json_array_end(j);
    return ADMIN_DONE;
}

enum admin_progress admin_view_tokens(struct admin_call *call)
{
    const struct enroll *e = call->daemon->enroll;
    struct json *j = &call->json;
    const struct token_entry *t;
    json_array(j);
    for (size_t i = 0; (t = enroll_token_at(e, i)) != NULL; i++) {
        char id[TOKEN_ID_TEXT_MAX];
        json_object(j);
        json_member_cstr(j, "id", token_id_format(t->id, id));
        admin_route_time(j, "expires", t->expires_s);
        json_member_u64(j, "uses_left", t->uses_left);
        json_member_cstr(j, "node", t->glob);
        json_member_cstr(j, "role", t->roles & ADMISSION_ROLE_SIGNER ? "signer" : "host");
        json_key(j, "services");
        json_array(j);
        for (uint32_t s = 0; s < t->service_count; s++)
            json_cstr(j, t->service[s].text);
        json_array_end(j);
        json_object_end(j);
    }
    json_array_end(j);
    return ADMIN_DONE;
}

enum admin_progress admin_view_metrics(struct admin_call *call)
{
    call->content_type = "text/plain; version=0.0.4; charset=utf-8";
    telemetry_render(call->daemon, call->raw);
    if (!strbuf_ok(call->raw)) admin_route_fail(call, 500, "the metrics are over the size limit");
    return ADMIN_DONE;
}
