#include "cmd/daemon/telemetry.h"

#include "cmd/daemon/access_sink.h"
#include "cmd/daemon/circuits.h"
#include "cmd/daemon/compile.h"
#include "cmd/daemon/endpoints.h"
#include "cmd/daemon/enroll.h"
#include "cmd/daemon/identities.h"
#include "cmd/daemon/issue.h"
#include "cmd/daemon/listeners.h"
#include "cmd/daemon/mesh.h"
#include "cmd/daemon/policy_run.h"
#include "core/base/check.h"
#include "core/wire/prom.h"
#include "gossip/gossip.h"
#include "proxy/observe/metrics.h"
#include "proxy/snapshot/build.h"

static void one_u64(struct prom *p, const char *name, enum prom_type type, const char *help,
                    uint64_t v)
{
    prom_family(p, name, type, help);
    prom_u64(p, NULL, 0, v);
}

static void members(struct prom *p, const struct gossip *g)
{
    uint64_t count[MEMBER_STATES] = {0};
    struct gossip_member m;
    size_t pos = 0;
    uint32_t agreeing, alive;
    while (gossip_member_next(g, &pos, &m))
        count[m.state]++;
    prom_family(p, "parley_members", PROM_GAUGE, "Members by state, as this node sees them.");
    for (unsigned s = 0; s < MEMBER_STATES; s++) {
        struct prom_label label = {"state", span_str(gossip_state_word((enum member_state)s))};
        prom_u64(p, &label, 1, count[s]);
    }
    gossip_agreement(g, &agreeing, &alive);
    one_u64(p, "parley_gossip_view_agreeing", PROM_GAUGE,
            "Live members whose view equals ours, this node too.", agreeing);
}

static void gossip_events(struct prom *p, const struct gossip *g)
{
    const struct gossip_counters *c = gossip_counters(g);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
#define ROW(field) {#field, c->field},
        GOSSIP_COUNTER_LIST(ROW)
#undef ROW
    };
    prom_family(p, "parley_gossip_events_total", PROM_COUNTER,
                "What the gossip machine counted, by event.");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct prom_label label = {"event", span_str(rows[i].name)};
        prom_u64(p, &label, 1, rows[i].value);
    }
}

static void gossip_messages(struct prom *p, const struct gossip *g)
{
    struct gossip_messages m;
    prom_family(p, "parley_gossip_messages_total", PROM_COUNTER,
                "Messages in gossip datagrams, by kind.");
    for (size_t pos = 0; gossip_messages_next(g, &pos, &m);) {
        struct prom_label sent[] = {{"kind", span_str(m.kind)}, {"way", SPAN_LIT("sent")}};
        struct prom_label received[] = {{"kind", span_str(m.kind)}, {"way", SPAN_LIT("received")}};
        prom_u64(p, sent, ARRAY_LEN(sent), m.sent);
        prom_u64(p, received, ARRAY_LEN(received), m.received);
    }
}

static void endpoints(struct prom *p, const struct daemon *d)
{
    size_t n;
    const struct build_endpoint *e = compile_endpoints(d->compile, &n);
    prom_family(p, "parley_endpoints", PROM_GAUGE, "Endpoints of a service by state.");
    for (size_t i = 0; i < n;) {
        uint64_t count[ENDPOINT_STATUSES] = {0};
        size_t first = i;
        for (; i < n && name_eq(&e[i].service, &e[first].service); i++)
            count[e[i].status]++;
        for (unsigned s = 0; s < ENDPOINT_STATUSES; s++) {
            struct prom_label labels[] = {
                {"service", span_str(e[first].service.text)},
                {"state", span_str(endpoints_status_word((enum endpoint_status)s))}};
            prom_u64(p, labels, 2, count[s]);
        }
    }
}

static void circuits(struct prom *p, const struct daemon *d)
{
    const struct config *c = d->config;
    const struct circuits *known = compile_circuits(d->compile);
    prom_family(p, "parley_endpoints_ejected", PROM_GAUGE,
                "Endpoints whose circuit is open in some worker of this host.");
    for (size_t i = 0; i < c->upstream_count; i++) {
        struct prom_label label = {"service", span_str(c->upstream[i].name.text)};
        prom_u64(p, &label, 1, circuits_of_service(known, &c->upstream[i].name).open_workers);
    }
    prom_family(p, "parley_endpoint_ejections_total", PROM_COUNTER,
                "Circuits that opened, of all workers.");
    for (size_t i = 0; i < c->upstream_count; i++) {
        struct prom_label label = {"service", span_str(c->upstream[i].name.text)};
        prom_u64(p, &label, 1, circuits_of_service(known, &c->upstream[i].name).opened_total);
    }
}

static void certificates(struct prom *p, const struct daemon *d)
{
    size_t count;
    struct identity *const *id = identities_all(d->identities, &count);
    struct issue_status is;
    prom_family(p, "parley_cert_not_after_timestamp_seconds", PROM_GAUGE,
                "End of a leaf certificate.");
    for (size_t i = 0; i < count; i++) {
        struct prom_label label = {"identity", span_str(identity_uri(id[i]))};
        prom_i64(p, &label, 1, identity_not_after_s(id[i]));
    }
    prom_family(p, "parley_cert_renew_due_timestamp_seconds", PROM_GAUGE,
                "When a leaf is to be renewed.");
    for (size_t i = 0; i < count; i++) {
        struct prom_label label = {"identity", span_str(identity_uri(id[i]))};
        prom_i64(p, &label, 1, issue_renew_due_s(enroll_renewals(d->enroll), id[i]));
    }
    issue_status(enroll_renewals(d->enroll), &is);
    prom_family(p, "parley_cert_renewals_total", PROM_COUNTER, "Leaves asked for, by result.");
    struct prom_label ok = {"result", SPAN_LIT("ok")}, failed = {"result", SPAN_LIT("failed")};
    prom_u64(p, &ok, 1, is.renewed_total);
    prom_u64(p, &failed, 1, is.failed_total);
}

