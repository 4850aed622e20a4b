#include "gossip/pull.h"

#include "gossip/catalogue.h"
#include "gossip/reconcile.h"
#include "gossip/state.h"

#include <assert.h>
#include <stdlib.h>

#define SOON_MS   50u /* several lacks make one stream */
#define AGAIN_MS  1000u
#define TRIES_MAX 5u
#define FIRST_CAP 8u

static_assert(PULL_LACKS_MAX % FIRST_CAP == 0, "doubling ends at the most");

static struct pull_lack *find(struct pull_table *t, const uint8_t id8[NODE_ID_SHORT_BYTES])
{
    for (size_t i = 0; i < t->count; i++)
        if (memcmp(t->lack[i].id, id8, NODE_ID_SHORT_BYTES) == 0) return &t->lack[i];
    return NULL;
}

static void drop(struct pull_table *t, struct pull_lack *p)
{
    *p = t->lack[--t->count];
}

static bool make_room(struct pull_table *t)
{
    if (t->count < t->cap) return true;
    if (t->count == PULL_LACKS_MAX) return false;
    size_t cap = t->cap > 0 ? t->cap * 2 : FIRST_CAP;
    struct pull_lack *lack = realloc(t->lack, cap * sizeof(lack[0]));
    if (lack == NULL) return false;
    t->lack = lack;
    t->cap = cap;
    return true;
}

void pull_fini(struct pull_table *t)
{
    free(t->lack);
    t->lack = NULL;
    t->count = t->cap = 0;
}

void pull_lack(struct gossip *g, const struct node_id *id, const struct member *from)
{
    struct pull_table *t = &g->pulls;
    struct pull_lack *known = find(t, id->byte);
    if (known != NULL && !known->once) return;
    if (known != NULL) drop(t, known); /* someone vouches for it */
    if (!make_room(t)) {
        g->counters.dropped_quota++;
        t->missed = true;
        return;
    }
    struct pull_lack *p = &t->lack[t->count++];
    *p = (struct pull_lack){.due_ms = g->now_ms + SOON_MS};
    memcpy(p->id, id->byte, NODE_ID_SHORT_BYTES);
    memcpy(p->from, from != NULL ? from->head->owner.byte : id->byte, NODE_ID_SHORT_BYTES);
    sync_look_by(g, p->due_ms);
}

void pull_stranger(struct gossip *g, const uint8_t id8[NODE_ID_SHORT_BYTES])
{
    struct node_id id = {{0}};
    if (g->now_ms < g->pulls.stranger_ms) return;
    g->pulls.stranger_ms = g->now_ms + PULL_STRANGER_MS;
    if (find(&g->pulls, id8) != NULL) return;
    memcpy(id.byte, id8, NODE_ID_SHORT_BYTES);
    pull_lack(g, &id, NULL);
    struct pull_lack *p = find(&g->pulls, id8);
    if (p != NULL) p->once = true;
}

void pull_have(struct gossip *g, const struct node_id *id)
{
    struct pull_lack *p = find(&g->pulls, id->byte);
    if (p != NULL) drop(&g->pulls, p);
}

/* The digest does not show that a part is missing, so those that found no room are looked for. */
static void find_gaps(struct gossip *g)
{
    struct pull_table *t = &g->pulls;
    if (!t->missed || t->count > PULL_LACKS_MAX / 2) return;
    t->missed = false;
    for (size_t i = 0; i < g->members.count && !t->missed; i++) {
        const struct member *m = member_peek(&g->members, i);
        if (catalogue_has_gap(m)) pull_lack(g, &m->head->owner, NULL);
    }
}

/* A stranger that nobody sends is given up: whoever knows it, differs in digest from us. A part of
 * a live member's record is not. */
static bool give_up(const struct gossip *g, const struct pull_lack *p)
{
    const struct member *m = member_find_short(&g->members, p->id);
    if (m != NULL) return !catalogue_has_gap(m);
    return p->tries >= (p->once ? 1 : TRIES_MAX);
}

static struct member *source(struct gossip *g, const struct pull_lack *p)
{
    const uint8_t *id = p->tries % 2 == 0 ? p->from : p->id;
    struct member *m = member_find_short(&g->members, id);
    if (m == NULL || m->self || !member_is_live(m) || p->tries > 2)
        m = gossip_random_member(g, g->self.member);
    return m;
}

/* One stream for what is due of the first one's source; the last stream asks that source for all
 * that is due. False: nothing was. */
static bool start(struct gossip *g, bool last)
{
    struct pull_table *t = &g->pulls;
    uint8_t ids[PULL_LACKS_MAX * NODE_ID_SHORT_BYTES];
    size_t n = 0;
    struct member *whom = NULL;
    for (size_t i = 0; i < t->count;) {
        struct pull_lack *p = &t->lack[i];
        if (p->due_ms > g->now_ms) {
            i++;
            continue;
        }
        if (give_up(g, p)) {
            drop(t, p);
            continue;
        }
        struct member *from = whom != NULL && last ? whom : source(g, p);
        if (whom == NULL) whom = from;
        if (from != NULL && from == whom) {
            memcpy(ids + n++ * NODE_ID_SHORT_BYTES, p->id, NODE_ID_SHORT_BYTES);
            p->due_ms = g->now_ms + ((uint64_t)AGAIN_MS << p->tries) + rng_below(&g->rng, AGAIN_MS);
            if (p->tries < TRIES_MAX) p->tries++;
        }
        i++;
    }
    if (n == 0) return false;
    struct stream *s = stream_dial(g, whom, NULL, STREAM_PULL);
    if (s == NULL) return false;
    g->counters.syncs_started++;
    /* Kept until the stream opens; nothing is sent before. */
    if (reconcile_note_wants(s, ids, n)) return true;
    stream_close(g, s);
    return false;
}

void pull_look(struct gossip *g, uint32_t streams)
{
    find_gaps(g);
    while (streams > 0 && g->pulls.count > 0 && start(g, streams == 1))
        streams--;
}

uint64_t pull_due_ms(const struct gossip *g)
{
    uint64_t due = UINT64_MAX;
    for (size_t i = 0; i < g->pulls.count; i++)
        if (g->pulls.lack[i].due_ms < due) due = g->pulls.lack[i].due_ms;
    return due;
}
