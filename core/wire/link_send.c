#include "core/wire/link_send.h"

#include "core/base/check.h"
#include "core/wire/link_place.h"

#define QUEUE_BYTES_MIN 512u
/* What is left of a record is filled, and be it to run over by as much. */
#define DATA_BYTES_MIN 64u

/* --- the queue --- */

/* Room for `len` bytes at the queue's end; NULL: none. */
static char *reserve(struct link *l, size_t len)
{
    struct link_queue *q = &l->queue;
    /* One that is never empty grows little by what has left. */
    if (q->at > 0 && q->at >= q->len / 8 && q->at + q->len + len > q->cap) {
        memmove(q->p, q->p + q->at, q->len);
        q->at = 0;
    }
    size_t need = q->at + q->len + len;
    if (need > q->cap) {
        size_t cap = q->cap * 2 < QUEUE_BYTES_MIN ? QUEUE_BYTES_MIN : q->cap * 2;
        if (cap < need) cap = need;
        bool room = q->len + len <= LINK_QUEUE_BYTES_MAX;
        char *p = room ? mux_purse_resize(&l->mux.purse, q->p, cap) : NULL;
        if (p == NULL) {
            l->no_memory = l->over = true;
            return NULL;
        }
        q->p = p;
        q->cap = cap;
    }
    return q->p + q->at + q->len;
}

static void commit(struct link *l, size_t len)
{
    l->queue.len += len;
    l->queued += len;
}

static void put_frame_head(char *p, size_t length, unsigned type, uint32_t id)
{
    link_put_u32(p, (uint32_t)length << 8 | type);
    link_put_u32(p + 4, id);
}

void link_send_frame(struct link *l, enum link_type type, uint32_t id, struct span payload)
{
    char *p = reserve(l, LINK_FRAME_HEAD_BYTES + payload.len);
    if (p == NULL) return;
    put_frame_head(p, payload.len, type, id);
    if (payload.len > 0) memcpy(p + LINK_FRAME_HEAD_BYTES, payload.p, payload.len);
    commit(l, LINK_FRAME_HEAD_BYTES + payload.len);
}

static enum link_head_kind kind_of(const struct link *l, enum link_type type)
{
    if (type == LINK_TRAILERS) return LINK_HEAD_TRAILERS;
    return l->server ? LINK_HEAD_RESPONSE : LINK_HEAD_REQUEST;
}

enum err link_send_head(struct link *l, struct mux_stream *s, enum link_type type,
                        const struct mux_head *head, unsigned flags)
{
    char *p = reserve(l, LINK_FRAME_HEAD_BYTES + link_head_bound(head));
    if (p == NULL) return ERR_NOMEM;
    size_t len = link_head_write(&l->send, kind_of(l, type), head, p + LINK_FRAME_HEAD_BYTES);
    put_frame_head(p, len, type | flags, (uint32_t)s->id);
    commit(l, LINK_FRAME_HEAD_BYTES + len);
    return ERR_OK;
}

void link_send_reset(struct link *l, int32_t id, enum mux_close how)
{
    const char reason = (char)how;
    link_send_frame(l, LINK_RESET, (uint32_t)id, span_of(&reason, 1));
}

void link_send_goaway(struct link *l, enum link_goaway reason)
{
    char payload[LINK_GOAWAY_BYTES] = {(char)reason};
    link_put_u32(payload + 1, l->requests);
    link_send_frame(l, LINK_GOAWAY, 0, span_of(payload, sizeof payload));
}

/* --- whose turn it is --- */

void link_send_follow(struct link *l, struct mux_stream *s, bool has_body)
{
    s->has_body = has_body;
    if (!has_body) link_place(l, s->id)->state |= PLACE_WE_ENDED;
    s->queued_until = l->queued;
    list_push_back(has_body ? &l->ready : &l->ending, &s->turn);
}

void link_send_drop(struct mux_stream *s)
{
    list_remove(&s->turn);
}

void link_send_credited(struct link *l, struct mux_stream *s)
{
    bool ended = (link_place(l, s->id)->state & PLACE_WE_ENDED) != 0;
    if (!s->has_body || s->deferred || ended || list_linked(&s->turn)) return;
    list_push_back(&l->ready, &s->turn);
}

void link_send_unblock(struct link *l)
{
    struct list *node;
    while ((node = list_first(&l->blocked)) != NULL) {
        list_remove(node);
        list_push_back(&l->ready, node);
    }
}

void link_send_resume(struct mux *m, struct mux_stream *s)
{
    struct link *l = link_of(m);
    if (s->id == 0 || !s->deferred) return;
    s->deferred = false;
    list_push_back(&l->ready, &s->turn);
}

bool link_send_wants(const struct mux *m)
{
    const struct link *l = link_of_const(m);
    return l->queue.len > 0 || (!l->over && !list_empty(&l->ready));
}

/* --- pulling --- */

static void write_out(struct link *l, struct span bytes)
{
    l->written += bytes.len;
    l->events->on_write(l->owner, bytes);
}

