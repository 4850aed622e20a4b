#include "core/wire/link.h"

#include <assert.h>

#include "core/base/check.h"
#include "core/wire/link_place.h"
#include "core/wire/link_recv.h"
#include "core/wire/link_send.h"
#include "core/wire/link_window.h"

static_assert(LINK_STREAMS_MAX <= LINK_PLACES, "as many places as streams");
static_assert(LINK_PLACES * MUX_FLOOD_LATE_EACH <= MUX_FLOOD_LATE_MAX, "all may end at once");

/* --- submitting --- */

/* So many heads wait that no more are added. */
static bool is_full(const struct link *l)
{
    size_t part = mux_purse_most(&l->mux.purse) / LINK_QUEUE_HEADS_PART;
    return l->queue.len >= (part < LINK_QUEUE_HEADS_MAX ? part : LINK_QUEUE_HEADS_MAX);
}

static bool link_may_open(const struct mux *m)
{
    const struct link *l = link_of_const(m);
    return l->hello_seen && !l->leaving && !l->over && !l->no_memory && l->free_count > 0 &&
           !is_full(l);
}

static enum err link_request(struct mux *m, struct mux_stream *s, const struct mux_head *head,
                             bool has_body)
{
    struct link *l = link_of(m);
    CHECK(!l->server && s->id == 0);
    if (!link_may_open(m)) return ERR_FULL;
    /* The peer would end the connection, and with it what others have on it. */
    if (link_head_bound(head) > LINK_HEAD_BYTES_MAX) return ERR_TOO_LARGE;
    uint32_t at = l->free_place[--l->free_count];
    uint32_t generation = link_next_generation(l->place[at].generation);
    int32_t id = (int32_t)(generation * LINK_PLACES + at);
    bool narrow = link_window_narrow(l);
    unsigned flags = (has_body ? 0 : LINK_FLAG_END) | (narrow ? LINK_FLAG_NARROW : 0);
    link_place_take(l, id, s, narrow);
    enum err err = link_send_head(l, s, LINK_HEAD, head, flags);
    if (err != ERR_OK) {
        link_place_leave(l, s);
        return err;
    }
    s->bodiless = span_eq(head->method, SPAN_LIT("HEAD"));
    link_send_follow(l, s, has_body);
    return ERR_OK;
}

static enum err link_respond(struct mux *m, struct mux_stream *s, const struct mux_head *head,
                             bool has_body)
{
    struct link *l = link_of(m);
    if (s->id == 0) return ERR_CANCELLED;
    if (is_full(l)) return ERR_NOMEM;
    enum err err = link_send_head(l, s, LINK_HEAD, head, has_body ? 0 : LINK_FLAG_END);
    if (err == ERR_OK) link_send_follow(l, s, has_body);
    return err;
}

static enum err link_interim(struct mux *m, struct mux_stream *s, const struct mux_head *head)
{
    struct link *l = link_of(m);
    if (s->id == 0) return ERR_CANCELLED;
    if (is_full(l)) return ERR_NOMEM;
    return link_send_head(l, s, LINK_HEAD, head, 0);
}

static void link_consume(struct mux *m, struct mux_stream *s, size_t bytes)
{
    if (s->id == 0 || bytes == 0) return;
    CHECK(bytes <= s->unconsumed_bytes);
    s->unconsumed_bytes -= bytes;
    link_window_give(link_of(m), s, bytes);
}

static void link_reset(struct mux *m, struct mux_stream *s, enum mux_close how)
{
    struct link *l = link_of(m);
    int32_t id = s->id;
    if (id == 0) return;
    link_send_reset(l, id, how);
    link_place_leave(l, s);
    link_place_abandon(l, id, how);
}

static void link_detach(struct mux *m, struct mux_stream *s)
{
    struct link *l = link_of(m);
    int32_t id = s->id;
    if (id == 0) return;
    uint8_t state = link_place(l, id)->state;
    /* A body that nobody takes stands before its window for ever. */
    if ((state & PLACE_WE_ENDED) == 0 || (state & PLACE_PEER_ENDED) == 0) {
        bool answered = l->server && (state & PLACE_WE_ENDED) != 0;
        link_reset(m, s, answered ? MUX_CLOSED : MUX_CANCELLED);
        return;
    }
    link_place_leave(l, s);
    link_place_settle(l, id);
}

