/* Persisting: all that is known of others, as one opaque blob for the driver to store (gossip.md
 * 3.5: failed peers too, serf #333). With it a node starts with its last catalogue, and finds the
 * mesh again with no seed alive.
 *
 *   hash16 of the rest || [1, [offer, ...], [offer, ...], graves bin]   msgpack
 *                             who lived    who was dead   who is long gone (grave.h)
 *
 * Gossip thread.
 */
#ifndef GOSSIP_PERSIST_H
#define GOSSIP_PERSIST_H

#include "core/base/span.h"
#include "gossip/gossip.h"

#define PERSIST_BYTES_MAX (16u * 1024 * 1024)
#define PERSIST_FIRST_MS  5000u
#define PERSIST_BODY_MAX  4096u /* larger bodies are pulled again */

/* The timer: a PERSIST effect if anything has changed. */
void persist_timer(struct gossip *g);
/* Takes up a blob, before the first step. What is damaged or no longer admitted is left out; of the
 * latter the address is kept, to be contacted. False: not ours at all. */
bool persist_restore(struct gossip *g, struct span blob);

#endif
