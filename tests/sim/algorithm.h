/* Algorithms: what may run at the nodes of a simulated world, as a table of functions.
 *
 * Each is a state machine of the shape of gossip/gossip.h: events in, effects out, time and
 * randomness given. The world gives them the same network, mishaps and measures. A machine is
 * owned by its node. One thread.
 */
#ifndef TESTS_SIM_ALGORITHM_H
#define TESTS_SIM_ALGORITHM_H

#include "gossip/gossip.h"

struct world;

struct algorithm {
    const char *word;
    /* Streams are TLS, and the world counts their bytes; else bare TCP, and `counters` has them. */
    bool tls;
    /* What it promises is demanded: invariants, agreement in time. Else only measured. */
    bool strict;
    /* Longer than it takes all to know of a crash. */
    uint32_t notice_ms;
    /* The machine of node i as it starts; `store` is its last PERSIST. ERR_NOMEM. */
    enum err (*make)(struct world *w, uint32_t i, struct span store, void **out) MUST_USE;
    void (*free)(void *machine);
    /* As gossip_step, gossip_next_deadline_ms, gossip_counters. */
    enum err (*step)(void *machine, const struct gossip_event *e,
                     struct gossip_effects *fx) MUST_USE;
    uint64_t (*next_deadline_ms)(const void *machine);
    /* Asks the caches for what a step of it will touch; NULL: does not know. */
    void (*prefetch)(const void *machine);
    const struct gossip_counters *(*counters)(const void *machine);
    /* Starts all nodes as if they had known each other for long (world_start_with). ERR_NOMEM. */
    enum err (*preload)(struct world *w) MUST_USE;
    /* All that are up know each other, alive, and hold nothing else to be alive. */
    bool (*is_converged)(const struct world *w);
};

/* parley's own, of gossip/. Static. */
const struct algorithm *algorithm_parley(void);
/* NULL: no such word. */
const struct algorithm *algorithm_parse(const char *word);

#endif
