/* The gossip state machine: membership and the replicated catalogue, without I/O (gossip.md section
 * 3).
 *
 * One thread. Reads no clock, socket, file or random device: time comes with each event, randomness
 * from a seed. The driver (cmd/daemon/mesh.c, or the simulator) turns effects into packets and
 * streams and feeds back events, and calls with GOSSIP_TICK at gossip_next_deadline_ms. Everything
 * a peer sends is untrusted: refused, counted, never fatal.
 */
#ifndef GOSSIP_GOSSIP_H
#define GOSSIP_GOSSIP_H

#include "core/crypto/seal.h"
#include "core/crypto/sign.h"
#include "gossip/event.h"

struct gossip;

/* Crypto as the machine uses it; NULL in the options means the real one. The simulator gives a
 * cheap MAC for big meshes. */
struct gossip_crypto;
/* The immutable parts of records; machines of one process may share them (archive.h). */
struct archive;

struct gossip_options {
    struct mesh_id mesh;
    const struct sign_key *key; /* borrowed: the node's Ed25519 key */
    struct span admission;      /* our admission certificate, copied */
    uint8_t issuer_pk[SIGN_PUBLIC_BYTES];
    const struct seal_ring *ring; /* borrowed; may gain keys between steps */
    struct addr addr;             /* what peers dial */
    uint64_t epoch;  /* max(persisted + 1, unix ms); stored by the driver before the first step */
    int64_t wall_ms; /* Unix time; 0: the epoch, where that is the same */
    uint32_t period_ms;      /* T */
    uint32_t datagram_bytes; /* 1200..1400 */
    uint64_t seed;
    struct span persisted;              /* from the last GOSSIP_PERSIST, or empty; copied */
    struct span policy;                 /* from the last GOSSIP_POLICY_STORE, or empty; copied */
    const struct gossip_crypto *crypto; /* NULL: real */
    struct archive *archive;            /* NULL: one of its own; else referenced */
    uint64_t key_hold_ms;               /* an old group key is kept that long; 0: KEYRING_HOLD_MS */
    bool storeless; /* the driver keeps no store: GOSSIP_PERSIST is not wanted */
};

/* ERR_INVALID: admission certificate and key disagree; ERR_NOMEM. A damaged `persisted` is ignored
 * and counted. */
enum err gossip_new(const struct gossip_options *o, struct gossip **out) MUST_USE;
void gossip_free(struct gossip *g);

/* Consumes one event. Effects are in `fx` until the next step. Only our own misuse or memory
 * returns an error; a peer's nonsense is counted. ERR_BUSY: GOSSIP_REMOVE of a live member.
 * ERR_NOT_FOUND: of none. ERR_FULL: more work is due at once (call TICK). */
enum err gossip_step(struct gossip *g, const struct gossip_event *e,
                     struct gossip_effects *fx) MUST_USE;
uint64_t gossip_next_deadline_ms(const struct gossip *g);

struct gossip_member {
    struct node_id id;
    struct name name; /* "" until its admission certificate is known */
    struct addr addr;
    enum member_state state;
    uint64_t epoch;
    uint32_t incarnation;
    uint64_t version;       /* of its record body */
    uint64_t since_ms;      /* state entered, monotonic */
    uint32_t rtt_us;        /* smoothed; 0: never measured */
    uint32_t estimate_us;   /* what coordinates say it would be; 0: unknown */
    uint32_t loss_permille; /* of the last probes */
    uint8_t spki_sha256[32];
    uint32_t roles;
    int64_t not_after_s; /* admission certificate */
    bool self;
    bool not_from_here; /* our probes fail, others reach it: a hint at our own network */
    bool lossy;         /* unreachable because most of its packets are lost */
    bool stream_only;   /* its last probes were answered by stream alone: datagrams are blocked */
};

/* Iterates members, self included, in id order: start with *pos = 0; false at the end. */
bool gossip_member_next(const struct gossip *g, size_t *pos, struct gossip_member *out);
enum err gossip_member_get(const struct gossip *g, const struct node_id *id,
                           struct gossip_member *out) MUST_USE;
/* Who has been asked whether it is there and has not answered: where, and since when. Start with
 * *pos = 0; false at the end. */
bool gossip_asked_next(const struct gossip *g, size_t *pos, struct addr *addr, uint64_t *since_ms);
/* What a member's driver announced (GOSSIP_UPSERT), signed by its owner; empty when not yet known.
 * Borrowed until the next step. */
struct span gossip_member_body(const struct gossip *g, const struct node_id *id);
/* Its admission certificate, which was good when it was taken; empty when not yet known. As the
 * body. */
struct span gossip_member_admission(const struct gossip *g, const struct node_id *id);
/* Root digest of all settled records; equal views have equal roots. */
uint64_t gossip_view_hash(const struct gossip *g);
/* Live members whose last root equalled ours, and live members in all (self included). */
void gossip_agreement(const struct gossip *g, uint32_t *agreeing, uint32_t *alive);
/* Whether our digest has equalled that of two other members since the start, or of all there are:
 * we know what the mesh knows. Once true it stays so. */
bool gossip_synced(const struct gossip *g);

/* Counters since start; X-macro so that metrics and the simulator walk it. */
#define GOSSIP_COUNTER_LIST(X)                                                                     \
    X(datagrams_sent)                                                                              \
    X(datagrams_received)                                                                          \
    X(bytes_sent)                                                                                  \
    X(bytes_received)                                                                              \
    X(dropped_malformed)                                                                           \
    X(dropped_auth)                                                                                \
    X(dropped_replay)                                                                              \
    X(dropped_unknown_sender)                                                                      \
    X(dropped_key)                                                                                 \
    X(pairings)                                                                                    \
    X(dropped_signature)                                                                           \
    X(dropped_quota)                                                                               \
    X(dropped_budget)                                                                              \
    X(dropped_address)                                                                             \
    X(dropped_epoch)                                                                               \
    X(probes_sent)                                                                                 \
    X(probes_failed)                                                                               \
    X(indirect_probes_sent)                                                                        \
    X(stream_probes_sent)                                                                          \
    X(suspicions)                                                                                  \
    X(refutations)                                                                                 \
    X(pauses)                                                                                      \
    X(rumours_queued)                                                                              \
    X(rumours_sent)                                                                                \
    X(syncs_started)                                                                               \
    X(syncs_refused)                                                                               \
    X(records_accepted)                                                                            \
    X(records_stale)                                                                               \
    X(conflicts)
struct gossip_counters {
#define GOSSIP_COUNTER_FIELD(name) uint64_t name;
    GOSSIP_COUNTER_LIST(GOSSIP_COUNTER_FIELD)
#undef GOSSIP_COUNTER_FIELD
};
const struct gossip_counters *gossip_counters(const struct gossip *g);
/* Messages in datagrams by kind (message.h): start with *pos = 0; false at the end. */
struct gossip_messages {
    const char *kind; /* static */
    uint64_t sent, received;
};
bool gossip_messages_next(const struct gossip *g, size_t *pos, struct gossip_messages *out);

/* alive, suspect, ... static. */
const char *gossip_state_word(enum member_state s);

#endif
