#include "gossip/ask.h"

#include "gossip/packet.h"
#include "gossip/state.h"

#define HEADING_USUAL 10u /* an array of few, and a digest */

void ask_init(struct ask_table *t)
{
    *t = (struct ask_table){0};
    for (size_t i = 0; i < ASK_SLOTS; i++)
        t->slot[i].timer.kind = TIMER_ASK;
}

static void answer(struct gossip *g, struct ask *a, struct gossip_effect *found)
{
    struct gossip_effect *e = event_push(g->fx, GOSSIP_PONG);
    if (e == NULL) { /* the driver waits for one word a ping: said at once after this step */
        a->stream = 0;
        a->target = NULL;
        state_timer(g, &a->timer, g->now_ms);
        return;
    }
    *e = *found;
    e->kind = GOSSIP_PONG;
    e->token = a->token;
    e->node = a->node;
    e->connect_us = a->connect_us;
    timer_clear(&g->timers, &a->timer);
    a->used = false;
    a->target = NULL;
    g->asks.used--;
}

static void fail(struct gossip *g, struct ask *a, enum err err)
{
    struct gossip_effect found = {.err = err};
    answer(g, a, &found);
}

static uint32_t since_us(const struct gossip *g, uint64_t then_us)
{
    uint64_t us = g->now_us - then_us;
    if (us == 0) return 1;
    return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

/* Padded with what every version skips, until the datagram is as long as it shall be. */
static bool send_ping(struct gossip *g, const struct ask *a, uint32_t bytes)
{
    struct message m = {.kind = MESSAGE_PING, .seq = a->seq};
    struct packet p;
    packet_begin(g, &p, a->target);
    size_t room = PACKET_BYTES_MAX - PACKET_HEADING_BYTES;
    pack_writer_init(&p.writer, p.bytes + PACKET_HEADING_BYTES, room);
    p.messages = 0;
    if (!packet_add(&p, &m)) return false;
    size_t bare = SEAL_OVERHEAD_BYTES + HEADING_USUAL + p.writer.len + ASK_PADDING_EXTRA;
    if (bytes > bare) {
        p.writer.len = 0;
        p.messages = 0;
        m.padding = bytes - (uint32_t)bare;
        if (!packet_add(&p, &m)) return false;
    }
    return packet_send_plain(g, &p, PACKET_PROBE, &a->target->head->addr);
}

static struct ask *take_slot(struct gossip *g)
{
    for (size_t i = 0; i < ASK_SLOTS; i++) {
        struct ask *a = &g->asks.slot[i];
        struct timer timer = a->timer;
        if (a->used) continue;
        *a = (struct ask){.used = true, .timer = timer, .sent_us = g->now_us};
        do
            a->seq = (uint32_t)rng_u64(&g->rng);
        while (a->seq == 0);
        g->asks.used++;
        return a;
    }
    return NULL;
}

enum err ask_start(struct gossip *g, const struct gossip_event *e)
{
    struct member *m = member_find(&g->members, &e->node);
    if (m == NULL || m->self) return ERR_NOT_FOUND;
    if (e->bytes > PACKET_BYTES_MAX) return ERR_TOO_LARGE;
    struct ask *a = take_slot(g);
    if (a == NULL) return ERR_FULL;
    a->token = e->token;
    a->target = m;
    a->node = m->head->owner;
    state_timer(g, &a->timer, g->now_ms + (e->by_stream ? ASK_STREAM_MS : ASK_DATAGRAM_MS));
    bool sent;
    if (e->by_stream) {
        struct stream *s = stream_dial(g, m, NULL, STREAM_ASK);
        if (s != NULL) {
            s->probe_seq = a->seq;
            a->stream = s->id;
        }
        sent = s != NULL;
    } else {
        sent = send_ping(g, a, e->bytes);
    }
    if (!sent) fail(g, a, ERR_FULL);
    return ERR_OK;
}

bool ask_on_ack(struct gossip *g, const struct member *from, uint32_t seq)
{
    for (size_t i = 0; i < ASK_SLOTS && g->asks.used > 0; i++) {
        struct ask *a = &g->asks.slot[i];
        if (!a->used || a->stream != 0 || a->seq != seq || a->target != from) continue;
        struct gossip_effect found = {.rtt_us = since_us(g, a->sent_us)};
        answer(g, a, &found);
        return true;
    }
    return false;
}

static struct ask *by_stream(struct gossip *g, uint32_t stream)
{
    for (size_t i = 0; i < ASK_SLOTS && g->asks.used > 0; i++) {
        struct ask *a = &g->asks.slot[i];
        if (a->used && a->stream == stream) return a;
    }
    return NULL;
}

void ask_on_opened(struct gossip *g, struct stream *s)
{
    struct ask *a = by_stream(g, s->id);
    struct sync_message m = {.kind = SYNC_PROBE, .seq = s->probe_seq};
    if (a == NULL) return;
    a->connect_us = since_us(g, a->sent_us);
    a->sent_us = g->now_us;
    (void)stream_send(g, s, &m);
}

void ask_on_pong(struct gossip *g, struct stream *s, int64_t wall_ms)
{
    struct ask *a = by_stream(g, s->id);
    stream_close(g, s);
    if (a == NULL) return;
    uint32_t rtt_us = since_us(g, a->sent_us);
    struct gossip_effect found = {.rtt_us = rtt_us, .has_skew = wall_ms > 0};
    /* The other read its clock half a round trip ago. */
    if (found.has_skew) found.skew_ms = wall_ms + (int64_t)rtt_us / 2000 - g->wall_ms;
    answer(g, a, &found);
}

void ask_on_closed(struct gossip *g, uint32_t stream, enum err err)
{
    struct ask *a = by_stream(g, stream);
    if (a != NULL) fail(g, a, err != ERR_OK ? err : ERR_EOF);
}

void ask_timer(struct gossip *g, struct ask *a)
{
    struct stream *s = a->stream != 0 ? stream_find(&g->streams, a->stream) : NULL;
    fail(g, a, ERR_TIMEOUT);
    if (s != NULL) stream_close(g, s);
}

void ask_forget(struct gossip *g, const struct member *m)
{
    for (size_t i = 0; i < ASK_SLOTS && g->asks.used > 0; i++) {
        struct ask *a = &g->asks.slot[i];
        if (a->used && a->target == m) fail(g, a, ERR_NOT_FOUND);
    }
}
