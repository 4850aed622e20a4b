#include "tests/sim/world.h"

#include "core/base/check.h"
#include "gossip/archive.h"
#include "gossip/broadcast.h"
#include "gossip/packet.h"
#include "tests/sim/byzantine.h"
#include "tests/sim/measure.h"
#include "tests/sim/oracle.h"
#include "tests/sim/prefill.h"
#include "tests/sim/rotation.h"
#include "tests/sim/wiretap.h"

#include <stdio.h>
#include <stdlib.h>

#define EVENTS_MAX     8000000u
#define DATAGRAMS_MAX  4000000u
#define SOCKET_PACKETS 256u /* what a host keeps for a machine that does not read */
#define BUSY_STEP_US   100u /* a machine that has more to do at once */
#define TRACE_PRIME    UINT64_C(0x9e3779b97f4a7c15)
#define BODY_LONG      (BROADCAST_BODY_INLINE_MAX + 200u)

struct datagram {
    struct world_event event;
    struct addr from;
    uint32_t len;
    bool waits; /* in the receiver's socket */
    char data[PACKET_BYTES_MAX];
};

static struct gossip_counters add_counters(const struct gossip_counters *a,
                                           const struct gossip_counters *b)
{
    struct gossip_counters sum;
#define SUM(name) sum.name = a->name + b->name;
    GOSSIP_COUNTER_LIST(SUM)
#undef SUM
    return sum;
}

struct gossip_counters world_counters(const struct world *w, uint32_t i)
{
    const struct world_node *n = &w->node[i];
    if (n->machine == NULL) return n->before;
    return add_counters(&n->before, w->algorithm->counters(n->machine));
}

void world_trace(struct world *w, uint64_t v)
{
    w->trace_hash = (w->trace_hash ^ v) * TRACE_PRIME;
    w->trace_hash ^= w->trace_hash >> 29;
}

static void trace_bytes(struct world *w, struct span s)
{
    uint64_t word;
    size_t at = 0;
    for (; at + sizeof(word) <= s.len; at += sizeof(word)) {
        memcpy(&word, s.p + at, sizeof(word));
        world_trace(w, word);
    }
    word = s.len;
    for (; at < s.len; at++)
        word = word << 8 | (uint8_t)s.p[at];
    world_trace(w, word);
}

void world_schedule(struct world *w, struct world_event *e, uint64_t at_us)
{
    CHECK(heap_set(&w->events, &e->node, at_us) == ERR_OK);
}

bool world_runs(const struct world *w, uint32_t i)
{
    return w->node[i].machine != NULL;
}

bool world_is_up(const struct world *w, uint32_t i)
{
    return w->node[i].machine != NULL && w->node[i].who == i;
}

const struct persona *world_persona(const struct world *w, uint32_t i)
{
    return &w->node[w->node[i].who].persona;
}

/* Node i is 10.x.y.z:7400 with xyz = i + 1. */
static struct addr addr_of(uint32_t i)
{
    i++;
    struct addr a = {.port = 7400, .family = ADDR_IP4};
    a.ip[0] = 10;
    a.ip[1] = (uint8_t)(i >> 16);
    a.ip[2] = (uint8_t)(i >> 8);
    a.ip[3] = (uint8_t)i;
    return a;
}

uint32_t world_by_addr(const struct world *w, const struct addr *a)
{
    uint32_t i = ((uint32_t)a->ip[1] << 16 | (uint32_t)a->ip[2] << 8 | a->ip[3]) - 1;
    return i < w->options.nodes ? w->node[i].at_addr : w->options.nodes;
}

uint32_t world_by_id(const struct world *w, const struct node_id *id)
{
    uint32_t i = 0;
    if (!w->options.real_crypto) {
        i = fake_crypto_index(id);
        return i < w->options.nodes ? i : w->options.nodes;
    }
    while (i < w->options.nodes && name_node_id_cmp(&w->node[i].persona.id, id) != 0)
        i++;
    return i;
}

