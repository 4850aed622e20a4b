/* Synchronising: anti-entropy over streams, joining and coming back together
 * (gossip.md 3.5, 3.6).
 *
 *   A                                    B
 *   HELLO, VECTOR         ---->
 *                         <----          HELLO, DONE       equal digests: that was all
 *                         <----          HELLO, LIST ...   what B has in differing buckets
 *   WANT                  ---->                            what A lacks of it, 256 at a time
 *                         <----          RECORDS ...
 *   LIST ...              ---->                            what A has in them that B lacks or,
 *                                                          after that, still has otherwise
 *                         <----          WANT
 *   RECORDS ...           ---->
 *   DONE                  <--->          DONE
 *   close
 *
 * A joiner does the same with an address, and then with random members until it is *synced*: its
 * digest equals that of two others (of all others, where there are fewer), so that one liar cannot
 * eclipse the rest. A session that brought much is followed by another with a random member: what
 * is new everywhere, as when a mesh starts or two halves meet again, spreads by doubling, and the
 * rumours stay short. Gossip thread; embedded in the machine.
 */
#ifndef GOSSIP_SYNC_H
#define GOSSIP_SYNC_H

#include "gossip/bucket.h"
#include "gossip/stream.h"

#define SYNC_SEEDS_MAX      64u
#define SYNC_JOINS_MAX      16u /* inbound sessions */
#define SYNC_SESSIONS_MAX   4u  /* of them with peers that only compare */
#define SYNC_OUTBOUND_MAX   4u
#define SYNC_RATE_BYTES     (4u * 1024 * 1024) /* a second, all streams, but for policy */
#define SYNC_BURST_BYTES    (1u * 1024 * 1024)
#define SYNC_LOOK_MS        1000u
#define SYNC_BACKOFF_MIN_MS 1000u
#define SYNC_BACKOFF_MAX_MS 15000u
#define SYNC_SEED_RETRY_MS  60000u
#define SYNC_PACE_MIN_MS    100u  /* between sessions, while each brings much */
#define SYNC_PACE_MAX_MS    2000u /* while we are not synced and they bring nothing */
#define SYNC_STALL_MS       1000u /* a session that takes longer is not waited for */
#define SYNC_AGREE          2u    /* others whose digest must equal ours for us to be synced */

/* An address to contact, of the driver's or an alternate of a busy peer's. */
struct sync_seed {
    struct addr addr;
    uint64_t due_ms;
    uint32_t backoff_ms;
};

struct sync {
    struct timer timer;
    uint64_t looked_ms; /* last time that it ran */
    struct bucket bytes;
    uint64_t next_ms; /* the next session with a random member; 0: none is due */
    uint32_t pace_ms; /* between them */
    bool synced;      /* for good */
    bool compared;    /* with one other at least, since the start */
    uint32_t agreed;  /* of these */
    uint8_t agreed_id[SYNC_AGREE][NODE_ID_SHORT_BYTES];
    uint32_t mismatches; /* contacts in a row whose root differed */
    uint8_t mismatch_id[NODE_ID_SHORT_BYTES];
    uint8_t match_id[NODE_ID_SHORT_BYTES]; /* whose was equal last */
    uint8_t tried_id[NODE_ID_SHORT_BYTES]; /* with whom the last session for a mismatch was */
    uint64_t backoff_until_ms;
    uint32_t backoff_ms;
    uint64_t dead_look_ms; /* not before then */
    uint64_t safety_ms;    /* next unconditional comparison */
    uint32_t live_max;     /* most members in the last hour: far fewer now means a cut */
    uint64_t live_max_ms;
    size_t seed_count;
    struct sync_seed seed[SYNC_SEEDS_MAX];
};

struct gossip;

void sync_init(struct gossip *g);
/* An address to contact; known ones become due at once. Of too many the new one takes the place of
 * one that was dialled in vain. */
void sync_seed(struct gossip *g, const struct addr *addr);
/* A contact with `from`, whose digest_summary is `summary`. */
void sync_on_summary(struct gossip *g, struct member *from, uint64_t summary);
/* All that `m` knows we know too, and it knows all of ours. */
void sync_agree(struct gossip *g, const struct member *m);
/* `from` knows something that only a stream can tell: a session with it, as soon as the backoff
 * allows. */
void sync_suspect(struct gossip *g, const struct member *from);
/* Another holds what we hold in the buckets that are not marked in `differing` (NULL: in all). */
void sync_vouched(struct gossip *g, const uint8_t *differing);
/* Much is new: a session with a random member soon. */
void sync_soon(struct gossip *g);
/* Whether we have agreed with enough others since the start. */
bool sync_is_synced(const struct gossip *g);
/* The timer: starts what is due. */
void sync_look(struct gossip *g);
/* Any step: what the timer would do soon is done now, so that an idle node does not wake up for it.
 */
void sync_ride(struct gossip *g);
/* It runs at `at_ms`, if not before. */
void sync_look_by(struct gossip *g, uint64_t at_ms);

/* Events of streams. */
void sync_opened(struct gossip *g, const struct gossip_event *e);
void sync_data(struct gossip *g, const struct gossip_event *e);
void sync_closed(struct gossip *g, const struct gossip_event *e);
/* A stream is ending, whoever ends it. */
void sync_over(struct gossip *g, const struct stream *s);
/* A stream's timer: goes on sending, or ends it. */
void sync_stream_timer(struct gossip *g, struct stream *s);

#endif
