/* Voters of a rollout, and whether the gates hold (rollout.h).
 *
 * Gossip thread.
 */
#ifndef GOSSIP_ROLLOUT_VOTE_H
#define GOSSIP_ROLLOUT_VOTE_H

#include "gossip/rollout.h"

/* Chooses the voters of the target from the members that are live now, and our own wave. */
void rollout_vote_choose(struct gossip *g);
/* A voter says that of the target. */
void rollout_vote_note(struct gossip *g, const uint8_t id[NODE_ID_SHORT_BYTES],
                       enum status_state state);
/* Notes who is away, and who is there and has been silent for too long; true: some count as failed
 * that did not. The next such look is due at rollout_vote_mute_ms; UINT64_MAX: none. */
bool rollout_vote_listen(struct gossip *g);
uint64_t rollout_vote_mute_ms(const struct gossip *g);
/* Whether that member counts as failed because it is silent. */
bool rollout_vote_is_mute(const struct rollout *r, const uint8_t id[NODE_ID_SHORT_BYTES]);
/* Whether our wave may begin; if not, r->waits says for what. */
bool rollout_vote_gates(struct gossip *g);
/* The next voter that is there and of whom we wait to hear, in turn from the `first`; start with
 * *pos = 0; NULL at the end. */
struct member *rollout_vote_silent(struct gossip *g, uint32_t first, uint32_t *pos);
/* Whether all voters, but for those that may fail, have applied it. */
bool rollout_vote_complete(struct gossip *g);
/* Whether the status is about the target. */
bool rollout_vote_is_about(const struct rollout *r, const struct status *s);

#endif
