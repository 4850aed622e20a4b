/* Identities: the leaves this host holds (node and services) and its trust anchors, by SPIFFE ID.
 *
 * Control thread. Holds one reference to each; a snapshot takes its own. Which ones are wanted
 * follows from the running configuration: the node, every [service], and every `as` of an
 * [upstream].
 */
#ifndef CMD_DAEMON_IDENTITIES_H
#define CMD_DAEMON_IDENTITIES_H

#include "cmd/daemon/daemon.h"
#include "core/crypto/identity.h"

#define IDENTITIES_MAX (1u + CONFIG_SERVICES_MAX + CONFIG_UPSTREAMS_MAX)

enum err identities_new(struct identities **out) MUST_USE;
void identities_free(struct identities *ids);

/* Loads trust anchors, the node's leaf and all service leaves that `c` wants and the store has. A
 * missing or damaged service leaf is a warning in `diag` (it will be issued anew); ERR_NOT_FOUND,
 * ERR_CORRUPT, ERR_MISMATCH (node.crt is not of c's node): of the node's own, said in `diag`. */
enum err identities_load(struct identities *ids, const struct store *s, const struct config *c,
                         struct diag *diag) MUST_USE;
/* Loads what `c` wants and is not held yet; drops service leaves it does not want. */
void identities_sync(struct identities *ids, const struct store *s, const struct config *c,
                     struct diag *diag);

/* Takes one reference; replaces the identity with the same SPIFFE ID. The caller then calls
 * compile_request. ERR_FULL: the reference stays the caller's. */
enum err identities_put(struct identities *ids, struct identity *take_id) MUST_USE;
/* Borrowed until replaced; NULL: not issued yet. */
struct identity *identities_get(const struct identities *ids, const struct spiffe_id *id);
struct identity *identities_node(const struct identities *ids);
struct trust *identities_trust(const struct identities *ids);
/* Replaces the trust anchors (one reference taken). */
void identities_set_trust(struct identities *ids, struct trust *take_trust);
/* All held, node first; borrowed until the next change. */
struct identity *const *identities_all(const struct identities *ids, size_t *count);

/* The service identities `c` wants (the node's is always wanted), without repeats, up to `cap`;
 * their number. */
size_t identities_wanted(const struct config *c, struct spiffe_id *out, size_t cap);

#endif
