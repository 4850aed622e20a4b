#include "core/wire/link_recv.h"

#include "core/base/check.h"
#include "core/wire/mux_head.h"
#include "core/wire/link_place.h"
#include "core/wire/link_send.h"
#include "core/wire/link_window.h"

/* --- errors --- */

static void end_with(struct link *l, enum link_goaway reason)
{
    if (l->over) return;
    l->over = true;
    link_send_goaway(l, reason);
}

static void broken(struct link *l)
{
    end_with(l, LINK_BROKEN);
}

static void flood_spend(struct link *l)
{
    if (!mux_flood_spend(&l->flood, l->now_ms)) end_with(l, LINK_FLOOD);
}

/* Of a frame for a stream that is over. */
static void late_spend(struct link *l)
{
    if (!mux_flood_late(&l->flood, l->now_ms)) end_with(l, LINK_FLOOD);
}

/* RFC 9113 8.1.1: the stream ends, on both sides. */
static void malformed(struct link *l, int32_t id)
{
    link_send_reset(l, id, MUX_RESET);
    flood_spend(l);
    link_place_abandon(l, id, MUX_RESET);
}

/* --- which stream --- */

enum whose { WHOSE_OPEN, WHOSE_LATE, WHOSE_NOBODYS };

/* One before the last of its place. Where generations have begun anew, which a busy link's first
 * place does within the hour, the nearer way round counts. */
static bool is_older(const struct link_place *p, uint32_t generation)
{
    if (generation == 0 || generation == p->generation) return false;
    if ((p->state & PLACE_WRAPPED) == 0) return generation < p->generation;
    return (p->generation + LINK_GENERATIONS - generation) % LINK_GENERATIONS <
           LINK_GENERATIONS / 2;
}

/* Of a frame that may come late for a stream that we reset. */
static enum whose whose(const struct link *l, int32_t id)
{
    const struct link_place *p = &l->place[(uint32_t)id % LINK_PLACES];
    uint32_t generation = (uint32_t)id / LINK_PLACES;
    if (generation == 0) return WHOSE_NOBODYS;
    if (generation != p->generation) {
        /* The client may have taken the place again; a server never sees an older one. */
        bool stale = !l->server && (p->state & PLACE_STALE) != 0;
        return stale && is_older(p, generation) ? WHOSE_LATE : WHOSE_NOBODYS;
    }
    if ((p->state & PLACE_OPEN) == 0)
        return (p->state & PLACE_ABANDONED) != 0 ? WHOSE_LATE : WHOSE_NOBODYS;
    return (p->state & PLACE_PEER_ENDED) != 0 ? WHOSE_NOBODYS : WHOSE_OPEN;
}

/* Of a RESET or CREDIT, which may cross the end of its stream: was it ever opened? */
static bool was_opened(const struct link *l, int32_t id)
{
    const struct link_place *p = &l->place[(uint32_t)id % LINK_PLACES];
    uint32_t generation = (uint32_t)id / LINK_PLACES;
    return generation != 0 && (generation == p->generation || is_older(p, generation));
}

/* --- heads --- */

static void peer_ended(struct link *l, int32_t id)
{
    struct link_place *p = link_place(l, id);
    p->state |= PLACE_PEER_ENDED;
    if (p->s == NULL) return;
    p->s->peer_ended = true;
    link_window_ended(l, p->s);
}

/* A response that has no body whatever its fields say (RFC 9110 6.4.1). */
static bool has_no_body(const struct mux_stream *s)
{
    return s->bodiless || s->head.status == 204 || s->head.status == 304;
}

static void expect_body(const struct link *l, struct mux_stream *s)
{
    bool counts = l->server ? !span_eq(s->head.method, SPAN_LIT("CONNECT")) : !has_no_body(s);
    s->body_left = counts ? s->head.content_length : -1;
    if (!l->server && has_no_body(s)) s->body_left = 0;
}

static void give_head(struct link *l, struct mux_stream *s)
{
    int32_t id = s->id;
    expect_body(l, s);
    if (l->end && s->body_left > 0) {
        malformed(l, id);
        return;
    }
    s->head_seen = true;
    if (!l->server) s->begun_ms = l->now_ms;
    if (l->end) peer_ended(l, id);
    l->events->on_head(l->owner, s, l->end);
    if (l->end) link_place_settle(l, id);
}

/* Throws a head away that nobody waits for, but not what it does to the slots. */
static void skip_head(struct link *l, enum link_head_kind kind, struct span in)
{
    if (link_head_read(&l->receive, kind, in, NULL) == ERR_PROTOCOL) broken(l);
}