static void link_cancel(struct mux *m, struct mux_stream *s)
{
    struct link *l = link_of(m);
    int32_t id = s->id;
    if (id == 0) return;
    bool known = s->head_seen && l->now_ms - s->begun_ms >= MUX_QUIT_WAIT_MS;
    if (known || !mux_quit_add(&m->quit, id)) {
        link_reset(m, s, MUX_CANCELLED);
        return;
    }
    mux_flood_ended(&l->flood);
    link_place_leave(l, s);
    link_place_settle(l, id);
}

static void link_tell(struct mux *m, int32_t id)
{
    struct link *l = link_of(m);
    if (!link_place_is_open(l, id)) return;
    link_send_reset(l, id, MUX_CANCELLED);
    link_place_abandon(l, id, MUX_CANCELLED);
}

static void link_lost(struct mux *m)
{
    struct link *l = link_of(m);
    struct list *node;
    while ((node = list_first(&l->mux.open)) != NULL) {
        struct mux_stream *s = LIST_ENTRY(node, struct mux_stream, node);
        bool never = !l->server && !s->sent && s->queued_until > l->pulled;
        link_place_leave(l, s);
        l->events->on_close(l->owner, s, never ? MUX_REFUSED : MUX_RESET);
    }
}

/* --- the connection --- */

static void link_ping(struct mux *m)
{
    struct link *l = link_of(m);
    m->quit.pings++;
    link_send_frame(l, LINK_PING, 0, span_of(NULL, 0));
}

static void link_shutdown_notice(struct mux *m)
{
    link_send_goaway(link_of(m), LINK_NOTICE);
}

static void link_goaway(struct mux *m)
{
    struct link *l = link_of(m);
    if (!l->last_told) mux_flood_ended_all(&l->flood);
    l->last_told = true;
    link_send_goaway(l, LINK_LAST);
}

static bool link_done(const struct mux *m)
{
    const struct link *l = link_of_const(m);
    if (l->over) return l->queue.len == 0;
    return (l->leaving || l->last_told) && l->open_places == 0 && !link_send_wants(m);
}

static bool link_may_upgrade(const struct mux *m)
{
    return link_of_const(m)->hello_seen;
}

static void link_free(struct mux *m)
{
    struct link *l = link_of(m);
    mux_purse_put(&m->purse, l->queue.p);
    mux_purse_put(&m->purse, l->whole);
    l->magic = MAGIC_POISON;
    mux_fini(m);
}

static const struct mux_ops ops = {.free = link_free,
                                   .feed = link_recv_feed,
                                   .pull = link_send_pull,
                                   .wants_write = link_send_wants,
                                   .done = link_done,
                                   .request = link_request,
                                   .respond = link_respond,
                                   .interim = link_interim,
                                   .resume = link_send_resume,
                                   .consume = link_consume,
                                   .reset = link_reset,
                                   .detach = link_detach,
                                   .cancel = link_cancel,
                                   .tell = link_tell,
                                   .lost = link_lost,
                                   .ping = link_ping,
                                   .shutdown_notice = link_shutdown_notice,
                                   .goaway = link_goaway,
                                   .may_open = link_may_open,
                                   .may_upgrade = link_may_upgrade};

static void say_hello(struct link *l, uint32_t streams)
{
    char payload[LINK_HELLO_BYTES] = {(char)(streams >> 8), (char)streams};
    link_put_u32(payload + 2, l->stream_window);
    link_put_u32(payload + 6, l->window);
    link_send_frame(l, LINK_HELLO, 0, span_of(payload, sizeof payload));
}

enum err link_new(const struct mux_options *o, struct mux **out)
{
    CHECK(o->streams_max <= LINK_PLACES);
    struct link *l = mux_new(&ops, o, sizeof *l);
    if (l == NULL) return ERR_NOMEM;
    l->magic = LINK_MAGIC;
    l->events = o->events;
    l->owner = o->owner;
    l->server = o->server;
    l->now_ms = o->now_ms;
    l->streams_max = o->streams_max;
    link_window_init(l, o);
    list_init(&l->ready);
    list_init(&l->blocked);
    list_init(&l->ending);
    mux_flood_init(&l->flood, o->peer_floods, o->now_ms);
    say_hello(l, o->streams_max);
    if (l->no_memory) {
        link_free(&l->mux);
        return ERR_NOMEM;
    }
    *out = &l->mux;
    return ERR_OK;
}
