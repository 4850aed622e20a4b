/* Mesh peers: contacts the hosts that the configuration names, until somebody answers.
 *
 * Control thread. Addresses go to the gossip machine as they are, names through io/resolver. While
 * this host sees no other member it tries again, after 1 s, then 2 s, then every 5 s with jitter. A
 * name is asked for afresh each time; while that fails, its last good answer stands.
 */
#ifndef CMD_DAEMON_MESH_PEERS_H
#define CMD_DAEMON_MESH_PEERS_H

#include "cmd/daemon/mesh.h"

struct mesh_peers;

enum err mesh_peers_new(struct mesh *m, struct daemon *d, struct mesh_peers **out) MUST_USE;
void mesh_peers_free(struct mesh_peers *p);
/* Contacts all of them now. */
void mesh_peers_contact(struct mesh_peers *p);

#endif