static void sent_end(struct link *l, struct mux_stream *s)
{
    int32_t id = s->id;
    if (l->events->on_sent_end != NULL) l->events->on_sent_end(l->owner, s);
    link_place_settle(l, id);
}

/* Of streams that end with what has left. */
static void tell_ends(struct link *l)
{
    struct list *node;
    while ((node = list_first(&l->ending)) != NULL) {
        struct mux_stream *s = LIST_ENTRY(node, struct mux_stream, turn);
        if (s->queued_until > l->pulled) break;
        list_remove(node);
        sent_end(l, s);
    }
}

static void drain_queue(struct link *l)
{
    struct link_queue *q = &l->queue;
    size_t len = l->room - l->written;
    if (len > q->len) len = q->len;
    write_out(l, span_of(q->p + q->at, len));
    q->at += len;
    q->len -= len;
    l->pulled += len;
    if (q->len == 0) {
        mux_purse_put(&l->mux.purse, q->p);
        *q = (struct link_queue){.p = NULL};
    }
    tell_ends(l);
}

/* How much of the body may go into a frame now. */
static size_t data_bytes(const struct link *l, const struct mux_stream *s)
{
    size_t len = s->out->len, left = l->room - l->written;
    size_t most = left > LINK_FRAME_HEAD_BYTES + DATA_BYTES_MIN ? left - LINK_FRAME_HEAD_BYTES
                                                                : DATA_BYTES_MIN;
    if (most > LINK_DATA_BYTES_MAX) most = LINK_DATA_BYTES_MAX;
    if (len > most) len = most;
    if ((int64_t)len > s->send_window) len = s->send_window > 0 ? (size_t)s->send_window : 0;
    if ((int64_t)len > l->send_window) len = l->send_window > 0 ? (size_t)l->send_window : 0;
    return len;
}

static void write_data(struct link *l, struct mux_stream *s, size_t len, bool end)
{
    char head[LINK_FRAME_HEAD_BYTES];
    put_frame_head(head, len, LINK_DATA | (end ? LINK_FLAG_END : 0), (uint32_t)s->id);
    write_out(l, span_of(head, sizeof head));
    s->send_window -= (int64_t)len;
    l->send_window -= (int64_t)len;
    while (len > 0) {
        struct span part = iobuf_front(s->out);
        CHECK(part.len > 0);
        if (part.len > len) part.len = len;
        write_out(l, part);
        iobuf_consume(s->out, part.len);
        len -= part.len;
    }
}

/* Nothing goes now: for whom the stream waits. */
static void wait_turn(struct link *l, struct mux_stream *s)
{
    list_remove(&s->turn);
    s->turn_bytes = 0;
    if (s->out->len == 0)
        s->deferred = true; /* mux_resume */
    else if (s->send_window > 0)
        list_push_back(&l->blocked, &s->turn);
    /* else a CREDIT of its own */
}

static void end_with_trailers(struct link *l, struct mux_stream *s)
{
    /* The encoder only reads. */
    struct mux_head head = {.headers = (struct headers *)(uintptr_t)s->out_trailers,
                            .content_length = -1};
    if (link_send_head(l, s, LINK_TRAILERS, &head, 0) != ERR_OK) return;
    link_send_follow(l, s, false);
}

static void send_body(struct link *l, struct mux_stream *s)
{
    size_t len = data_bytes(l, s);
    s->sent = true; /* nothing is queued now */
    bool end = s->out_ended && len == s->out->len;
    bool trailers = end && s->out_trailers != NULL && s->out_trailers->count > 0;
    int32_t id = s->id;
    if (len == 0 && !end) {
        wait_turn(l, s);
        return;
    }
    list_remove(&s->turn);
    s->turn_bytes += (uint32_t)len;
    if (end) {
        link_place(l, id)->state |= PLACE_WE_ENDED;
    } else if (s->turn_bytes < LINK_TURN_BYTES) {
        list_push_front(&l->ready, &s->turn);
    } else {
        s->turn_bytes = 0;
        list_push_back(&l->ready, &s->turn);
    }
    if (len > 0 || !trailers) write_data(l, s, len, end && !trailers);
    if (trailers) end_with_trailers(l, s);
    if (len > 0 && l->events->on_sent != NULL) l->events->on_sent(l->owner, s, len);
    if (end && !trailers && link_place(l, id)->s == s && s->id == id) sent_end(l, s);
}

enum err link_send_pull(struct mux *m, size_t room)
{
    struct link *l = link_of(m);
    l->room = room;
    l->written = 0;
    while (l->written < room && !l->no_memory) {
        struct list *node;
        /* Bodies come behind what was queued before them: their heads are there. */
        if (l->queue.len > 0)
            drain_queue(l);
        else if (!l->over && (node = list_first(&l->ready)) != NULL)
            send_body(l, LIST_ENTRY(node, struct mux_stream, turn));
        else
            break;
    }
    return l->no_memory ? ERR_NOMEM : ERR_OK;
}
