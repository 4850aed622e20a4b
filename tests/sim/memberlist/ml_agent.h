/* One memberlist node (0.2.2, LAN profile) with serf's reconnecting on top: a state machine of the
 * shape of gossip/gossip.h, as gossip.md section 2 describes it.
 *
 *   ml_probe.c    probe cycle, indirect probes and nacks, awareness (Lifeguard)
 *   ml_state.c    alive, suspect, dead; suspicion timers; refuting; merging
 *   ml_stream.c   push/pull with full state, joining, serf's reconnect, TCP pings
 *   ml_queue.c    rumours and how often they are sent
 *   ml_roster.c   who is known, and the shuffled probe list
 *
 * Left out: user events and join intents of serf (bytes at joining only), name conflicts, the
 * hand-off queue between goroutines (messages are handled at once, as on an idle machine).
 * One thread. Nodes are numbers, whose addresses and ids the world has.
 */
#ifndef TESTS_SIM_MEMBERLIST_ML_AGENT_H
#define TESTS_SIM_MEMBERLIST_ML_AGENT_H

#include "gossip/gossip.h"
#include "tests/sim/memberlist/ml_queue.h"
#include "tests/sim/memberlist/ml_roster.h"

struct world;

#define ML_PROBE_INTERVAL_MS 1000u
#define ML_PROBE_TIMEOUT_MS  500u
#define ML_GOSSIP_MS         200u
#define ML_SUSPICION_MULT    4u
#define ML_CONFIRMATIONS     (ML_SUSPICION_MULT - 2)
#define ML_RELAYS_MAX        64u
#define ML_STREAMS_MAX       136u /* 128 concurrent push/pulls, and our own */
#define ML_INBOUND_MAX       128u
#define ML_NEVER_MS          UINT64_MAX

struct ml_probe {
    bool active, indirect;
    bool contact; /* the TCP ping was answered */
    uint32_t target, inc, seq;
    uint64_t began_ms, until_ms;
    uint64_t next_ms; /* the ticker's next tick */
    uint32_t nacks_expected, nacks;
};

struct ml_suspicion {
    struct heap_node node; /* key: when it is dead */
    uint32_t target, slot;
    uint64_t start_ms;
    uint32_t min_ms, max_ms;
    uint32_t needed; /* k */
    uint32_t confirmed;
    uint32_t from[1 + ML_CONFIRMATIONS];
};

/* An indirect probe that we make for another. */
struct ml_relay {
    bool used;
    uint32_t origin, origin_seq, seq;
    uint64_t due_ms; /* of the nack */
};

enum ml_stream_kind {
    ML_STREAM_FREE,
    ML_STREAM_SYNC,
    ML_STREAM_JOIN,
    ML_STREAM_RECONNECT,
    ML_STREAM_PING,
    ML_STREAM_INBOUND
};
struct ml_stream {
    enum ml_stream_kind kind;
    uint32_t id, peer;
    uint32_t seq; /* of the probe it belongs to */
    uint64_t until_ms;
};

struct ml_change {
    uint32_t target;
    enum member_state from, to;
};

struct ml_agent {
    uint32_t self, nodes;
    const struct world *world; /* borrowed: addresses and ids */
    struct rng rng;
    uint64_t now_ms;
    struct gossip_effects *fx; /* borrowed during a step */
    bool leaving;
    uint32_t score; /* awareness, 0 to 7 */
    uint32_t seq_next, stream_next, streams_used;
    uint64_t gossip_phase_ms, gossip_next_ms;
    uint64_t sync_next_ms, reconnect_next_ms, join_next_ms;
    uint32_t join_peer; /* nodes: none wanted */
    struct ml_roster roster;
    struct ml_queue queue;
    struct ml_probe probe;
    struct heap suspicions;
    struct ml_suspicion **slot; /* owned, and what it points to */
    uint32_t slots;
    struct ml_relay relay[ML_RELAYS_MAX];
    uint32_t relays_used;
    struct ml_stream stream[ML_STREAMS_MAX];
    struct ml_change *change; /* owned: not yet reported */
    uint32_t changes, changes_cap, changes_told;
    struct gossip_counters counters;
};

/* Alive in incarnation 1; alone, or `settled`: knows all. ERR_NOMEM. */
enum err ml_agent_new(const struct world *w, uint32_t self, uint64_t seed, bool settled,
                      struct ml_agent **out) MUST_USE;
void ml_agent_free(struct ml_agent *a);
/* As gossip_step. */
enum err ml_agent_step(struct ml_agent *a, const struct gossip_event *e,
                       struct gossip_effects *fx) MUST_USE;
uint64_t ml_agent_next_deadline_ms(const struct ml_agent *a);

/* For the parts above. Sends a letter with as many rumours as fit; GOSSIP only with at least one:
 * false when there is none. */
bool ml_agent_send(struct ml_agent *a, uint32_t to, const struct ml_letter *l);
/* A ping to a suspect, with the suspicion and nothing else. */
void ml_agent_send_suspected(struct ml_agent *a, uint32_t to, const struct ml_letter *l,
                             const struct ml_rumour *r);
void ml_agent_broadcast(struct ml_agent *a, const struct ml_rumour *r);
/* The change is reported with the next effects. */
void ml_agent_changed(struct ml_agent *a, uint32_t target, enum ml_status from, enum ml_status to);
void ml_agent_score(struct ml_agent *a, int delta);

#endif
