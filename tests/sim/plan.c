#include "tests/sim/plan.h"

#include "core/base/rng.h"
#include "tests/sim/byzantine.h"
#include "tests/sim/campaign.h"
#include "tests/sim/world.h"

#define MS             UINT64_C(1000)
#define SECOND         (1000 * MS)
#define MINUTE         (60 * SECOND)
#define CUT_EVERY      (60 * SECOND)
#define CUT_FOR        (20 * SECOND)
#define CHURN_MEAN     (4 * SECOND)
#define LEAVE_EVERY    (5 * SECOND)
#define CLONE_FOR      (15 * SECOND)
#define SWAP_EVERY     (20 * SECOND)
#define STORM_WITHIN   (2 * SECOND)
#define DOWN_FOR       (2 * SECOND)
#define SKEW_MAX_S     300u
#define DRIFT_MAX_PPM  500u
#define PAUSE_MIN      (100 * MS)
#define PAUSE_MAX      (8 * SECOND)
#define PAUSE_GAP_MEAN (20 * SECOND)
#define FLIP_S         20.0
#define EGRESS_PERCENT 80.0
#define SEES           3.0
#define LOSS_OF_S7     0.30
#define ROLLOUT_EVERY  (10 * SECOND)
#define CUT_SHORT      (5 * SECOND) /* healed before the next generation */

/* A plan in the making. Which nodes are down is what the plan itself did. */
struct plan {
    struct script *to;
    const struct scenario_options *o;
    struct rng rng;
    uint64_t end_us;
};

static void add(struct plan *p, struct fault f)
{
    script_add(p->to, &f);
}

static void one(struct plan *p, enum fault_kind kind, uint64_t at_us, uint32_t node)
{
    add(p, (struct fault){.kind = kind, .at_us = at_us, .first = node, .last = node});
}

static uint64_t below(struct plan *p, uint64_t bound)
{
    return bound > 0 ? rng_below(&p->rng, bound) : 0;
}

static uint32_t some_node(struct plan *p)
{
    return (uint32_t)below(p, p->o->nodes);
}

/* How many nodes the faulty share is: at least one. */
static uint32_t share_of(const struct plan *p, double otherwise)
{
    double share = p->o->share > 0 ? p->o->share : otherwise;
    uint32_t n = (uint32_t)(share * p->o->nodes + 0.5);
    if (n >= p->o->nodes) n = p->o->nodes - 1;
    return n > 0 ? n : 1;
}

/* A run of nodes of that many; the seed node is left out when there are others. */
static uint32_t first_of(struct plan *p, uint32_t count)
{
    if (count >= p->o->nodes) return 0;
    return 1 + (uint32_t)below(p, p->o->nodes - count);
}

static void idle(struct plan *p)
{
    (void)p;
}

/* Now and then one node stops, until a third has. */
static void stops(struct plan *p, enum fault_kind how)
{
    uint32_t n = p->o->nodes, left = n / 3;
    if (n - left < 2) left = n - 2;
    bool gone[WORLD_NODES_MAX] = {false};
    uint64_t every = p->o->algorithm->notice_ms * MS;
    for (uint64_t at = 0; at + every <= p->end_us && left > 0; at += every, left--) {
        uint32_t i;
        do
            i = some_node(p);
        while (gone[i]);
        gone[i] = true;
        one(p, how, at + below(p, SECOND), i);
    }
}

static void crash(struct plan *p)
{
    stops(p, FAULT_CRASH);
}

static void killing(struct plan *p)
{
    stops(p, FAULT_KILL);
}

static void mass(struct plan *p)
{
    uint32_t count = share_of(p, 0.10);
    uint32_t first = first_of(p, count);
    add(p, (struct fault){.kind = FAULT_CRASH,
                          .at_us = below(p, SECOND),
                          .first = first,
                          .last = first + count - 1});
}

static void restart(struct plan *p, uint64_t at_us, uint32_t i, enum fault_kind stop)
{
    one(p, stop, at_us, i);
    one(p, FAULT_RESTART, at_us + DOWN_FOR, i);
}

static void rolling(struct plan *p)
{
    uint64_t every = MINUTE / share_of(p, 0.05);
    uint32_t i = 0;
    for (uint64_t at = 0; at + DOWN_FOR < p->end_us; at += every, i = (i + 1) % p->o->nodes)
        restart(p, at, i, FAULT_KILL);
}

static void storm(struct plan *p)
{
    for (uint32_t i = 0; i < p->o->nodes; i++) {
        one(p, FAULT_KILL, 0, i);
        one(p, FAULT_RESTART, STORM_WITHIN + STORM_WITHIN * i / p->o->nodes, i);
    }
}

