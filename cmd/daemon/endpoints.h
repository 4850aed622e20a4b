/* Endpoints: the catalogue as the data plane wants it: one row a service instance and node.
 *
 * Control thread. Owns the rows and a cache of decoded records, so that a change of one member
 * decodes one record. Rows are sorted by service, then node.
 *
 * A member that is unreachable or dead keeps its rows as UNREACHABLE: the balancer may try them
 * when nothing else is left, for a wrong control plane must not stop traffic. One that left has
 * none. Zones and tags of rows are borrowed from that cache and from `own`, until the next collect.
 */
#ifndef CMD_DAEMON_ENDPOINTS_H
#define CMD_DAEMON_ENDPOINTS_H

#include "cmd/daemon/daemon.h"
#include "gossip/event.h"
#include "proxy/snapshot/build.h"

#define ENDPOINTS_MAX (MEMBERS_MAX * 4u)

struct endpoints;

enum err endpoints_new(const struct hash_key *key, struct endpoints **out) MUST_USE;
void endpoints_free(struct endpoints *e);

/* Collects anew from the mesh's members and `own`, this host's record. ERR_NOMEM, ERR_FULL
 * (over ENDPOINTS_MAX): what did not fit is left out. */
enum err endpoints_collect(struct endpoints *e, const struct mesh *m,
                           const struct node_record *own) MUST_USE;
/* Borrowed until the next collect. */
const struct build_endpoint *endpoints_rows(const struct endpoints *e, size_t *count);

/* "up", "draining", "down" or "unreachable"; static. */
const char *endpoints_status_word(enum endpoint_status status);
/* What a member's state, its drain mark and its instance make of an endpoint. */
enum endpoint_status endpoints_status(enum member_state state, bool node_draining,
                                      const struct service_instance *s);

#endif
