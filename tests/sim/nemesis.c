#include "tests/sim/nemesis.h"

#include "core/base/check.h"
#include "tests/sim/campaign.h"
#include "tests/sim/oracle.h"
#include "tests/sim/rotation.h"
#include "tests/sim/world.h"

#include <stdlib.h>

#define US_IN_A_MS 1000u
#define MS_IN_A_S  1000.0
#define US_IN_A_S  1000000.0
#define HUNDRED    100.0
#define UNFIT_LOSS 50.0
#define UNFIT_US   UINT64_C(20000000)
#define DRIFT_MAX  ((double)HOSTCLOCK_DRIFT_MAX)

bool nemesis_init(struct nemesis *n, const struct script *s, struct world *w, struct measure *m)
{
    *n = (struct nemesis){
        .schedule = s, .world = w, .measure = m, .base_us = w->now_us, .changed_us = w->now_us};
    n->normal = w->network.profile;
    return byzantine_init(&n->byzantine, w);
}

void nemesis_fini(struct nemesis *n)
{
    byzantine_fini(&n->byzantine);
}

static uint64_t next_begin_us(const struct nemesis *n)
{
    if (n->next == n->schedule->count) return UINT64_MAX;
    return n->base_us + n->schedule->fault[n->next].at_us;
}

uint64_t nemesis_due_us(const struct nemesis *n)
{
    uint64_t due = next_begin_us(n);
    for (size_t i = 0; i < n->running_count; i++)
        if (n->running[i].until_us < due) due = n->running[i].until_us;
    uint64_t attack = byzantine_due_us(&n->byzantine);
    return attack < due ? attack : due;
}

/* Of a node's own part of the network. Whether it is bad now. */
static void set_link(struct network_node *link, const struct fault *f, uint64_t now_us, bool on)
{
    double v = on ? f->number : 0;
    switch ((int)f->kind) {
    case FAULT_DEAF:
        link->deaf = on;
        break;
    case FAULT_MUTE:
        link->mute = on;
        break;
    case FAULT_DETACH:
        link->sees = on && v < 1 ? 1 : (uint32_t)v;
        break;
    case FAULT_FLIP:
        link->flip_us = (uint32_t)(v * US_IN_A_S);
        link->flip_from_us = now_us;
        break;
    case FAULT_LOSS_IN:
        link->loss_in = v / HUNDRED;
        break;
    case FAULT_LOSS_OUT:
        link->loss_out = v / HUNDRED;
        break;
    case FAULT_DELAY:
        link->extra_us = (uint32_t)(v * US_IN_A_MS);
        break;
    case FAULT_RATE:
        link->rate = (uint64_t)v;
        break;
    default:
        break;
    }
}

static void set_profile(struct nemesis *n, const struct fault *f, bool on)
{
    struct network_profile *p = &n->world->network.profile;
    double share = f->number / HUNDRED;
    switch ((int)f->kind) {
    case FAULT_LOSS:
        p->loss = on ? share : n->normal.loss;
        break;
    case FAULT_JITTER:
        p->jitter_us = on ? f->number * US_IN_A_MS : n->normal.jitter_us;
        break;
    case FAULT_DOUBLE:
        p->duplicate = on ? share : n->normal.duplicate;
        break;
    case FAULT_REORDER:
        p->reorder = on ? share : n->normal.reorder;
        break;
    case FAULT_NO_STREAMS:
        p->no_streams = on;
        break;
    case FAULT_MTU:
        p->mtu = on ? (uint32_t)f->number : n->normal.mtu;
        break;
    default:
        break;
    }
}

static void split(struct nemesis *n, const struct fault *f, size_t index, bool on)
{
    struct world *w = n->world;
    uint16_t group = (uint16_t)(index % (UINT16_MAX - 1u) + 1);
    for (uint32_t i = f->first; i <= f->last; i++) {
        uint16_t *of = &w->network.node[i].group;
        /* Taken from another part, it meets those again who are taken from the rest. */
        if (on && *of != 0) w->network.healed_us = w->now_us;
        if (on || *of == group) *of = on ? group : 0;
    }
    if (on) {
        w->network.splits++;
        measure_cut(n->measure, w);
        return;
    }
    w->network.splits--;
    w->network.healed_us = w->now_us;
    n->healed = true;
    if (w->network.splits == 0) measure_uncut(n->measure);
}

