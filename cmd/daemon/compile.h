/* Compile: running configuration, gossip catalogue and identities in; one snapshot out to all
 * workers.
 *
 * Control thread. Changes ask by compile_request; 100 ms of quiet, or 250 ms after the first,
 * builds once (gossip.md 3.5: mass change is one swap). A snapshot counts one reference for
 * each worker and one of ours; with the last worker's it is freed, on this thread. A build that
 * fails leaves the running snapshot in place and says so in the log.
 */
#ifndef CMD_DAEMON_COMPILE_H
#define CMD_DAEMON_COMPILE_H

#include "cmd/daemon/daemon.h"
#include "proxy/snapshot/build.h"

#define COMPILE_QUIET_MS  100u
#define COMPILE_LATEST_MS 250u

enum err compile_new(struct daemon *d, struct compile **out) MUST_USE;
/* After every worker has stopped: takes back what they hold and frees all. */
void compile_free(struct compile *c);

/* Something changed: build soon. */
void compile_request(struct compile *c);
/* Builds and publishes at once with this configuration and these listeners (reload, start). On
 * error nothing was published: ERR_INVALID said in `diag`, ERR_NOMEM. */
enum err compile_now(struct compile *c, const struct config *config, struct diag *diag) MUST_USE;
/* Builds with the running configuration and these mesh rules, and throws it away: whether they go
 * together. ERR_INVALID said in `diag`, ERR_NOMEM. */
enum err compile_try(struct compile *c, const struct policy_mesh *mesh, struct diag *diag) MUST_USE;
/* Takes back snapshots that workers are done with. */
void compile_reclaim(struct compile *c);

/* The endpoints of the last build, in order of service and node: for status, `services`,
 * `endpoints` and metrics. Borrowed until the next build. */
const struct build_endpoint *compile_endpoints(const struct compile *c, size_t *count);
/* What the newest snapshot makes of this upstream; NULL: it has none. Borrowed until the next
 * build. */
const struct snapshot_upstream *compile_upstream(const struct compile *c, const struct name *name);
/* The same of a service of this host. */
const struct snapshot_service *compile_service(const struct compile *c, const struct name *name);
/* Circuits as workers report them; a reset takes effect with the next build. */
struct circuits *compile_circuits(struct compile *c);
uint64_t compile_generation(const struct compile *c);
/* That of the oldest snapshot that some worker still holds: what began with older ones is over. */
uint64_t compile_oldest(const struct compile *c);
/* Snapshots that some worker still holds, the newest too. */
size_t compile_published(const struct compile *c);
/* Whether every worker uses the newest generation. */
bool compile_settled(const struct compile *c);

#endif
