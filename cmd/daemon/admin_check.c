#include "cmd/daemon/admin_route.h"

#include "cmd/daemon/circuits.h"
#include "cmd/daemon/compile.h"
#include "cmd/daemon/health_hint.h"
#include "cmd/daemon/health_run.h"
#include "cmd/daemon/identities.h"
#include "cmd/daemon/issue.h"
#include "cmd/daemon/learn.h"
#include "cmd/daemon/mesh.h"
#include "cmd/daemon/policy_run.h"
#include "core/base/check.h"
#include "gossip/gossip.h"
#include "proxy/snapshot/build.h"

#include <stdarg.h>
#include <stdio.h>

enum finding { FINDING_OK, FINDING_WARNING, FINDING_FAILED };

/* Which check spoke; the id names it for good: scripts and pages refer to it. */
struct check {
    const char *id, *group, *hint;
};

/* One row of the answer. */
static void __attribute__((format(printf, 4, 5)))
say(struct admin_call *call, struct check check, enum finding level, const char *fmt, ...)
{
    static const char *const words[] = {"ok", "warning", "failed"};
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    struct strbuf sb;
    strbuf_init_fixed(&sb, text, sizeof text);
    strbuf_vfmt(&sb, fmt, ap);
    va_end(ap);
    struct json *j = &call->json;
    json_object(j);
    json_member_cstr(j, "id", check.id);
    json_member_cstr(j, "group", check.group);
    json_member_cstr(j, "level", words[level]);
    json_member_cstr(j, "text", text);
    if (level != FINDING_OK && check.hint[0]) {
        json_member_cstr(j, "hint", check.hint);
    }
    json_object_end(j);
}

static void check_node(struct admin_call *call)
{
    const struct daemon *d = call->daemon;
    if (d->config_last_good)
        say(call, (struct check){"P012", "node", "parley config check"}, FINDING_FAILED,
            "the host file is bad; running from the last good copy");
    else if (d->reloads_refused > 0)
        say(call, (struct check){"P012", "node", "parley config check"}, FINDING_FAILED,
            "the last reload was refused, the old configuration runs: %s", d->reload_refusal);
    else
        say(call, (struct check){"P012", "node", ""}, FINDING_OK, "the host file is in use");
    say(call, (struct check){"P013", "node", ""}, d->ready ? FINDING_OK : FINDING_FAILED,
        "%u workers %s generation %llu", d->worker_count,
        compile_settled(d->compile) ? "use" : "are moving to",
        (unsigned long long)compile_generation(d->compile));
}

static void check_gossip(struct admin_call *call)
{
    const struct gossip *g = mesh_gossip(call->daemon->mesh);
    struct gossip_member m;
    size_t pos = 0;
    unsigned alive = 0, missing = 0;
    while (gossip_member_next(g, &pos, &m)) {
        if (m.state == MEMBER_ALIVE) alive++;
        if (m.state == MEMBER_ALIVE && m.stream_only)
            say(call,
                (struct check){"P062", "gossip", "open the port for udp too; parley netcheck"},
                FINDING_WARNING,
                "UDP %u of %s is blocked (TCP works): gossip falls back to TCP, slower",
                m.addr.port, m.name.text);
        if (m.state != MEMBER_UNREACHABLE && m.state != MEMBER_DEAD && m.state != MEMBER_SUSPECT)
            continue;
        missing++;
        char hint[128] = "is it up, and its port open for TCP and UDP?";
        if (m.state == MEMBER_DEAD)
            snprintf(hint, sizeof hint, "parley forget %s, when it will not come back",
                     m.name.text[0] ? m.name.text : "NODE");
        say(call, (struct check){"P021", "gossip", hint},
            m.state == MEMBER_SUSPECT ? FINDING_WARNING : FINDING_FAILED, "%s is %s",
            m.name.text[0] ? m.name.text : "a node without a known name",
            gossip_state_word(m.state));
    }
    if (missing == 0)
        say(call, (struct check){"P021", "gossip", ""}, FINDING_OK, "%u of %u members alive", alive,
            alive);
    uint32_t agreeing, live;
    gossip_agreement(g, &agreeing, &live);
    say(call,
        (struct check){"P022", "gossip",
                       "views meet within seconds; if not, see: parley members on both sides"},
        agreeing == live ? FINDING_OK : FINDING_WARNING, "view agreed by %u of %u", agreeing, live);
}

