/* Broadcast: the queue of rumours and when they have been told often enough (gossip.md 3.3).
 *
 * Gossip thread; embedded in the machine. A rumour is "the record of m" or "the accusation against
 * m"; its storage is in the member, so the queue holds each once, newest content, and cannot grow
 * beyond the table. It is dropped after L = ceil(log2 N) + 4 sends, or when it was heard three
 * times from others.
 */
#ifndef GOSSIP_BROADCAST_H
#define GOSSIP_BROADCAST_H

#include "gossip/member.h"

/* Fill order of packets. The last two together own a quarter of every packet, so that churn of
 * membership cannot starve them (gossip.md 3.3). */
enum broadcast_urgency {
    BROADCAST_REFUTE,
    BROADCAST_VERDICT,    /* accusations */
    BROADCAST_MEMBERSHIP, /* joined, restarted, left */
    BROADCAST_POLICY,     /* who refuses a generation of policy */
    BROADCAST_SERVICE,    /* a new body */
    BROADCAST_URGENCIES
};

#define BROADCAST_BODY_INLINE_MAX 512u /* longer ones are pulled */
#define BROADCAST_BACKLOG_MAX     64u  /* rumours; beyond, streams bring newcomers along */

struct broadcast {
    struct list queue[BROADCAST_URGENCIES]; /* front: next to go */
    size_t count;                           /* on all of them */
    struct timer timer;
    struct timer eager;
    uint64_t eager_ms; /* last time that something could not wait */
    uint64_t phase_ms; /* rounds are at phase modulo g: nodes do not beat together */
};

struct gossip;
struct packet;

void broadcast_init(struct broadcast *b, uint64_t phase_ms);
/* Spreads what is now to be said about `m`, from the beginning. */
void broadcast_record(struct gossip *g, struct member *m, enum broadcast_urgency urgency,
                      bool with_admission, bool with_body);
void broadcast_accusation(struct gossip *g, struct member *m);
/* The same was heard from someone else. */
void broadcast_heard(struct gossip *g, struct member *m, enum rumour_kind kind);
void broadcast_drop(struct gossip *g, struct member *m, enum rumour_kind kind);
/* Adds to `p` the rumours that fit. */
void broadcast_fill(struct gossip *g, struct packet *p);
/* The timer: one round, to TUNING_FANOUT members. */
void broadcast_round(struct gossip *g);
/* Something of policy is new: it is forwarded at once, to TUNING_FANOUT members. */
void broadcast_hurry(struct gossip *g);
/* The timer of that. */
void broadcast_eager(struct gossip *g);
/* At once, to `targets` random members: our own good-bye. */
void broadcast_burst(struct gossip *g, uint32_t targets);

#endif