static bool may_take(const struct link *l, int32_t id)
{
    const struct link_place *p = &l->place[(uint32_t)id % LINK_PLACES];
    return (uint32_t)id % LINK_PLACES < l->streams_max && (p->state & PLACE_OPEN) == 0 &&
           (uint32_t)id / LINK_PLACES == link_next_generation(p->generation);
}

static void on_request(struct link *l, struct span in)
{
    int32_t id = (int32_t)l->id;
    if (!may_take(l, id)) {
        broken(l);
        return;
    }
    struct mux_stream *s = l->last_told ? NULL : l->events->on_begin(l->owner);
    link_place_take(l, id, s, l->narrow_head);
    if (s == NULL) {
        if (l->last_told) late_spend(l);
        skip_head(l, LINK_HEAD_REQUEST, in);
        /* Behind GOAWAY the peer knows by its count; a refusal would be one word too many. */
        if (!l->last_told) link_send_reset(l, id, MUX_REFUSED);
        link_place_abandon(l, id, MUX_REFUSED);
        return;
    }
    enum err err = link_head_read(&l->receive, LINK_HEAD_REQUEST, in, s);
    if (err == ERR_PROTOCOL)
        broken(l);
    else if (err != ERR_OK)
        malformed(l, id);
    else
        give_head(l, s);
}

static void on_response(struct link *l, struct span in)
{
    int32_t id = (int32_t)l->id;
    enum whose of = whose(l, id);
    struct mux_stream *s = link_place_stream(l, id);
    if (of == WHOSE_NOBODYS || (s != NULL && s->head_seen)) {
        broken(l);
        return;
    }
    if (s == NULL) {
        late_spend(l);
        skip_head(l, LINK_HEAD_RESPONSE, in);
        if (of != WHOSE_OPEN || !l->end) return;
        peer_ended(l, id);
        link_place_settle(l, id);
        return;
    }
    enum err err = link_head_read(&l->receive, LINK_HEAD_RESPONSE, in, s);
    bool interim = s->head.status / 100 == 1;
    if (err == ERR_PROTOCOL)
        broken(l);
    else if (err != ERR_OK || (interim && l->end))
        malformed(l, id);
    else if (!interim)
        give_head(l, s);
    else if (l->events->on_interim != NULL)
        l->events->on_interim(l->owner, s);
}

static void on_trailers(struct link *l, struct span in)
{
    int32_t id = (int32_t)l->id;
    enum whose of = whose(l, id);
    struct mux_stream *s = link_place_stream(l, id);
    if (of == WHOSE_NOBODYS || (s != NULL && !s->head_seen)) {
        broken(l);
        return;
    }
    if (s == NULL) {
        late_spend(l);
        skip_head(l, LINK_HEAD_TRAILERS, in);
        if (of != WHOSE_OPEN) return;
        peer_ended(l, id);
        link_place_settle(l, id);
        return;
    }
    struct headers *fields = arena_alloc(s->arena, sizeof *fields);
    if (fields != NULL) s->fields = fields;
    enum err err = link_head_read(&l->receive, LINK_HEAD_TRAILERS, in, fields != NULL ? s : NULL);
    if (err == ERR_PROTOCOL) {
        broken(l);
        return;
    }
    if (err != ERR_OK || fields == NULL || s->body_left > 0) {
        malformed(l, id);
        return;
    }
    peer_ended(l, id);
    l->events->on_end(l->owner, s, s->head.too_large ? NULL : s->fields);
    link_place_settle(l, id);
}

/* --- bodies --- */

static void end_of_data(struct link *l, int32_t id)
{
    struct mux_stream *s = link_place_stream(l, id);
    if (s != NULL && s->body_left > 0) {
        malformed(l, id);
        return;
    }
    peer_ended(l, id);
    if (s != NULL) l->events->on_end(l->owner, s, NULL);
    link_place_settle(l, id);
}

/* False: the frame may not come. */
static bool begin_data(struct link *l)
{
    int32_t id = (int32_t)l->id;
    enum whose of = whose(l, id);
    struct mux_stream *s = of == WHOSE_OPEN ? link_place_stream(l, id) : NULL;
    if (of == WHOSE_NOBODYS || (s != NULL && !s->head_seen)) return false;
    if (!link_window_take(l, s, l->left)) return false;
    if (l->left == 0 && !l->end) flood_spend(l);
    if (l->left == 0 && l->end && s == NULL) late_spend(l);
    if (s == NULL || s->body_left < 0) return true;
    if (l->left > s->body_left)
        malformed(l, id);
    else
        s->body_left -= l->left;
    return true;
}

static void give_data(struct link *l, struct span data)
{
    struct mux_stream *s = link_place_stream(l, (int32_t)l->id);
    if (s == NULL) {
        /* Nobody will read it: the window goes back at once (performance.md 9). */
        link_window_give(l, NULL, data.len);
        return;
    }
    link_window_unread(l, s, data.len);
    l->events->on_data(l->owner, s, data);
}