static void put_datagram(struct world *w, const struct addr *from, uint32_t to, struct span data,
                         uint64_t delay_us)
{
    struct datagram *d = slab_get(&w->datagrams);
    CHECK(d != NULL && data.len <= sizeof(d->data));
    d->event.kind = WORLD_DATAGRAM;
    d->event.to = to;
    d->from = *from;
    d->waits = false;
    d->len = (uint32_t)data.len;
    memcpy(d->data, data.p, data.len);
    world_schedule(w, &d->event, w->now_us + delay_us);
}

void world_inject(struct world *w, const struct addr *from, uint32_t to, struct span data)
{
    put_datagram(w, from, to, data, network_latency_us(&w->network, to, to));
}

void world_send(struct world *w, uint32_t from, const struct gossip_effect *e)
{
    uint64_t delay[2];
    uint32_t to = world_by_addr(w, &e->to);
    if (to == w->options.nodes) return;
    struct network_packet packet = {
        .now_us = w->now_us, .from = from, .to = to, .bytes = e->data.len};
    unsigned copies = network_datagram(&w->network, &packet, delay);
    for (unsigned i = 0; i < copies; i++)
        put_datagram(w, &w->node[from].addr, to, e->data, delay[i]);
}

static void copy_store(char **to, size_t *len, struct span from)
{
    char *copy = malloc(from.len > 0 ? from.len : 1);
    CHECK(copy != NULL);
    if (from.len > 0) memcpy(copy, from.p, from.len);
    free(*to);
    *to = copy;
    *len = from.len;
}

static void keep_store(struct world *w, uint32_t i, struct span blob)
{
    struct world_node *n = &w->node[i];
    if (!w->options.keep_stores) return;
    copy_store(&n->store, &n->store_len, blob);
}

static void apply(struct world *w, uint32_t i, const struct gossip_effect *e)
{
    world_trace(w, (uint64_t)e->kind << 32 | i);
    trace_bytes(w, e->data);
    if (w->node[i].gossip != NULL) oracle_effect(w->oracle, w, i, e);
    measure_effect(w->measure, w, i, e);
    switch (e->kind) {
    case GOSSIP_SEND_DATAGRAM:
        world_send(w, i, e);
        break;
    case GOSSIP_STREAM_OPEN:
        pipe_dial(w, i, e);
        break;
    case GOSSIP_STREAM_SEND:
        pipe_send(w, i, e);
        break;
    case GOSSIP_STREAM_CLOSE:
        pipe_close(w, i, e->stream);
        break;
    case GOSSIP_PERSIST:
        keep_store(w, i, e->data);
        break;
    case GOSSIP_POLICY_VALIDATE:
    case GOSSIP_POLICY_ACTIVATE:
    case GOSSIP_POLICY_CHANGED:
    case GOSSIP_POLICY_STORE:
        if (w->drivers != NULL) drivers_effect(w->drivers, i, e);
        break;
    case GOSSIP_KEY_STORE:
    case GOSSIP_KEY_USE:
    case GOSSIP_KEY_DROP:
        if (w->rotation != NULL) rotation_effect(w->rotation, i, e);
        break;
    case GOSSIP_MEMBER_CHANGED:
    case GOSSIP_RECORD_CHANGED:
    case GOSSIP_CONFLICT:
    case GOSSIP_STATUS_CHANGED:
    case GOSSIP_POLICY_REFUSED:
    case GOSSIP_PONG:
        break;
    }
}

