/* Events into and effects out of the gossip state machine (gossip.md 3.0, architecture.md 7).
 *
 * Plain data. Bytes an event points to are borrowed for the call; bytes an effect points to lie in
 * the effects' own arena and live until the next gossip_step with the same `struct gossip_effects`.
 *
 * A stream (ALPN parley-sync/1, mutual TLS) carries whole messages, which the driver frames:
 *
 *   0         4               4+n
 *   +---------+-- - - - - - --+
 *   | length4 | message of n  |   length big-endian, 1 to GOSSIP_STREAM_MESSAGE_BYTES_MAX;
 *   +---------+-- - - - - - --+   else close
 */
#ifndef GOSSIP_EVENT_H
#define GOSSIP_EVENT_H

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/model/addr.h"
#include "core/model/manifest.h"

#define GOSSIP_STREAM_MESSAGE_BYTES_MAX (1024u * 1024)

enum gossip_event_kind {
    GOSSIP_DATAGRAM,      /* from, data */
    GOSSIP_STREAM_OPENED, /* stream, inbound, peer_name + peer_spki: what mutual TLS proved */
    GOSSIP_STREAM_DATA, /* stream, data: one whole message (the driver frames: u32 length, bytes) */
    GOSSIP_STREAM_CLOSED, /* stream, err: ERR_OK clean, ERR_REFUSED nobody listens, others */
    GOSSIP_TICK,          /* time passed */
    GOSSIP_JOIN,          /* addr[]: contact these; also later, to reconnect */
    GOSSIP_LEAVE,         /* announce LEFT; the machine goes on answering */
    GOSSIP_UPSERT, /* data: our record body (wire/pack_record); a new version is signed and spread
                    */
    GOSSIP_REMOVE, /* node: forget a dead or left member; ERR_BUSY while it is alive */
    GOSSIP_ADMISSION, /* data: our renewed admission certificate */
    GOSSIP_HINT,      /* addr[]: traffic could not reach these: ask them now; never a vote */
    GOSSIP_EVIDENCE,  /* addr[]: these answered traffic over mutual TLS since they were asked
                         (gossip_asked_next): as good as an ACK */
    GOSSIP_INTENT, /* data: a manifest or a confirmation, text[]: the texts it names that are new.
                      Refused as a whole with an error: gossip_policy_intent_refusal says why */
    GOSSIP_POLICY_VERDICT, /* ref, err, data: the reason for a person when err is not ERR_OK */
    GOSSIP_POLICY_APPLIED, /* ref, err, data: as VERDICT; answers POLICY_ACTIVATE */
    GOSSIP_PING, /* node, token, by_stream, bytes: of a datagram, 0 for the shortest; one PONG comes
                    unless the step returns ERR_NOT_FOUND, ERR_FULL or ERR_TOO_LARGE */
};

struct gossip_event {
    enum gossip_event_kind kind;
    uint64_t now_ms;  /* monotonic */
    uint64_t now_us;  /* the same, for round-trip times; 0: only milliseconds are known */
    int64_t wall_ms;  /* Unix time: epochs and certificate times only */
    struct addr from; /* DATAGRAM */
    bool more;        /* others follow that came no later: timers wait for the last of them */
    struct span data;
    uint32_t stream; /* STREAM_* : the id of STREAM_OPEN, or one the driver made with bit 31 set for
                        an inbound one */
    bool inbound;
    struct name peer_name;
    uint8_t peer_spki[32];
    enum err err;
    const struct addr *addr; /* JOIN, HINT, EVIDENCE */
    size_t addr_count;
    struct node_id node; /* REMOVE, PING */
    uint32_t token, bytes;
    bool by_stream;
    struct manifest_ref ref;
    const struct span *text; /* INTENT */
    size_t text_count;
};

enum member_state {
    MEMBER_ALIVE,
    MEMBER_SUSPECT,
    MEMBER_UNREACHABLE, /* K members say so: the balancer stops choosing it; reversible */
    MEMBER_DEAD,
    MEMBER_LEFT,
    MEMBER_BANNED,
    MEMBER_STATES
};

enum gossip_effect_kind {
    GOSSIP_SEND_DATAGRAM,  /* to, data */
    GOSSIP_STREAM_OPEN,    /* stream, to, peer_name ("" = any node of the mesh) */
    GOSSIP_STREAM_SEND,    /* stream, data: one message */
    GOSSIP_STREAM_CLOSE,   /* stream */
    GOSSIP_MEMBER_CHANGED, /* node, old_state, new_state (equal: its address or name changed) */
    GOSSIP_RECORD_CHANGED, /* node: gossip_member_body has a new body */
    GOSSIP_PERSIST,  /* data: peers to store (opaque; given back in gossip_options.persisted) */
    GOSSIP_CONFLICT, /* node: another node uses our name, or our identity (N11) */
    GOSSIP_STATUS_CHANGED,  /* node: its status has changed, and nothing else of its body */
    GOSSIP_POLICY_VALIDATE, /* ref: judge it without putting it in force; answer with VERDICT */
    GOSSIP_POLICY_ACTIVATE, /* ref: put it in force (gen 0: none); answer with APPLIED */
    GOSSIP_POLICY_CHANGED,  /* heads, siblings, confirmations or our own progress changed */
    GOSSIP_POLICY_STORE,    /* data: to store before what follows; gossip_options.policy */
    GOSSIP_KEY_STORE,       /* data: a group key: store it, then add it to the ring, last */
    GOSSIP_KEY_USE,         /* key_id: it seals from now on */
    GOSSIP_KEY_DROP,        /* key_id: remove it from the ring and the store */
    GOSSIP_PONG, /* token, node, err; rtt_us; by stream: connect_us, and skew_ms if has_skew */
    GOSSIP_POLICY_REFUSED, /* node: who sent it (zero: our own), data: a word; rate-limited */
};

struct gossip_effect {
    enum gossip_effect_kind kind;
    struct addr to;
    struct span data;
    uint32_t stream;
    struct name peer_name;
    struct node_id node;
    enum member_state old_state, new_state;
    struct manifest_ref ref;
    uint32_t key_id;
    enum err err;
    uint32_t token, rtt_us, connect_us;
    bool has_skew;
    int64_t skew_ms; /* how far the other's wall clock is ahead of ours */
};

#define GOSSIP_EFFECTS_MAX 1024u
#define GOSSIP_SECRETS_MAX 8u
struct gossip_effects {
    struct gossip_effect *effect; /* owned, GOSSIP_EFFECTS_MAX */
    size_t count;
    struct span secret[GOSSIP_SECRETS_MAX]; /* in the arena: wiped by the next reset */
    size_t secrets;
    struct arena arena; /* owned; reset by each gossip_step */
};

enum err event_effects_init(struct gossip_effects *fx) MUST_USE;
void event_effects_fini(struct gossip_effects *fx);
/* Forgets all effects and wipes the secrets among them; the arena keeps its chunks. */
void event_effects_reset(struct gossip_effects *fx);
/* The next effect, all else zero; NULL when GOSSIP_EFFECTS_MAX are there. */
struct gossip_effect *event_push(struct gossip_effects *fx, enum gossip_effect_kind kind);
/* Room for `len` bytes in the arena that the next reset wipes; NULL: no memory, or too many. */
uint8_t *event_secret_alloc(struct gossip_effects *fx, size_t len);
/* A copy in such room; p == NULL as above. */
struct span event_secret(struct gossip_effects *fx, struct span bytes);

#endif
