/* Issue quota: how many leaves a member may have signed (security.md section 4, resource
 * exhaustion).
 *
 * Control thread; embedded in enroll. A leaf costs the signer a signature check and a signature,
 * 1.5 ms of the thread that also answers probes: a member that asks without end would have its
 * signer declared dead. Each key has a bucket of ISSUE_QUOTA_BURST leaves that fills by
 * ISSUE_QUOTA_RATE a second; the request's length bounds the leaves in it, so that a refusal costs
 * no parsing. Keys share ISSUE_QUOTA_SLOTS places by keyed hash; the newcomer takes the place over.
 */
#ifndef CMD_DAEMON_ISSUE_QUOTA_H
#define CMD_DAEMON_ISSUE_QUOTA_H

#include "core/base/hash.h"
#include "core/base/span.h"
#include "gossip/bucket.h"

#define ISSUE_QUOTA_SLOTS      256u
#define ISSUE_QUOTA_BURST      512u
#define ISSUE_QUOTA_RATE       2u
#define ISSUE_QUOTA_LEAF_BYTES 128u /* a key and a proof; an asked leaf is longer */
#define ISSUE_QUOTA_KEY_BYTES  32u

struct issue_quota {
    struct issue_quota_slot {
        uint8_t key[ISSUE_QUOTA_KEY_BYTES];
        struct bucket bucket; /* rate 0: nobody's */
    } slot[ISSUE_QUOTA_SLOTS];
};

/* Whether the holder of `key` (its leaf's public key hash) may have a request of that many bytes
 * served now; takes what it costs if so. Zero-initialised storage is a quota nobody has used. */
bool issue_quota_take(struct issue_quota *q, const struct hash_key *hash,
                      const uint8_t key[ISSUE_QUOTA_KEY_BYTES], size_t request_bytes,
                      uint64_t now_ms);

#endif
