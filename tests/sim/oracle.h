/* The oracle: what must hold at all times, whatever the network does (gossip.md 4.2).
 *
 *   I1   (epoch, inc, version) of an owner never goes back at a node
 *   I2   what a node holds of an owner was signed by that owner, and its certificate was good
 *   I3   only the owner raises its incarnation: nobody holds a higher one than it has signed
 *   I4   LEFT of an epoch never becomes anything else in it
 *   I5   UNREACHABLE takes K distinct valid votes, DEAD at once as many refused streams
 *   I9   no message over its size, no queue or table over its bound; datagrams: wiretap.h
 *   and that a machine's counts agree with its table
 *   I10 to I12: wiretap.h. I6 to I8, I14, I17: scenario.c, at quiescence. I13, I15: drivers.h.
 *   I16: selftest.c.
 *
 * Checked when a node reports a change of a member, in small worlds for all members after each
 * step. The first breach is kept as text and stops the world.
 */
#ifndef TESTS_SIM_ORACLE_H
#define TESTS_SIM_ORACLE_H

#include "gossip/gossip.h"
#include "tests/sim/wiretap.h"

struct world;

struct oracle_view {
    uint64_t epoch, version;
    uint32_t inc;
    uint8_t state;
    bool known;
};

struct oracle_node {
    uint64_t epoch; /* the newest it has signed */
    uint32_t inc;
    bool liar; /* it may sign what it likes about itself */
};

struct oracle {
    uint32_t nodes;
    struct oracle_view ***view; /* owned: of each observer that has looked, pages of owners */
    struct oracle_node *node;   /* owned */
    struct wiretap tap;
    bool failed;
    char message[256];
};

/* False: no memory. */
bool oracle_init(struct oracle *o, uint32_t nodes);
void oracle_fini(struct oracle *o);
bool oracle_failed(const struct oracle *o);
/* A breach found elsewhere. */
void oracle_fail(struct oracle *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Node i begins a life: it has seen nothing yet. */
void oracle_start(struct oracle *o, const struct world *w, uint32_t i);
/* From now on node i is hostile: what it says of itself is not judged. */
void oracle_liar(struct oracle *o, uint32_t i);
void oracle_effect(struct oracle *o, const struct world *w, uint32_t i,
                   const struct gossip_effect *e);
/* After a step of node i. */
void oracle_step(struct oracle *o, const struct world *w, uint32_t i);
/* At quiescence: whether all that are up know each other, alive and with their records, and have
 * equal digests (I7, I8). */
bool oracle_is_converged(const struct world *w);

#endif
