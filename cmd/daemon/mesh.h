/* Mesh: drives the gossip machine: its UDP socket, its one timer, its streams, its files.
 *
 * Control thread. Owns the machine, the node's gossip key, the key ring and the socket on the mesh
 * port. Effects are executed in the turn they come; member and record changes ask for a new
 * snapshot. Peers that are names in the configuration go through io/resolver.
 */
#ifndef CMD_DAEMON_MESH_H
#define CMD_DAEMON_MESH_H

#include "cmd/daemon/daemon.h"
#include "core/crypto/seal.h"
#include "core/crypto/sign.h"
#include "gossip/gossip_policy.h"

struct mesh_ask;
struct mesh_ask_options;
struct mesh_stream;
struct store_mesh;

/* Loads mesh, admission, keys, ring, peers; raises and stores the epoch. Binds nothing. */
enum err mesh_new(struct daemon *d, struct diag *diag, struct mesh **out) MUST_USE;
/* Binds UDP on the mesh port, announces our record and contacts peers. ERR_IN_USE, ERR_PERM: said
 * in `diag`. */
enum err mesh_start(struct mesh *m, struct diag *diag) MUST_USE;
void mesh_free(struct mesh *m);

/* For members, states, view hash, counters: read only, valid for this turn. */
const struct gossip *mesh_gossip(const struct mesh *m);
/* Members that answer (alive or suspect), this host included. */
uint32_t mesh_reachable(const struct mesh *m);
/* The record a member announced, without services that its admission does not grant (security.md
 * section 4). ERR_NOT_FOUND: unknown or not heard yet; ERR_INVALID: its body
 * does not decode (counted). Large: the caller gives the storage. */
enum err mesh_record(const struct mesh *m, const struct node_id *id,
                     struct node_record *out) MUST_USE;
struct node_id mesh_own_id(const struct mesh *m);
const struct store_mesh *mesh_info(const struct mesh *m);
/* As mesh_keys_make. */
enum err mesh_make_key(struct mesh *m, struct diag *diag, struct manifest_hash *hash) MUST_USE;
const struct seal_ring *mesh_ring(const struct mesh *m);
struct mesh_stream *mesh_streams(const struct mesh *m);

/* Rebuilds our record from configuration, health, drain state and the node leaf, and spreads it
 * when it differs. */
void mesh_announce(struct mesh *m);
/* Contacts these addresses. */
void mesh_join(struct mesh *m, const struct addr *addr, size_t count);
/* Contacts the configuration's peers (again). */
void mesh_contact_peers(struct mesh *m);
/* Drops a dead or left member. ERR_BUSY: it is alive; ERR_NOT_FOUND. */
enum err mesh_forget(struct mesh *m, const struct node_id *id) MUST_USE;
/* Asks a member and gives the question's token; it says nothing to anyone but who asks. */
uint32_t mesh_ping(struct mesh *m, const struct mesh_ask_options *o);
/* The answer, which is forgotten with that; false: not yet. */
bool mesh_ping_take(struct mesh *m, uint32_t token, struct mesh_ask *out);
/* Gossips LEFT. */
void mesh_leave(struct mesh *m);
/* Our renewed admission certificate, already stored. ERR_INVALID: it is not ours. */
enum err mesh_admission(struct mesh *m, struct span cert) MUST_USE;
/* Hands in a manifest with the texts that may be new, or a confirmation, as an operator signed it.
 * On an error `*why` says what is wrong with it, and nothing has spread. */
enum err mesh_intent(struct mesh *m, struct span signed_bytes, const struct span *text,
                     size_t text_count, enum policy_refusal *why) MUST_USE;
/* Passes the answers on that policy_run holds. */
void mesh_answer(struct mesh *m);
/* The data plane could not reach this mesh address: it is probed at once (ten a second at most). */
void mesh_hint(struct mesh *m, const struct addr *peer);

#endif
