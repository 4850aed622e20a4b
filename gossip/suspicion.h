/* Suspicion: collecting votes against a member and the time it has to refute them (gossip.md 3.2;
 * Lifeguard, section IV.B).
 *
 *   ALIVE --our vote, or L of others--> SUSPECT --K votes, and the time is over--> UNREACHABLE
 *     ^                                   |  |                                          | hold
 *     +-- it refutes; another reaches it; |  +--K votes say REFUSED: crash proof------> DEAD
 *         the time is over without K  <---+
 *   any --K votes of watchers say LOSSY--> UNREACHABLE --the shunning is over--> ALIVE
 *
 * To have measured that most is lost is not refuted by one packet that came through: who is lossy
 * is shunned for SUSPICION_SHUN_MS, whatever it says, and again if K say anew that it is still so.
 * Votes that say so outlive its refutation for a while (refuted.h), and that others reach it. It
 * can do less against that, so not everyone may say it (watchers_plausible).
 *
 * Each further vote shortens the time. Every node runs its own clock and takes no one's word for
 * more than a vote, and no vote of who is distrusted (distrust.h). An accusation is spread only
 * when L = min(2, K) members agree, so that one half-detached node cannot start a storm (consul
 * #5928). Any other member may vote: with watchers down, or views that differ, nobody else could.
 * K = min(3, n - 2) of the n that are alive or on trial, at least 1; below 3 our own is among them.
 *
 * Gossip thread.
 */
#ifndef GOSSIP_SUSPICION_H
#define GOSSIP_SUSPICION_H

#include "gossip/accusation.h"
#include "gossip/member.h"

struct gossip;
struct message;

#define SUSPICION_SHUN_MS 30000u

#define SUSPICION_LAST_CALLS   2u
#define SUSPICION_LAST_CALL_MS 500u /* apart, the last so long before the hold is over */

enum suspicion_source { SUSPICION_GOSSIP, SUSPICION_SYNC };

/* Our own probe of `m` failed: we vote. Fills `*mine` with the accusation and our vote alone;
 * false when there is nothing to accuse. */
bool suspicion_vote(struct gossip *g, struct member *m, enum accusation_kind kind,
                    struct accusation *mine);
/* The same without voting: what we say to those whom we ask. */
void suspicion_statement(struct gossip *g, const struct member *m, enum accusation_kind kind,
                         struct accusation *out);
/* Whether it is worth measuring if `m` is, or still is, lossy. */
bool suspicion_measures(const struct gossip *g, const struct member *m);
/* Votes of others came, by way of `from`. Votes of strangers and false ones are left out. */
void suspicion_hear(struct gossip *g, const struct accusation *a, struct member *from,
                    enum suspicion_source source);
/* `m` has announced itself anew, in a higher incarnation than `before` or another life. */
void suspicion_refuted(struct gossip *g, struct member *m, const struct head *before);
/* What `m` is to be told of: the votes against it as it is now; our own where it is dead and none
 * are kept. False: it is not accused. */
bool suspicion_charge(struct gossip *g, const struct member *m, struct accusation *out);
/* Someone tells us what we are accused of; `from` as above. A charge that a known member has not
 * signed, or of what we are not, raises nothing. */
void suspicion_accused(struct gossip *g, const struct accusation *a, struct member *from);
/* A watcher of the target says REACHED: our lone vote is withdrawn. */
void suspicion_reached(struct gossip *g, const struct member *from, const struct message *said);
/* We reached `m` ourselves: as suspicion_reached. */
void suspicion_answered(struct gossip *g, struct member *m);
/* Tells an accused or dead member so, at most every 300 ms: it may be there and refute. */
void suspicion_poke(struct gossip *g, struct member *m);
/* `to` does not know the same accusations as we do: tells it of ours, when they are old enough. */
void suspicion_remind(struct gossip *g, struct member *to);
/* The member's timer. */
void suspicion_timer(struct gossip *g, struct member *m);
/* Our own pause of `late_ms` is no one's fault: every running suspicion and hold gets that much
 * longer. */
void suspicion_amnesty(struct gossip *g, uint64_t late_ms);

#endif
