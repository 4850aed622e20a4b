/* Asking: pings that a person wants to see, by datagram of a chosen length and by stream (`parley
 * ping`, `netcheck`). They accuse nobody: a silent member is only reported.
 *
 *   event GOSSIP_PING {node, token, by_stream, bytes} -> effect GOSSIP_PONG {token, err, times}
 *
 * Gossip thread; embedded in the machine.
 */
#ifndef GOSSIP_ASK_H
#define GOSSIP_ASK_H

#include "gossip/event.h"
#include "gossip/timer.h"

#define ASK_SLOTS         32u
#define ASK_DATAGRAM_MS   1000u
#define ASK_STREAM_MS     3000u
#define ASK_PADDING_EXTRA 3u /* of a bin */

struct gossip;
struct member;
struct stream;

struct ask {
    bool used;
    uint32_t token;
    uint32_t seq;
    uint32_t stream;       /* 0: by datagram */
    struct member *target; /* NULL: asked no more, the answer waits for room */
    struct node_id node;
    uint64_t sent_us;
    uint32_t connect_us; /* stream: until it was open */
    struct timer timer;
};

struct ask_table {
    size_t used;
    struct ask slot[ASK_SLOTS];
};

void ask_init(struct ask_table *t);
/* The event. ERR_NOT_FOUND: no such member, or ourselves; ERR_FULL: too many at a time; then no
 * effect comes. */
enum err ask_start(struct gossip *g, const struct gossip_event *e) MUST_USE;
/* An ACK came: true when it was of one of ours. */
bool ask_on_ack(struct gossip *g, const struct member *from, uint32_t seq);
/* Its stream has opened: sends the PROBE. Its PONG has come; `wall_ms`: the other's clock, or 0. It
 * has ended without. */
void ask_on_opened(struct gossip *g, struct stream *s);
void ask_on_pong(struct gossip *g, struct stream *s, int64_t wall_ms);
void ask_on_closed(struct gossip *g, uint32_t stream, enum err err);
void ask_timer(struct gossip *g, struct ask *a);
/* The member is being forgotten. */
void ask_forget(struct gossip *g, const struct member *m);

#endif
