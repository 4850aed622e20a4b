#include "tests/sim/pipe.h"

#include "core/base/check.h"
#include "tests/sim/world.h"

#include <stdlib.h>

#define SYN_RTO_US     1000000u
#define SEGMENT_RTO_US 200000u
#define BYTES_A_US     100u

struct pipe_delivery {
    struct world_event event;
    struct pipe *pipe;
    unsigned side; /* the receiver's */
    enum gossip_event_kind kind;
    enum err err;
    size_t len;
    char data[]; /* STREAM_DATA */
};

void pipe_table_init(struct pipe_table *t)
{
    static const struct hash_key key = {"parley-sim-pipe"};
    map_init(&t->by_end, &key, 2 * PIPE_MAX);
    t->count = 0;
}

static void release(struct world *w, struct pipe *p)
{
    if (p->end[0].open || p->end[1].open || p->in_flight > 0) return;
    w->pipes.count--;
    free(p);
}

static struct span key_of(const struct pipe_end *end)
{
    return span_of(end->key, sizeof(end->key));
}

static void open_end(struct world *w, struct pipe *p, unsigned side, uint32_t node, uint32_t id)
{
    struct pipe_end *end = &p->end[side];
    end->key[0] = node;
    end->key[1] = id;
    end->open = true;
    CHECK(map_put(&w->pipes.by_end, key_of(end), p) == ERR_OK);
}

static void close_end(struct world *w, struct pipe *p, unsigned side)
{
    struct pipe_end *end = &p->end[side];
    if (!end->open) return;
    end->open = false;
    (void)map_del(&w->pipes.by_end, key_of(end));
}

void pipe_table_fini(struct pipe_table *t)
{
    size_t pos = 0;
    struct pipe *p;
    while ((p = map_next(&t->by_end, &pos)) != NULL) {
        bool first = p->end[0].open && p->end[1].open;
        p->end[0].open = false;
        if (!first) free(p);
    }
    map_fini(&t->by_end);
}

/* At `at_us`, but behind what was sent to that side before. */
static void deliver(struct world *w, struct pipe *p, unsigned side, const struct gossip_event *e,
                    uint64_t at_us)
{
    struct pipe_delivery *d = malloc(sizeof(*d) + e->data.len);
    CHECK(d != NULL);
    *d = (struct pipe_delivery){.event = {.kind = WORLD_STREAM, .to = p->end[side].key[0]},
                                .pipe = p,
                                .side = side,
                                .kind = e->kind,
                                .err = e->err,
                                .len = e->data.len};
    if (e->data.len > 0) memcpy(d->data, e->data.p, e->data.len);
    if (at_us <= p->end[side].last_us) at_us = p->end[side].last_us + 1;
    p->end[side].last_us = at_us;
    p->in_flight++;
    world_schedule(w, &d->event, at_us);
}

static struct pipe *find(struct world *w, uint32_t node, uint32_t id, unsigned *side)
{
    uint32_t key[2] = {node, id};
    struct pipe *p = map_get(&w->pipes.by_end, span_of(key, sizeof(key)));
    if (p != NULL)
        *side = p->end[0].open && p->end[0].key[0] == node && p->end[0].key[1] == id ? 0 : 1;
    return p;
}

/* Nothing gets through in at least one direction, so TCP does not either. */
static bool is_cut(const struct world *w, uint32_t a, uint32_t b)
{
    return w->network.profile.no_streams || network_blocked(&w->network, w->now_us, a, b) ||
           network_blocked(&w->network, w->now_us, b, a);
}

/* False: TCP gave up. */
static bool add_segment(struct world *w, uint32_t from, uint32_t to, uint64_t rto_us,
                        uint64_t *takes_us)
{
    struct network_packet p = {.now_us = w->now_us, .from = from, .to = to};
    uint64_t us;
    if (!network_segment(&w->network, &p, rto_us, &us)) return false;
    *takes_us += us;
    return true;
}

void pipe_dial(struct world *w, uint32_t from, const struct gossip_effect *e)
{
    uint32_t to = world_by_addr(w, &e->to);
    struct pipe *p = calloc(1, sizeof(*p));
    CHECK(p != NULL);
    w->pipes.count++;
    open_end(w, p, 0, from, e->stream);
    p->end[0].told = true;
    struct gossip_event event = {.kind = GOSSIP_STREAM_CLOSED, .err = ERR_REFUSED};
    if (to == w->options.nodes || is_cut(w, from, to)) return;
    uint64_t takes = 0;
    if (!add_segment(w, from, to, SYN_RTO_US, &takes)) return;
    if (!add_segment(w, to, from, SEGMENT_RTO_US, &takes)) return;
    if (!world_runs(w, to)) {
        if (w->node[to].refuses) deliver(w, p, 0, &event, w->now_us + takes);
        return;
    }
    for (unsigned i = 0; i < 2 && w->algorithm->tls; i++)
        if (!add_segment(w, i == 0 ? from : to, i == 0 ? to : from, SEGMENT_RTO_US, &takes)) return;
    uint32_t id = w->node[to].inbound_next++ | UINT32_C(0x80000000);
    open_end(w, p, 1, to, id);
    event = (struct gossip_event){.kind = GOSSIP_STREAM_OPENED};
    deliver(w, p, 1, &event, w->now_us + takes);
    deliver(w, p, 0, &event, p->end[1].last_us + network_latency_us(&w->network, to, from));
}

