#include "gossip/gossip_policy.h"

#include "gossip/rollout_vote.h"
#include "gossip/state.h"

const char *gossip_policy_refusal_word(enum policy_refusal r)
{
#define REFUSAL_WORD(code, word, err) word,
    static const char *const words[POLICY_REFUSALS] = {POLICY_REFUSAL_LIST(REFUSAL_WORD)};
#undef REFUSAL_WORD
    return (unsigned)r < POLICY_REFUSALS ? words[r] : "unknown";
}

enum err gossip_policy_refusal_err(enum policy_refusal r)
{
#define REFUSAL_ERR(code, word, err) err,
    static const enum err errs[POLICY_REFUSALS] = {POLICY_REFUSAL_LIST(REFUSAL_ERR)};
#undef REFUSAL_ERR
    return (unsigned)r < POLICY_REFUSALS ? errs[r] : ERR_INTERNAL;
}

uint64_t gossip_policy_refusals(const struct gossip *g, enum policy_refusal r)
{
    return (unsigned)r < POLICY_REFUSALS ? g->policy.refusals[r] : 0;
}

enum policy_refusal gossip_policy_intent_refusal(const struct gossip *g)
{
    return g->policy.intent;
}

struct manifest_ref gossip_policy_head(const struct gossip *g, enum manifest_scope scope)
{
    return scope == MANIFEST_ROOT ? policy_root_ref(&g->policy) : policy_head_ref(&g->policy);
}

struct manifest_ref gossip_policy_active(const struct gossip *g)
{
    return g->policy.rollout.in_force;
}

static void describe(const struct gossip *g, const struct policy_item *i, bool head,
                     struct gossip_policy_entry *out)
{
    *out = (struct gossip_policy_entry){
        .ref = i->ref,
        .bytes = span_of(i->bytes, i->len),
        .confirm = span_of(i->confirm, i->confirmed ? sizeof(i->confirm) : 0),
        .head = head,
        .active = manifest_ref_eq(&i->ref, &g->policy.rollout.in_force),
        .sibling = !i->main,
        .complete = i->complete,
        .confirm_by_ms = rollout_confirm_by_ms(i),
    };
}

bool gossip_policy_next(const struct gossip *g, enum manifest_scope scope, size_t *pos,
                        struct gossip_policy_entry *out)
{
    const struct policy *p = &g->policy;
    size_t at = (*pos)++;
    if (scope == MANIFEST_ROOT) {
        if (at >= p->root_count) return false;
        describe(g, &p->root[p->root_count - 1 - at], at == 0, out);
        return true;
    }
    if (at >= p->held_count) return false;
    describe(g, p->held[at], p->held[at] == p->head, out);
    return true;
}

enum err gossip_policy_get(const struct gossip *g, enum manifest_scope scope,
                           const struct manifest_ref *ref, struct gossip_policy_entry *out)
{
    struct gossip_policy_entry e;
    for (size_t pos = 0; gossip_policy_next(g, scope, &pos, &e);) {
        if (!manifest_ref_eq(&e.ref, ref)) continue;
        *out = e;
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

struct span gossip_policy_text(const struct gossip *g, const struct manifest_hash *hash)
{
    const struct policy_text *t = policy_text_find(&g->policy.texts, hash);
    return t != NULL ? span_of(t->bytes, t->len) : span_of(NULL, 0);
}

void gossip_policy_status(const struct gossip *g, struct status *out)
{
    *out = g->self.status;
}

enum err gossip_policy_member_status(const struct gossip *g, const struct node_id *id,
                                     struct status *out)
{
    const struct member *m = member_find(&g->members, id);
    struct status s;
    if (m == NULL || member_status(m).len == 0) return ERR_NOT_FOUND;
    if (status_decode(member_status(m), &s) != ERR_OK) return ERR_NOT_FOUND;
    *out = s;
    return ERR_OK;
}

bool gossip_policy_is_mute(const struct gossip *g, const struct node_id *id)
{
    return rollout_vote_is_mute(&g->policy.rollout, id->byte);
}

const char *gossip_policy_waits_for(const struct gossip *g)
{
    return g->policy.rollout.waits;
}
