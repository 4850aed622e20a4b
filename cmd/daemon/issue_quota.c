#include "cmd/daemon/issue_quota.h"

#include <string.h>

bool issue_quota_take(struct issue_quota *q, const struct hash_key *hash,
                      const uint8_t key[ISSUE_QUOTA_KEY_BYTES], size_t request_bytes,
                      uint64_t now_ms)
{
    struct issue_quota_slot *s =
        &q->slot[hash_bytes(hash, key, ISSUE_QUOTA_KEY_BYTES) % ISSUE_QUOTA_SLOTS];
    if (s->bucket.rate == 0 || memcmp(s->key, key, ISSUE_QUOTA_KEY_BYTES) != 0) {
        memcpy(s->key, key, ISSUE_QUOTA_KEY_BYTES);
        bucket_init(&s->bucket, ISSUE_QUOTA_RATE, ISSUE_QUOTA_BURST, now_ms);
    }
    return bucket_take(&s->bucket, now_ms, 1 + request_bytes / ISSUE_QUOTA_LEAF_BYTES, 0);
}
