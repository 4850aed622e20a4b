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

static void clear(struct policy_fork *f)
{
    while (f->count > 0)
        free(f->root[--f->count].bytes);
    free(f->root);
    f->root = NULL;
    f->cap = 0;
}

static bool reserve(struct policy_item **root, size_t *cap, size_t count)
{
    if (count <= *cap) return true;
    size_t more = *cap > 0 ? *cap : FIRST_CAP;
    while (more < count)
        more *= 2;
    struct policy_item *grown = realloc(*root, more * sizeof(*grown));
    if (grown == NULL) return false;
    *root = grown;
    *cap = more;
    return true;
}

void policy_root_fini(struct policy *p)
{
    clear(&p->fork);
    truncate(p, 0);
    free(p->root);
    free(p->authority);
}

/* What was gathered hangs on the chain, and is no part of it. */
static bool fork_stands(const struct policy *p)
{
    const struct policy_fork *f = &p->fork;
    if (f->count == 0 || policy_root_has(p, &f->root[0].ref)) return false;
    const struct manifest_ref parent = {.gen = f->root[0].ref.gen - 1, .hash = f->root[0].parent};
    return parent.gen == 0 || policy_root_has(p, &parent);
}

static const struct policy_item *on_fork(const struct policy *p, const struct manifest_ref *ref)
{
    if (!fork_stands(p) || ref->gen < p->fork.root[0].ref.gen) return NULL;
    size_t at = (size_t)(ref->gen - p->fork.root[0].ref.gen);
    if (at >= p->fork.count) return NULL;
    const struct policy_item *i = &p->fork.root[at];
    return manifest_hash_eq(&i->ref.hash, &ref->hash) ? i : NULL;
}

bool policy_root_knows(const struct policy *p, const struct manifest_ref *ref)
{
    return policy_root_has(p, ref) || on_fork(p, ref) != NULL;
}

void policy_root_gather(struct gossip *g, const struct member *from)
{
    struct policy_fork *f = &g->policy.fork;
    if (head_is(from->head, f->from)) return;
    clear(f);
    head_short_id(from->head, f->from);
}

static bool gathers(const struct policy *p, const struct member *from)
{
    return from != NULL && head_is(from->head, p->fork.from);
}

/* One root as it arrived, and what it is built on. */
struct newcomer {
    struct span wire;
    const struct manifest *m;
    const struct manifest_hash *hash;
    const struct policy_item *after; /* NULL: it is a first one */
    struct manifest *parent;         /* owned: `after`, decoded */
    bool on_chain;                   /* `after` is, or it is a first one */
};

static enum policy_refusal find_parent(const struct policy *p, bool may_gather, struct newcomer *n)
{
    n->on_chain = true;
    if (n->m->gen == 1) return POLICY_ACCEPTED;
    const struct manifest_ref ref = {.gen = n->m->gen - 1, .hash = n->m->parent};
    n->on_chain = policy_root_has(p, &ref);
    if (n->on_chain)
        n->after = &p->root[ref.gen - 1];
    else if (may_gather)
        n->after = on_fork(p, &ref);
    if (n->after == NULL) return POLICY_UNKNOWN_PARENT;
    n->parent = malloc(sizeof(*n->parent));
    if (n->parent == NULL) return POLICY_FULL;
    struct span wire = span_of(n->after->bytes, n->after->len);
    return pack_manifest_decode(wire, n->parent) == ERR_OK ? POLICY_ACCEPTED
                                                           : POLICY_UNKNOWN_PARENT;
}

static struct authority authority_of(const struct gossip *g, const struct newcomer *n)
{
    return (struct authority){
        .crypto = g->crypto, .mesh = &g->mesh, .issuer_pk = g->issuer_pk, .root = n->parent};
}

static bool make_item(const struct gossip *g, const struct newcomer *n, struct policy_item *out)
{
    const struct authority a = authority_of(g, n);
    const struct seniority *before = n->after != NULL ? &n->after->seniority : NULL;
    uint8_t *bytes = malloc(n->wire.len);
    if (bytes == NULL) return false;
    memcpy(bytes, n->wire.p, n->wire.len);
    *out = (struct policy_item){.ref = {.gen = n->m->gen, .hash = *n->hash},
                                .parent = n->m->parent,
                                .hlc = n->m->hlc,
                                .bytes = bytes,
                                .len = n->wire.len,
                                .valid = true,
                                .connected = true,
                                .complete = true,
                                .main = true,
                                .rank = seniority_signer(&a, before, n->m)};
    seniority_follow(n->parent, before, n->m, &out->seniority);
    return true;
}

static enum policy_refusal append(struct gossip *g, const struct newcomer *n)
{
    struct policy *p = &g->policy;
    struct newcomer last = *n;
    if (!reserve(&p->root, &p->root_cap, p->root_count + 1)) return POLICY_FULL;
    if (n->after != NULL) last.after = &p->root[p->root_count - 1]; /* the array may have moved */
    if (!make_item(g, &last, &p->root[p->root_count])) return POLICY_FULL;
    p->root_count++;
    if (decode_newest(p)) return POLICY_ACCEPTED;
    truncate(p, p->root_count - 1);
    return POLICY_FULL;
}