/* --- control frames --- */

static void on_hello(struct link *l, struct span in)
{
    uint32_t streams = link_get_u32(in.p) >> 16, window = link_get_u32(in.p + 6);
    l->peer_streams_max = streams < LINK_PLACES ? streams : LINK_PLACES;
    l->peer_stream_window = link_get_u32(in.p + 2);
    l->send_window = window;
    if (l->peer_stream_window > INT32_MAX || window > INT32_MAX) {
        broken(l);
        return;
    }
    l->hello_seen = true;
    /* Places are given from the end of the list: the lowest first. */
    for (uint32_t i = l->peer_streams_max; !l->server && i > 0; i--)
        l->free_place[l->free_count++] = (uint8_t)(i - 1);
    if (l->events->on_settings != NULL) l->events->on_settings(l->owner);
}

static void on_reset(struct link *l, struct span in)
{
    int32_t id = (int32_t)l->id;
    unsigned how = (unsigned char)in.p[0];
    struct mux_stream *s = link_place_stream(l, id);
    if (!was_opened(l, id) || how > MUX_RESET) {
        broken(l);
        return;
    }
    if (!link_place_is_open(l, id)) {
        late_spend(l);
        return;
    }
    if (l->server && s != NULL && l->now_ms - s->begun_ms < MUX_FLOOD_RAPID_MS) flood_spend(l);
    link_place_close(l, id, (enum mux_close)how);
}

static void on_credit(struct link *l, struct span in)
{
    int32_t id = (int32_t)l->id;
    uint32_t bytes = link_get_u32(in.p);
    struct mux_stream *s = id != 0 ? link_place_stream(l, id) : NULL;
    int64_t *window = id == 0 ? &l->send_window : s != NULL ? &s->send_window : NULL;
    if (bytes == 0 || bytes > INT32_MAX || (id != 0 && !was_opened(l, id))) {
        broken(l);
        return;
    }
    if (bytes < LINK_CREDIT_BYTES_MIN) flood_spend(l);
    if (window == NULL) return;
    *window += bytes;
    if (*window > INT32_MAX) {
        broken(l);
        return;
    }
    if (id == 0)
        link_send_unblock(l);
    else
        link_send_credited(l, s);
}

static void refuse_beyond(struct link *l, uint32_t accepted)
{
    for (uint32_t i = 0; i < LINK_PLACES; i++) {
        struct link_place *p = &l->place[i];
        if ((p->state & PLACE_OPEN) == 0 || p->s == NULL) continue;
        if ((int32_t)(p->s->ordinal - accepted) > 0) link_place_close(l, p->s->id, MUX_REFUSED);
    }
}

static void on_goaway(struct link *l, struct span in)
{
    unsigned reason = (unsigned char)in.p[0];
    if (reason > LINK_FLOOD || (l->server && reason < LINK_BROKEN)) {
        broken(l);
        return;
    }
    /* Two are usual; each looks at all places. */
    flood_spend(l);
    if (l->over) return;
    l->leaving = true;
    if (l->events->on_goaway != NULL) l->events->on_goaway(l->owner);
    if (reason >= LINK_LAST && !l->server) refuse_beyond(l, link_get_u32(in.p + 1));
    if (reason >= LINK_BROKEN) l->over = true;
}

static void on_ping(struct link *l)
{
    flood_spend(l);
    if (!l->over) link_send_frame(l, LINK_PONG, 0, span_of(NULL, 0));
}

static void on_pong(struct link *l)
{
    if (!mux_quit_ponged(&l->mux.quit, l->now_ms)) flood_spend(l);
}

static void handle(struct link *l, struct span in)
{
    switch ((enum link_type)l->type) {
    case LINK_HELLO:
        on_hello(l, in);
        break;
    case LINK_HEAD:
        if (l->server)
            on_request(l, in);
        else
            on_response(l, in);
        break;
    case LINK_TRAILERS:
        on_trailers(l, in);
        break;
    case LINK_RESET:
        on_reset(l, in);
        break;
    case LINK_CREDIT:
        on_credit(l, in);
        break;
    case LINK_PING:
        on_ping(l);
        break;
    case LINK_PONG:
        on_pong(l);
        break;
    case LINK_GOAWAY:
        on_goaway(l, in);
        break;
    case LINK_DATA:
    case LINK_TYPE_COUNT:
        break;
    }
}

/* --- frames out of bytes --- */

struct shape {
    uint32_t least, most; /* payload */
    bool stream, connection;
    unsigned flags;
};

