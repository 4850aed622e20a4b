#include "cmd/daemon/admin_route.h"

#include "cmd/daemon/circuits.h"
#include "cmd/daemon/compile.h"
#include "cmd/daemon/drain.h"
#include "cmd/daemon/enroll.h"
#include "cmd/daemon/mesh.h"
#include "cmd/daemon/reload.h"
#include "core/base/check.h"
#include "gossip/gossip.h"

#include <sodium.h>
#include <string.h>

#define DRAIN_TIMEOUT_MS     30000u
#define DRAIN_TIMEOUT_MS_MAX 3600000u

static void lines_as_array(struct json *j, const char *key, struct span lines)
{
    json_key(j, key);
    json_array(j);
    while (lines.len > 0) {
        struct span line = span_cut(lines, '\n', &lines);
        if (line.len > 0) json_str(j, line);
    }
    json_array_end(j);
}

static unsigned reload_status(enum err err)
{
    switch ((int)err) {
    case ERR_INVALID:
    case ERR_TOO_LARGE:
    case ERR_NOT_FOUND:
    case ERR_IN_USE:
    case ERR_PERM:
    case ERR_UNREACHABLE:
    case ERR_UNTRUSTED: /* these three: of a certificate or its key */
    case ERR_CORRUPT:
    case ERR_MISMATCH:
        return 422;
    default:
        return 500;
    }
}

static void reload_first(struct admin_call *call)
{
    struct daemon *d = call->daemon;
    struct reload_summary sum;
    struct diag diag;
    reload_summary_init(&sum);
    diag_init(&diag);
    enum err err = reload_run(d, &diag, &sum);
    if (err == ERR_OK) {
        json_object(&call->json);
        json_member_bool(&call->json, "changed", sum.changed);
        json_member_u64(&call->json, "generation", sum.generation);
        lines_as_array(&call->json, "applied", strbuf_view(&sum.applied));
        lines_as_array(&call->json, "restart_needed", strbuf_view(&sum.restart));
        json_object_end(&call->json);
        enroll_kick(d->enroll);
        if (diag.warnings > 0) diag_print(&diag, &call->warnings);
    } else {
        admin_route_fail(call, reload_status(err), "%s", "");
        diag_print(&diag, &call->error);
        if (diag.errors == 0) strbuf_str(&call->error, err_text(err));
        strbuf_str(&call->error, "\nThe running configuration is unchanged.");
    }
    diag_fini(&diag);
    reload_summary_fini(&sum);
}

enum admin_progress admin_change_reload(struct admin_call *call)
{
    if (call->turn == 0) reload_first(call);
    bool wait = admin_route_query(call, "wait").len > 0 && call->status < 300;
    return wait && !compile_settled(call->daemon->compile) ? ADMIN_LATER : ADMIN_DONE;
}

static bool timeout_of(struct admin_call *call, uint64_t *ms)
{
    struct span text = admin_route_query(call, "timeout_ms");
    *ms = DRAIN_TIMEOUT_MS;
    if (text.len == 0) return true;
    if (span_u64(text, ms) && *ms <= DRAIN_TIMEOUT_MS_MAX) return true;
    admin_route_fail(call, 400, "the time limit is over an hour");
    return false;
}

static void drain_document(struct admin_call *call)
{
    struct drain_status s;
    struct json *j = &call->json;
    drain_status(call->daemon->drain, &s);
    json_object(j);
    json_member_cstr(j, "state", drain_word(s.state));
    json_member_u64(j, "in_flight", s.in_flight);
    json_member_bool(j, "timed_out", s.timed_out);
    json_member_u64(j, "took_ms", s.drained_ms > s.since_ms ? s.drained_ms - s.since_ms : 0);
    json_object_end(j);
}

enum admin_progress admin_change_drain(struct admin_call *call)
{
    struct drain_status s;
    uint64_t ms;
    if (call->turn == 0) {
        if (!timeout_of(call, &ms)) return ADMIN_DONE;
        drain_start(call->daemon->drain, (uint32_t)ms);
    }
    drain_status(call->daemon->drain, &s);
    if (s.state == DRAIN_DRAINING) return ADMIN_LATER;
    drain_document(call);
    return ADMIN_DONE;
}

