/* Pulling: asking over streams for records that we lack, or lack a part of (gossip.md 3.3: what is
 * too long for a rumour is pulled by who heard of it).
 *
 * Gossip thread; embedded in the machine. A lack is asked of who told of it, of its owner, of
 * anyone, in turn, ever more seldom. Many lacks make few streams.
 */
#ifndef GOSSIP_PULL_H
#define GOSSIP_PULL_H

#include "gossip/sync_message.h"

#define PULL_LACKS_MAX SYNC_WANTS_MAX /* one stream can ask for all of them */

struct gossip;
struct member;

struct pull_lack {
    uint8_t id[NODE_ID_SHORT_BYTES];
    uint8_t from[NODE_ID_SHORT_BYTES]; /* who told us */
    uint32_t tries;
    bool once; /* a stranger that only sent us something: asked for once */
    uint64_t due_ms;
};

struct pull_table {
    size_t count;
    bool missed;          /* one found no room */
    uint64_t stranger_ms; /* no stranger is asked for before then */
    size_t cap;
    struct pull_lack *lack; /* owned */
};

void pull_fini(struct pull_table *t);

/* We lack the record of `id`, or a part of it, that `from` told us of (NULL: unknown who). */
void pull_lack(struct gossip *g, const struct node_id *id, const struct member *from);
/* A datagram names a sender that we do not know, by the first 8 bytes of its id: one question for
 * its record to a random member, every PULL_STRANGER_MS at most, for anyone can send such. */
#define PULL_STRANGER_MS 10000u
void pull_stranger(struct gossip *g, const uint8_t id8[NODE_ID_SHORT_BYTES]);
/* It is complete now. */
void pull_have(struct gossip *g, const struct node_id *id);
/* Starts at most `streams` of them, for what is due. */
void pull_look(struct gossip *g, uint32_t streams);
/* When the next is due; UINT64_MAX: nothing is lacking. */
uint64_t pull_due_ms(const struct gossip *g);

#endif
