#include "tests/sim/memberlist/ml_stream.h"

#include "core/base/check.h"
#include "tests/sim/memberlist/ml_probe.h"
#include "tests/sim/memberlist/ml_state.h"
#include "tests/sim/world.h"

#include <math.h>
#include <string.h>

#define TCP_TIMEOUT_MS     10000u
#define PUSH_PULL_MS       30000u
#define PUSH_PULL_SCALE    32.0 /* nodes from which the interval grows */
#define RECONNECT_MS       30000u
#define RECONNECT_LIMIT_MS (24u * 3600 * 1000) /* serf forgets who failed longer ago */
#define JOIN_RETRY_MS      30000u

static uint64_t push_pull_ms(const struct ml_agent *a)
{
    double n = (double)a->roster.listed;
    if (n <= PUSH_PULL_SCALE) return PUSH_PULL_MS;
    return (uint64_t)(ceil(log2(n) - log2(PUSH_PULL_SCALE)) + 1) * PUSH_PULL_MS;
}

void ml_stream_init(struct ml_agent *a)
{
    /* One that starts alone waits a random time first; in a settled world any phase will do. */
    uint64_t wait = push_pull_ms(a);
    a->sync_next_ms = a->now_ms + rng_below(&a->rng, wait) + (a->roster.listed > 1 ? 0 : wait);
    a->reconnect_next_ms = a->now_ms + rng_below(&a->rng, RECONNECT_MS);
    a->join_next_ms = ML_NEVER_MS;
    a->join_peer = a->nodes;
}

static struct ml_stream *find(struct ml_agent *a, uint32_t id)
{
    for (uint32_t i = 0; i < ML_STREAMS_MAX && a->streams_used > 0; i++)
        if (a->stream[i].kind != ML_STREAM_FREE && a->stream[i].id == id) return &a->stream[i];
    return NULL;
}

static struct ml_stream *take(struct ml_agent *a, enum ml_stream_kind kind, uint32_t id)
{
    uint32_t i = 0;
    while (i < ML_STREAMS_MAX && a->stream[i].kind != ML_STREAM_FREE)
        i++;
    if (i == ML_STREAMS_MAX) return NULL;
    a->stream[i] =
        (struct ml_stream){.kind = kind, .id = id, .until_ms = a->now_ms + TCP_TIMEOUT_MS};
    a->streams_used++;
    return &a->stream[i];
}

/* What waits for the end of such a stream goes on. */
static void done(struct ml_agent *a, struct ml_stream *s)
{
    enum ml_stream_kind kind = s->kind;
    s->kind = ML_STREAM_FREE;
    a->streams_used--;
    if (kind == ML_STREAM_SYNC) a->sync_next_ms = a->now_ms + push_pull_ms(a);
    if (kind == ML_STREAM_RECONNECT) a->reconnect_next_ms = a->now_ms + RECONNECT_MS;
    if (kind == ML_STREAM_JOIN && a->join_peer < a->nodes)
        a->join_next_ms = a->now_ms + JOIN_RETRY_MS;
}

static void close_stream(struct ml_agent *a, struct ml_stream *s)
{
    struct gossip_effect *e = event_push(a->fx, GOSSIP_STREAM_CLOSE);
    CHECK(e != NULL);
    e->stream = s->id;
    done(a, s);
}

static struct ml_stream *dial(struct ml_agent *a, enum ml_stream_kind kind, uint32_t peer)
{
    struct ml_stream *s = take(a, kind, a->stream_next++ & UINT32_C(0x7fffffff));
    if (s == NULL) return NULL;
    struct gossip_effect *e = event_push(a->fx, GOSSIP_STREAM_OPEN);
    CHECK(e != NULL);
    s->peer = peer;
    e->stream = s->id;
    e->to = a->world->node[peer].addr;
    a->counters.bytes_sent += ml_wire_stream_open_bytes();
    return s;
}

void ml_stream_join(struct ml_agent *a, uint32_t peer)
{
    a->join_peer = peer;
    a->join_next_ms = a->now_ms;
}

void ml_stream_ping(struct ml_agent *a, uint32_t peer, uint32_t seq, uint64_t until_ms)
{
    struct ml_stream *s = dial(a, ML_STREAM_PING, peer);
    if (s == NULL) return;
    s->seq = seq;
    s->until_ms = until_ms;
}

static void send(struct ml_agent *a, const struct ml_stream *s, const struct ml_letter *l)
{
    size_t bytes = sizeof(*l) + l->states * sizeof(struct ml_state_entry);
    char *data = arena_alloc(&a->fx->arena, bytes);
    struct gossip_effect *e = event_push(a->fx, GOSSIP_STREAM_SEND);
    CHECK(data != NULL && e != NULL);
    memcpy(data, l, sizeof(*l));
    for (uint32_t i = 0; i < l->states; i++) {
        uint32_t who = a->roster.order[i];
        struct ml_state_entry entry = {
            .subject = who, .inc = a->roster.entry[who].inc, .status = a->roster.entry[who].status};
        memcpy(data + sizeof(*l) + i * sizeof(entry), &entry, sizeof(entry));
    }
    e->stream = s->id;
    e->data = span_of(data, bytes);
    a->counters.bytes_sent += ml_wire_stream_bytes(l);
}

static void send_state(struct ml_agent *a, const struct ml_stream *s)
{
    struct ml_letter l = {.kind = ML_LETTER_STATE, .states = a->roster.listed};
    send(a, s, &l);
}

