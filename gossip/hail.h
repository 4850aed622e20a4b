/* Hails: by datagram, that we live, to who knows only an earlier life of ours.
 *
 * A datagram is good for one life of its receiver (core/crypto/seal.h). Two that have both
 * restarted know lives of each other that are over: where no stream gets through, nothing that they
 * send would open. A hail is sealed for no life in particular, and so may be replayed. It holds the
 * sender's own record and nothing else counts in it: signed, and ordered by its epoch, it changes
 * nothing a second time. It is not answered, and is no sign of life.
 *
 * Gossip thread.
 */
#ifndef GOSSIP_HAIL_H
#define GOSSIP_HAIL_H

#include "core/base/span.h"

struct gossip;
struct member;

/* Sends one. */
void hail_send(struct gossip *g, struct member *to);
/* The text of one, authentic. One that brings nothing new is dropped as a replay. */
void hail_receive(struct gossip *g, struct span plain, struct member *from);

#endif
