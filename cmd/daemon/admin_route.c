#include "cmd/daemon/admin_route.h"

#include "core/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct route {
    const char *method, *path, *schema;
    enum admin_role role;
    bool argument; /* one more segment follows the path */
    bool tcp;      /* also on the metrics listener */
    enum admin_progress (*run)(struct admin_call *);
} routes[] = {
    {"GET", "/v1/status", "parley.status.v1", ADMIN_OPEN, false, false, admin_view_status},
    {"GET", "/v1/ready", "parley.ready.v1", ADMIN_OPEN, false, false, admin_view_ready},
    {"GET", "/ready", "parley.ready.v1", ADMIN_OPEN, false, true, admin_view_ready},
    {"GET", "/metrics", NULL, ADMIN_OPEN, false, true, admin_view_metrics},
    {"GET", "/v1/members", "parley.members.v1", ADMIN_VIEW, false, false, admin_view_members},
    {"GET", "/v1/services", "parley.services.v1", ADMIN_VIEW, false, false, admin_view_services},
    {"GET", "/v1/endpoints", "parley.endpoints.v1", ADMIN_VIEW, true, false, admin_view_endpoints},
    {"GET", "/v1/ping", "parley.ping.v1", ADMIN_VIEW, true, false, admin_ping_run},
    {"GET", "/v1/netcheck", "parley.netcheck.v1", ADMIN_VIEW, false, false, admin_netcheck_run},
    {"GET", "/v1/check", "parley.check.v1", ADMIN_VIEW, false, false, admin_check_run},
    {"GET", "/v1/certs", "parley.certs.v1", ADMIN_VIEW, false, false, admin_view_certs},
    {"GET", "/v1/keyring", "parley.keyring.v1", ADMIN_VIEW, false, false, admin_keyring_view},
    {"POST", "/v1/keyring", "parley.keyring-draft.v1", ADMIN_ADMIN, false, false,
     admin_keyring_make},
    {"GET", "/v1/policy", "parley.policy.v1", ADMIN_VIEW, false, false, admin_policy_view},
    {"GET", "/v1/policy/texts", "parley.policy-texts.v1", ADMIN_VIEW, false, false,
     admin_policy_texts},
    {"GET", "/v1/policy/generations", "parley.policy-generation.v1", ADMIN_VIEW, true, false,
     admin_policy_generation},
    {"GET", "/v1/policy/history", "parley.config-history.v1", ADMIN_VIEW, false, false,
     admin_policy_history},
    {"GET", "/v1/policy/progress", "parley.policy-progress.v1", ADMIN_VIEW, false, false,
     admin_policy_progress},
    {"GET", "/v1/operators", "parley.operators.v1", ADMIN_VIEW, false, false,
     admin_policy_operators},
    {"POST", "/v1/policy", "parley.policy-submit.v1", ADMIN_ADMIN, false, false,
     admin_policy_submit},
    {"GET", "/v1/tokens", "parley.tokens.v1", ADMIN_ADMIN, false, false, admin_view_tokens},
    {"POST", "/v1/tokens", "parley.token.v1", ADMIN_ADMIN, false, false, admin_change_token},
    {"DELETE", "/v1/tokens", "parley.token.v1", ADMIN_ADMIN, true, false,
     admin_change_token_revoke},
    {"POST", "/v1/reload", "parley.reload.v1", ADMIN_ADMIN, false, false, admin_change_reload},
    {"POST", "/v1/drain", "parley.drain.v1", ADMIN_ADMIN, false, false, admin_change_drain},
    {"POST", "/v1/undrain", "parley.drain.v1", ADMIN_ADMIN, false, false, admin_change_undrain},
    {"POST", "/v1/leave", "parley.drain.v1", ADMIN_ADMIN, false, false, admin_change_leave},
    {"POST", "/v1/circuits/reset", "parley.circuits.v1", ADMIN_ADMIN, true, false,
     admin_change_circuits},
    {"POST", "/v1/forget", "parley.forget.v1", ADMIN_ADMIN, true, false, admin_change_forget},
};

void admin_route_fail(struct admin_call *call, unsigned status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    call->status = status;
    strbuf_reset(&call->error);
    strbuf_vfmt(&call->error, fmt, ap);
    va_end(ap);
}

struct span admin_route_query(const struct admin_call *call, const char *key)
{
    struct span rest = call->query;
    while (rest.len > 0) {
        struct span value, pair = span_cut(rest, '&', &rest);
        if (span_eq_str(span_cut(pair, '=', &value), key)) return value;
    }
    return (struct span){0};
}

void admin_route_time(struct json *j, const char *key, int64_t wall_s)
{
    char text[32], seconds[64];
    struct tm tm;
    time_t wall = (time_t)wall_s;
    bool known = wall_s > 0 && gmtime_r(&wall, &tm) != NULL &&
                 strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0;
    snprintf(seconds, sizeof seconds, "%s_s", key);
    json_member_cstr(j, key, known ? text : NULL);
    json_key(j, seconds);
    json_i64(j, wall_s);
}

/* Names are plain characters: an escape is never needed in an argument, so none is decoded (X06).
 */
static bool argument_of(struct span path, const char *base, struct span *argument)
{
    size_t len = strlen(base);
    if (path.len < len + 2 || memcmp(path.p, base, len) != 0 || path.p[len] != '/') return false;
    *argument = span_skip(path, len + 1);
    return memchr(argument->p, '/', argument->len) == NULL;
}

enum admin_progress admin_route_run(struct admin_call *call)
{
    bool path_known = false;
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        const struct route *r = &routes[i];
        if (call->metrics_only && !r->tcp) continue;
        bool match = r->argument ? argument_of(call->path, r->path, &call->argument)
                                 : span_eq_str(call->path, r->path);
        if (!match) continue;
        path_known = true;
        if (!span_eq_str(call->method, r->method)) continue;
        call->schema = r->schema;
        if (call->role >= r->role) return r->run(call);
        admin_route_fail(call, 403,
                         "this needs the %s role: run it as root or as a member of group %s",
                         r->role == ADMIN_ADMIN ? "admin" : "view",
                         r->role == ADMIN_ADMIN ? "parley-admin" : "parley-view");
        return ADMIN_DONE;
    }
    if (path_known)
        admin_route_fail(call, 405, "method not allowed");
    else
        admin_route_fail(call, 404, "no such path");
    return ADMIN_DONE;
}
