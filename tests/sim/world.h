/* The simulated world: nodes with their gossip machines, a network between them, one virtual clock.
 *
 *   heap of events (microsecond, order of making) -> node's gossip_step -> effects -> more events
 *
 * Everything follows from the seed: the same options give the same events, and the same trace hash.
 * One thread; no wall clock, no other randomness. Restarts, pauses and cuts are done to the world
 * between events, by scenario.c.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "core/base/heap.h"
#include "core/base/slab.h"
#include "gossip/gossip.h"
#include "tests/sim/algorithm.h"
#include "tests/sim/hostclock.h"
#include "tests/sim/network.h"
#include "tests/sim/persona.h"
#include "tests/sim/pipe.h"

#define WORLD_NODES_MAX 10000u
#define WORLD_NEVER_US  UINT64_MAX
#define WORLD_SEEDS_MAX 8u

struct byzantine;
struct drivers;
struct rotation;
struct oracle;
struct measure;

struct world_options {
    const struct algorithm *algorithm;
    uint32_t nodes;
    uint64_t seed;
    double loss; /* of datagrams and segments, 0 to 1 */
    uint32_t period_ms;
    bool preload;     /* all know all from the start; else they join by node 0 */
    bool keep_stores; /* what PERSIST says is kept for restarts */
    uint32_t seeds;   /* the first so many nodes are what a starting one is told of; 0: one */
    bool rings;       /* every node has a key ring of its own (rotation.h) */
    bool real_crypto; /* Ed25519, XChaCha20-Poly1305 and BLAKE2b of libsodium */
};

enum world_event_kind { WORLD_TICK, WORLD_DATAGRAM, WORLD_STREAM, WORLD_POLICY };
struct world_event {
    struct heap_node node;
    enum world_event_kind kind;
    uint32_t to; /* index of a node */
};

struct world_node {
    struct world_event tick;
    void *machine;         /* owned; of the algorithm; NULL: down */
    struct gossip *gossip; /* borrowed: the machine when it is parley's; else NULL */
    struct persona persona;
    uint32_t who; /* whose persona it runs: its own, unless it is someone's clone */
    struct addr addr;
    uint32_t at_addr; /* which node is at the address that was this one's at first */
    struct hostclock clock;
    uint32_t service_us; /* what each event takes it */
    uint64_t busy_us;    /* until then */
    uint32_t waiting;    /* datagrams in its socket */
    uint64_t epoch;
    bool refuses;          /* when down: the host is there and says so */
    uint64_t paused_us;    /* until then; 0: runs */
    uint64_t pause_us;     /* how long that pause is, or was */
    uint32_t faults;       /* of its machine or network, at present */
    uint64_t down_us;      /* since then; WORLD_NEVER_US: up */
    uint64_t up_us;        /* since then */
    uint64_t touched_us;   /* last pause, start or cut that concerned it */
    struct fake_ring ring; /* empty: all have the one key of the issuer */
    uint32_t inbound_next;
    uint32_t announced; /* in this life */
    char *store;        /* owned: the last PERSIST */
    size_t store_len;
    char *old_store; /* owned: as it was when this life began */
    size_t old_store_len;
    uint64_t old_epoch;            /* of the life before */
    uint64_t stream_bytes;         /* sent, framing and TLS records included */
    struct gossip_counters before; /* of earlier lives */
};

struct world {
    struct world_options options;
    const struct algorithm *algorithm; /* borrowed */
    uint64_t now_us;
    struct heap events;
    struct slab datagrams;
    struct world_node *node; /* owned */
    struct network network;
    struct pipe_table pipes;
    struct rng rng; /* of scenarios */
    struct persona_issuer issuer;
    struct archive *archive; /* one reference is ours; all parley machines share it */
    struct prefill *prefill; /* owned; NULL: none */
    bool prefilling;         /* a new machine knows all of it */
    struct gossip_effects fx;
    uint64_t trace_hash;
    uint64_t events_done;
    struct rotation *rotation;   /* borrowed: group keys; NULL: none are changed */
    struct drivers *drivers;     /* borrowed: what nodes do with policy; NULL: nothing */
    struct byzantine *byzantine; /* borrowed: sees all datagrams; NULL: no one does */
    struct oracle *oracle;       /* borrowed */
    struct measure *measure;     /* borrowed */
};

/* Makes all nodes and starts them. ERR_NOMEM. */
enum err world_init(struct world *w, const struct world_options *o, struct oracle *oracle,
                    struct measure *measure) MUST_USE;
void world_fini(struct world *w);
/* Handles the events up to `until_us`; the clock stands there then. False: the oracle objects. */
bool world_run(struct world *w, uint64_t until_us);
/* Gives the node an event, at once. The times are filled in. */
void world_step(struct world *w, uint32_t i, struct gossip_event *e);
/* What a node finds on its disk when it starts again. */
enum world_disk { WORLD_DISK_KEPT, WORLD_DISK_LOST, WORLD_DISK_OLD };
/* Starts it for the first time or again, and tells it of the first node. ERR_NOMEM. */
enum err world_restart(struct world *w, uint32_t i, enum world_disk disk) MUST_USE;
/* As world_restart with the disk as it was. */
enum err world_start(struct world *w, uint32_t i) MUST_USE;
/* Node `i`, which is down, starts with the keys and the disk of `of`. ERR_NOMEM. */
enum err world_clone(struct world *w, uint32_t i, uint32_t of) MUST_USE;
/* Two nodes, which are down, exchange addresses. */
void world_swap(struct world *w, uint32_t a, uint32_t b);
/* A SEND_DATAGRAM effect of someone's, put on the network unseen by the oracle. */
void world_send(struct world *w, uint32_t from, const struct gossip_effect *e);
/* A datagram from nowhere, which says that it is from `from`. */
void world_inject(struct world *w, const struct addr *from, uint32_t to, struct span data);
/* The same, with what it remembers, and told of nobody. ERR_NOMEM. */
enum err world_start_with(struct world *w, uint32_t i, struct span store) MUST_USE;
/* Takes its machine away, without a trace; nothing if it is down. */
void world_stop(struct world *w, uint32_t i);
/* The node publishes a new record. */
void world_announce(struct world *w, uint32_t i);
/* The node stops without a word; `refuses`: its host answers for it. */
void world_crash(struct world *w, uint32_t i, bool refuses);
/* Neither timers nor packets for so long; then all of them. */
void world_pause(struct world *w, uint32_t i, uint64_t for_us);
void world_schedule(struct world *w, struct world_event *e, uint64_t at_us);
/* Something runs there. */
bool world_runs(const struct world *w, uint32_t i);
/* It does, and as itself. */
bool world_is_up(const struct world *w, uint32_t i);
/* Who runs there, or would. */
const struct persona *world_persona(const struct world *w, uint32_t i);
/* The index of who has that id or address; w->options.nodes: nobody. */
uint32_t world_by_id(const struct world *w, const struct node_id *id);
uint32_t world_by_addr(const struct world *w, const struct addr *a);
/* A number of the trace. */
void world_trace(struct world *w, uint64_t v);
/* Sums of a node's counters over all its lives. */
struct gossip_counters world_counters(const struct world *w, uint32_t i);

#endif
