/* Mesh boot: everything the gossip machine needs from disk, and the machine itself.
 *
 * Control thread, at start. The epoch is raised and stored before the machine exists, so that no
 * packet can leave under an old one.
 */
#ifndef CMD_DAEMON_MESH_BOOT_H
#define CMD_DAEMON_MESH_BOOT_H

#include "cmd/daemon/daemon.h"
#include "cmd/daemon/store_state.h"
#include "gossip/gossip.h"

struct mesh_boot {
    struct store_mesh info;
    struct sign_key *key;   /* owned */
    struct seal_ring *ring; /* owned */
    struct gossip *gossip;  /* owned; borrows the two above */
    struct node_id id;
};

/* ERR_NOT_FOUND (no identity yet), ERR_CORRUPT, ERR_MISMATCH (of another mesh than the
 * configuration's), ERR_INVALID, ERR_IO: said in `diag`; `out` holds what mesh_boot_fini frees. */
enum err mesh_boot_load(struct daemon *d, struct diag *diag, struct mesh_boot *out) MUST_USE;
void mesh_boot_fini(struct mesh_boot *b);

#endif