static void stop(struct nemesis *n, uint32_t i, bool refuses)
{
    if (!world_runs(n->world, i)) return;
    bool own = world_is_up(n->world, i);
    world_crash(n->world, i, refuses);
    if (own) measure_went(n->measure, n->world, i, false);
}

static enum err start(struct nemesis *n, uint32_t i, enum world_disk disk)
{
    if (world_runs(n->world, i)) return ERR_OK;
    enum err err = world_restart(n->world, i, disk);
    if (err == ERR_OK) measure_came(n->measure, n->world, i);
    return err;
}

static void leave(struct nemesis *n, uint32_t i)
{
    struct gossip_event e = {.kind = GOSSIP_LEAVE};
    if (!world_is_up(n->world, i)) return;
    measure_went(n->measure, n->world, i, true);
    world_step(n->world, i, &e);
}

static enum err swap(struct nemesis *n, uint32_t a, uint32_t b)
{
    if (b >= n->world->options.nodes || a == b) return ERR_OK;
    stop(n, a, true);
    stop(n, b, true);
    world_swap(n->world, a, b);
    enum err err = start(n, a, WORLD_DISK_KEPT);
    return err == ERR_OK ? start(n, b, WORLD_DISK_KEPT) : err;
}

/* The host of `i` runs a copy of `of` for a while, and then what it ran before. */
static enum err clone(struct nemesis *n, uint32_t i, uint32_t of, bool on)
{
    if (of >= n->world->options.nodes || of == i) return ERR_OK;
    stop(n, i, true);
    if (on) return world_clone(n->world, i, of);
    n->world->node[i].who = i;
    return start(n, i, WORLD_DISK_KEPT);
}

static void announce(struct nemesis *n, uint32_t i)
{
    struct world *w = n->world;
    if (!world_is_up(w, i) || w->node[i].paused_us > w->now_us) return;
    world_announce(w, i);
}

static uint32_t partner(const struct nemesis *n, const struct fault *f)
{
    uint32_t nodes = n->world->options.nodes;
    return f->number >= 0 && f->number < nodes ? (uint32_t)f->number : nodes;
}

/* A fault that is over at once, to one node. */
static enum err strike(struct nemesis *n, const struct fault *f, uint32_t i)
{
    struct world *w = n->world;
    double ppm = f->number;
    switch ((int)f->kind) {
    case FAULT_CRASH:
    case FAULT_KILL:
        stop(n, i, f->kind == FAULT_KILL);
        return ERR_OK;
    case FAULT_RESTART:
        return start(n, i, WORLD_DISK_KEPT);
    case FAULT_RESTART_EMPTY:
        return start(n, i, WORLD_DISK_LOST);
    case FAULT_RESTART_OLD:
        return start(n, i, WORLD_DISK_OLD);
    case FAULT_LEAVE:
        leave(n, i);
        return ERR_OK;
    case FAULT_SWAP:
        return swap(n, i, partner(n, f));
    case FAULT_SKEW:
        hostclock_step(&w->node[i].clock, (int64_t)(f->number * MS_IN_A_S));
        return ERR_OK;
    case FAULT_DRIFT:
        ppm = ppm > DRIFT_MAX ? DRIFT_MAX : ppm < -DRIFT_MAX ? -DRIFT_MAX : ppm;
        hostclock_drift(&w->node[i].clock, w->now_us, (int32_t)ppm);
        return ERR_OK;
    case FAULT_ANNOUNCE:
        announce(n, i);
        return ERR_OK;
    case FAULT_ROTATE:
        if (w->rotation != NULL) rotation_make(w->rotation, i);
        return ERR_OK;
    case FAULT_APPLY:
        if (n->campaign != NULL && f->number >= 0 && f->number < CAMPAIGN_KINDS)
            campaign_apply(n->campaign, i, (enum campaign_kind)f->number);
        return ERR_OK;
    default:
        return ERR_OK;
    }
}

