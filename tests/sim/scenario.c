#include "tests/sim/scenario.h"

#include "core/base/check.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <string.h>

#define SECOND_US         UINT64_C(1000000)
#define PRELOAD_FROM      65u /* nodes: smaller worlds join one by one */
#define BOOTSTRAP_MAX_US  (60 * SECOND_US)
#define SETTLE_US         (3 * SECOND_US)
#define CUT_EVERY_US      (60 * SECOND_US)
#define CUT_FOR_US        (20 * SECOND_US)
#define CONVERGE_MAX_US   (60 * SECOND_US)
#define CHURN_MEAN_US     (4 * SECOND_US)
#define DATAGRAM_OVERHEAD 28.0 /* IPv4 and UDP */

struct run {
    struct scenario_options options;
    struct world world;
    struct oracle oracle;
    struct scenario_result *result;
};

const char *scenario_word(enum scenario s)
{
    static const char *const word[SCENARIOS] = {"idle", "crash", "partition", "churn", "bootstrap"};
    return word[s];
}

bool scenario_parse(const char *word, enum scenario *out)
{
    for (unsigned i = 0; i < SCENARIOS; i++) {
        if (strcmp(word, scenario_word((enum scenario)i)) != 0) continue;
        *out = (enum scenario)i;
        return true;
    }
    return false;
}

/* Runs until all that are up agree, at most so long. */
static bool until_converged(struct run *r, uint64_t max_us)
{
    struct world *w = &r->world;
    uint64_t end = w->now_us + max_us;
    while (w->now_us < end) {
        if (!world_run(w, w->now_us + SECOND_US / 10)) return false;
        if (w->algorithm->is_converged(w)) return true;
    }
    if (w->algorithm->strict)
        oracle_fail(&r->oracle, "I7: at %.3f s the nodes do not agree", (double)w->now_us / 1e6);
    return !w->algorithm->strict;
}

static bool bootstrap(struct run *r)
{
    struct world *w = &r->world;
    for (uint32_t i = 0; i < w->options.nodes && !w->options.preload; i++) {
        if (world_start(w, i) != ERR_OK) oracle_fail(&r->oracle, "node %u does not start", i);
        uint64_t apart = r->options.scenario == SCENARIO_BOOTSTRAP ? SECOND_US / w->options.nodes
                                                                   : SECOND_US / 10;
        if (!world_run(w, w->now_us + rng_below(&w->rng, 2 * apart))) return false;
    }
    if (!until_converged(r, BOOTSTRAP_MAX_US)) return false;
    r->result->bootstrap_ms = w->now_us / 1000;
    return world_run(w, w->now_us + SETTLE_US);
}

static void sum_up(struct run *r, double sign)
{
    const struct world *w = &r->world;
    struct scenario_result *out = r->result;
    for (uint32_t i = 0; i < w->options.nodes; i++) {
        struct gossip_counters c = world_counters(w, i);
        double bytes = (double)c.bytes_sent + DATAGRAM_OVERHEAD * (double)c.datagrams_sent +
                       (double)w->node[i].stream_bytes;
        out->rumours_sent += sign * (double)c.rumours_sent;
        out->rumours_queued += sign * (double)c.rumours_queued;
        out->bytes_sent += sign * bytes;
    }
}

static uint32_t random_up(struct run *r)
{
    struct world *w = &r->world;
    uint32_t i;
    do
        i = (uint32_t)rng_below(&w->rng, w->options.nodes);
    while (!world_is_up(w, i));
    return i;
}

static uint32_t count_up(const struct world *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->options.nodes; i++)
        n += world_is_up(w, i);
    return n;
}

static bool idle(struct run *r, uint64_t end_us)
{
    struct world *w = &r->world;
    sum_up(r, -1);
    if (!world_run(w, end_us)) return false;
    sum_up(r, 1);
    /* I14: without loss nothing happens, so nothing is told. */
    if (w->algorithm->strict && r->options.loss == 0 && r->result->rumours_sent > 0)
        oracle_fail(&r->oracle, "I14: an idle mesh sent %.0f rumours", r->result->rumours_sent);
    return true;
}

static bool crash(struct run *r, uint64_t end_us)
{
    struct world *w = &r->world;
    uint64_t every_us = (uint64_t)w->algorithm->notice_ms * 1000;
    uint32_t least = w->options.nodes - w->options.nodes / 3;
    if (least < 2) least = 2;
    sum_up(r, -1);
    while (w->now_us + every_us <= end_us) {
        uint64_t begin = w->now_us;
        if (!world_run(w, begin + rng_below(&w->rng, SECOND_US))) return false;
        if (count_up(w) > least) {
            uint32_t target = random_up(r);
            world_crash(w, target, false);
            measure_crash(w->measure, w, target);
        }
        if (!world_run(w, begin + every_us)) return false;
        if (w->algorithm->strict && w->measure->active && !w->measure->had_all)
            oracle_fail(&r->oracle, "I6: %.0f s after the crash of %u only %llu of %llu know",
                        (double)(w->now_us - w->measure->at_us) / 1e6, w->measure->target,
                        (unsigned long long)w->measure->seen,
                        (unsigned long long)w->measure->expected);
        measure_end(w->measure);
    }
    sum_up(r, 1);
    return world_run(w, end_us) && until_converged(r, CONVERGE_MAX_US);
}

