#include "core/wire/link_place.h"

#include "core/base/check.h"
#include "core/wire/link_send.h"
#include "core/wire/link_window.h"

static bool is_of(const struct link_place *p, int32_t id)
{
    return p->generation == (uint32_t)id / LINK_PLACES;
}

static const struct link_place *at(const struct link *l, int32_t id)
{
    return &l->place[(uint32_t)id % LINK_PLACES];
}

void link_place_take(struct link *l, int32_t id, struct mux_stream *s, bool narrow)
{
    struct link_place *p = link_place(l, id);
    CHECK((p->state & PLACE_OPEN) == 0);
    uint32_t generation = (uint32_t)id / LINK_PLACES;
    if (generation < p->generation) p->state |= PLACE_WRAPPED;
    p->generation = generation;
    p->state = PLACE_OPEN | (p->state & (PLACE_STALE | PLACE_WRAPPED));
    p->s = s;
    l->open_places++;
    if (!l->last_told) l->requests++;
    if (s == NULL) return;
    s->id = id;
    s->begun_ms = l->now_ms;
    s->turn = s->node = (struct list){NULL, NULL};
    s->ordinal = l->requests;
    s->queued_until = 0;
    s->body_left = -1;
    s->turn_bytes = 0;
    s->peer_ended = false;
    s->deferred = s->head_seen = s->sent = s->has_body = s->bodiless = false;
    link_window_begin(l, s, narrow);
    mux_join(&l->mux, s);
}

bool link_place_is_open(const struct link *l, int32_t id)
{
    const struct link_place *p = at(l, id);
    return is_of(p, id) && (p->state & PLACE_OPEN) != 0;
}

struct mux_stream *link_place_stream(const struct link *l, int32_t id)
{
    return link_place_is_open(l, id) ? at(l, id)->s : NULL;
}

void link_place_leave(struct link *l, struct mux_stream *s)
{
    link_place(l, s->id)->s = NULL;
    link_send_drop(s);
    mux_part(&l->mux, s);
    link_window_leave(l, s);
}

void link_place_close(struct link *l, int32_t id, enum mux_close how)
{
    struct link_place *p = link_place(l, id);
    struct mux_stream *s = p->s;
    p->state &= PLACE_STALE | PLACE_ABANDONED | PLACE_WRAPPED;
    l->open_places--;
    /* Behind GOAWAY no more than it granted. */
    if (!l->last_told) mux_flood_ended(&l->flood);
    if (!l->server) l->free_place[l->free_count++] = (uint8_t)((uint32_t)id % LINK_PLACES);
    if (s == NULL) return;
    link_place_leave(l, s);
    l->events->on_close(l->owner, s, how);
}

void link_place_abandon(struct link *l, int32_t id, enum mux_close how)
{
    link_place(l, id)->state |= PLACE_ABANDONED | PLACE_STALE;
    link_place_close(l, id, how);
}

void link_place_settle(struct link *l, int32_t id)
{
    const struct link_place *p = at(l, id);
    const uint8_t ended = PLACE_OPEN | PLACE_PEER_ENDED | PLACE_WE_ENDED;
    if (!is_of(p, id) || (p->state & ended) != ended) return;
    /* The peer may know it before the end has left that is queued. */
    if (p->s != NULL && list_linked(&p->s->turn)) return;
    link_place_close(l, id, MUX_CLOSED);
}
