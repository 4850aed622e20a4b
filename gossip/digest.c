#include "gossip/digest.h"

#include <assert.h>
#include <stdlib.h>

#define WAITS_FIRST_CAP 16u
#define WAITS_KEPT_CAP  1024u /* a longer queue is freed when it is empty */

static_assert(sizeof(struct mesh_id) == sizeof(struct hash_key), "the mesh id is the key");

void digest_init(struct digest *d, const struct mesh_id *mesh)
{
    *d = (struct digest){.root_stale = true};
    memcpy(d->key.byte, mesh->byte, sizeof(d->key.byte));
    list_init(&d->accused_list);
}

void digest_fini(struct digest *d)
{
    free(d->pending);
    d->pending = NULL;
    d->pending_first = d->pending_count = d->pending_cap = 0;
}

uint64_t digest_print(const struct digest *d, const struct head *h)
{
    uint8_t bytes[NODE_ID_BYTES + 20];
    memcpy(bytes, h->owner.byte, NODE_ID_BYTES);
    head_put_u64(bytes + NODE_ID_BYTES, h->epoch);
    head_put_u32(bytes + NODE_ID_BYTES + 8, h->inc);
    head_put_u64(bytes + NODE_ID_BYTES + 12, h->version);
    return hash_bytes(&d->key, bytes, sizeof(bytes));
}

static bool make_room(struct digest *d)
{
    if (d->pending_count < d->pending_cap) return true;
    if (d->pending_first > d->pending_cap / 2) {
        d->pending_count -= d->pending_first;
        memmove(d->pending, d->pending + d->pending_first,
                d->pending_count * sizeof(d->pending[0]));
        d->pending_first = 0;
        return true;
    }
    size_t cap = d->pending_cap > 0 ? d->pending_cap * 2 : WAITS_FIRST_CAP;
    struct digest_wait *pending = realloc(d->pending, cap * sizeof(pending[0]));
    if (pending == NULL) return false;
    d->pending = pending;
    d->pending_cap = cap;
    return true;
}

static void take_up(struct digest *d, struct member *m, uint64_t print)
{
    if (print == m->digest_print) return;
    d->bucket[m->head->owner.byte[0]] += print - m->digest_print;
    m->digest_print = print;
    d->root_stale = true;
}

static void settle(struct digest *d, struct member *m)
{
    take_up(d, m, member_is_live(m) ? digest_print(d, m->head) : 0);
}

static void unqueue(struct digest *d, struct member *m)
{
    for (size_t i = d->pending_count; m->digest_waits && i > d->pending_first; i--) {
        if (d->pending[i - 1].member != m) continue;
        d->pending[i - 1].member = NULL;
        m->digest_waits = false;
    }
}

void digest_note(struct digest *d, struct member *m, uint64_t now_ms)
{
    unqueue(d, m);
    if (!make_room(d)) {
        settle(d, m);
        return;
    }
    m->digest_waits = true;
    d->pending[d->pending_count++] = (struct digest_wait){.member = m, .at_ms = now_ms};
}

void digest_policy(struct digest *d, uint64_t print, uint64_t now_ms)
{
    if (print == d->policy_next) return;
    d->policy_next = print;
    d->policy_ms = now_ms;
}

bool digest_waits(const struct digest *d)
{
    return d->pending_count > 0 || d->policy != d->policy_next;
}

void digest_settle(struct digest *d, uint64_t now_ms, uint64_t settle_ms)
{
    if (d->policy != d->policy_next && d->policy_ms + settle_ms <= now_ms) {
        d->policy = d->policy_next;
        d->root_stale = true;
    }
    while (d->pending_first < d->pending_count) {
        struct digest_wait *w = &d->pending[d->pending_first];
        if (w->member != NULL && w->at_ms + settle_ms > now_ms) return;
        d->pending_first++;
        if (w->member == NULL) continue;
        w->member->digest_waits = false;
        settle(d, w->member);
    }
    d->pending_first = d->pending_count = 0;
    if (d->pending_cap > WAITS_KEPT_CAP) digest_fini(d);
}

