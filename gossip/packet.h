/* Packets: building, sealing, opening and paying for gossip datagrams (gossip.md 3.4, core/crypto/
 * seal.h).
 *
 * Gossip thread. A packet under construction lies on the caller's stack.
 */
#ifndef GOSSIP_PACKET_H
#define GOSSIP_PACKET_H

#include "gossip/message.h"

#define PACKET_BYTES_MAX 1400u

struct gossip;
struct member;

struct packet {
    struct member *to;
    uint64_t to_epoch;               /* of the life of `to` that it is meant for; 0: a hail */
    uint8_t bytes[PACKET_BYTES_MAX]; /* room for the heading, then messages */
    struct pack_writer writer;
    uint32_t messages;
    uint32_t rumours;
    uint16_t kinds[MESSAGE_KINDS]; /* how many of each are in it */
};

#define PACKET_HEADING_BYTES 14u /* at most: array32 head, u64 */

enum packet_pay {
    PACKET_PROBE, /* may use the reserve: probes, answers, refutations */
    PACKET_RUMOUR /* only what is above it */
};

/* An empty packet. To one that is accused it begins with saying so (the buddy system). */
void packet_begin(struct gossip *g, struct packet *p, struct member *to);
/* One that holds a hail (hail.h). */
void packet_begin_hail(const struct gossip *g, struct packet *p, struct member *to);
/* False: no room, and the packet is as before. */
bool packet_add(struct packet *p, const struct message *m);
/* Fills up with rumours unless the member is unreachable, seals and sends to its address. False:
 * over the byte budget or too many effects; it is then lost, as any datagram may be. */
bool packet_send(struct gossip *g, struct packet *p, enum packet_pay pay);
/* As packet_send without filling up, to an address of the caller's. */
bool packet_send_plain(struct gossip *g, struct packet *p, enum packet_pay pay,
                       const struct addr *to);
/* One message in a packet of its own; it is lost as packet_send says. */
void packet_send_one(struct gossip *g, struct member *to, const struct message *m);
/* The life that a head announces, as packets name it: 48 bits. */
uint64_t packet_epoch(const struct head *h);
/* Opens a datagram into `plain` (PACKET_BYTES_MAX): the sender, or NULL, dropped and counted.
 * `*hail`: it is one, and may have been replayed. */
struct member *packet_open(struct gossip *g, struct span datagram, const struct addr *from,
                           uint8_t *plain, size_t *len, bool *hail);

#endif