static void check_identity(struct admin_call *call)
{
    const struct daemon *d = call->daemon;
    int64_t now_s = loop_wall_s(d->loop);
    const struct identity *node = identities_node(d->identities);
    int64_t left = identity_not_after_s(node) - now_s;
    int64_t life = identity_not_after_s(node) - identity_not_before_s(node);
    say(call,
        (struct check){"P031", "identity",
                       left <= 0 ? "join again with a new token"
                                 : "is a signer alive? see: parley members"},
        left <= 0         ? FINDING_FAILED
        : left * 4 < life ? FINDING_WARNING
                          : FINDING_OK,
        "the node's certificate ends in %lldh%02lldm", (long long)(left / 3600),
        (long long)(left % 3600 / 60));
    struct issue_status is;
    issue_status(enroll_renewals(d->enroll), &is);
    if (is.waiting)
        say(call, (struct check){"P032", "identity", "parley cert list"}, FINDING_FAILED,
            "certificates wait: %s", is.last_error);
    else
        say(call, (struct check){"P032", "identity", ""}, FINDING_OK,
            "every certificate asked for is issued");
    struct gossip_member m;
    size_t pos = 0;
    unsigned signers = 0;
    while (gossip_member_next(mesh_gossip(d->mesh), &pos, &m))
        signers += m.state == MEMBER_ALIVE && (m.roles & ADMISSION_ROLE_SIGNER);
    say(call, (struct check){"P033", "identity", "a second one: parley token create --role signer"},
        signers == 0   ? FINDING_FAILED
        : signers == 1 ? FINDING_WARNING
                       : FINDING_OK,
        signers == 0   ? "no live member holds the CA key: nothing can be renewed"
        : signers == 1 ? "one live member holds the CA key"
                       : "several live members hold the CA key");
}

/* Whether the mesh policy lets anybody call this service. */
static bool mesh_allows(const struct policy_mesh *mesh, const struct name *service)
{
    for (size_t i = 0; mesh != NULL && i < mesh->rule_count; i++)
        if (mesh->rule[i].action == POLICY_ALLOW && policy_applies(&mesh->rule[i], service))
            return true;
    return false;
}

static void check_mesh_policy(struct admin_call *call)
{
    const struct daemon *d = call->daemon;
    const struct gossip *g = mesh_gossip(d->mesh);
    struct manifest_ref head = gossip_policy_head(g, MANIFEST_POLICY);
    struct gossip_policy_entry e;
    struct gossip_member m;
    size_t pos = 0;
    unsigned behind = 0, siblings = 0;
    if (head.gen == 0) return;
    while (gossip_member_next(g, &pos, &m)) {
        uint64_t gen;
        if (m.state != MEMBER_ALIVE && !m.self) continue;
        const char *word = policy_run_member_word(d->policy, &m, &gen);
        if (strcmp(word, "ok") == 0) continue;
        behind++;
        say(call, (struct check){"P044", "policy", "parley config history"}, FINDING_WARNING,
            "mesh policy generation %llu on %s: %s", (unsigned long long)head.gen, m.name.text,
            word);
    }
    if (behind == 0)
        say(call, (struct check){"P044", "policy", ""}, FINDING_OK,
            "mesh policy generation %llu is in force on every live member",
            (unsigned long long)head.gen);
    for (pos = 0; gossip_policy_next(g, MANIFEST_POLICY, &pos, &e);)
        siblings += e.sibling && e.ref.gen == head.gen;
    if (siblings > 0)
        say(call,
            (struct check){"P045", "policy", "parley config history, then apply what is missing"},
            FINDING_WARNING, "mesh policy generation %llu was applied twice at once: one lost",
            (unsigned long long)head.gen);
}

/* Rules that look at requests, and an application that was found to know none. */
static void check_bytes(struct admin_call *call, const struct config_service *s)
{
    const struct daemon *d = call->daemon;
    const struct snapshot_service *now = compile_service(d->compile, &s->name);
    enum service_protocol found;
    if (now == NULL || learn_of(d->learn, s, &found) != ORIGIN_LEARNED) return;
    if (found != PROTOCOL_TCP || now->protocol == PROTOCOL_TCP) return;
    say(call,
        (struct check){"P046", "policy",
                       "protocol = \"tcp\" in its table, and no method or path in its rules"},
        FINDING_WARNING,
        "%s was found to speak tcp, and a rule looks at requests to it: what is none is refused",
        s->name.text);
}

