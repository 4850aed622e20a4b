/* A laboratory for gossip tests: one machine under test, and peers that exist only as keys and
 * heads, whose packets and stream messages the test writes itself.
 *
 * The machine is node 0, "n0" at 10.0.0.1; peer i is "n<i>" at 10.0.0.(i+1). Cheap crypto. What the
 * machine sends is decoded and kept, newest last. Time stands still but for lab_run.
 */
#ifndef TESTS_UNIT_SUPPORT_GOSSIP_H
#define TESTS_UNIT_SUPPORT_GOSSIP_H

#include "gossip/packet.h"
#include "gossip/state.h"
#include "tests/sim/persona.h"

#define LAB_PEERS    8u
#define LAB_SENT     512u
#define LAB_EFFECTS  256u
#define LAB_ENVELOPE 1024u
#define LAB_START_MS 5000u
#define LAB_WALL_MS  INT64_C(1767225600000)

struct lab_sent {
    uint32_t to; /* peer */
    struct message message;
};

struct lab_peer {
    struct persona persona;
    struct head head;
    const char *body; /* what its driver announces */
    struct status status;
    uint8_t envelope[LAB_ENVELOPE]; /* both, as lab_sign put them together */
    size_t envelope_len;
    uint64_t counter;
};

struct lab {
    struct gossip *g;
    struct gossip_effects fx;
    struct persona_issuer issuer;
    struct lab_peer peer[LAB_PEERS + 1]; /* 0: the machine's own keys */
    uint32_t peers;
    uint64_t now_ms;
    int64_t wall_off_ms; /* added to the wall clock */
    struct lab_sent sent[LAB_SENT];
    size_t sent_count;
    struct gossip_effect effect[LAB_EFFECTS]; /* all but datagrams; their data is gone */
    size_t effect_count;
    char *stream_data; /* owned: the last STREAM_SEND, copied */
    size_t stream_len;
    char *store; /* owned: the last PERSIST */
    size_t store_len;
};

/* The machine knows `known` peers, alive; the others are admitted but strangers. */
void lab_init(struct lab *lab, uint32_t known);
void lab_fini(struct lab *lab);
/* Signs the peer's head as it stands. */
void lab_sign(struct lab *lab, uint32_t peer);
/* What the peer would offer of itself, with everything. */
struct offer lab_offer(struct lab *lab, uint32_t peer);
/* The vote of `accuser` against `target` as the machine knows it: SILENT, or of that kind. */
struct accusation lab_accuse(struct lab *lab, uint32_t target, uint32_t accuser);
struct accusation lab_accuse_as(struct lab *lab, uint32_t target, uint32_t accuser,
                                enum accusation_kind kind);

enum err lab_step(struct lab *lab, struct gossip_event *e);
/* A datagram from the peer with this one message; the summary agrees with the machine's. */
void lab_say(struct lab *lab, uint32_t peer, const struct message *m);
/* A datagram from the peer whose summary says that it knows other things than the machine. */
void lab_differ(struct lab *lab, uint32_t peer);
/* As lab_say, sealed but not given: its bytes, in `out` of PACKET_BYTES_MAX. */
size_t lab_seal(struct lab *lab, uint32_t peer, const struct message *m, uint8_t *out);
void lab_datagram(struct lab *lab, uint32_t peer, const uint8_t *bytes, size_t len);
void lab_say_record(struct lab *lab, uint32_t peer, const struct offer *o);
/* Lets `ms` pass; peers of which `answers` has the bit set answer pings. */
void lab_run(struct lab *lab, uint64_t ms, uint32_t answers);

/* The stream `id` opens with that peer at the other end, or brings a message from it. */
void lab_stream_opened(struct lab *lab, uint32_t id, bool inbound, uint32_t peer);
void lab_stream_data(struct lab *lab, uint32_t id, const struct sync_message *m);
void lab_stream_bytes(struct lab *lab, uint32_t id, struct span bytes);

struct member *lab_member(struct lab *lab, uint32_t peer);
enum member_state lab_state(struct lab *lab, uint32_t peer);
/* Messages of that kind sent to that peer (LAB_PEERS + 1: to anyone) since lab_forget. */
size_t lab_count(const struct lab *lab, uint32_t to, enum message_kind kind);
/* The last of them; NULL: none. */
const struct message *lab_last(const struct lab *lab, uint32_t to, enum message_kind kind);
/* Effects of that kind since lab_forget, and the last of them. */
size_t lab_effects(const struct lab *lab, enum gossip_effect_kind kind);
const struct gossip_effect *lab_effect(const struct lab *lab, enum gossip_effect_kind kind);
void lab_forget(struct lab *lab);
#define LAB_ANYONE (LAB_PEERS + 1)

#endif
