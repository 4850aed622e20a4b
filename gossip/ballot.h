/* Ballots: what voters of a rollout say of its target, each signed by the voter, short and told at
 * once, so that nobody waits for records (rollout.h, gossip.md 3.7).
 *
 *   0      8       16       17      81
 *   +------+-------+--------+-------+
 *   | who8 | hash8 | state1 | sig64 |   sig = Ed25519 over "parley-ballot-2\0" ||
 *   +------+-------+--------+-------+         mesh16 || who16 || gen8 || hash32 || state1
 *
 * A voter says VALID, then APPLIED, or that it will not: a later word replaces an earlier one and
 * never the other way round, so that replays change nothing. Gossip thread; kept in struct rollout.
 */
#ifndef GOSSIP_BALLOT_H
#define GOSSIP_BALLOT_H

#include "core/crypto/sign.h"
#include "gossip/status.h"

#define BALLOT_BYTES (8u + STATUS_HASH_BYTES + 1u + SIGN_BYTES)

struct gossip;
struct member;
struct packet;

/* We say this of the target, if we are a voter and have not. */
void ballot_cast(struct gossip *g, enum status_state state);
/* A datagram brought one. */
void ballot_receive(struct gossip *g, const uint8_t wire[BALLOT_BYTES], struct member *from);
/* Adds ours to `p`; false: there is none, or no room. */
bool ballot_add_own(struct gossip *g, struct packet *p);
/* How many are being told of; whether some have not been told to TUNING_FANOUT members yet. */
uint32_t ballot_count(const struct gossip *g);
bool ballot_fresh(const struct gossip *g);
/* Adds what fits; `fresh` alone what is. */
void ballot_fill(struct gossip *g, struct packet *p, bool fresh);
/* Nothing is told any more. */
void ballot_drop(struct gossip *g);
/* Of two words of one voter, the one that counts. */
uint32_t ballot_rank(enum status_state state);

#endif