static void cut(struct run *r)
{
    struct world *w = &r->world;
    uint64_t share = 1 + rng_below(&w->rng, 4); /* 1 to 4 of 8 are on the other side */
    for (uint32_t i = 0; i < w->options.nodes; i++)
        w->network.group[i] = rng_below(&w->rng, 8) < share;
    w->network.group[0] = 0;
    w->network.group[w->options.nodes - 1] = 1;
    w->network.cut = true;
    measure_cut(w->measure, w);
}

static void heal(struct run *r)
{
    r->world.network.cut = false;
    r->world.network.healed_us = r->world.now_us;
}

static bool partition(struct run *r, uint64_t end_us)
{
    struct world *w = &r->world;
    sum_up(r, -1);
    while (w->now_us + CUT_EVERY_US <= end_us) {
        uint64_t begin = w->now_us;
        cut(r);
        if (!world_run(w, begin + CUT_FOR_US)) return false;
        measure_end(w->measure);
        heal(r);
        uint64_t healed = w->now_us;
        if (!until_converged(r, CONVERGE_MAX_US)) return false;
        measure_add(&w->measure->heal, (double)(w->now_us - healed) / 1000.0);
        uint64_t next = begin + CUT_EVERY_US;
        if (w->now_us < next && !world_run(w, next)) return false;
    }
    sum_up(r, 1);
    return true;
}

static void leave(struct run *r, uint32_t i)
{
    struct world *w = &r->world;
    struct gossip_event e = {.kind = GOSSIP_LEAVE};
    world_step(w, i, &e);
    if (world_run(w, w->now_us + SECOND_US)) world_crash(w, i, true);
}

/* One thing that happens to machines and networks. */
static void mishap(struct run *r)
{
    struct world *w = &r->world;
    uint32_t i = (uint32_t)rng_below(&w->rng, w->options.nodes);
    if (!world_is_up(w, i)) {
        if (world_start(w, i) != ERR_OK) oracle_fail(&r->oracle, "node %u does not start", i);
        return;
    }
    bool few = count_up(w) <= 2;
    switch (rng_below(&w->rng, 8)) {
    case 0:
    case 1:
        if (!few) world_crash(w, i, rng_below(&w->rng, 2) == 0);
        break;
    case 2:
        if (!few) leave(r, i);
        break;
    case 3:
        world_pause(w, i, rng_below(&w->rng, 12 * SECOND_US));
        break;
    case 4:
        if (w->network.cut)
            heal(r);
        else
            cut(r);
        break;
    case 5:
    case 6:
        if (w->node[i].paused_us <= w->now_us) world_announce(w, i);
        break;
    default:
        w->network.one_way = rng_below(&w->rng, 2) == 0;
        break;
    }
}

static bool churn(struct run *r, uint64_t end_us)
{
    struct world *w = &r->world;
    sum_up(r, -1);
    while (w->now_us < end_us) {
        mishap(r);
        if (!world_run(w, w->now_us + rng_below(&w->rng, 2 * CHURN_MEAN_US))) return false;
    }
    heal(r);
    for (uint32_t i = 0; i < w->options.nodes; i++)
        if (!world_is_up(w, i) && world_start(w, i) != ERR_OK)
            oracle_fail(&r->oracle, "node %u does not start", i);
    sum_up(r, 1);
    return until_converged(r, CONVERGE_MAX_US);
}

static bool act(struct run *r)
{
    static bool (*const acts[SCENARIOS])(struct run *, uint64_t) = {idle, crash, partition, churn,
                                                                    idle};
    uint64_t start = r->world.now_us;
    bool ok = acts[r->options.scenario](r, start + r->options.for_ms * 1000);
    r->result->node_seconds =
        (double)(r->world.now_us - start) / 1e6 * (double)r->world.options.nodes;
    return ok;
}

enum err scenario_run(const struct scenario_options *o, struct scenario_result *out)
{
    struct run r = {.options = *o, .result = out};
    struct world_options wo = {.algorithm = o->algorithm,
                               .nodes = o->nodes,
                               .seed = o->seed,
                               .loss = o->loss,
                               .period_ms = 1000,
                               .preload =
                                   o->nodes >= PRELOAD_FROM && o->scenario != SCENARIO_BOOTSTRAP,
                               .keep_stores = o->scenario == SCENARIO_CHURN,
                               .real_crypto = o->real_crypto};
    *out = (struct scenario_result){0};
    measure_init(&out->measure);
    if (!oracle_init(&r.oracle, o->nodes)) return ERR_NOMEM;
    enum err err = world_init(&r.world, &wo, &r.oracle, &out->measure);
    if (err == ERR_OK) {
        if (bootstrap(&r)) (void)act(&r);
        measure_end(&out->measure);
        out->trace_hash = r.world.trace_hash;
        out->virtual_ms = r.world.now_us / 1000;
        out->events = r.world.events_done;
        out->failed = r.oracle.failed;
        memcpy(out->message, r.oracle.message, sizeof(out->message));
        world_fini(&r.world);
    }
    oracle_fini(&r.oracle);
    return err;
}