/* Whether the others should do without a node that is like that. */
static bool is_unfit(const struct fault *f)
{
    bool lossy = (f->kind == FAULT_LOSS_OUT || f->kind == FAULT_LOSS_IN) && f->number >= UNFIT_LOSS;
    bool cut_off = f->kind == FAULT_FLIP || f->kind == FAULT_DEAF || f->kind == FAULT_MUTE;
    return f->for_us >= UNFIT_US && (lossy || cut_off);
}

/* One that lasts: on, or off again. */
static enum err impair(struct nemesis *n, const struct fault *f, uint32_t i, bool on)
{
    struct world *w = n->world;
    struct world_node *node = &w->node[i];
    node->faults += on ? 1u : UINT32_MAX;
    node->touched_us = w->now_us;
    switch ((int)f->kind) {
    case FAULT_PAUSE:
        if (on && world_runs(w, i)) world_pause(w, i, f->for_us);
        return ERR_OK;
    case FAULT_SLOW:
        node->service_us = on ? (uint32_t)(f->number * US_IN_A_MS) : 0;
        return ERR_OK;
    case FAULT_CLONE:
        return clone(n, i, partner(n, f), on);
    case FAULT_BLOCK:
        if (partner(n, f) == w->options.nodes) return ERR_OK;
        if (on)
            network_block(&w->network, i, partner(n, f));
        else
            network_unblock(&w->network, i, partner(n, f));
        return ERR_OK;
    case FAULT_ATTACK:
        if (on) oracle_liar(w->oracle, i);
        if (on)
            byzantine_begin(&n->byzantine, i, (enum byzantine_kind)f->number);
        else
            byzantine_end(&n->byzantine, i);
        return ERR_OK;
    default:
        w->network.unsteady += on ? 1u : UINT32_MAX;
        if (is_unfit(f) && on) measure_unfit(n->measure, w, i);
        if (is_unfit(f) && !on && world_is_up(w, i)) measure_came(n->measure, w, i);
        set_link(&w->network.node[i], f, w->now_us, on);
        return ERR_OK;
    }
}

static enum err apply(struct nemesis *n, size_t index, bool on)
{
    struct fault f = n->schedule->fault[index];
    unsigned needs = fault_needs(f.kind);
    uint32_t nodes = n->world->options.nodes;
    enum err err = ERR_OK;
    n->changed_us = n->world->now_us;
    n->healed = false;
    world_trace(n->world, n->world->now_us ^ (uint64_t)index << 1 ^ on);
    if (!(needs & FAULT_NODES)) {
        set_profile(n, &f, on);
        return ERR_OK;
    }
    if (f.first >= nodes) return ERR_OK;
    if (f.last >= nodes) f.last = nodes - 1;
    if (f.kind == FAULT_SPLIT) {
        split(n, &f, index, on);
        return ERR_OK;
    }
    for (uint32_t i = f.first; i <= f.last && err == ERR_OK; i++)
        err = (needs & FAULT_LASTS) ? impair(n, &f, i, on) : strike(n, &f, i);
    return err;
}

static enum err end_due(struct nemesis *n)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < n->running_count && err == ERR_OK;) {
        if (n->running[i].until_us > n->world->now_us) {
            i++;
            continue;
        }
        size_t fault = n->running[i].fault;
        n->running[i] = n->running[--n->running_count];
        err = apply(n, fault, false);
    }
    return err;
}

enum err nemesis_act(struct nemesis *n)
{
    enum err err = end_due(n);
    while (err == ERR_OK && next_begin_us(n) <= n->world->now_us) {
        size_t at = n->next++;
        const struct fault *f = &n->schedule->fault[at];
        bool lasts = (fault_needs(f->kind) & FAULT_LASTS) != 0;
        if (lasts && (f->for_us == 0 || n->running_count == NEMESIS_RUNNING_MAX)) continue;
        err = apply(n, at, true);
        if (!lasts) continue;
        n->running[n->running_count].fault = at;
        n->running[n->running_count++].until_us = n->world->now_us + f->for_us;
    }
    byzantine_act(&n->byzantine);
    return err;
}