static void merge(struct ml_agent *a, const struct ml_letter *l, struct span states)
{
    struct ml_state_entry entry;
    CHECK(states.len == l->states * sizeof(entry));
    for (uint32_t i = 0; i < l->states; i++) {
        memcpy(&entry, states.p + i * sizeof(entry), sizeof(entry));
        ml_state_merge(a, &entry);
    }
}

static void data(struct ml_agent *a, struct ml_stream *s, struct span bytes)
{
    struct ml_letter l;
    CHECK(bytes.len >= sizeof(l));
    memcpy(&l, bytes.p, sizeof(l));
    struct span states = span_of(bytes.p + sizeof(l), bytes.len - sizeof(l));
    if (l.kind == ML_LETTER_STREAM_PING) {
        struct ml_letter ack = {.kind = ML_LETTER_STREAM_ACK, .seq = l.seq};
        send(a, s, &ack);
    } else if (l.kind == ML_LETTER_STREAM_ACK) {
        ml_probe_contact(a, l.seq);
        close_stream(a, s);
    } else if (s->kind == ML_STREAM_INBOUND) {
        send_state(a, s);
        merge(a, &l, states);
    } else {
        if (s->kind == ML_STREAM_JOIN) a->join_peer = a->nodes;
        merge(a, &l, states);
        close_stream(a, s);
    }
}

static void opened(struct ml_agent *a, const struct gossip_event *e)
{
    struct ml_stream *s = find(a, e->stream);
    struct ml_letter ping = {.kind = ML_LETTER_STREAM_PING};
    if (e->inbound) {
        s = a->streams_used < ML_INBOUND_MAX ? take(a, ML_STREAM_INBOUND, e->stream) : NULL;
        struct gossip_effect *refuse = s == NULL ? event_push(a->fx, GOSSIP_STREAM_CLOSE) : NULL;
        if (refuse != NULL) refuse->stream = e->stream;
        a->counters.bytes_sent += ml_wire_stream_open_bytes();
    } else if (s != NULL && s->kind == ML_STREAM_PING) {
        ping.seq = s->seq;
        send(a, s, &ping);
    } else if (s != NULL) {
        send_state(a, s);
    }
}

void ml_stream_event(struct ml_agent *a, const struct gossip_event *e)
{
    if (e->kind == GOSSIP_STREAM_OPENED) {
        opened(a, e);
        return;
    }
    struct ml_stream *s = find(a, e->stream);
    if (s == NULL) return;
    if (e->kind == GOSSIP_STREAM_DATA)
        data(a, s, e->data);
    else
        done(a, s);
}

static void sync_random(struct ml_agent *a)
{
    uint32_t peer;
    struct ml_draw draw = {.want = 1, .self = a->self, .except = a->nodes};
    if (ml_roster_random(&a->roster, &a->rng, &draw, &peer) == 0 ||
        dial(a, ML_STREAM_SYNC, peer) == NULL)
        a->sync_next_ms = a->now_ms + push_pull_ms(a);
    else
        a->sync_next_ms = ML_NEVER_MS;
}

/* A random one of the failed; the nodes after a random place are searched for it. */
static uint32_t random_failed(struct ml_agent *a)
{
    uint32_t start = (uint32_t)rng_below(&a->rng, a->nodes);
    for (uint32_t i = 0; i < a->nodes; i++) {
        uint32_t who = (start + i) % a->nodes;
        uint32_t status = a->roster.entry[who].status;
        if (status != ML_DEAD && status != ML_FORGOTTEN) continue;
        if ((uint32_t)a->now_ms - a->roster.entry[who].aux < RECONNECT_LIMIT_MS) return who;
    }
    return a->nodes;
}

/* serf's reconnect: so often that each failed member is tried about once in 30 s by all. */
static void reconnect(struct ml_agent *a)
{
    double failed = a->roster.count[ML_DEAD] + a->roster.count[ML_FORGOTTEN];
    double live = a->roster.count[ML_ALIVE] + a->roster.count[ML_SUSPECT];
    a->reconnect_next_ms = a->now_ms + RECONNECT_MS;
    if (failed == 0 || rng_unit(&a->rng) > failed / live) return;
    uint32_t peer = random_failed(a);
    if (peer < a->nodes && dial(a, ML_STREAM_RECONNECT, peer) != NULL)
        a->reconnect_next_ms = ML_NEVER_MS;
}

void ml_stream_tick(struct ml_agent *a)
{
    for (uint32_t i = 0; i < ML_STREAMS_MAX && a->streams_used > 0; i++)
        if (a->stream[i].kind != ML_STREAM_FREE && a->stream[i].until_ms <= a->now_ms)
            close_stream(a, &a->stream[i]);
    if (a->join_next_ms <= a->now_ms) {
        a->join_next_ms = ML_NEVER_MS;
        (void)dial(a, ML_STREAM_JOIN, a->join_peer);
    }
    if (a->sync_next_ms <= a->now_ms) sync_random(a);
    if (a->reconnect_next_ms <= a->now_ms) reconnect(a);
}

uint64_t ml_stream_deadline_ms(const struct ml_agent *a)
{
    uint64_t due = a->sync_next_ms < a->reconnect_next_ms ? a->sync_next_ms : a->reconnect_next_ms;
    if (a->join_next_ms < due) due = a->join_next_ms;
    for (uint32_t i = 0; i < ML_STREAMS_MAX && a->streams_used > 0; i++)
        if (a->stream[i].kind != ML_STREAM_FREE && a->stream[i].until_ms < due)
            due = a->stream[i].until_ms;
    return due;
}