static void pauses(struct plan *p)
{
    uint32_t count = share_of(p, 0.10), first = first_of(p, count);
    uint64_t longest = p->o->pause_ms > 0 ? p->o->pause_ms * MS : PAUSE_MAX;
    uint64_t shortest = longest < PAUSE_MIN ? longest : PAUSE_MIN;
    for (uint32_t i = first; i < first + count; i++) {
        for (uint64_t at = below(p, PAUSE_GAP_MEAN); at < p->end_us;) {
            uint64_t length = shortest + below(p, longest - shortest + 1);
            if (at + length > p->end_us) break;
            add(p, (struct fault){
                       .kind = FAULT_PAUSE, .at_us = at, .for_us = length, .first = i, .last = i});
            at += length + below(p, 2 * PAUSE_GAP_MEAN);
        }
    }
}

static void whole_time(struct plan *p, enum fault_kind kind, double number, double share)
{
    uint32_t count = share_of(p, share), first = first_of(p, count);
    add(p, (struct fault){.kind = kind,
                          .for_us = p->end_us,
                          .first = first,
                          .last = first + count - 1,
                          .number = number});
}

static void flip(struct plan *p)
{
    whole_time(p, FAULT_FLIP, FLIP_S, 0.01);
}

static void egress(struct plan *p)
{
    whole_time(p, FAULT_LOSS_OUT, EGRESS_PERCENT, 0.01);
}

static void cut(struct plan *p, uint64_t at_us, uint64_t for_us)
{
    uint32_t n = p->o->nodes, size = n / 2;
    enum scenario_cut parts = p->o->parts;
    if (parts == SCENARIO_CUT_ANY)
        size = 1 + (uint32_t)below(p, n / 2);
    else if (parts == SCENARIO_CUT_TENTH)
        size = n / 10 > 0 ? n / 10 : 1;
    else if (parts == SCENARIO_CUT_THREE)
        size = n / 3 > 0 ? n / 3 : 1;
    struct fault f = {.kind = FAULT_SPLIT, .at_us = at_us, .for_us = for_us};
    f.first = first_of(p, size);
    if (parts == SCENARIO_CUT_THREE) f.first = n - 2 * size;
    f.last = f.first + size - 1;
    add(p, f);
    if (parts != SCENARIO_CUT_THREE || n < 3) return;
    f.first = f.last + 1;
    f.last = n - 1;
    add(p, f);
}

static void partition(struct plan *p)
{
    uint64_t length = p->o->cut_ms > 0 ? p->o->cut_ms * MS : CUT_FOR;
    uint64_t every = length * 2 > CUT_EVERY ? length * 2 : CUT_EVERY;
    uint64_t at = 0;
    do {
        cut(p, at, length);
        at += every;
    } while (at + length <= p->end_us);
}

static void detached(struct plan *p)
{
    uint32_t i = first_of(p, 1);
    double sees = p->o->nodes > 5 ? SEES : 1;
    add(p, (struct fault){.kind = FAULT_DETACH,
                          .at_us = 0,
                          .for_us = p->end_us,
                          .first = i,
                          .last = i,
                          .number = sees});
}

/* Sets the node's wall clock to another place within SKEW_MAX_S of the truth. */
static void skew(struct plan *p, uint64_t at_us, uint32_t i, double ahead_s[])
{
    double before = ahead_s[i];
    ahead_s[i] = (double)below(p, 2 * SKEW_MAX_S + 1) - SKEW_MAX_S;
    add(p, (struct fault){.kind = FAULT_SKEW,
                          .at_us = at_us,
                          .first = i,
                          .last = i,
                          .number = ahead_s[i] - before});
}

static void clocks(struct plan *p)
{
    double ahead_s[WORLD_NODES_MAX] = {0};
    for (uint32_t i = 0; i < p->o->nodes; i++) {
        skew(p, 0, i, ahead_s);
        struct fault f = {.kind = FAULT_DRIFT, .first = i, .last = i};
        f.number = (double)below(p, 2 * DRIFT_MAX_PPM + 1) - DRIFT_MAX_PPM;
        add(p, f);
    }
    for (uint64_t at = 5 * SECOND; at < p->end_us; at += 5 * SECOND) {
        skew(p, at, some_node(p), ahead_s);
        if (below(p, 3) == 0) restart(p, at + SECOND, some_node(p), FAULT_KILL);
    }
}

