/* Chunks: a RECORDS message under construction (sync_message.h). Offers are appended behind room
 * for a heading whose count is not yet known.
 *
 *   | room 16 | offer | offer | ...      then      | .. [7, last, array of n | offer | offer | ...
 *
 * Pure; the storage is the caller's.
 */
#ifndef GOSSIP_SYNC_CHUNK_H
#define GOSSIP_SYNC_CHUNK_H

#include "gossip/sync_message.h"

#define SYNC_CHUNK_HEADING     16u
#define SYNC_CHUNK_OFFER_BYTES (RECORD_BODY_BYTES_MAX + ADMISSION_BYTES_MAX + 1024u)
#define SYNC_CHUNK_ROOM        (SYNC_CHUNK_HEADING + SYNC_CHUNK_BYTES + SYNC_CHUNK_OFFER_BYTES)

struct sync_chunk {
    struct pack_writer writer;
    uint8_t *bytes; /* borrowed */
    uint32_t count;
};

/* `bytes` of SYNC_CHUNK_ROOM. */
void sync_chunk_init(struct sync_chunk *c, uint8_t *bytes);
/* Whether it is long enough to be sent: no more may be added. */
bool sync_chunk_full(const struct sync_chunk *c);
void sync_chunk_add(struct sync_chunk *c, const struct offer *o);
/* The finished message, borrowed from `bytes`. */
struct span sync_chunk_finish(struct sync_chunk *c, bool last);

#endif
