/* Circuits as the control thread knows them: which workers hold an endpoint's circuit open, and how
 * often operators asked for them to be reset.
 *
 * Control thread. Told by workers when a circuit opens or closes; asked by `parley endpoints`,
 * /metrics and each snapshot build. A reset travels to the workers as a number in the snapshot.
 */
#ifndef CMD_DAEMON_CIRCUITS_H
#define CMD_DAEMON_CIRCUITS_H

#include "core/base/hash.h"
#include "core/wire/prom.h"
#include "proxy/net/worker.h"
#include "proxy/snapshot/build.h"

#define CIRCUITS_MAX 8192u /* endpoints that ever opened, kept while there is room */

struct circuits;

struct circuits_state {
    unsigned open_workers; /* 0: closed */
    enum circuit_cause cause;
    uint64_t opened_total;
};

enum err circuits_new(const struct hash_key *key, struct circuits **out) MUST_USE;
void circuits_free(struct circuits *c);

/* A message of kind WORKER_CIRCUIT from worker `index`. Out of memory or room: it is not shown. */
void circuits_note(struct circuits *c, unsigned index, const struct worker_message *m);
/* All zero for an endpoint that never opened. */
struct circuits_state circuits_get(const struct circuits *c, uint64_t endpoint_id);
/* All circuits of a service are closed, here at once and in the workers with the next snapshot.
 * ERR_FULL, ERR_NOMEM. */
enum err circuits_reset(struct circuits *c, const struct name *service) MUST_USE;
/* Forgets what is of upstreams that this configuration has not. */
void circuits_keep(struct circuits *c, const struct config *config);
/* For build_input; borrowed until the next reset or keep. */
const struct build_reset *circuits_resets(const struct circuits *c, size_t *count);
/* Of the endpoints of a service: open now, and opened ever. */
struct circuits_state circuits_of_service(const struct circuits *c, const struct name *service);

#endif