void world_step(struct world *w, uint32_t i, struct gossip_event *e)
{
    struct world_node *n = &w->node[i];
    e->now_ms = hostclock_mono_ms(&n->clock, w->now_us);
    e->wall_ms = hostclock_wall_ms(&n->clock, w->now_us);
    e->now_us = w->now_us + 1; /* of round trips: drift is nothing there */
    world_trace(w, w->now_us);
    world_trace(w, (uint64_t)e->kind << 32 | i);
    enum err err = w->algorithm->step(n->machine, e, &w->fx);
    w->events_done++;
    uint64_t due_us = hostclock_due_us(&n->clock, w->algorithm->next_deadline_ms(n->machine));
    if (err == ERR_FULL || due_us <= w->now_us) due_us = w->now_us + BUSY_STEP_US;
    world_schedule(w, &n->tick, due_us);
    for (size_t k = 0; k < w->fx.count; k++)
        apply(w, i, &w->fx.effect[k]);
    if (n->gossip != NULL) oracle_step(w->oracle, w, i);
}

/* The machine does not read before then. Its socket takes only so many datagrams. */
static void hold(struct world *w, struct world_event *e, uint64_t until_us)
{
    struct world_node *n = &w->node[e->to];
    if (e->kind == WORLD_DATAGRAM) {
        struct datagram *d = CONTAINER_OF(e, struct datagram, event);
        if (!d->waits && n->waiting == SOCKET_PACKETS) {
            slab_put(&w->datagrams, d);
            return;
        }
        n->waiting += !d->waits;
        d->waits = true;
    }
    world_schedule(w, e, until_us);
}

static void handle(struct world *w, struct world_event *e)
{
    struct world_node *n = &w->node[e->to];
    struct gossip_event event = {0};
    uint64_t reads_us = n->paused_us > n->busy_us ? n->paused_us : n->busy_us;
    if (reads_us > w->now_us) {
        hold(w, e, reads_us);
        return;
    }
    n->busy_us = w->now_us + n->service_us;
    switch (e->kind) {
    case WORLD_TICK:
        event.kind = GOSSIP_TICK;
        world_step(w, e->to, &event);
        break;
    case WORLD_DATAGRAM: {
        struct datagram *d = CONTAINER_OF(e, struct datagram, event);
        event.kind = GOSSIP_DATAGRAM;
        event.from = d->from;
        n->waiting -= d->waits;
        if (w->byzantine != NULL) byzantine_see(w->byzantine, &d->from, e->to, event.data);
        event.data = span_of(d->data, d->len);
        struct wiretap_delivery tapped = wiretap_before(&w->oracle->tap, w, e->to, event.data);
        if (n->machine != NULL) world_step(w, e->to, &event);
        wiretap_after(w->oracle, w, e->to, &tapped);
        slab_put(&w->datagrams, d);
        break;
    }
    case WORLD_STREAM:
        pipe_event(w, e);
        break;
    case WORLD_POLICY:
        drivers_event(w->drivers, e);
        break;
    }
}

static const struct world_event *event_at(const struct heap *h, size_t i)
{
    return CONTAINER_OF(h->slot[i].node, struct world_event, node);
}

/* Every event is of another node, which has long left the caches: of the next one the machine is
 * asked for, of the one after that its node, and of those of which that is one their events. */
static void prefetch_next(const struct world *w)
{
    const struct heap *h = &w->events;
    size_t second = 1;
    for (size_t i = 1; i < h->count && i <= 4; i++) {
        __builtin_prefetch(h->slot[i].node);
        if (h->slot[i].key < h->slot[second].key) second = i;
    }
    if (second < h->count) {
        const struct world_node *n = &w->node[event_at(h, second)->to];
        __builtin_prefetch(&n->tick);
        __builtin_prefetch(&n->addr);
        __builtin_prefetch(&n->busy_us);
        __builtin_prefetch(&n->up_us);
    }
    if (h->count == 0) return;
    const void *machine = w->node[event_at(h, 0)->to].machine;
    if (machine != NULL && w->algorithm->prefetch != NULL) w->algorithm->prefetch(machine);
}

bool world_run(struct world *w, uint64_t until_us)
{
    for (;;) {
        struct heap_node *first = heap_min(&w->events);
        if (first == NULL || first->key > until_us) break;
        (void)heap_pop(&w->events);
        w->now_us = first->key;
        prefetch_next(w);
        handle(w, CONTAINER_OF(first, struct world_event, node));
        if (oracle_failed(w->oracle)) return false;
    }
    w->now_us = until_us;
    return true;
}