/* Nothing gets through: both ends give up when TCP would. */
static void doom(struct world *w, struct pipe *p)
{
    struct gossip_event closed = {.kind = GOSSIP_STREAM_CLOSED, .err = ERR_TIMEOUT};
    if (p->doomed) return;
    p->doomed = true;
    for (unsigned side = 0; side < 2; side++)
        if (p->end[side].open) deliver(w, p, side, &closed, w->now_us + PIPE_RESET_US);
}

void pipe_send(struct world *w, uint32_t from, const struct gossip_effect *e)
{
    unsigned side;
    struct pipe *p = find(w, from, e->stream, &side);
    if (p == NULL || p->doomed) return;
    struct pipe_end *other = &p->end[1 - side];
    if (w->algorithm->tls) w->node[from].stream_bytes += e->data.len + PIPE_OVERHEAD_BYTES;
    if (!other->open) return;
    struct network_packet packet = {
        .now_us = w->now_us, .from = from, .to = other->key[0], .bytes = e->data.len};
    uint64_t takes;
    if (is_cut(w, from, other->key[0]) ||
        !network_segment(&w->network, &packet, SEGMENT_RTO_US, &takes)) {
        doom(w, p);
        return;
    }
    struct gossip_event data = {.kind = GOSSIP_STREAM_DATA, .data = e->data};
    takes += e->data.len / BYTES_A_US;
    deliver(w, p, 1 - side, &data, w->now_us + takes);
}

void pipe_close(struct world *w, uint32_t from, uint32_t id)
{
    unsigned side;
    struct pipe *p = find(w, from, id, &side);
    if (p == NULL) return;
    close_end(w, p, side);
    struct gossip_event closed = {.kind = GOSSIP_STREAM_CLOSED, .err = ERR_OK};
    uint64_t takes = 0;
    if (p->end[1 - side].open) {
        bool arrives = add_segment(w, from, p->end[1 - side].key[0], SEGMENT_RTO_US, &takes);
        deliver(w, p, 1 - side, &closed, w->now_us + (arrives ? takes : PIPE_RESET_US));
    }
    release(w, p);
}

void pipe_event(struct world *w, struct world_event *e)
{
    struct pipe_delivery *d = CONTAINER_OF(e, struct pipe_delivery, event);
    struct pipe *p = d->pipe;
    struct pipe_end *end = &p->end[d->side];
    p->in_flight--;
    if (end->open && world_runs(w, e->to)) {
        const struct persona *peer = world_persona(w, p->end[1 - d->side].key[0]);
        struct gossip_event event = {.kind = d->kind,
                                     .stream = end->key[1],
                                     .inbound = d->side == 1,
                                     .err = d->err,
                                     .data = span_of(d->data, d->len)};
        if (d->kind == GOSSIP_STREAM_OPENED) {
            event.peer_name = peer->name;
            memcpy(event.peer_spki, peer->spki, sizeof(event.peer_spki));
            end->told = true;
        }
        bool told = end->told;
        if (d->kind == GOSSIP_STREAM_CLOSED) close_end(w, p, d->side);
        p->in_flight++; /* the step may close the other end */
        if (told) world_step(w, e->to, &event);
        p->in_flight--;
    }
    release(w, p);
    free(d);
}

void pipe_discard(struct world *w, struct world_event *e)
{
    struct pipe_delivery *d = CONTAINER_OF(e, struct pipe_delivery, event);
    d->pipe->in_flight--;
    release(w, d->pipe);
    free(d);
}

void pipe_crash(struct world *w, uint32_t node, bool refuses)
{
    size_t pos = 0;
    struct pipe *p;
    struct pipe *gone[64];
    size_t n;
    struct gossip_event reset = {.kind = GOSSIP_STREAM_CLOSED, .err = ERR_RESET};
    do {
        /* The map must not change while it is walked. */
        n = 0;
        pos = 0;
        while (n < ARRAY_LEN(gone) && (p = map_next(&w->pipes.by_end, &pos)) != NULL) {
            bool ours = (p->end[0].open && p->end[0].key[0] == node) ||
                        (p->end[1].open && p->end[1].key[0] == node);
            bool twice = false; /* it is in the map by both ends */
            for (size_t i = 0; i < n; i++)
                twice = twice || gone[i] == p;
            if (ours && !twice) gone[n++] = p;
        }
        for (size_t i = 0; i < n; i++) {
            p = gone[i];
            for (unsigned side = 0; side < 2; side++) {
                if (!p->end[side].open || p->end[side].key[0] != node) continue;
                close_end(w, p, side);
                if (refuses && p->end[1 - side].open)
                    deliver(w, p, 1 - side, &reset,
                            w->now_us +
                                network_latency_us(&w->network, node, p->end[1 - side].key[0]));
                break;
            }
        }
        for (size_t i = 0; i < n; i++)
            release(w, gone[i]);
    } while (n == ARRAY_LEN(gone));
}
