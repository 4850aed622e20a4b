/* Receiving datagrams: from sealed bytes to what each message sets in motion.
 *
 * Gossip thread. Nothing in here trusts a byte: packet_open authenticates, message_reader checks
 * the whole packet before its first message counts.
 */
#ifndef GOSSIP_RECEIVE_H
#define GOSSIP_RECEIVE_H

#include "core/base/span.h"
#include "core/model/addr.h"

struct gossip;
struct member;

void receive_datagram(struct gossip *g, struct span datagram, const struct addr *from);
/* A decrypted packet's plaintext, as `from` sent it. */
void receive_plain(struct gossip *g, struct span plain, struct member *from);

#endif
