/* Synchronising: anti-entropy over streams, joining, pulling bodies and coming back together
 * (gossip.md 3.5, 3.6).
 *
 *   A                                    B
 *   HELLO, VECTOR         ---->
 *                         <----          HELLO, DONE               equal digests: that was all
 *                         <----          HELLO, LIST ...           what B has in differing buckets
 *   LIST ...              ---->                                    what A has in them
 *   WANT                  ---->          WANT                      each what it lacks, 256 at a
 * time RECORDS ...           <--->          RECORDS ... DONE                  <--->          DONE
 *   close
 *
 * A joiner does the same with an address, and then with two more members, so that one liar cannot
 * eclipse the rest. Gossip thread; embedded in the machine.
 */
#ifndef GOSSIP_SYNC_H
#define GOSSIP_SYNC_H

#include "gossip/bucket.h"
#include "gossip/stream.h"

#define SYNC_SEEDS_MAX      64u
#define SYNC_PULLS_MAX      256u
#define SYNC_JOINS_MAX      16u /* inbound sessions */
#define SYNC_SESSIONS_MAX   4u  /* of them with peers that only compare */
#define SYNC_OUTBOUND_MAX   4u
#define SYNC_RATE_BYTES     (4u * 1024 * 1024) /* a second, all streams */
#define SYNC_BURST_BYTES    (1u * 1024 * 1024)
#define SYNC_LOOK_MS        1000u
#define SYNC_BACKOFF_MIN_MS 1000u
#define SYNC_BACKOFF_MAX_MS 15000u
#define SYNC_SEED_RETRY_MS  60000u
#define SYNC_FURTHER        2u /* members a joiner compares with after its first contact */

/* An address to contact, of the driver's or an alternate of a busy peer's. */
struct sync_seed {
    struct addr addr;
    uint64_t due_ms;
    uint32_t backoff_ms;
};

/* A record of which we lack the head or a part. */
struct sync_pull {
    uint8_t id[SYNC_ID_BYTES];
    uint8_t from[SYNC_ID_BYTES]; /* who told us */
    uint32_t tries;
    uint64_t due_ms;
};

struct sync {
    struct timer timer;
    struct bucket bytes;
    uint32_t further;    /* members yet to compare with */
    uint32_t mismatches; /* contacts in a row whose root differed */
    uint8_t mismatch_id[SYNC_ID_BYTES];
    uint64_t backoff_until_ms;
    uint32_t backoff_ms;
    uint64_t safety_ms; /* next unconditional comparison */
    uint32_t live_max;  /* most members in the last hour: far fewer now means a cut */
    uint64_t live_max_ms;
    size_t seed_count, pull_count;
    bool pulls_missed; /* one found no room */
    struct sync_seed seed[SYNC_SEEDS_MAX];
    struct sync_pull pull[SYNC_PULLS_MAX];
};

struct gossip;

void sync_init(struct gossip *g);
/* An address to contact; known ones become due at once. */
void sync_seed(struct gossip *g, const struct addr *addr);
/* A contact with `from`, whose digest_summary is `summary`. */
void sync_on_summary(struct gossip *g, struct member *from, uint64_t summary);
/* We lack the record of `id`, or a part of it, that `from` told us of (NULL: unknown who). */
void sync_lack(struct gossip *g, const struct node_id *id, const struct member *from);
/* It is complete now. */
void sync_have(struct gossip *g, const struct node_id *id);
/* The timer: starts what is due. */
void sync_look(struct gossip *g);

/* Events of streams. */
void sync_opened(struct gossip *g, const struct gossip_event *e);
void sync_data(struct gossip *g, const struct gossip_event *e);
void sync_closed(struct gossip *g, const struct gossip_event *e);
/* A stream's timer: goes on sending, or ends it. */
void sync_stream_timer(struct gossip *g, struct stream *s);

#endif
