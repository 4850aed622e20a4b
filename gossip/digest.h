/* The digest of all settled records: what two nodes compare to know that they agree (gossip.md
 * 3.6).
 *
 *   print(m)  = SipHash(mesh id, owner16 || epoch8 || inc4 || version8)
 *   bucket[b] = sum mod 2^64 of print(m) over live members whose id begins with byte b
 *   root      = SipHash(mesh id, bucket[0] || ... || bucket[255])            big-endian
 *               + print of the heads of policy (policy_head.h)
 *
 * Gossip thread; embedded in the machine. A change enters when it is as old as a rumour takes to
 * reach everyone, twice, so that ordinary churn does not look like disagreement. Only live members
 * count: who is dead or has left may be forgotten here and not yet there.
 *
 * Packets carry 40 bits of the root, and in the low 24 the accusations that stand against live
 * members, at once: whoever missed one, or one vote of it, is found by the next few contacts.
 *
 *   accused = sum mod 2^64 of SipHash(mesh id, target16 || epoch8 || inc4 || votes4)
 */
#ifndef GOSSIP_DIGEST_H
#define GOSSIP_DIGEST_H

#include "gossip/member.h"

#define DIGEST_BUCKETS      256u
#define DIGEST_VECTOR_BYTES (DIGEST_BUCKETS * 8u)
#define DIGEST_BITMAP_BYTES (DIGEST_BUCKETS / 8u)
#define DIGEST_ACCUSED_BITS 24u
#define DIGEST_ACCUSED_MS   6000u /* later, the digest of all records mends it */

/* A change of a member that has not yet settled. */
struct digest_wait {
    struct member *member; /* NULL: forgotten, or changed once more */
    uint64_t at_ms;
};

struct digest {
    struct hash_key key;
    uint64_t root;
    bool root_stale;
    struct digest_wait *pending; /* owned: by time */
    size_t pending_first, pending_count, pending_cap;
    uint64_t policy, policy_next; /* print of what is known of policy, and when it has settled */
    uint64_t policy_ms;
    uint64_t accused;
    uint64_t accused_ms;      /* last change */
    uint64_t reminded_ms;     /* when another was last told of some */
    struct list accused_list; /* members; reminded of least lately first */
    uint64_t bucket[DIGEST_BUCKETS];
};

void digest_init(struct digest *d, const struct mesh_id *mesh);
void digest_fini(struct digest *d);
/* The print of the member's present head. */
uint64_t digest_print(const struct digest *d, const struct head *h);
/* `m` changed in head or state: what it counts for is taken up when it has settled. */
void digest_note(struct digest *d, struct member *m, uint64_t now_ms);
/* What is known of policy has changed. */
void digest_policy(struct digest *d, uint64_t print, uint64_t now_ms);
/* Whether something waits to settle. */
bool digest_waits(const struct digest *d);
/* Takes up what changed `settle_ms` ago or earlier. */
void digest_settle(struct digest *d, uint64_t now_ms, uint64_t settle_ms);
/* Takes the member out at once: it is being forgotten. */
void digest_forget(struct digest *d, struct member *m);
/* The accusation against `m` has changed; or, without one, or when it is not live, has ended. One
 * that killed at once stands for DIGEST_ACCUSED_MS, so that who missed it is reminded. */
void digest_accuse(struct digest *d, struct member *m, uint64_t now_ms);
/* What packets carry. */
uint64_t digest_summary(struct digest *d);
static inline bool digest_same_records(uint64_t a, uint64_t b)
{
    return (a ^ b) >> DIGEST_ACCUSED_BITS == 0;
}
static inline bool digest_same_accused(uint64_t a, uint64_t b)
{
    return ((a ^ b) & ((UINT64_C(1) << DIGEST_ACCUSED_BITS) - 1)) == 0;
}
uint64_t digest_root(const struct digest *d);
void digest_vector(const struct digest *d, uint8_t out[DIGEST_VECTOR_BYTES]);
/* The same, with all that has not yet settled: what two compare who are talking anyway. */
void digest_vector_now(const struct digest *d, uint8_t out[DIGEST_VECTOR_BYTES]);
/* Marks the buckets in which `vector` differs; how many. */
uint32_t digest_compare(const struct digest *d, const uint8_t vector[DIGEST_VECTOR_BYTES],
                        uint8_t bitmap[DIGEST_BITMAP_BYTES]);
static inline bool digest_marked(const uint8_t bitmap[DIGEST_BITMAP_BYTES], uint8_t bucket)
{
    return (bitmap[bucket / 8u] & (1u << (bucket % 8u))) != 0;
}

#endif