static void enrolment(struct prom *p, const struct daemon *d)
{
    const struct enroll_counters *c = enroll_counters(d->enroll);
    prom_family(p, "parley_joins_total", PROM_COUNTER, "Join requests to this host, by result.");
    struct prom_label ok = {"result", SPAN_LIT("ok")}, refused = {"result", SPAN_LIT("refused")};
    prom_u64(p, &ok, 1, c->joined_total);
    prom_u64(p, &refused, 1, c->refused_total);
    prom_family(p, "parley_issues_total", PROM_COUNTER,
                "Leaves signed here for members, and requests refused.");
    prom_u64(p, &ok, 1, c->issued_total);
    prom_u64(p, &refused, 1, c->issue_refused_total);
}

static void logs(struct prom *p, const struct daemon *d)
{
    struct access_sink_lost access;
    access_sink_lost(d->sink, &access);
    const struct {
        const char *cause;
        uint64_t lines;
    } rows[] = {
        {"ring_full", access.ring_full},
        {"unwritten", access.unwritten},
        {"event_not_taken", atomic_load_explicit(&d->log.dropped, memory_order_relaxed)},
    };
    prom_family(p, "parley_log_dropped_total", PROM_COUNTER,
                "Lines lost: access log with full rings or a failed write, events not taken.");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct prom_label label = {"cause", span_str(rows[i].cause)};
        prom_u64(p, &label, 1, rows[i].lines);
    }
}

static void policy(struct prom *p, const struct daemon *d)
{
    const struct gossip *g = mesh_gossip(d->mesh);
    const struct policy_mesh *rules = policy_run_rules(d->policy);
    one_u64(p, "parley_config_generation", PROM_GAUGE,
            "Generation of the mesh policy in force on this host; 0 is none.",
            policy_run_active(d->policy).gen);
    one_u64(p, "parley_config_head_generation", PROM_GAUGE,
            "Newest generation of the mesh policy that this host knows.",
            gossip_policy_head(g, MANIFEST_POLICY).gen);
    one_u64(p, "parley_config_nodes_stale", PROM_GAUGE,
            "Live members on which the newest generation is not in force.",
            policy_run_stale(d->policy));
    one_u64(p, "parley_config_rules", PROM_GAUGE, "Rules of the mesh policy in force.",
            rules != NULL ? rules->rule_count : 0);
    prom_family(p, "parley_config_refused_total", PROM_COUNTER,
                "Manifests, confirmations and texts that were refused, by reason.");
    for (unsigned r = POLICY_MALFORMED; r < POLICY_REFUSALS; r++) {
        struct prom_label label = {"reason",
                                   span_str(gossip_policy_refusal_word((enum policy_refusal)r))};
        prom_u64(p, &label, 1, gossip_policy_refusals(g, (enum policy_refusal)r));
    }
}

static void process(struct prom *p, const struct daemon *d)
{
    struct prom_label version = {"version", SPAN_LIT(PARLEY_VERSION)};
    prom_family(p, "parley_build_info", PROM_GAUGE, "Always 1; the labels say what runs.");
    prom_u64(p, &version, 1, 1);
    one_u64(p, "process_start_time_seconds", PROM_GAUGE, "Start of the process, Unix time.",
            (uint64_t)d->started_wall_s);
    one_u64(p, "parley_listen_drops_total", PROM_COUNTER,
            "Connection attempts that the kernel dropped because a listener's queue was full.",
            listeners_drops(d->listeners));
    one_u64(p, "parley_snapshot_generation", PROM_GAUGE, "Generation of the newest snapshot.",
            compile_generation(d->compile));
    one_u64(p, "parley_config_snapshots", PROM_GAUGE,
            "Snapshots that some worker still holds, the newest too.",
            compile_published(d->compile));
    one_u64(p, "parley_config_ok", PROM_GAUGE,
            "1 while the host file on disk is the one that runs.",
            !d->config_last_good && d->reloads_refused == 0);
    one_u64(p, "parley_config_last_reload_timestamp_seconds", PROM_GAUGE,
            "When the running file was applied.", d->reload_wall_s);
}

void telemetry_render(const struct daemon *d, struct strbuf *out)
{
    struct metrics_shard *shard[WORKERS_MAX];
    struct prom p;
    for (unsigned i = 0; i < d->worker_count; i++)
        shard[i] = d->worker[i].metrics;
    metrics_render(shard, d->worker_count, out);
    prom_init(&p, out);
    members(&p, mesh_gossip(d->mesh));
    gossip_events(&p, mesh_gossip(d->mesh));
    gossip_messages(&p, mesh_gossip(d->mesh));
    endpoints(&p, d);
    circuits(&p, d);
    certificates(&p, d);
    enrolment(&p, d);
    logs(&p, d);
    policy(&p, d);
    process(&p, d);
}
