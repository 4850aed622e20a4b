#include "gossip/policy_root.h"

#include "gossip/authority.h"
#include "gossip/catalogue.h"
#include "gossip/state.h"

#include <stdlib.h>

#define FIRST_CAP 4u

bool policy_root_has(const struct policy *p, const struct manifest_ref *ref)
{
    return ref->gen >= 1 && ref->gen <= p->root_count &&
           manifest_hash_eq(&p->root[ref->gen - 1].ref.hash, &ref->hash);
}

static bool decode_newest(struct policy *p)
{
    if (p->root_count == 0) {
        free(p->authority);
        p->authority = NULL;
        return true;
    }
    const struct policy_item *newest = &p->root[p->root_count - 1];
    if (p->authority == NULL) p->authority = malloc(sizeof(*p->authority));
    return p->authority != NULL &&
           pack_manifest_decode(span_of(newest->bytes, newest->len), p->authority) == ERR_OK;
}

static void truncate(struct policy *p, size_t count)
{
    while (p->root_count > count)
        free(p->root[--p->root_count].bytes);
}

bool policy_root_append(struct policy *p, struct span wire, const struct manifest *m,
                        const struct manifest_hash *hash)
{
    if (m->gen != p->root_count + 1 || p->root_count == POLICY_ROOTS_MAX) return false;
    if (p->root_count == p->root_cap) {
        size_t cap = p->root_cap > 0 ? p->root_cap * 2 : FIRST_CAP;
        struct policy_item *grown = realloc(p->root, cap * sizeof(*grown));
        if (grown == NULL) return false;
        p->root = grown;
        p->root_cap = cap;
    }
    uint8_t *bytes = malloc(wire.len);
    if (bytes == NULL) return false;
    memcpy(bytes, wire.p, wire.len);
    p->root[p->root_count++] = (struct policy_item){.ref = {.gen = m->gen, .hash = *hash},
                                                    .parent = m->parent,
                                                    .hlc = m->hlc,
                                                    .bytes = bytes,
                                                    .len = wire.len,
                                                    .valid = true,
                                                    .connected = true,
                                                    .complete = true,
                                                    .main = true};
    if (decode_newest(p)) return true;
    truncate(p, p->root_count - 1);
    return false;
}

void policy_root_fini(struct policy *p)
{
    truncate(p, 0);
    free(p->root);
    free(p->authority);
}

/* Its parent, decoded; NULL with true: it has none. False: no memory, or we do not have it. */
static bool parent_of(const struct policy *p, const struct manifest *m, struct manifest **out)
{
    *out = NULL;
    if (m->gen == 1) return true;
    const struct manifest_ref parent = {.gen = m->gen - 1, .hash = m->parent};
    if (!policy_root_has(p, &parent)) return false;
    const struct policy_item *i = &p->root[parent.gen - 1];
    *out = malloc(sizeof(**out));
    if (*out == NULL) return false;
    return pack_manifest_decode(span_of(i->bytes, i->len), *out) == ERR_OK;
}

/* Whether `m` stays rather than the one we have in its place. */
static bool outranks(const struct policy *p, const struct authority *a, const struct manifest *m,
                     const struct manifest_hash *hash)
{
    struct manifest ours;
    const struct policy_item *i = &p->root[m->gen - 1];
    if (pack_manifest_decode(span_of(i->bytes, i->len), &ours) != ERR_OK) return true;
    uint32_t mine = authority_rank(a, &ours.signer[0]), theirs = authority_rank(a, &m->signer[0]);
    if (mine != theirs) return theirs < mine;
    return manifest_hash_cmp(hash, &i->ref.hash) < 0;
}

static enum policy_refusal judge(struct gossip *g, struct span wire, const struct manifest *m,
                                 const struct manifest_hash *hash, struct manifest *parent)
{
    struct policy *p = &g->policy;
    struct authority a = {
        .crypto = g->crypto, .mesh = &g->mesh, .issuer_pk = g->issuer_pk, .root = parent};
    enum policy_refusal r = authority_check(&a, wire, m);
    if (r != POLICY_ACCEPTED) return r;
    if (m->gen <= p->root_count) {
        if (!outranks(p, &a, m, hash)) return POLICY_FORK_LOST;
        truncate(p, m->gen - 1);
    }
    return policy_root_append(p, wire, m, hash) ? POLICY_ACCEPTED : POLICY_FULL;
}

enum policy_refusal policy_root_take(struct gossip *g, struct span wire, const struct manifest *m,
                                     const struct manifest_hash *hash, struct member *from)
{
    struct policy *p = &g->policy;
    const struct manifest_ref ref = {.gen = m->gen, .hash = *hash};
    struct manifest *parent;
    if (policy_root_has(p, &ref)) return POLICY_KNOWN;
    if (m->gen > POLICY_ROOTS_MAX) return POLICY_FULL;
    if (from == NULL && m->gen <= p->root_count) return POLICY_NOT_HEAD;
    enum policy_refusal r = POLICY_UNKNOWN_PARENT;
    if (parent_of(p, m, &parent))
        r = catalogue_may_verify(g, from) ? judge(g, wire, m, hash, parent) : POLICY_FULL;
    free(parent);
    if (r != POLICY_ACCEPTED) return r;
    p->changed = true;
    policy_store_soon(g);
    const struct manifest_ref newest = policy_root_ref(p);
    policy_news_tell(g, NEWS_ROOT, &newest);
    keyring_root(g, p->authority, &newest);
    return POLICY_ACCEPTED;
}
