/* Listeners: the listening sockets of the data plane, one SO_REUSEPORT descriptor a worker each.
 *
 * Control thread. A configuration's sockets are opened before its snapshot is published
 * (listeners_prepare), so that a busy port refuses the whole reload; what stays in use keeps its
 * descriptors. After publishing, listeners_commit retires the rest; a retired socket is closed when
 * every worker has moved to that generation, and its descriptor array is freed when no snapshot can
 * name it.
 *
 * A unix socket is one for all workers; its file goes with it.
 *
 *   prepare -> (snapshot built and published) -> commit(generation) -> collect ...
 *           -> abort: what prepare opened is closed, nothing has changed
 */
#ifndef CMD_DAEMON_LISTENERS_H
#define CMD_DAEMON_LISTENERS_H

#include "core/base/diag.h"
#include "core/model/config.h"
#include "proxy/snapshot/build.h"

struct fd_store;
struct listeners;

/* `store` may hold sockets of the process before, and keeps ours; it outlives `*out`. */
enum err listeners_new(unsigned worker_count, struct fd_store *store,
                       struct listeners **out) MUST_USE;
/* Closes all, without having the store forget any. No snapshot may be left. */
void listeners_free(struct listeners *l);

/* Opens what `c` needs and is not open. ERR_IN_USE, ERR_PERM, ERR_UNREACHABLE (no such address on
 * this host), ERR_IO, ERR_NOMEM: said in `diag`, nothing has changed. */
enum err listeners_prepare(struct listeners *l, const struct config *c, struct diag *diag) MUST_USE;
/* The rows for build_input of what was prepared, or else of what is in use. Borrowed until the next
 * prepare; upstream names point into the prepared configuration. */
const struct build_listener *listeners_rows(const struct listeners *l, size_t *count);
void listeners_commit(struct listeners *l, uint64_t generation);
void listeners_abort(struct listeners *l);
/* `reached`: the least generation a worker uses; `oldest`: of the oldest snapshot not yet freed. */
void listeners_collect(struct listeners *l, uint64_t reached, uint64_t oldest);
/* Connection attempts dropped at full backlogs, of listeners that are closed too. */
uint64_t listeners_drops(const struct listeners *l);

#endif
