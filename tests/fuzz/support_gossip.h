/* A gossip machine for fuzzing: some members, and crypto that lets everything through, so that what
 * an insider could send is reached.
 *
 * An input is a row of messages, but for fuzz_gossip:
 *
 *   0               2
 *   +---------------+-- - - - -+
 *   | who2 length14 | bytes    | ...       big-endian; the last may be cut short
 *   +---------------+-- - - - -+
 */
#ifndef TESTS_FUZZ_SUPPORT_GOSSIP_H
#define TESTS_FUZZ_SUPPORT_GOSSIP_H

#include "gossip/state.h"

#define RIG_PEERS     3u
#define RIG_PEERS_MAX 7u /* of which three can shun a fourth */

struct rig {
    struct gossip *g;
    struct gossip_effects fx;
    struct head head[RIG_PEERS_MAX + 1]; /* 0: the machine's own, all zero */
    uint64_t now_ms;
    uint64_t counter;
};

/* One that knows peers 1 to RIG_PEERS; or so many. */
void rig_init(struct rig *r);
void rig_init_of(struct rig *r, uint32_t peers);
/* One that knows nobody but what it had stored. */
void rig_restore(struct rig *r, struct span persisted);
void rig_fini(struct rig *r);
void rig_step(struct rig *r, struct gossip_event *e);
/* A datagram of that peer (0: a stranger), sealed for the machine, or for nobody's life. */
void rig_datagram(struct rig *r, uint32_t who, struct span plain, bool hail);
/* Lets time pass, and checks. */
void rig_run(struct rig *r, uint64_t ms);
/* The machine's books are in order: its counts agree with its tables, nothing is told or reminded
 * of that is not there, and no member waits for a timer that is not set. */
void rig_check(const struct rig *r);
/* Of the crypto that lets everything through. */
void rig_hash(struct span bytes, uint8_t out[CRYPTO_OPS_HASH_BYTES]);
/* Peer's record with everything that belongs to it. */
struct offer rig_offer(const struct rig *r, uint32_t peer);
/* Cuts the next message off `*input`; false at the end. */
bool rig_next(struct span *input, uint32_t *who, struct span *message);

#endif