static void check_policy(struct admin_call *call)
{
    const struct config *c = call->daemon->config;
    unsigned closed = 0;
    for (size_t i = 0; i < c->service_count; i++) {
        const struct config_service *s = &c->service[i];
        if (s->policy.rule_count == 0 && s->policy.fallback == POLICY_DEFAULT_DENY &&
            !mesh_allows(policy_run_rules(call->daemon->policy), &s->name)) {
            closed++;
            say(call, (struct check){"P041", "policy", "allow = [\"CALLER\"] in its table"},
                FINDING_WARNING, "nobody may call %s: it has no rule", s->name.text);
        }
        check_bytes(call, s);
        if (s->policy.fallback == POLICY_DEFAULT_ALLOW)
            say(call, (struct check){"P042", "policy", "policy = \"deny\" in [defaults]"},
                FINDING_WARNING, "every member may call %s", s->name.text);
        if (s->local.path[0] == 0 && !addr_is_loopback(&s->local.addr))
            say(call,
                (struct check){"P043", "policy", "let it listen on 127.0.0.1 or a unix socket"},
                FINDING_WARNING, "%s listens on an address that can be reached past parley",
                s->name.text);
    }
    if (closed == 0)
        say(call, (struct check){"P041", "policy", ""}, FINDING_OK, "every service has a rule");
}

static void check_upstream(struct admin_call *call, const struct name *name)
{
    const struct daemon *d = call->daemon;
    const struct snapshot_upstream *now = compile_upstream(d->compile, name);
    bool as_http = now != NULL && record_speaks_http(now->protocol);
    unsigned up = 0, all = 0, others = 0;
    unsigned ejected = circuits_of_service(compile_circuits(d->compile), name).open_workers;
    size_t n;
    const struct build_endpoint *e = compile_endpoints(d->compile, &n);
    for (size_t k = 0; k < n; k++) {
        if (!name_eq(&e[k].service, name)) continue;
        all++;
        up += e[k].status == ENDPOINT_UP;
        others += now != NULL && record_speaks_http(e[k].protocol) != as_http;
    }
    char hint[128], tail[64] = "";
    snprintf(hint, sizeof hint,
             all > 0 ? "parley endpoints %s" : "no host announces %s; see: parley services",
             name->text);
    if (ejected > 0) snprintf(tail, sizeof tail, ", %u ejected by this host", ejected);
    say(call, (struct check){"P053", "traffic", hint},
        all == 0 || up == 0       ? FINDING_FAILED
        : up < all || ejected > 0 ? FINDING_WARNING
                                  : FINDING_OK,
        "upstream %s: %u of %u endpoints up%s", name->text, up, all, tail);
    if (others > 0)
        say(call,
            (struct check){"P054", "traffic",
                           "protocol = \"http\" or \"tcp\" in the service's table on its hosts"},
            FINDING_WARNING,
            "upstream %s is served as %s: %u of %u endpoints are not, and left out", name->text,
            as_http ? "http" : "tcp", others, all);
}

static void check_traffic(struct admin_call *call)
{
    const struct daemon *d = call->daemon;
    const struct config *c = d->config;
    for (size_t i = 0; i < c->service_count; i++) {
        char why[HEALTH_RUN_TEXT_BYTES], hint[HEALTH_HINT_BYTES];
        struct health_run_status hs = {0};
        if (health_run_status(d->health, &c->service[i].name, &hs) != ERR_OK) continue;
        if (hs.health == HEALTH_DOWN)
            say(call, (struct check){"P051", "traffic", health_hint(&c->service[i], hint)},
                FINDING_FAILED, "%s is down: %s", c->service[i].name.text,
                health_run_text(&hs, why));
        else if (hs.health == HEALTH_UNKNOWN)
            say(call, (struct check){"P051", "traffic", ""}, FINDING_OK,
                "%s waits for its first check", c->service[i].name.text);
        else
            say(call, (struct check){"P051", "traffic", ""}, FINDING_OK, "%s is up",
                c->service[i].name.text);
    }
    for (size_t i = 0; i < c->upstream_count; i++)
        check_upstream(call, &c->upstream[i].name);
}

enum admin_progress admin_check_run(struct admin_call *call)
{
    json_array(&call->json);
    check_node(call);
    check_gossip(call);
    check_identity(call);
    check_policy(call);
    check_mesh_policy(call);
    check_traffic(call);
    json_array_end(&call->json);
    return ADMIN_DONE;
}
