/* Probes: asking members whether they are there (gossip.md 3.2; SWIM, DSN 2002, section 3).
 *
 *   t0       PING
 *   +RTO     PING again
 *   +RTO     PING again, PING_REQ to 3 helpers, a stream probe; an RTO earlier when the verdict
 *            would come too soon for them
 *   +RTO...  PING again, until the verdict
 *   verdict  at 3 RTO + 50 ms, later when much is lost (tuning_pings), at most T;
 *            all times (local health + 1)
 *
 *   REGULAR  one a period, as the schedule has it (schedule.h); a failure accuses
 *   CONFIRM  someone else asks whether we reach it; a failure accuses, success says REACHED;
 *            the stream is tried too, when theirs was refused
 *   QUALITY  a row of pings, each with a seq of its own, to one that answered late or when asked
 *            about one that is said to be lossy (quality.h)
 *   RELAY    a helper's ping; ACK or NACK goes back
 *   CLONE    is the member still at its old address, while a newer epoch of it comes from another?
 *
 * Gossip thread; embedded in the machine. At most PROBE_SLOTS at a time: over it, requests of
 * others are dropped, and the regular probe waits for its next period.
 */
#ifndef GOSSIP_PROBE_H
#define GOSSIP_PROBE_H

#include "gossip/message.h"
#include "gossip/schedule.h"
#include "gossip/timer.h"

#define PROBE_SLOTS 64u

struct gossip;
struct member;
struct stream;

enum probe_kind {
    PROBE_FREE,
    PROBE_REGULAR,
    PROBE_CONFIRM,
    PROBE_RELAY,
    PROBE_CLONE,
    PROBE_QUALITY
};

struct probe {
    enum probe_kind kind;
    struct timer timer;
    struct member *target;
    struct member *origin;       /* CONFIRM, RELAY: who asked; NULL when forgotten meanwhile */
    uint32_t seq;                /* of the first ping; the next ones count on */
    uint32_t origin_seq;         /* RELAY */
    struct accusation_vote vote; /* CONFIRM: of who asked */
    struct addr clone;           /* CLONE: where the other one is */
    uint64_t clone_epoch;        /* and its life */
    uint64_t started_us;
    uint64_t verdict_ms;
    uint32_t again_ms;
    uint32_t helpers, nacks;
    uint32_t pings;    /* sent */
    uint32_t answered; /* QUALITY: which of them, as bits */
    uint32_t stream;   /* of the stream probe; 0: none */
    bool asked;        /* helpers, and the stream */
    bool refused;      /* the stream was: nobody listens */
};

struct probe_table {
    size_t high; /* slots beyond were never used since the last time all were free */
    size_t used;
    struct timer period;
    struct schedule schedule;
    uint64_t round;                  /* that the period's timer is set for */
    size_t made;                     /* slots: most machines never need more than a few */
    struct probe *slot[PROBE_SLOTS]; /* owned */
};

void probe_table_init(struct probe_table *t);
void probe_table_fini(struct probe_table *t);
/* The machine starts: its first probe is due after a period, when others have heard of it. */
void probe_start(struct gossip *g);
/* The period's timer: the next regular probe. */
void probe_period(struct gossip *g);
/* Traffic could not reach this address: the live member there is probed now, out of turn (gossip.md
 * 3.2 item 7). */
void probe_hint(struct gossip *g, const struct addr *addr);
/* The next probe of our own or for a vote that waits for an answer, from place `*pos`; NULL: none.
 */
const struct probe *probe_asking(const struct probe_table *t, size_t *pos);
/* Traffic got an answer from this address since it was asked: it is there (gossip.md 3.2 item 7).
 */
void probe_evidence(struct gossip *g, const struct addr *addr);
/* A slot's timer. */
void probe_timer(struct gossip *g, struct probe *p);
void probe_on_ping(struct gossip *g, struct member *from, uint32_t seq);
void probe_on_ack(struct gossip *g, struct member *from, const struct message *m);
void probe_on_nack(struct gossip *g, uint32_t seq);
void probe_on_request(struct gossip *g, struct member *from, const struct message *m);
/* Sees for ourselves whether a member that others accuse is there. */
void probe_check(struct gossip *g, struct member *m);
void probe_on_confirm(struct gossip *g, struct member *from, const struct accusation *a);
/* The stream probe was answered, or `refused`: nobody listens there. */
void probe_on_stream(struct gossip *g, uint32_t seq, bool refused);
/* A newer life of `m`, by the head `other`, is elsewhere while `m` is alive: ask the old address.
 */
void probe_clone(struct gossip *g, struct member *m, const struct head *other);
/* Voids every probe: after a pause of our own they say nothing. */
void probe_void(struct gossip *g);
/* Ends what concerns a member that is being forgotten. */
void probe_forget(struct gossip *g, struct member *m);

#endif
