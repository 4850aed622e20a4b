/* Listeners: the bound addresses of a worker.
 *
 * Worker thread. The descriptors belong to the control thread, which made one a worker
 * (SO_REUSEPORT) and closes them after the snapshot that names them has come back. A listener stays
 * while snapshots carry its id, so a reload drops no connection and no pending accept. Accepts come
 * in batches; when all but the last descriptors (FD_RESERVE) are used, or the kernel has none,
 * accepting pauses for a moment instead of spinning (O04).
 */
#ifndef PROXY_NET_LISTENER_H
#define PROXY_NET_LISTENER_H

#include "proxy/net/context.h"

/* A new view is in place: watches what it lists and forgets the rest. */
void listener_refresh(struct context *ctx);
/* Forgets all. For the worker's end. */
void listener_close_all(struct context *ctx);
/* NULL: `v` has no listener with this id any more. */
const struct snapshot_listener *listener_find(const struct view *v, uint64_t listener_id);
/* Where the listener with this id leads in `v`; NULL: nowhere any more. */
const struct snapshot_upstream *listener_upstream(const struct view *v, uint64_t listener_id);

#endif
