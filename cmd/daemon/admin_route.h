/* Admin, the routes: which request is answered by which function, and for whom.
 *
 * Control thread. A handler appends the value of "data" to `call->json`, or calls admin_route_fail.
 * Handlers of long operations (drain, reload --wait) return ADMIN_LATER and are asked again every
 * ADMIN_POLL_MS until they say something else or the limit passes.
 */
#ifndef CMD_DAEMON_ADMIN_ROUTE_H
#define CMD_DAEMON_ADMIN_ROUTE_H

#include "cmd/daemon/admin.h"

#define ADMIN_POLL_MS 50u

enum admin_role { ADMIN_OPEN, ADMIN_VIEW, ADMIN_ADMIN };
enum admin_progress { ADMIN_DONE, ADMIN_LATER };

struct gossip_member;

struct admin_call {
    struct daemon *daemon;
    enum admin_role role;
    bool metrics_only; /* came over TCP */
    struct span method, path, query;
    struct span argument; /* the path's last segment, percent-decoded, for routes that take one */
    const struct json_value *body; /* parsed, or NULL */
    unsigned turn;                 /* 0 the first time, then how often it was asked again */
    uint64_t started_ms;
    struct arena *arena; /* for the call's life */
    void *state;         /* of a handler that is asked again, in `arena` */
    struct json json;    /* writes "data" */
    const char *schema;  /* "parley.members.v1"; set by the route */
    struct strbuf *raw; /* a handler of text (metrics) appends here instead and sets content_type */
    const char *content_type;
    struct strbuf warnings; /* one a line */
    unsigned status;        /* 200 unless changed */
    struct strbuf error;    /* with a status of 4xx or 5xx */
};

/* Finds the route and runs it; 404, 405 and 403 are its own. */
enum admin_progress admin_route_run(struct admin_call *call);
/* Sets status and message. */
void admin_route_fail(struct admin_call *call, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The value of `key` in the query, undecoded; empty when absent. */
struct span admin_route_query(const struct admin_call *call, const char *key);
/* A point in time: "KEY" in RFC 3339, null when there is none, and "KEY_s" in seconds of 1970. */
void admin_route_time(struct json *j, const char *key, int64_t wall_s);

/* The handlers, by file: admin_view.c, admin_check.c, admin_change.c, admin_keyring.c,
 * admin_policy.c. */
enum admin_progress admin_view_status(struct admin_call *call);
enum admin_progress admin_view_ready(struct admin_call *call);
enum admin_progress admin_view_members(struct admin_call *call);
enum admin_progress admin_view_services(struct admin_call *call);
enum admin_progress admin_view_endpoints(struct admin_call *call);
enum admin_progress admin_view_certs(struct admin_call *call);
enum admin_progress admin_view_tokens(struct admin_call *call);
enum admin_progress admin_view_metrics(struct admin_call *call);
enum admin_progress admin_keyring_view(struct admin_call *call);
enum admin_progress admin_keyring_make(struct admin_call *call);
enum admin_progress admin_check_run(struct admin_call *call);
enum admin_progress admin_ping_run(struct admin_call *call);
enum admin_progress admin_netcheck_run(struct admin_call *call);
/* The member of that name, the liveliest if there are several; false: there is none, or it is this
 * node, which has been said. */
bool admin_ping_member(struct admin_call *call, struct span name, struct gossip_member *out);
enum admin_progress admin_change_reload(struct admin_call *call);
enum admin_progress admin_change_drain(struct admin_call *call);
enum admin_progress admin_change_undrain(struct admin_call *call);
enum admin_progress admin_change_leave(struct admin_call *call);
enum admin_progress admin_change_forget(struct admin_call *call);
enum admin_progress admin_change_circuits(struct admin_call *call);
enum admin_progress admin_change_token(struct admin_call *call);
enum admin_progress admin_change_token_revoke(struct admin_call *call);
enum admin_progress admin_policy_view(struct admin_call *call);
enum admin_progress admin_policy_texts(struct admin_call *call);
enum admin_progress admin_policy_generation(struct admin_call *call);
enum admin_progress admin_policy_history(struct admin_call *call);
enum admin_progress admin_policy_progress(struct admin_call *call);
enum admin_progress admin_policy_operators(struct admin_call *call);
enum admin_progress admin_policy_submit(struct admin_call *call);

#endif
