/* Admin: the local HTTP API (interface.md 2, 5) on a unix socket, and /metrics and /ready on a TCP
 * address.
 *
 * Control thread. HTTP/1.1, one request a connection, answers end with the connection. The role of
 * a caller on the unix socket comes from its credentials: root, the daemon's own uid or group
 * parley-admin: admin; group parley-view: view; anybody else: open (status and ready). The TCP
 * listener serves GET /metrics and GET /ready only. At most ADMIN_CLIENTS_MAX at once, each within
 * ADMIN_LIMIT_MS; of them ADMIN_OPEN_CLIENTS_MAX without a role, each within ADMIN_OPEN_LIMIT_MS;
 * bodies up to ADMIN_REQUEST_BYTES_MAX. A request with an Origin, or a change
 * without `x-parley: 1`, is refused (X02).
 *
 * Every answer is one JSON document {"schema","node","generated_at","data","warnings"}, or
 * {"error","schema"} with a 4xx or 5xx.
 */
#ifndef CMD_DAEMON_ADMIN_H
#define CMD_DAEMON_ADMIN_H

#include "cmd/daemon/daemon.h"
#include "core/wire/json_read.h"

#define ADMIN_LIMIT_MS         60000u
#define ADMIN_OPEN_CLIENTS_MAX 32u
#define ADMIN_OPEN_LIMIT_MS    10000u
#define ADMIN_ANSWER_BYTES_MAX (64u * 1024 * 1024)

struct admin;

/* Binds the unix socket (replacing a stale one). ERR_PERM, ERR_IN_USE, ERR_TOO_LARGE (path): said
 * in `diag`. */
enum err admin_new(struct daemon *d, struct diag *diag, struct admin **out) MUST_USE;
void admin_free(struct admin *a);
/* Serves /metrics and /ready here; family NONE: nowhere. ERR_IN_USE, ERR_PERM: said in `diag`, the
 * old one stays. The same address again changes nothing. */
enum err admin_metrics_listen(struct admin *a, const struct addr *at, struct diag *diag) MUST_USE;

#endif
