/* The simulated network: what becomes of a packet between two nodes, and when.
 *
 * One world. Latency of a datagram one way is base + lognormal jitter; some are lost, doubled or
 * held back (so that later ones overtake). A cut separates groups of nodes, both ways or only one.
 */
#ifndef TESTS_SIM_NETWORK_H
#define TESTS_SIM_NETWORK_H

#include "core/base/rng.h"

#include <stdbool.h>

struct network {
    struct rng rng;
    uint32_t nodes;
    double loss;      /* probability, one way */
    double duplicate; /* probability */
    double reorder;   /* probability of being held back */
    uint8_t *group;   /* owned: of each node */
    bool cut;         /* between groups */
    bool one_way;     /* only what goes from group 0 to others is lost */
    uint64_t healed_us;
    uint64_t cut_us;
};

/* False: no memory. */
bool network_init(struct network *n, uint32_t nodes, uint64_t seed, double loss);
void network_fini(struct network *n);
bool network_blocked(const struct network *n, uint32_t from, uint32_t to);
/* Microseconds that one packet takes. */
uint64_t network_latency_us(struct network *n);
/* How many copies of a datagram arrive (0 to 2), and when each. */
unsigned network_datagram(struct network *n, uint32_t from, uint32_t to, uint64_t delay_us[2]);
/* When a segment of a stream arrives: a lost one is sent again, first after `rto_us`, then after
 * twice that. */
uint64_t network_segment(struct network *n, uint64_t rto_us);

#endif