void digest_forget(struct digest *d, struct member *m)
{
    unqueue(d, m);
    take_up(d, m, 0);
}

static uint64_t hash_vector(const struct digest *d)
{
    uint8_t vector[DIGEST_VECTOR_BYTES];
    digest_vector(d, vector);
    return hash_bytes(&d->key, vector, sizeof(vector)) + d->policy;
}

uint64_t digest_root(const struct digest *d)
{
    return d->root_stale ? hash_vector(d) : d->root;
}

/* Who shuns a member agrees with all who do, whichever votes it heard and in what incarnation. */
static uint64_t accused_print(const struct digest *d, const struct accusation *a, bool shunned)
{
    uint8_t bytes[NODE_ID_BYTES + 16];
    memcpy(bytes, a->target.byte, NODE_ID_BYTES);
    head_put_u64(bytes + NODE_ID_BYTES, a->epoch);
    head_put_u32(bytes + NODE_ID_BYTES + 8, shunned ? UINT32_MAX : a->inc);
    head_put_u32(bytes + NODE_ID_BYTES + 12, shunned ? 0 : accusation_count_now(a));
    return hash_bytes(&d->key, bytes, sizeof(bytes));
}

void digest_accuse(struct digest *d, struct member *m, uint64_t now_ms)
{
    struct member_care *c = m->care;
    if (c == NULL) return;
    bool fresh = m->state == MEMBER_DEAD && now_ms < c->accused_ms + DIGEST_ACCUSED_MS;
    bool stands = c->accusation != NULL && (member_is_live(m) || fresh);
    uint64_t print = stands ? accused_print(d, c->accusation, m->lossy) : 0;
    if (print == c->accused_print) return;
    d->accused += print - c->accused_print;
    d->accused_ms = now_ms;
    c->accused_print = print;
    c->printed_ms = now_ms;
    list_remove(&c->accused_link);
    if (stands) list_push_front(&d->accused_list, &c->accused_link);
}

uint64_t digest_summary(struct digest *d)
{
    uint64_t low = (UINT64_C(1) << DIGEST_ACCUSED_BITS) - 1;
    /* Once for many packets. */
    d->root = digest_root(d);
    d->root_stale = false;
    return (d->root & ~low) | (d->accused & low);
}

void digest_vector(const struct digest *d, uint8_t out[DIGEST_VECTOR_BYTES])
{
    for (size_t i = 0; i < DIGEST_BUCKETS; i++)
        head_put_u64(out + 8 * i, d->bucket[i]);
}

void digest_vector_now(const struct digest *d, uint8_t out[DIGEST_VECTOR_BYTES])
{
    digest_vector(d, out);
    for (size_t i = d->pending_first; i < d->pending_count; i++) {
        const struct member *m = d->pending[i].member;
        if (m == NULL) continue;
        uint8_t *bucket = out + 8 * (size_t)m->head->owner.byte[0];
        uint64_t print = member_is_live(m) ? digest_print(d, m->head) : 0;
        head_put_u64(bucket, head_get_u64(bucket) + print - m->digest_print);
    }
}

uint32_t digest_compare(const struct digest *d, const uint8_t vector[DIGEST_VECTOR_BYTES],
                        uint8_t bitmap[DIGEST_BITMAP_BYTES])
{
    uint8_t ours[DIGEST_VECTOR_BYTES];
    uint32_t differing = 0;
    digest_vector_now(d, ours);
    memset(bitmap, 0, DIGEST_BITMAP_BYTES);
    for (size_t i = 0; i < DIGEST_BUCKETS; i++) {
        if (memcmp(vector + 8 * i, ours + 8 * i, 8) == 0) continue;
        bitmap[i / 8] |= (uint8_t)(1u << (i % 8));
        differing++;
    }
    return differing;
}