enum admin_progress admin_change_undrain(struct admin_call *call)
{
    if (drain_undo(call->daemon->drain) == ERR_OK)
        drain_document(call);
    else
        admin_route_fail(call, 409, "this node is leaving; that cannot be undone");
    return ADMIN_DONE;
}

enum admin_progress admin_change_leave(struct admin_call *call)
{
    uint64_t ms;
    if (!timeout_of(call, &ms)) return ADMIN_DONE;
    drain_leave(call->daemon->drain, (uint32_t)ms);
    drain_document(call);
    return ADMIN_DONE;
}

enum admin_progress admin_change_circuits(struct admin_call *call)
{
    struct daemon *d = call->daemon;
    const struct config_upstream *u = config_upstream(d->config, call->argument);
    if (u == NULL) {
        admin_route_fail(call, 404, "no upstream of this host is called \"%.*s\"",
                         SPAN_ARG(call->argument));
        return ADMIN_DONE;
    }
    enum err err = circuits_reset(compile_circuits(d->compile), &u->name);
    if (err != ERR_OK) {
        admin_route_fail(call, 500, "%s", err_text(err));
        return ADMIN_DONE;
    }
    compile_request(d->compile);
    json_object(&call->json);
    json_key(&call->json, "reset");
    json_str(&call->json, call->argument);
    json_object_end(&call->json);
    return ADMIN_DONE;
}

enum admin_progress admin_change_forget(struct admin_call *call)
{
    struct daemon *d = call->daemon;
    struct gossip_member m;
    size_t pos = 0;
    if (!name_valid(call->argument)) {
        admin_route_fail(call, 400, "a node name is 1 to 63 of a-z, 0-9 and -");
        return ADMIN_DONE;
    }
    /* A name may stand for a live node and for dead ones it replaced: forget the dead. */
    struct node_id gone;
    bool found = false, dead = false, alive = false;
    while (gossip_member_next(mesh_gossip(d->mesh), &pos, &m)) {
        if (!span_eq_str(call->argument, m.name.text)) continue;
        found = true;
        alive |= m.state == MEMBER_ALIVE;
        if (m.state != MEMBER_DEAD && m.state != MEMBER_LEFT) continue;
        dead = true;
        gone = m.id;
    }
    enum err err = dead ? mesh_forget(d->mesh, &gone) : found ? ERR_BUSY : ERR_NOT_FOUND;
    if (err == ERR_OK) {
        json_object(&call->json);
        json_key(&call->json, "forgotten");
        json_str(&call->json, call->argument);
        json_object_end(&call->json);
    } else if (err == ERR_NOT_FOUND) {
        admin_route_fail(call, 404, "no member is called \"%.*s\"; see: parley members",
                         SPAN_ARG(call->argument));
    } else if (alive) {
        admin_route_fail(call, 409, "\"%.*s\" is alive; run `parley leave` on it instead",
                         SPAN_ARG(call->argument));
    } else {
        admin_route_fail(call, 409,
                         "\"%.*s\" is not dead yet: it takes no requests, and counts as dead when "
                         "it stays away; see: parley members",
                         SPAN_ARG(call->argument));
    }
    return ADMIN_DONE;
}

/* "a,b" into names; false and said when one is none. */
static bool services_of(struct admin_call *call, struct span list, struct enroll_token_spec *spec)
{
    while (list.len > 0) {
        struct span one = span_trim(span_cut(list, ',', &list));
        if (spec->service_count == ADMISSION_SERVICES_MAX) {
            admin_route_fail(call, 400, "at most %u services can be named", ADMISSION_SERVICES_MAX);
            return false;
        }
        if (name_set(&spec->service[spec->service_count++], one) != ERR_OK) {
            admin_route_fail(call, 400,
                             "\"%.*s\" is not a service name (1 to 63 of a-z, 0-9 and -)",
                             SPAN_ARG(one));
            return false;
        }
    }
    return true;
}

