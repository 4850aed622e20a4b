/* Transitions between the states of a member, and everything that hangs on them: timers, counts,
 * digest, rumours, reports (gossip.md 3.1).
 *
 *            refuted                refuted
 *      +--------------+   +-----------------------+
 *      v              |   v                       |
 *   ALIVE ---> SUSPECT ---> UNREACHABLE ---> DEAD        a newer incarnation or epoch: ALIVE
 *      |   votes    timer            hold     |
 *      +----------> LEFT <--------------------+          owner's word; only a newer epoch undoes it
 *
 * Gossip thread.
 */
#ifndef GOSSIP_TRANSITION_H
#define GOSSIP_TRANSITION_H

#include "gossip/member.h"

struct gossip;

/* No effect when it is in that state. Acquits on ALIVE and LEFT. */
void transition_to(struct gossip *g, struct member *m, enum member_state state);
/* A member that has just been added enters the counts and is reported. */
void transition_enter(struct gossip *g, struct member *m, enum member_state state);
/* So many members that are alive came with an image (member.h). */
void transition_prefilled(struct gossip *g, uint32_t others);
/* Removes a dead or left member for good. */
void transition_forget(struct gossip *g, struct member *m);

#endif
