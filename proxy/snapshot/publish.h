/* Publish: hands snapshots from the control thread to one worker, and back.
 *
 *   control                                  worker
 *   publish_put ------- exchange(slot.next) ------> publish_take
 *   publish_reclaim <------ ring returned --------- publish_return
 *   snapshot_unref: the last worker's return frees it
 *
 * A snapshot that a worker never took (a newer one came first) is returned to publish_put's caller.
 * The request path does no atomics: a worker takes once a wake-up.
 */
#ifndef PROXY_SNAPSHOT_PUBLISH_H
#define PROXY_SNAPSHOT_PUBLISH_H

#include "core/base/ring.h"
#include "proxy/snapshot/snapshot.h"

#define PUBLISH_RETURNS_MAX 1024u

struct publish_slot {
    _Atomic(struct snapshot *) next; /* release by control, acquire by the worker */
    struct ring returned;            /* worker -> control */
};

enum err publish_init(struct publish_slot *slot) MUST_USE;
/* Both threads must have stopped using it; returns nothing still inside (reclaim first). */
void publish_fini(struct publish_slot *slot);
/* Control. The snapshot that was waiting and never taken, or NULL. */
struct snapshot *publish_put(struct publish_slot *slot, struct snapshot *s);
/* Worker. NULL: nothing new. */
struct snapshot *publish_take(struct publish_slot *slot);
/* Worker. ERR_FULL: keep it and try again next turn. */
enum err publish_return(struct publish_slot *slot, struct snapshot *s) MUST_USE;
/* Control. One that the worker is done with, or NULL. */
struct snapshot *publish_reclaim(struct publish_slot *slot);

#endif
