#include "gossip/policy_head.h"

#include "gossip/authority.h"
#include "gossip/state.h"

#include <stdlib.h>

#define REF_BYTES (8u + MANIFEST_HASH_BYTES)

bool policy_head_is_pinned(const struct policy *p, const struct manifest_hash *hash)
{
    if (p->authority == NULL || p->authority->pinned.gen == 0) return false;
    const struct manifest_hash *at = &p->authority->pinned.hash;
    for (size_t n = 0; n <= POLICY_HELD_MAX; n++) {
        if (manifest_hash_eq(at, hash)) return true;
        const struct policy_item *i = policy_find(p, at);
        if (i == NULL || i->ref.gen == 1) return false;
        at = &i->parent;
    }
    return false;
}

/* Signatures were checked when it came; the keys are the same, but their owners may have gone. */
static bool still_valid(const struct gossip *g, const struct policy_item *i)
{
    const struct policy *p = &g->policy;
    struct authority a = {
        .crypto = g->crypto, .mesh = &g->mesh, .issuer_pk = g->issuer_pk, .root = p->authority};
    return authority_allows(&a, MANIFEST_POLICY, i->signer, i->signer_count) == POLICY_ACCEPTED ||
           policy_head_is_pinned(p, &i->ref.hash);
}

static void drop_invalid(struct gossip *g)
{
    struct policy *p = &g->policy;
    for (size_t i = 0; i < p->held_count; i++)
        p->held[i]->valid = still_valid(g, p->held[i]);
    size_t kept = 0;
    for (size_t i = 0; i < p->held_count; i++) {
        if (p->held[i]->valid) {
            p->held[kept++] = p->held[i];
            continue;
        }
        p->refusals[POLICY_UNKNOWN_SIGNER]++;
        if (p->head == p->held[i]) p->head = NULL;
        free(p->held[i]->bytes);
        free(p->held[i]);
        policy_store_soon(g);
    }
    p->held_count = kept;
}

static uint32_t ancestors(const struct policy *p, const struct policy_item *i)
{
    uint32_t n = 0;
    while ((i = policy_parent(p, i)) != NULL && n < POLICY_HELD_MAX)
        n++;
    return n;
}

/* Whoever comes first, or was away for longer than the history goes back, has to begin
 * somewhere: with nothing at all, or with a whole history of the others'. */
static bool may_begin(const struct policy *p, const struct policy_item *i, bool nothing)
{
    if (i->ref.gen == 1) return true;
    return nothing ? policy_parent(p, i) == NULL : ancestors(p, i) + 1 >= POLICY_HISTORY;
}

static void join_chains(struct policy *p)
{
    bool nothing = true;
    for (size_t i = 0; i < p->held_count; i++)
        nothing = nothing && !p->held[i]->connected;
    for (size_t i = p->held_count; i > 0; i--) {
        struct policy_item *item = p->held[i - 1];
        const struct policy_item *parent = policy_parent(p, item);
        if (item->connected) continue;
        item->connected = (parent != NULL && parent->connected) || may_begin(p, item, nothing);
    }
}

static void complete(struct policy *p)
{
    struct manifest_hash missing;
    for (size_t i = 0; i < p->held_count; i++)
        if (!p->held[i]->complete)
            p->held[i]->complete = policy_missing(p, p->held[i], &missing, 1) == 0;
}

static void mark_main(struct policy *p)
{
    struct policy_item *at = NULL;
    for (size_t i = 0; i < p->held_count; i++) {
        p->held[i]->main = false;
        if (p->held[i] == p->head) at = p->held[i];
    }
    for (; at != NULL && !at->main; at = policy_parent(p, at))
        at->main = true;
}

static void sweep_texts(struct policy *p)
{
    struct manifest m;
    policy_text_unmark(&p->texts);
    for (size_t i = 0; i < p->held_count; i++) {
        if (pack_manifest_decode(span_of(p->held[i]->bytes, p->held[i]->len), &m) != ERR_OK)
            continue;
        for (uint32_t t = 0; t < m.text_count; t++)
            policy_text_mark(&p->texts, &m.text[t].hash);
    }
    policy_text_sweep(&p->texts);
}

bool policy_head_choose(struct gossip *g)
{
    struct policy *p = &g->policy;
    const struct manifest_ref before = policy_head_ref(p);
    drop_invalid(g);
    join_chains(p);
    complete(p);
    p->head = NULL;
    for (size_t i = 0; i < p->held_count && p->head == NULL; i++)
        if (p->held[i]->connected && p->held[i]->complete) p->head = p->held[i];
    mark_main(p);
    sweep_texts(p);
    const struct manifest_ref after = policy_head_ref(p);
    return !manifest_ref_eq(&before, &after);
}

bool policy_head_lacks(const struct policy *p)
{
    for (size_t i = 0; i < p->held_count; i++)
        if (!p->held[i]->connected || !p->held[i]->complete) return true;
    return false;
}

static void put_ref(uint8_t *out, const struct manifest_ref *ref)
{
    head_put_u64(out, ref->gen);
    memcpy(out + 8, ref->hash.byte, MANIFEST_HASH_BYTES);
}

uint64_t policy_head_print(const struct gossip *g)
{
    const struct policy *p = &g->policy;
    uint8_t bytes[2 * REF_BYTES + 1];
    const struct manifest_ref root = policy_root_ref(p), head = policy_head_ref(p);
    if (root.gen == 0) return 0;
    put_ref(bytes, &root);
    put_ref(bytes + REF_BYTES, &head);
    bytes[2 * REF_BYTES] = p->head != NULL && p->head->confirmed;
    return hash_bytes(&g->digest.key, bytes, sizeof(bytes));
}
