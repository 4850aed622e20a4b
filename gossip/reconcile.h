/* Reconciling: the anti-entropy conversation on one stream, of either side (picture in sync.h).
 *
 * Gossip thread. What is long is sent chunk by chunk on the stream's timer, under the byte rate of
 * all streams together, so that one newcomer cannot hold up the loop.
 */
#ifndef GOSSIP_RECONCILE_H
#define GOSSIP_RECONCILE_H

#include "gossip/stream.h"

struct gossip;

enum reconcile_result {
    RECONCILE_GOES_ON,
    RECONCILE_FINISHED, /* both sides are done; the one who began closes */
    RECONCILE_BROKEN,   /* the other side broke the protocol: to be closed */
    RECONCILE_CLOSED    /* it was closed under way */
};

/* We began: sends our vector. */
enum reconcile_result reconcile_begin(struct gossip *g, struct stream *s);
/* For a stream of ours that wants only these short ids: kept until it opens. False: no memory. */
bool reconcile_note_wants(struct stream *s, const uint8_t *ids, size_t count);
/* It has opened: asks for them. */
enum reconcile_result reconcile_send_wants(struct gossip *g, struct stream *s);
/* VECTOR, LIST, WANT, RECORDS or DONE came. */
enum reconcile_result reconcile_message(struct gossip *g, struct stream *s, struct sync_message *m);
/* Whether something of ours waits to be sent. */
bool reconcile_sending(const struct stream *s);
/* Sends the next chunk. */
enum reconcile_result reconcile_pump(struct gossip *g, struct stream *s);

#endif
