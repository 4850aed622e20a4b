/* The simulated network: what becomes of a packet between two nodes, and when.
 *
 * One world. Latency of a datagram one way is base + lognormal jitter; some are lost, doubled or
 * held back (so that later ones overtake), one that is longer than a link carries is dropped, and
 * behind a slow line they queue. Each node's side of the network can be bad in its own way, and a
 * pair can be cut off from each other in one direction.
 *
 *   sender  -> mute? loss_out, mtu, rate -> [split? blocked? base + jitter] -> deaf? flip? loss_in
 *
 * All of it is state that faults set and clear (nemesis.h); nothing else here depends on time.
 */
#ifndef TESTS_SIM_NETWORK_H
#define TESTS_SIM_NETWORK_H

#include "core/base/rng.h"

#include <stdbool.h>

#define NETWORK_BLOCKED_MAX 256u
#define NETWORK_MTU_BYTES   1472u /* what Ethernet leaves to UDP */

/* One node's side of it. All zero: nothing is wrong. */
struct network_node {
    double loss_in, loss_out; /* probability, besides that of all */
    uint32_t extra_us;        /* one way, both directions */
    uint32_t flip_us;         /* hears nothing for so long, then all for so long; 0: steady */
    uint64_t flip_from_us;
    uint64_t rate; /* bytes a second that it can send; 0: no limit */
    uint64_t free_us;
    uint32_t sees; /* only the so many nodes after it exchange packets with it; 0: all do */
    uint16_t group;
    bool deaf, mute;
};

/* What all of it is like. */
struct network_profile {
    double base_us, jitter_us, sigma; /* latency: base + jitter * exp(sigma * normal) */
    double loss;                      /* probability, one way */
    double duplicate;                 /* probability */
    double reorder;                   /* probability of being held back */
    uint32_t mtu;                     /* longest payload that is carried */
    bool wide;                        /* besides, what wide.h says */
    bool no_streams;                  /* only datagrams get through */
};

struct network {
    struct rng rng;
    uint32_t nodes;
    struct network_profile profile;
    uint32_t splits;   /* groups besides 0 that exist */
    uint32_t unsteady; /* nodes of which anything but the group is set */
    uint64_t healed_us;
    uint64_t lost, dropped_mtu, dropped_queue; /* counted */
    size_t blocked_count;
    struct {
        uint32_t from, to;
    } blocked[NETWORK_BLOCKED_MAX];
    struct network_node *node; /* owned */
};

/* A datagram on its way. */
struct network_packet {
    uint64_t now_us;
    uint32_t from, to;
    size_t bytes;
};

/* False: no memory. */
bool network_init(struct network *n, uint32_t nodes, uint64_t seed, double loss);
void network_fini(struct network *n);
/* Nothing of `from` reaches `to` at that time. */
bool network_blocked(const struct network *n, uint64_t now_us, uint32_t from, uint32_t to);
/* They are in different parts of a split network. */
bool network_is_split(const struct network *n, uint32_t a, uint32_t b);
/* One direction of one pair. Blocking one more than NETWORK_BLOCKED_MAX does nothing. */
void network_block(struct network *n, uint32_t from, uint32_t to);
void network_unblock(struct network *n, uint32_t from, uint32_t to);
/* Microseconds that one packet takes. */
uint64_t network_latency_us(struct network *n, uint32_t from, uint32_t to);
/* How many copies of a datagram arrive (0 to 2), and when each. */
unsigned network_datagram(struct network *n, const struct network_packet *p, uint64_t delay_us[2]);
/* When a segment of a stream arrives: a lost one is sent again, first after `rto_us`, then after
 * twice that. False: TCP gave up. */
bool network_segment(struct network *n, const struct network_packet *p, uint64_t rto_us,
                     uint64_t *takes_us);

#endif