static bool token_spec(struct admin_call *call, struct enroll_token_spec *spec)
{
    const struct json_value *b = call->body;
    uint64_t ttl = json_read_u64(b, "ttl_s", 3600), uses = json_read_u64(b, "uses", 1);
    struct span role = json_read_str(b, "role", SPAN_LIT("host"));
    if (ttl == 0 || ttl > TOKEN_TTL_S_MAX || uses == 0 || uses > TOKEN_USES_MAX) {
        admin_route_fail(call, 400, "a token lives at most 7 days and has 1 to %u uses",
                         TOKEN_USES_MAX);
        return false;
    }
    if (!span_eq_str(role, "host") && !span_eq_str(role, "signer")) {
        admin_route_fail(call, 400, "the role is \"host\" or \"signer\"");
        return false;
    }
    *spec =
        (struct enroll_token_spec){.ttl_s = (uint32_t)ttl,
                                   .uses = (uint32_t)uses,
                                   .roles = span_eq_str(role, "signer") ? ADMISSION_ROLE_SIGNER : 0,
                                   .glob = json_read_str(b, "node", (struct span){0})};
    for (size_t i = 0; i < spec->glob.len; i++) {
        char c = spec->glob.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '*') continue;
        admin_route_fail(call, 400, "--node \"%.*s\": node names are of a-z, 0-9 and -, * for any",
                         SPAN_ARG(spec->glob));
        return false;
    }
    return services_of(call, json_read_str(b, "services", (struct span){0}), spec);
}

/* Which live members could have done it, for the refusal. */
static void not_a_signer(struct admin_call *call)
{
    struct gossip_member m;
    size_t pos = 0;
    admin_route_fail(call, 409, "this host does not hold the CA key; run it on:");
    while (gossip_member_next(mesh_gossip(call->daemon->mesh), &pos, &m))
        if ((m.roles & ADMISSION_ROLE_SIGNER) && !m.self)
            strbuf_fmt(&call->error, " %s", m.name.text);
}

enum admin_progress admin_change_token(struct admin_call *call)
{
    struct enroll_token_spec spec;
    struct token_entry entry;
    char text[TOKEN_TEXT_MAX], id[TOKEN_ID_TEXT_MAX];
    if (!token_spec(call, &spec)) return ADMIN_DONE;
    enum err err = enroll_token_create(call->daemon->enroll, &spec, text, &entry);
    if (err == ERR_OK) {
        json_object(&call->json);
        json_member_cstr(&call->json, "token", text);
        json_member_cstr(&call->json, "id", token_id_format(entry.id, id));
        admin_route_time(&call->json, "expires", entry.expires_s);
        json_member_u64(&call->json, "uses", entry.uses_left);
        json_object_end(&call->json);
    } else if (err == ERR_UNSUPPORTED) {
        not_a_signer(call);
    } else if (err == ERR_BUSY) {
        admin_route_fail(call, 429, "more than %u tokens in a minute; wait",
                         ENROLL_TOKENS_A_MINUTE);
    } else {
        admin_route_fail(call, 500, "the token was not made: %s", err_text(err));
    }
    sodium_memzero(text, sizeof text);
    sodium_memzero(&entry, sizeof entry);
    return ADMIN_DONE;
}

enum admin_progress admin_change_token_revoke(struct admin_call *call)
{
    uint32_t id;
    if (token_id_parse(call->argument, &id) != ERR_OK) {
        admin_route_fail(call, 400, "a token's id looks like tk_1f2e3d4c; see: parley token list");
        return ADMIN_DONE;
    }
    enum err err = enroll_token_revoke(call->daemon->enroll, id);
    if (err == ERR_OK) {
        json_object(&call->json);
        json_key(&call->json, "revoked");
        json_str(&call->json, call->argument);
        json_object_end(&call->json);
    } else if (err == ERR_UNSUPPORTED) {
        not_a_signer(call);
    } else {
        admin_route_fail(call, err == ERR_NOT_FOUND ? 404 : 500, "no token %.*s: %s",
                         SPAN_ARG(call->argument), err_text(err));
    }
    return ADMIN_DONE;
}