/* A service, and what changes with every announcement; long at every fourth node, so that bodies
 * are pulled as well as carried along. */
void world_announce(struct world *w, uint32_t i)
{
    char body[BODY_LONG];
    struct world_node *n = &w->node[i];
    memset(body, '.', sizeof(body));
    int len = snprintf(body, sizeof(body), "web %u of %llu, %u ", i, (unsigned long long)n->epoch,
                       n->announced++);
    bool carried = w->options.preload || i % 4 != 3;
    struct gossip_event e = {.kind = GOSSIP_UPSERT,
                             .data = span_of(body, carried ? (size_t)len : sizeof(body))};
    world_step(w, i, &e);
}

static void contact(struct world *w, uint32_t i)
{
    struct addr seed[WORLD_SEEDS_MAX];
    struct gossip_event e = {.kind = GOSSIP_JOIN, .addr = seed};
    uint32_t seeds = w->options.seeds > 0 ? w->options.seeds : 1;
    for (uint32_t k = 0; k < w->options.nodes && e.addr_count < seeds; k++)
        if (k != i) seed[e.addr_count++] = w->node[k].addr;
    if (e.addr_count > 0) world_step(w, i, &e);
}

enum err world_start_with(struct world *w, uint32_t i, struct span store)
{
    struct world_node *n = &w->node[i];
    enum err err = w->algorithm->make(w, i, store, &n->machine);
    if (err != ERR_OK) return err;
    n->gossip = w->algorithm == algorithm_parley() ? n->machine : NULL;
    n->down_us = WORLD_NEVER_US;
    n->up_us = n->touched_us = w->now_us;
    n->paused_us = n->pause_us = n->busy_us = 0;
    oracle_start(w->oracle, w, i);
    if (w->drivers != NULL) drivers_start(w->drivers, i);
    n->announced = 0;
    world_announce(w, i);
    return ERR_OK;
}

static enum err start_again(struct world *w, uint32_t i)
{
    struct world_node *n = &w->node[i];
    uint64_t wall = (uint64_t)hostclock_wall_ms(&n->clock, w->now_us);
    n->old_epoch = n->epoch;
    n->epoch = n->epoch < wall ? wall : n->epoch + 1;
    copy_store(&n->old_store, &n->old_store_len, span_of(n->store, n->store_len));
    enum err err = world_start_with(w, i, span_of(n->store, n->store_len));
    if (err == ERR_OK) contact(w, i);
    return err;
}

enum err world_restart(struct world *w, uint32_t i, enum world_disk disk)
{
    struct world_node *n = &w->node[i];
    switch (disk) {
    case WORLD_DISK_KEPT:
        break;
    case WORLD_DISK_LOST:
        n->epoch = 0;
        n->store_len = 0;
        break;
    case WORLD_DISK_OLD:
        n->epoch = n->old_epoch;
        copy_store(&n->store, &n->store_len, span_of(n->old_store, n->old_store_len));
        break;
    }
    return start_again(w, i);
}

enum err world_start(struct world *w, uint32_t i)
{
    return world_restart(w, i, WORLD_DISK_KEPT);
}

enum err world_clone(struct world *w, uint32_t i, uint32_t of)
{
    struct world_node *n = &w->node[i];
    const struct world_node *original = &w->node[of];
    n->who = of;
    n->epoch = original->epoch;
    copy_store(&n->store, &n->store_len, span_of(original->store, original->store_len));
    return start_again(w, i);
}

void world_swap(struct world *w, uint32_t a, uint32_t b)
{
    struct world_node *one = &w->node[a], *two = &w->node[b];
    struct addr addr = one->addr;
    one->addr = two->addr;
    two->addr = addr;
    for (uint32_t i = 0; i < w->options.nodes; i++) {
        uint32_t *at = &w->node[i].at_addr;
        *at = *at == a ? b : *at == b ? a : *at;
    }
}