static void byzantine(struct plan *p)
{
    uint32_t i = first_of(p, 1);
    double kind = p->o->attack > 0 ? (double)(p->o->attack - 1) : (double)BYZANTINE_ALL;
    add(p, (struct fault){
               .kind = FAULT_ATTACK, .for_us = p->end_us, .first = i, .last = i, .number = kind});
    one(p, FAULT_CRASH, p->end_us, i);
}

/* One rotation that a cut falls into, one that all can see; restarts all the while. */
static void rotation(struct plan *p)
{
    uint64_t half = p->end_us / 2;
    one(p, FAULT_ROTATE, SECOND, first_of(p, 1));
    if (p->o->nodes > 4) cut(p, SECOND + below(p, 4 * SECOND), CUT_FOR);
    one(p, FAULT_ROTATE, half + CUT_FOR, some_node(p));
    rolling(p);
}

static void services(struct plan *p)
{
    double rate = p->o->rate > 0 ? p->o->rate : 5;
    uint64_t every = (uint64_t)((double)SECOND / rate);
    for (uint64_t at = 0; at < p->end_us; at += 1 + 2 * below(p, every))
        one(p, FAULT_ANNOUNCE, at, some_node(p));
}

/* In big worlds only what is good: how long that takes is asked there. */
static void rollout(struct plan *p)
{
    bool small = p->o->nodes < PLAN_PRELOAD_FROM;
    uint32_t n = 0;
    for (uint64_t at = SECOND; at + ROLLOUT_EVERY / 2 <= p->end_us; at += ROLLOUT_EVERY, n++) {
        uint32_t i = some_node(p);
        uint64_t kind = small && n % 2 == 1 ? below(p, CAMPAIGN_KINDS) : CAMPAIGN_GOOD;
        if (small && n % 2 == 1 && below(p, 2) == 0) cut(p, at, SECOND + below(p, CUT_SHORT));
        add(p, (struct fault){.kind = FAULT_APPLY,
                              .at_us = at + below(p, SECOND),
                              .first = i,
                              .last = i,
                              .number = (double)kind});
    }
}

static void seeds_gone(struct plan *p)
{
    uint32_t seeds = p->o->nodes > 2 * PLAN_SEEDS ? PLAN_SEEDS : 1;
    add(p, (struct fault){.kind = FAULT_CRASH, .at_us = 0, .first = 0, .last = seeds - 1});
    uint64_t at = p->end_us / 2;
    for (uint32_t i = seeds; i < p->o->nodes; i++)
        restart(p, at + SECOND * i / p->o->nodes, i, FAULT_KILL);
}

static void swap(struct plan *p)
{
    for (uint64_t at = SECOND; at + SWAP_EVERY <= p->end_us && p->o->nodes > 2; at += SWAP_EVERY) {
        uint32_t a = some_node(p), b = some_node(p);
        if (a == b) b = (a + 1) % p->o->nodes;
        add(p, (struct fault){
                   .kind = FAULT_SWAP, .at_us = at, .first = a, .last = a, .number = (double)b});
    }
}

static void leave(struct plan *p)
{
    uint32_t left = p->o->nodes / 2;
    uint32_t i = p->o->nodes;
    for (uint64_t at = 0; at + LEAVE_EVERY < p->end_us && left > 0; at += LEAVE_EVERY, left--) {
        one(p, FAULT_LEAVE, at, --i);
        one(p, FAULT_KILL, at + SECOND, i);
    }
}

static void clone(struct plan *p)
{
    uint64_t every = 4 * CLONE_FOR;
    for (uint64_t at = 0; at + every <= p->end_us && p->o->nodes > 3; at += every) {
        uint32_t host = first_of(p, 1), of = 0;
        do
            of = some_node(p);
        while (of == host);
        add(p, (struct fault){.kind = FAULT_CLONE,
                              .at_us = at,
                              .for_us = CLONE_FOR,
                              .first = host,
                              .last = host,
                              .number = (double)of});
    }
}

static void network(struct plan *p)
{
    static const struct {
        enum fault_kind kind;
        double number;
    } can[] = {{FAULT_JITTER, 20},  {FAULT_DOUBLE, 10}, {FAULT_REORDER, 20}, {FAULT_DELAY, 80},
               {FAULT_RATE, 20000}, {FAULT_SLOW, 5},    {FAULT_LOSS_IN, 20}, {FAULT_LOSS_OUT, 20},
               {FAULT_LOSS, 10},    {FAULT_MTU, 1400},  {FAULT_DEAF, 0},     {FAULT_MUTE, 0},
               {FAULT_BLOCK, 0}};
    for (uint64_t at = 0; at < p->end_us; at += 1 + below(p, 8 * SECOND)) {
        size_t which = (size_t)below(p, sizeof(can) / sizeof(can[0]));
        struct fault f = {.kind = can[which].kind, .at_us = at, .number = can[which].number};
        f.first = f.last = some_node(p);
        f.for_us = SECOND + below(p, 10 * SECOND);
        if (f.kind == FAULT_BLOCK) f.number = (double)((f.first + 1) % p->o->nodes);
        if (f.kind == FAULT_DEAF || f.kind == FAULT_MUTE) f.for_us = 1 + below(p, 5 * SECOND);
        if (at + f.for_us <= p->end_us) add(p, f);
    }
}

