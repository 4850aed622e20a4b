/* The machine itself: what `struct gossip` holds, for the files of gossip/ alone.
 *
 * Gossip thread. `now_ms`, `wall_ms` and `fx` are those of the event in hand. Each embedded struct
 * belongs to the module that names it.
 */
#ifndef GOSSIP_STATE_H
#define GOSSIP_STATE_H

#include "core/base/rng.h"
#include "gossip/ask.h"
#include "gossip/awareness.h"
#include "gossip/broadcast.h"
#include "gossip/change.h"
#include "gossip/distrust.h"
#include "gossip/coordinate.h"
#include "gossip/gossip.h"
#include "gossip/grave.h"
#include "gossip/keyring.h"
#include "gossip/pairing.h"
#include "gossip/policy.h"
#include "gossip/probe.h"
#include "gossip/pull.h"
#include "gossip/status.h"
#include "gossip/sync.h"

#define STATE_MAGIC          0x676f7373u
#define STATE_EPOCH_AHEAD_MS (10 * 60 * 1000) /* a peer's clock may be ahead that far */
#define STATE_VERIFIES_A_SEC 500u             /* signatures checked for one sender of datagrams */
#define STATE_RECORDS_A_SEC  4096u            /* of one that sends records on streams */
/* Besides those of members. */
#define STATE_TIMERS           (PROBE_SLOTS + STREAM_SLOTS + ASK_SLOTS + 12u)
#define STATE_BODIES_BYTES_MAX (256u * 1024 * 1024)

/* Our own record and what waits to be published of it; self.h. */
struct self_record {
    struct member *member;
    struct bucket publish; /* 1 a second, burst 5 */
    struct bucket refute;
    struct bucket statuses;
    char *body; /* owned: waits for its rate; NULL: none */
    size_t body_len;
    struct status status;     /* as it is to be said */
    struct coordinate placed; /* as it was said */
    uint64_t place_due_ms;    /* not said again before */
    uint32_t place_wait_ms;   /* the last pause */
    uint64_t status_due_ms;   /* to be spread then; 0: it has been */
    struct timer timer;
    bool leaving;
    uint64_t lossy_ms;  /* first told that we are lossy; 0: never */
    uint32_t lossy_inc; /* in that incarnation */
    uint64_t conflict_ms;
    uint64_t conflict_said_ms; /* a peer said that our identity is used elsewhere; 0: never */
    struct name conflict_by;   /* that peer's */
};

struct gossip {
    /* What every event touches stands in front of the tables. */
    uint32_t magic;
    bool started;
    bool persist_due; /* something changed since the last PERSIST */
    uint64_t now_ms;  /* of the event in hand */
    uint64_t now_us;
    bool storeless;
    uint64_t deadline_ms; /* promised by the last step; 0: none yet */
    int64_t wall_ms;
    struct gossip_effects *fx; /* borrowed during a step */
    struct heap timers;
    struct rng rng;
    struct awareness awareness;
    double lost; /* smoothed share of pings that were not answered, of members who then did */
    struct coordinate_space space; /* where we are among round-trip times */
    uint32_t acks;                 /* sent */
    struct tuning_rtt rtt;         /* of all peers together: what a first contact may take */
    struct broadcast broadcast;
    struct change_queue changes;
    struct graveyard graves;
    struct bucket pay; /* datagram bytes */
    uint64_t packet_counter;
    uint32_t tells; /* heads sent back in this step */
    struct gossip_counters counters;
    struct gossip_messages told[MESSAGE_KINDS]; /* without their words */
    struct tuning tuning;
    uint32_t datagram_bytes;
    struct mesh_id mesh;
    const struct gossip_crypto *crypto; /* borrowed */
    const struct sign_key *key;         /* borrowed */
    const struct seal_ring *ring;       /* borrowed */
    uint8_t issuer_pk[SIGN_PUBLIC_BYTES];
    size_t bodies_bytes;
    struct timer persist_timer;
    struct self_record self;
    struct pairing pairing;
    struct keyring keyring;
    struct member_table members;
    struct digest digest;
    uint32_t alive; /* members in that state, self included */
    struct distrust distrust;
    struct probe_table probes;
    struct stream_table streams;
    struct sync sync;
    struct pull_table pulls;
    struct ask_table asks;
    struct policy policy;
};

/* Arms, with room reserved in advance. */
static inline void state_timer(struct gossip *g, struct timer *t, uint64_t at_ms)
{
    timer_set(&g->timers, t, at_ms);
}
/* Members that are not dead or gone, self included. */
static inline uint32_t state_live(const struct gossip *g)
{
    return g->members.live;
}
/* The round-trip time that coordinates promise to `m`; 0: they say nothing. */
uint32_t gossip_estimate_us(const struct gossip *g, const struct member *m);
/* A random other member in state alive or suspect; NULL: found none. */
struct member *gossip_random_member(struct gossip *g, const struct member *except);
/* The same, or one that is shunned: it may hear all the same, and what it says is of the mesh too.
 */
struct member *gossip_random_listener(struct gossip *g);

#endif