void world_stop(struct world *w, uint32_t i)
{
    struct world_node *n = &w->node[i];
    if (n->machine == NULL) return;
    w->algorithm->free(n->machine);
    n->machine = NULL;
    n->gossip = NULL;
    heap_remove(&w->events, &n->tick.node);
}

void world_crash(struct world *w, uint32_t i, bool refuses)
{
    struct world_node *n = &w->node[i];
    n->before = world_counters(w, i);
    world_stop(w, i);
    n->refuses = refuses;
    n->down_us = w->now_us;
    pipe_crash(w, i, refuses);
    world_trace(w, w->now_us ^ i);
}

void world_pause(struct world *w, uint32_t i, uint64_t for_us)
{
    struct world_node *n = &w->node[i];
    /* One that begins within another makes that longer, never shorter. */
    uint64_t began_us = n->paused_us > w->now_us ? n->paused_us - n->pause_us : w->now_us;
    if (n->paused_us < w->now_us + for_us) n->paused_us = w->now_us + for_us;
    n->pause_us = n->paused_us - began_us;
    n->touched_us = n->paused_us;
}

static const struct hash_key archive_key = {"parley-sim"};

enum err world_init(struct world *w, const struct world_options *o, struct oracle *oracle,
                    struct measure *measure)
{
    *w = (struct world){
        .options = *o, .algorithm = o->algorithm, .oracle = oracle, .measure = measure};
    heap_init(&w->events, EVENTS_MAX);
    slab_init(&w->datagrams, sizeof(struct datagram), DATAGRAMS_MAX);
    pipe_table_init(&w->pipes);
    rng_seed(&w->rng, o->seed ^ UINT64_C(0x7363656e));
    enum err err = event_effects_init(&w->fx);
    if (err == ERR_OK) err = archive_new(&archive_key, &w->archive);
    w->node = calloc(o->nodes, sizeof(w->node[0]));
    if (!network_init(&w->network, o->nodes, o->seed ^ UINT64_C(0x6e6574), o->loss) ||
        w->node == NULL)
        err = ERR_NOMEM;
    if (err == ERR_OK) err = persona_issuer_init(&w->issuer, o->real_crypto, o->seed);
    for (uint32_t i = 0; i < o->nodes && err == ERR_OK; i++) {
        struct world_node *n = &w->node[i];
        n->tick = (struct world_event){.kind = WORLD_TICK, .to = i};
        n->addr = addr_of(i);
        n->down_us = 0;
        n->epoch = (uint64_t)HOSTCLOCK_WALL_START_MS;
        n->who = n->at_addr = i;
        hostclock_init(&n->clock);
        if (o->rings) rotation_first(o->seed, &n->ring);
        err = persona_init(&n->persona, &w->issuer, i);
    }
    if (err == ERR_OK && o->preload) err = w->algorithm->preload(w);
    if (err != ERR_OK) world_fini(w);
    return err;
}

void world_fini(struct world *w)
{
    struct heap_node *h;
    while ((h = heap_pop(&w->events)) != NULL) {
        struct world_event *e = CONTAINER_OF(h, struct world_event, node);
        if (e->kind == WORLD_STREAM) pipe_discard(w, e);
        if (e->kind == WORLD_POLICY) drivers_discard(w->drivers, e);
    }
    heap_fini(&w->events);
    pipe_table_fini(&w->pipes);
    for (uint32_t i = 0; w->node != NULL && i < w->options.nodes; i++) {
        world_stop(w, i);
        free(w->node[i].store);
        free(w->node[i].old_store);
        persona_fini(&w->node[i].persona);
    }
    free(w->node);
    persona_issuer_fini(&w->issuer);
    prefill_free(w->prefill);
    archive_unref(w->archive);
    w->node = NULL;
    network_fini(&w->network);
    slab_fini(&w->datagrams);
    event_effects_fini(&w->fx);
}
