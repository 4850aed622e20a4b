#include "gossip/watchers.h"

#include "core/base/hash.h"

#include <assert.h>
#include <string.h>

static uint64_t score(const struct node_id *target, const struct node_id *m)
{
    struct hash_key key;
    static_assert(sizeof(key.byte) == NODE_ID_BYTES, "a node's id is as long as a key");
    memcpy(key.byte, target->byte, sizeof(key.byte));
    return hash_bytes(&key, m->byte, sizeof(m->byte));
}

bool watchers_plausible(const struct node_id *target, const struct node_id *accuser, uint32_t alive)
{
    uint32_t places = WATCHERS * WATCHERS_LEEWAY;
    /* The share of hashes above the accuser's, of `alive` that are spread evenly. */
    return alive <= places || UINT64_MAX - score(target, accuser) < UINT64_MAX / alive * places;
}

size_t watchers_of(const struct member_table *t, const struct member *target,
                   struct member *out[WATCHERS])
{
    uint64_t best[WATCHERS];
    size_t place[WATCHERS];
    size_t count = 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct member *m = member_peek(t, i);
        if (m->state != MEMBER_ALIVE || m->self || m->index == target->index) continue;
        uint64_t s = score(&target->head->owner, &m->head->owner);
        if (count == WATCHERS && s <= best[count - 1]) continue;
        size_t at = count < WATCHERS ? count++ : count - 1;
        for (; at > 0 && best[at - 1] < s; at--) {
            best[at] = best[at - 1];
            place[at] = place[at - 1];
        }
        best[at] = s;
        place[at] = i;
    }
    for (size_t i = 0; i < count; i++)
        out[i] = member_at(t, place[i]);
    return count;
}

size_t watchers_pick(const struct member_table *t, const struct member *target, struct rng *rng,
                     size_t want, struct member *out[WATCHERS])
{
    size_t count = watchers_of(t, target, out);
    for (size_t i = 0; i < want && i < count; i++) {
        size_t j = i + (size_t)rng_below(rng, count - i);
        struct member *swap = out[i];
        out[i] = out[j];
        out[j] = swap;
    }
    return count < want ? count : want;
}
