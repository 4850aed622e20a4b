/* Messages on streams (ALPN parley-sync/1), msgpack; framed as event.h says.
 *
 *   HELLO    [1, offer]             my record, with admission and body; always first
 *   PROBE    [2, seq]               answer with PONG
 *   PONG     [3, seq, wall_ms]
 *   VECTOR   [4, bin2048]           my digest's buckets; answer with LIST, or DONE
 *   LIST     [5, last, bitmap bin32, prints bin16n]
 *                                   what I have in these buckets, in id order
 *   WANT     [6, ids bin8n]         send me these
 *   RECORDS  [7, last, [offer, ...]]  here they are, as far as I have them
 *   BUSY     [8, [[ip bin, port], ...]]  try one of these instead
 *   DONE     [9]                    I have what I wanted
 *   CONFLICT [10]                   your name or identity is in use by another
 *   ACCUSED  [11, accusation bin]   refute, if you are that
 *   KEY_WANT [12, hash bin32]       the group key of this hash; answer with KEY
 *   KEY      [13, key bin32 | bin0] here it is; empty: I do not have it
 *   POLICY_HEADS [14, root gen, bin32, head gen, bin32, confirmed]    what I have
 *   POLICY_ASK   [15, root gen, bin32, head gen, bin32, bin32n]       send what is newer
 *   POLICY_HAVE  [16, last, [signed bin, ...], [text bin, ...]]       here it is
 *
 *   print, 16 bytes:  id8 || (SipHash of the version, low 2 bits replaced by the standing)
 *
 * Pure; any thread. Spans are borrowed from the message.
 */
#ifndef GOSSIP_SYNC_MESSAGE_H
#define GOSSIP_SYNC_MESSAGE_H

#include "core/model/manifest.h"
#include "gossip/digest.h"
#include "gossip/offer.h"

#define SYNC_MESSAGE_DEPTH_MAX 6u
#define SYNC_MESSAGE_ITEMS_MAX 4096u
#define SYNC_PRINT_BYTES       16u
#define SYNC_PRINTS_MAX        4096u  /* in one LIST */
#define SYNC_WANTS_MAX         256u   /* in one WANT */
#define SYNC_RECORDS_MAX       256u   /* in one RECORDS */
#define SYNC_CHUNK_BYTES       65536u /* a RECORDS is sent when it is that long */
#define SYNC_ALTERNATES_MAX    8u
#define SYNC_ITEMS_MAX         168u /* manifests, confirmations and texts in one POLICY_HAVE */
#define SYNC_SMALL_BYTES_MAX                                                                       \
    (DIGEST_VECTOR_BYTES + 64u) /* any but those with records, lists or policy */

enum sync_message_kind {
    SYNC_UNKNOWN,
    SYNC_HELLO,
    SYNC_PROBE,
    SYNC_PONG,
    SYNC_VECTOR,
    SYNC_LIST,
    SYNC_WANT,
    SYNC_RECORDS,
    SYNC_BUSY,
    SYNC_DONE,
    SYNC_CONFLICT,
    SYNC_ACCUSED,
    SYNC_KEY_WANT,
    SYNC_KEY,
    SYNC_POLICY_HEADS,
    SYNC_POLICY_ASK,
    SYNC_POLICY_HAVE,
    SYNC_KINDS
};

enum sync_standing { SYNC_LIVE, SYNC_ACCUSED_LIVE, SYNC_DEAD, SYNC_LEFT };

struct sync_message {
    enum sync_message_kind kind;
    uint32_t seq;                 /* PROBE, PONG */
    int64_t wall_ms;              /* PONG: the sender's clock; 0: not said */
    struct accusation accusation; /* ACCUSED */
    bool last; /* LIST, RECORDS; POLICY_HEADS: the head is confirmed; POLICY_HAVE: that was all */
    uint8_t bitmap[DIGEST_BITMAP_BYTES]; /* LIST */
    struct span bytes;                   /* VECTOR, LIST, WANT, KEY_WANT, KEY, POLICY_ASK */
    struct offer offer;                  /* HELLO */
    struct pack_reader records;          /* RECORDS, reading: sync_message_record */
    uint32_t record_count;
    struct manifest_ref root, head;             /* POLICY_HEADS, POLICY_ASK */
    uint32_t item_count, text_count;            /* POLICY_HAVE */
    struct span item[SYNC_ITEMS_MAX];           /* POLICY_HAVE: what is signed, then texts */
    struct addr alternate[SYNC_ALTERNATES_MAX]; /* BUSY */
    uint32_t alternate_count;
};

/* All kinds but RECORDS (sync_chunk.h). Too little room is the writer's overflow. */
void sync_message_write(struct pack_writer *w, const struct sync_message *m);
/* Checks and reads a whole message. ERR_INVALID, ERR_TOO_LARGE. RECORDS are read one by one with
 * sync_message_record. */
enum err sync_message_read(struct span bytes, struct sync_message *out) MUST_USE;
/* The next record of a RECORDS; false at the end, and at a malformed one with m->record_count > 0.
 */
bool sync_message_record(struct sync_message *m, struct offer *out);

#endif