static const struct shape shapes[LINK_TYPE_COUNT] = {
    [LINK_HELLO] = {LINK_HELLO_BYTES, LINK_HELLO_BYTES_MAX, false, true, 0},
    [LINK_HEAD] = {2, LINK_HEAD_BYTES_MAX, true, false, LINK_FLAG_END | LINK_FLAG_NARROW},
    [LINK_TRAILERS] = {0, LINK_HEAD_BYTES_MAX, true, false, 0},
    [LINK_DATA] = {0, LINK_DATA_BYTES_MAX, true, false, LINK_FLAG_END},
    [LINK_RESET] = {1, 1, true, false, 0},
    [LINK_CREDIT] = {LINK_CREDIT_BYTES, LINK_CREDIT_BYTES, true, true, 0},
    [LINK_PING] = {0, 0, false, true, 0},
    [LINK_PONG] = {0, 0, false, true, 0},
    [LINK_GOAWAY] = {LINK_GOAWAY_BYTES, LINK_GOAWAY_BYTES, false, true, 0},
};

/* Is there such a frame, here? */
static bool frame_fine(const struct link *l, unsigned flags)
{
    if (l->type >= LINK_TYPE_COUNT) return false;
    const struct shape *shape = &shapes[l->type];
    if (l->left < shape->least || l->left > shape->most) return false;
    if ((flags & ~shape->flags) != 0) return false;
    if ((flags & LINK_FLAG_NARROW) != 0 && !l->server) return false;
    if (l->id == 0 ? !shape->connection : !shape->stream || l->id > INT32_MAX) return false;
    return l->hello_seen == (l->type != LINK_HELLO);
}

static bool begin_frame(struct link *l, const char *p)
{
    uint32_t first = link_get_u32(p);
    l->left = first >> 8;
    l->type = first & 0x0f;
    l->id = link_get_u32(p + 4);
    l->end = (first & LINK_FLAG_END) != 0;
    l->narrow_head = (first & LINK_FLAG_NARROW) != 0;
    l->in_frame = true;
    return frame_fine(l, first & 0xf0) && (l->type != LINK_DATA || begin_data(l));
}

/* The frame's head; how many bytes of `in` it took. */
static size_t take_head(struct link *l, struct span in)
{
    const char *p = in.p;
    size_t len = LINK_FRAME_HEAD_BYTES;
    if (l->head_len > 0 || in.len < LINK_FRAME_HEAD_BYTES) {
        len -= l->head_len;
        if (len > in.len) len = in.len;
        memcpy(l->head + l->head_len, in.p, len);
        l->head_len += len;
        if (l->head_len < LINK_FRAME_HEAD_BYTES) return len;
        p = (const char *)l->head;
        l->head_len = 0;
    }
    if (!begin_frame(l, p)) broken(l);
    return len;
}

static size_t take_data(struct link *l, struct span in)
{
    size_t len = in.len < l->left ? in.len : l->left;
    l->left -= (uint32_t)len;
    if (len > 0) give_data(l, span_of(in.p, len));
    if (l->left > 0) return len;
    l->in_frame = false;
    if (l->end && whose(l, (int32_t)l->id) == WHOSE_OPEN) end_of_data(l, (int32_t)l->id);
    return len;
}

/* A frame that lies in pieces is put together; its length was checked. */
static size_t take_piece(struct link *l, struct span in)
{
    size_t len = in.len < l->left ? in.len : l->left;
    if (l->whole == NULL) {
        l->whole = mux_purse_get(&l->mux.purse, l->left);
        l->whole_len = 0;
        if (l->whole == NULL) {
            l->no_memory = l->over = true;
            return len;
        }
    }
    memcpy(l->whole + l->whole_len, in.p, len);
    l->whole_len += (uint32_t)len;
    l->left -= (uint32_t)len;
    if (l->left > 0) return len;
    l->in_frame = false;
    handle(l, span_of(l->whole, l->whole_len));
    mux_purse_put(&l->mux.purse, l->whole);
    l->whole = NULL;
    return len;
}

static size_t take_payload(struct link *l, struct span in)
{
    if (l->type == LINK_DATA) return take_data(l, in);
    if (l->whole != NULL || in.len < l->left) return take_piece(l, in);
    size_t len = l->left;
    l->in_frame = false;
    handle(l, span_of(in.p, len));
    return len;
}

enum err link_recv_feed(struct mux *m, struct span in, uint64_t now_ms)
{
    struct link *l = link_of(m);
    size_t at = 0;
    l->now_ms = now_ms;
    /* A frame of no bytes is complete with its head. */
    while (!l->over && (at < in.len || (l->in_frame && l->left == 0)))
        at += l->in_frame ? take_payload(l, span_skip(in, at)) : take_head(l, span_skip(in, at));
    return l->over ? ERR_PROTOCOL : ERR_OK;
}
