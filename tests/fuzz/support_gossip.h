/* A gossip machine for fuzzing: three members, and crypto that lets everything through, so that
 * what an insider could send is reached.
 *
 * An input is a row of messages:
 *
 *   0               2
 *   +---------------+-- - - - -+
 *   | who2 length14 | bytes    | ...       big-endian; the last may be cut short
 *   +---------------+-- - - - -+
 */
#ifndef TESTS_FUZZ_SUPPORT_GOSSIP_H
#define TESTS_FUZZ_SUPPORT_GOSSIP_H

#include "gossip/state.h"

#define RIG_PEERS 3u

struct rig {
    struct gossip *g;
    struct gossip_effects fx;
    struct head head[RIG_PEERS + 1]; /* 0: the machine's own */
    uint64_t now_ms;
    uint64_t counter;
};

void rig_init(struct rig *r);
/* One that knows nobody but what it had stored. */
void rig_restore(struct rig *r, struct span persisted);
void rig_fini(struct rig *r);
void rig_step(struct rig *r, struct gossip_event *e);
/* Lets time pass, then looks whether the machine's counts agree with its tables. */
void rig_run(struct rig *r, uint64_t ms);
/* Of the crypto that lets everything through. */
void rig_hash(struct span bytes, uint8_t out[CRYPTO_OPS_HASH_BYTES]);
/* Peer's record with everything that belongs to it. */
struct offer rig_offer(const struct rig *r, uint32_t peer);
/* Cuts the next message off `*input`; false at the end. */
bool rig_next(struct span *input, uint32_t *who, struct span *message);

#endif
