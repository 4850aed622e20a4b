#include "proxy/traffic/outlier.h"

#define LATENCY_EVERY_MS 1000u
#define PERCENT          100u

struct outlier {
    const struct snapshot_upstream *u;
    struct endpoint_state *const *state;
    size_t at;
    uint64_t now_ms;
};

/* How many circuits are open decides for all of them. */
static void weigh_all(const struct view *v, const struct outlier *o)
{
    uint64_t open = 0;
    for (size_t i = 0; i < o->u->endpoint_count; i++)
        open += o->state[i]->circuit.state != CIRCUIT_CLOSED;
    bool too_many = open * PERCENT > (uint64_t)o->u->eject.max_percent * o->u->endpoint_count;
    for (size_t i = 0; i < o->u->endpoint_count; i++)
        o->state[i]->circuit.held = too_many && o->state[i]->circuit.state != CIRCUIT_CLOSED;
    view_edge(v, o->u)->suspended = too_many;
}

static bool fails_more_than_others(const struct outlier *o)
{
    const struct circuit *c = &o->state[o->at]->circuit;
    uint64_t own = c->failed, all = (uint64_t)c->ok + c->failed, others = 0, others_failed = 0;
    if (all < OUTLIER_REQUESTS_MIN || own * PERCENT < all * o->u->eject.rate_percent) return false;
    for (size_t i = 0; i < o->u->endpoint_count; i++) {
        const struct circuit *other = &o->state[i]->circuit;
        if (i == o->at || other->state != CIRCUIT_CLOSED) continue;
        others += (uint64_t)other->ok + other->failed;
        others_failed += other->failed;
    }
    return others > 0 && others_failed * 2 * all < own * others;
}

static bool slower_than_others(const struct outlier *o)
{
    struct circuit *c = &o->state[o->at]->circuit;
    uint64_t own = endpoint_state_mean_ns(o->state[o->at], o->now_ms), sum = 0, count = 0;
    if (own == 0 || o->now_ms - c->latency_ms < LATENCY_EVERY_MS) return false;
    c->latency_ms = o->now_ms;
    for (size_t i = 0; i < o->u->endpoint_count; i++) {
        uint64_t mean = endpoint_state_mean_ns(o->state[i], o->now_ms);
        if (i == o->at || mean == 0) continue;
        sum += mean;
        count++;
    }
    return count > 0 && own / o->u->eject.latency_times > sum / count;
}

static bool stands_out(const struct outlier *o, bool ok, enum circuit_cause *cause)
{
    const struct config_eject *rules = &o->u->eject;
    *cause = CIRCUIT_RATE;
    if (!ok && rules->rate_percent > 0 && fails_more_than_others(o)) return true;
    *cause = CIRCUIT_LATENCY;
    return ok && rules->latency_times > 0 && slower_than_others(o);
}

enum circuit_change outlier_report(const struct view *v, const struct snapshot_upstream *u,
                                   size_t at, bool ok, bool probe, uint64_t now_ms)
{
    struct outlier o = {.u = u, .state = view_endpoints(v, u), .at = at, .now_ms = now_ms};
    struct circuit *c = &o.state[at]->circuit;
    enum circuit_cause cause;
    enum circuit_state before = c->state;
    enum circuit_change change = circuit_report(c, &u->eject, ok, probe, now_ms);
    if (c->state == CIRCUIT_CLOSED && stands_out(&o, ok, &cause)) {
        circuit_open(c, &u->eject, cause, now_ms);
        change = change == CIRCUIT_CLOSES ? CIRCUIT_SAME : CIRCUIT_OPENED;
    }
    /* Opened again after a probe: it may have to be held now. */
    if (change != CIRCUIT_SAME || before != c->state) weigh_all(v, &o);
    return change;
}
