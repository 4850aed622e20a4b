/* Mesh keys: the group keys on this host, in the ring and on disk, as the gossip machine decides
 * (gossip/keyring.h).
 *
 * Control thread. A key is on disk before anyone hears that we have it, and a change that cannot be
 * stored is undone or made again: the file always holds every key that others may seal with.
 */
#ifndef CMD_DAEMON_MESH_KEYS_H
#define CMD_DAEMON_MESH_KEYS_H

#include "cmd/daemon/daemon.h"
#include "core/crypto/seal.h"
#include "core/model/manifest.h"
#include "gossip/event.h"

/* KEY_STORE, KEY_USE or KEY_DROP, done and logged. */
void mesh_keys_apply(struct daemon *d, struct seal_ring *ring, const struct gossip_effect *fx);
/* A fresh key, stored and last in the ring: it does not seal before a root lists it. ERR_FULL:
 * three are there already. ERR_IO and others of the store: said in `diag`, the ring as it was. */
enum err mesh_keys_make(struct daemon *d, struct seal_ring *ring, struct diag *diag,
                        struct manifest_hash *hash) MUST_USE;

#endif