/* One thing that happens to machines and networks. */
static void mishap(struct plan *p, uint64_t at)
{
    static const enum fault_kind again[] = {FAULT_RESTART, FAULT_RESTART, FAULT_RESTART_EMPTY,
                                            FAULT_RESTART_OLD};
    uint32_t i = some_node(p);
    struct fault f = {.at_us = at, .first = i, .last = i};
    switch (below(p, 9)) {
    case 0:
    case 1:
        one(p, below(p, 2) == 0 ? FAULT_CRASH : FAULT_KILL, at, i);
        one(p, again[below(p, 4)], at + SECOND + below(p, 30 * SECOND), i);
        break;
    case 2:
        one(p, FAULT_LEAVE, at, i);
        one(p, FAULT_KILL, at + SECOND, i);
        one(p, FAULT_RESTART, at + 2 * SECOND + below(p, 20 * SECOND), i);
        break;
    case 3:
        f.kind = FAULT_PAUSE;
        f.for_us = 1 + below(p, 12 * SECOND);
        add(p, f);
        break;
    case 4:
        cut(p, at, SECOND + below(p, 20 * SECOND));
        break;
    case 5:
    case 6:
        one(p, FAULT_ANNOUNCE, at, i);
        break;
    case 7:
        f.kind = FAULT_SLOW;
        f.for_us = 1 + below(p, 10 * SECOND);
        f.number = 4;
        add(p, f);
        break;
    default:
        f.kind = below(p, 2) == 0 ? FAULT_DEAF : FAULT_MUTE;
        f.for_us = 1 + below(p, 10 * SECOND);
        add(p, f);
    }
}

static void churn(struct plan *p)
{
    for (uint64_t at = 0; at < p->end_us; at += 1 + below(p, 2 * CHURN_MEAN))
        mishap(p, at);
    uint64_t end = script_end_us(p->to);
    add(p, (struct fault){.kind = FAULT_RESTART, .at_us = end, .last = p->o->nodes - 1});
}

void plan_make(const struct scenario_options *o, struct script *out)
{
    static void (*const makes[SCENARIOS])(struct plan *) = {
        [SCENARIO_IDLE] = idle,           [SCENARIO_CRASH] = crash,
        [SCENARIO_MASS] = mass,           [SCENARIO_ROLLING] = rolling,
        [SCENARIO_STORM] = storm,         [SCENARIO_BOOTSTRAP] = idle,
        [SCENARIO_LOSS] = idle,           [SCENARIO_PAUSE] = pauses,
        [SCENARIO_FLIP] = flip,           [SCENARIO_EGRESS] = egress,
        [SCENARIO_PARTITION] = partition, [SCENARIO_DETACHED] = detached,
        [SCENARIO_CLOCKS] = clocks,       [SCENARIO_BYZANTINE] = byzantine,
        [SCENARIO_SERVICES] = services,   [SCENARIO_SEEDS] = seeds_gone,
        [SCENARIO_SWAP] = swap,           [SCENARIO_LEAVE] = leave,
        [SCENARIO_CLONE] = clone,         [SCENARIO_NETWORK] = network,
        [SCENARIO_CHURN] = churn,         [SCENARIO_ROTATION] = rotation,
        [SCENARIO_ROLLOUT] = rollout,     [SCENARIO_WIDE] = idle,
        [SCENARIO_KILL] = killing};
    struct plan p = {.to = out, .o = &out->options, .end_us = o->for_ms * MS};
    script_init(out, o);
    if (o->scenario == SCENARIO_LOSS && o->loss == 0) out->options.loss = LOSS_OF_S7;
    out->start = o->nodes >= PLAN_PRELOAD_FROM ? SCRIPT_JOINED : SCRIPT_ONE;
    if (o->scenario == SCENARIO_BOOTSTRAP) out->start = SCRIPT_STORM;
    rng_seed(&p.rng, o->seed ^ UINT64_C(0x706c616e));
    makes[o->scenario](&p);
}
