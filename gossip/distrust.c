#include "gossip/distrust.h"

static const struct distrust_slot *find(const struct distrust *d, const struct node_id *accuser)
{
    for (uint32_t i = 0; i < d->used; i++)
        if (name_node_id_cmp(&d->slot[i].id, accuser) == 0) return &d->slot[i];
    return NULL;
}

/* The accuser's, or a free one, or whose last note is the oldest. */
static struct distrust_slot *take(struct distrust *d, const struct node_id *accuser)
{
    struct distrust_slot *oldest = &d->slot[0];
    for (uint32_t i = 0; i < d->used; i++) {
        struct distrust_slot *s = &d->slot[i];
        if (name_node_id_cmp(&s->id, accuser) == 0) return s;
        if (s->noted_ms < oldest->noted_ms) oldest = s;
    }
    if (d->used < DISTRUST_SLOTS) oldest = &d->slot[d->used++];
    *oldest = (struct distrust_slot){.id = *accuser};
    return oldest;
}

bool distrust_note(struct distrust *d, const struct node_id *accuser, uint64_t now_ms)
{
    struct distrust_slot *s = take(d, accuser);
    s->noted_ms = now_ms;
    if (s->refuted == 0 || now_ms - s->since_ms >= DISTRUST_WINDOW_MS) {
        s->since_ms = now_ms;
        s->refuted = 0;
    }
    if (++s->refuted <= DISTRUST_REFUTED || now_ms < s->until_ms) return false;
    s->until_ms = now_ms + DISTRUST_MUTED_MS;
    return true;
}

bool distrust_muted(const struct distrust *d, const struct node_id *accuser, uint64_t now_ms)
{
    const struct distrust_slot *s = find(d, accuser);
    return s != NULL && now_ms < s->until_ms;
}