static int by_rank(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void ranks_of(const struct policy_item *root, size_t count, uint32_t *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = root[i].rank;
    qsort(out, count, sizeof(*out), by_rank);
}

/* Below 0: ours stays. The most senior signature decides, wherever on the branch it is; then how
 * many there are of it, then the next. What both have in common would add the same to both, so that
 * of any three chains the same one is the first, in whatever order they are met. */
static int challenge(const struct policy *p, const struct policy_fork *f)
{
    uint32_t mine[POLICY_ROOTS_MAX], theirs[POLICY_ROOTS_MAX];
    size_t base = (size_t)f->root[0].ref.gen - 1, count = p->root_count - base;
    ranks_of(p->root + base, count, mine);
    ranks_of(f->root, f->count, theirs);
    for (size_t i = 0; i < count && i < f->count; i++)
        if (mine[i] != theirs[i]) return mine[i] < theirs[i] ? -1 : 1;
    return (f->count > count) - (f->count < count);
}

static bool wins(const struct policy *p, const struct policy_fork *f, bool ours)
{
    int order = challenge(p, f);
    if (order != 0 || ours) return order > 0;
    const struct policy_item *rival = &p->root[f->root[0].ref.gen - 1];
    return manifest_hash_cmp(&f->root[0].ref.hash, &rival->ref.hash) < 0;
}

/* The branch takes the place of ours. */
static enum policy_refusal switch_to(struct policy *p, struct policy_fork *f)
{
    size_t base = (size_t)f->root[0].ref.gen - 1;
    if (!reserve(&p->root, &p->root_cap, base + f->count)) return POLICY_FULL;
    truncate(p, base);
    memcpy(p->root + base, f->root, f->count * sizeof(*f->root));
    p->root_count = base + f->count;
    f->count = 0;
    clear(f);
    return decode_newest(p) ? POLICY_ACCEPTED : POLICY_FULL;
}

/* Of who we pull from, the branch is kept as it grows; of others each root stands for itself. */
static enum policy_refusal rival(struct gossip *g, const struct newcomer *n,
                                 const struct member *from)
{
    struct policy *p = &g->policy;
    struct policy_fork lone = {.count = 0};
    struct policy_fork *f = gathers(p, from) ? &p->fork : &lone;
    struct policy_item i;
    enum policy_refusal r = POLICY_FULL;
    if (!make_item(g, n, &i)) return POLICY_FULL;
    if (n->on_chain) clear(f);
    size_t kept = n->on_chain ? 0 : (size_t)(i.ref.gen - f->root[0].ref.gen);
    while (f->count > kept)
        free(f->root[--f->count].bytes);
    if (reserve(&f->root, &f->cap, f->count + 1)) {
        f->root[f->count++] = i;
        r = wins(p, f, from == NULL) ? switch_to(p, f) : POLICY_FORK_LOST;
    } else {
        free(i.bytes);
    }
    clear(&lone);
    return r;
}

static enum policy_refusal judge(struct gossip *g, const struct newcomer *n, struct member *from)
{
    const struct policy *p = &g->policy;
    if (!catalogue_may_verify(g, from)) return POLICY_FULL;
    const struct authority a = authority_of(g, n);
    enum policy_refusal r = authority_check(&a, n->wire, n->m);
    if (r != POLICY_ACCEPTED) return r;
    if (n->on_chain && n->m->gen == p->root_count + 1) return append(g, n);
    r = rival(g, n, from);
    return r == POLICY_FORK_LOST && from == NULL ? POLICY_NOT_HEAD : r;
}

bool policy_root_append(struct gossip *g, struct span wire, const struct manifest *m,
                        const struct manifest_hash *hash)
{
    struct policy *p = &g->policy;
    struct newcomer n = {.wire = wire, .m = m, .hash = hash};
    if (m->gen != p->root_count + 1 || p->root_count == POLICY_ROOTS_MAX) return false;
    bool done = find_parent(p, false, &n) == POLICY_ACCEPTED && append(g, &n) == POLICY_ACCEPTED;
    free(n.parent);
    return done;
}

enum policy_refusal policy_root_take(struct gossip *g, struct span wire, const struct manifest *m,
                                     const struct manifest_hash *hash, struct member *from)
{
    struct policy *p = &g->policy;
    const struct manifest_ref ref = {.gen = m->gen, .hash = *hash};
    struct newcomer n = {.wire = wire, .m = m, .hash = hash};
    if (policy_root_has(p, &ref)) return POLICY_KNOWN;
    if (on_fork(p, &ref) != NULL && gathers(p, from)) return POLICY_FORK_LOST;
    if (m->gen > POLICY_ROOTS_MAX) return POLICY_ROOTS_FULL;
    enum policy_refusal r = find_parent(p, gathers(p, from), &n);
    if (r == POLICY_ACCEPTED) r = judge(g, &n, from);
    free(n.parent);
    if (r == POLICY_UNKNOWN_PARENT && from == NULL && m->gen <= p->root_count)
        return POLICY_NOT_HEAD;
    if (r != POLICY_ACCEPTED) return r;
    p->changed = true;
    policy_store_soon(g);
    const struct manifest_ref newest = policy_root_ref(p);
    policy_news_tell(g, NEWS_ROOT, &newest);
    keyring_root(g, p->authority, &newest);
    return POLICY_ACCEPTED;
}
