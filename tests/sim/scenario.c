#include "tests/sim/scenario.h"

#include "core/base/check.h"
#include "gossip/rollout.h"
#include "tests/sim/campaign.h"
#include "tests/sim/nemesis.h"
#include "tests/sim/oracle.h"
#include "tests/sim/plan.h"
#include "tests/sim/rotation.h"
#include "tests/sim/world.h"
#include "tests/sim/wide.h"

#include <stdio.h>
#include <string.h>

#define PROVEN_MAX_MS     3000.0
#define SHUN_NODES_MIN    100u
#define SHUN_MAX_MS       30000u
#define SECOND_US         UINT64_C(1000000)
#define LOOK_US           (SECOND_US / 10)
#define BOOTSTRAP_MAX_US  (120 * SECOND_US)
#define READY_MAX_MS      20000u /* gossip.md 4.3, of 2 000 nodes */
#define SETTLE_US         (3 * SECOND_US)
#define CONVERGE_MAX_US   (60 * SECOND_US)
#define NOTICE_MAX_US     (20 * SECOND_US) /* I6; twice that where much is lost */
#define ROTATE_MAX_US     (60 * SECOND_US)
#define NOTICE_LOSS       0.05
#define DATAGRAM_OVERHEAD 28.0 /* IPv4 and UDP */

struct run {
    const struct script *schedule;
    struct world world;
    struct oracle oracle;
    struct nemesis nemesis;
    struct rotation rotation;
    struct campaign campaign; /* of those that apply something */
    struct scenario_result *result;
    bool agreed;         /* since the last fault */
    uint64_t noticed_us; /* when I6 was last looked at */
};

struct words {
    const char *word, *number;
};

static const struct words *words_of(enum scenario s)
{
    static const struct words all[SCENARIOS] = {
#define SCENARIO_WORDS(name, word, number, about) {word, number},
        SCENARIO_LIST(SCENARIO_WORDS)
#undef SCENARIO_WORDS
    };
    return &all[s];
}

const char *scenario_word(enum scenario s)
{
    return words_of(s)->word;
}

const char *scenario_number(enum scenario s)
{
    return words_of(s)->number;
}

bool scenario_concerns(enum scenario s, const struct algorithm *a)
{
    bool own = s == SCENARIO_BYZANTINE || s == SCENARIO_SERVICES || s == SCENARIO_SWAP ||
               s == SCENARIO_CLONE;
    return a == algorithm_parley() || !own;
}

bool scenario_parse(const char *word, enum scenario *out)
{
    for (unsigned i = 0; i < SCENARIOS; i++) {
        const struct words *w = words_of((enum scenario)i);
        if (strcmp(word, w->word) != 0 && (*word == '\0' || strcmp(word, w->number) != 0)) continue;
        *out = (enum scenario)i;
        return true;
    }
    return false;
}

static bool has_converged(const struct run *r)
{
    const struct world *w = &r->world;
    if (w->drivers != NULL && !drivers_agree(w->drivers)) return false;
    /* Where many say what they did with a policy, they take minutes, so as not to flood the mesh:
     * then no two views are the same for long, and what counts is what is in force. */
    bool spread = r->campaign.drivers.activations > ROLLOUT_VOTERS_MAX &&
                  w->options.nodes > ROLLOUT_VOTERS_MAX;
    return spread || w->algorithm->is_converged(w);
}

static void say_disagreement(struct run *r)
{
    if (!r->world.algorithm->strict) return;
    oracle_fail(&r->oracle, "I7: at %.3f s the nodes do not agree",
                (double)r->world.now_us / (double)SECOND_US);
}

/* Runs until all that are up agree, at most so long. */
static bool until_converged(struct run *r, uint64_t max_us)
{
    struct world *w = &r->world;
    uint64_t end = w->now_us + max_us;
    while (w->now_us < end) {
        if (!world_run(w, w->now_us + LOOK_US)) return false;
        if (has_converged(r)) return true;
    }
    say_disagreement(r);
    return !w->algorithm->strict;
}

static bool bootstrap(struct run *r)
{
    struct world *w = &r->world;
    uint32_t nodes = w->options.nodes;
    uint64_t apart = r->schedule->start == SCRIPT_STORM ? SECOND_US / nodes : LOOK_US;
    for (uint32_t i = 0; i < nodes && !w->options.preload; i++) {
        if (world_start(w, i) != ERR_OK) oracle_fail(&r->oracle, "node %u does not start", i);
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

/* Nothing was done for a while that makes a late answer right. */
static bool is_quiet(const struct run *r, uint64_t for_us)
{
    const struct nemesis *n = &r->nemesis;
    return n->running_count == 0 && r->world.now_us >= n->changed_us + for_us;
}

/* How long all have to agree, and to notice who is gone. */
static uint64_t notice_max_us(const struct run *r)
{
    bool much = r->schedule->options.loss > NOTICE_LOSS;
    return much ? 2 * NOTICE_MAX_US : NOTICE_MAX_US;
}

static void look(struct run *r)
{
    struct world *w = &r->world;
    struct nemesis *n = &r->nemesis;
    if (!r->agreed && n->running_count == 0 && has_converged(r)) {
        r->agreed = true;
        double ms = (double)(w->now_us - n->changed_us) / 1000.0;
        measure_add(&w->measure->series[n->healed ? MEASURE_HEAL : MEASURE_SETTLE], ms);
    }
    if (!w->algorithm->strict || w->now_us < r->noticed_us + SECOND_US) return;
    r->noticed_us = w->now_us;
    uint64_t bound = notice_max_us(r);
    uint32_t late = is_quiet(r, 0) ? measure_overdue(w->measure, w, bound) : w->options.nodes;
    if (late < w->options.nodes && w->now_us >= w->network.healed_us + bound)
        oracle_fail(&r->oracle, "I6: %.0f s after node %u went down only %u of %u know",
                    (double)(w->now_us - w->measure->target[late].at_us) / (double)SECOND_US, late,
                    w->measure->target[late].seen, w->measure->target[late].expected);
}

/* Runs to that time with all that is done meanwhile. */
static bool run_to(struct run *r, uint64_t end_us)
{
    struct world *w = &r->world;
    while (w->now_us < end_us) {
        uint64_t stop = w->now_us - w->now_us % LOOK_US + LOOK_US;
        uint64_t due = nemesis_due_us(&r->nemesis);
        if (due < stop) stop = due > w->now_us ? due : w->now_us;
        if (end_us < stop) stop = end_us;
        if (!world_run(w, stop)) return false;
        uint64_t changed = r->nemesis.changed_us;
        if (due <= stop && nemesis_act(&r->nemesis) != ERR_OK)
            oracle_fail(&r->oracle, "out of memory");
        if (r->nemesis.changed_us != changed || w->now_us == changed) r->agreed = false;
        if (stop % LOOK_US == 0) look(r);
        if (oracle_failed(&r->oracle)) return false;
    }
    return true;
}

/* Runs until the last rotation is over everywhere. */
static bool until_rotated(struct run *r)
{
    struct world *w = &r->world;
    if (w->rotation == NULL) return true;
    uint64_t end = w->now_us + ROTATE_MAX_US;
    uint32_t late = 0;
    while (w->now_us < end) {
        if (!world_run(w, w->now_us + LOOK_US)) return false;
        late = rotation_late(w->rotation);
        if (late == w->options.nodes) return true;
    }
    oracle_fail(&r->oracle, "N43: %.0f s after the last fault node %u has not the one new key",
                (double)ROTATE_MAX_US / (double)SECOND_US, late);
    return false;
}

/* All of the schedule, and then silence until all agree (I7, I8). */
static bool act(struct run *r)
{
    struct world *w = &r->world;
    const struct scenario_options *o = &r->schedule->options;
    uint64_t start = w->now_us, end = script_end_us(r->schedule);
    if (end < o->for_ms * 1000) end = o->for_ms * 1000;
    w->measure->watch_news = true;
    sum_up(r, -1);
    /* One more microsecond: what ends with the last fault is done. */
    bool ok = run_to(r, start + end + 1);
    sum_up(r, 1);
    r->result->node_seconds = (double)(w->now_us - start) / 1e6 * (double)w->options.nodes;
    if (!ok) return false;
    /* I14: without loss nothing happens, so nothing is told. */
    bool still = r->schedule->count == 0 && o->loss == 0 && w->algorithm->strict;
    if (still && r->result->rumours_sent > 0)
        oracle_fail(&r->oracle, "I14: an idle mesh sent %.0f rumours", r->result->rumours_sent);
    uint64_t limit = w->now_us + CONVERGE_MAX_US;
    while (!r->agreed && w->now_us < limit)
        if (!run_to(r, w->now_us + LOOK_US)) return false;
    if (!r->agreed) say_disagreement(r);
    return r->agreed && until_rotated(r);
}

/* Somebody will start again. */
static bool needs_stores(const struct script *s)
{
    for (size_t i = 0; i < s->count; i++) {
        enum fault_kind kind = s->fault[i].kind;
        if (kind == FAULT_RESTART || kind == FAULT_RESTART_OLD || kind == FAULT_RESTART_EMPTY ||
            kind == FAULT_CLONE || kind == FAULT_SWAP ||
            (kind == FAULT_APPLY && s->options.nodes < PLAN_PRELOAD_FROM))
            return true;
    }
    return false;
}

static bool applies(const struct script *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->fault[i].kind == FAULT_APPLY) return s->options.algorithm->strict;
    return false;
}

enum err scenario_run_script(const struct script *s, struct scenario_result *out)
{
    const struct scenario_options *o = &s->options;
    struct run r = {.schedule = s, .result = out};
    struct world_options wo = {.algorithm = o->algorithm,
                               .nodes = o->nodes,
                               .seed = o->seed,
                               .loss = o->loss,
                               .period_ms = 1000,
                               .preload = s->start == SCRIPT_JOINED,
                               .keep_stores = needs_stores(s),
                               .seeds = o->scenario == SCENARIO_SEEDS ? PLAN_SEEDS : 1,
                               .rings = o->scenario == SCENARIO_ROTATION && !o->real_crypto &&
                                        o->algorithm == algorithm_parley(),
                               .real_crypto = o->real_crypto};
    *out = (struct scenario_result){0};
    enum err err = ERR_NOMEM;
    if (!measure_init(&out->measure, o->nodes)) return ERR_NOMEM;
    if (!oracle_init(&r.oracle, o->nodes)) goto fail_oracle;
    err = world_init(&r.world, &wo, &r.oracle, &out->measure);
    if (err != ERR_OK) goto fail_world;
    if (wo.rings) err = rotation_init(&r.rotation, &r.world);
    if (err != ERR_OK) goto fail_rotation;
    if (applies(s) && !wo.rings) err = campaign_init(&r.campaign, &r.world);
    if (err != ERR_OK) goto fail_nemesis;
    r.world.network.profile.wide = o->scenario == SCENARIO_WIDE;
    bool ok = bootstrap(&r);
    err = ERR_NOMEM;
    if (!nemesis_init(&r.nemesis, s, &r.world, &out->measure)) goto fail_nemesis;
    if (r.campaign.world != NULL) r.nemesis.campaign = &r.campaign;
    if (ok) (void)act(&r);
    measure_end(&out->measure);
    out->trace_hash = r.world.trace_hash;
    out->virtual_ms = r.world.now_us / 1000;
    out->events = r.world.events_done;
    out->estimates_off = o->scenario == SCENARIO_WIDE ? wide_error(&r.world) : WIDE_UNMEASURED;
    out->failed = r.oracle.failed;
    memcpy(out->message, r.oracle.message, sizeof(out->message));
    err = ERR_OK;
    nemesis_fini(&r.nemesis);
fail_nemesis:
    rotation_fini(&r.rotation);
fail_rotation:
    world_fini(&r.world);
    campaign_fini(&r.campaign); /* its events were the world's */
fail_world:
    oracle_fini(&r.oracle);
fail_oracle:
    if (err != ERR_OK) measure_fini(&out->measure);
    return err;
}

enum err scenario_run(const struct scenario_options *o, struct scenario_result *out)
{
    struct script s;
    plan_make(o, &s);
    enum err err = scenario_run_script(&s, out);
    script_fini(&s);
    return err;
}

static double longest(const struct measure_series *s)
{
    double ms = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->ms[i] > ms) ms = s->ms[i];
    return ms;
}

/* gossip.md 4.3, where nothing else disturbs: what our own algorithm must do. */
static const char *judge_parley(const struct scenario_options *o, const struct measure *m)
{
    if (o->loss > 0 || o->algorithm != algorithm_parley()) return NULL;
    if (o->scenario == SCENARIO_KILL && longest(&m->series[MEASURE_FIRST_DEAD]) > PROVEN_MAX_MS)
        return "a refused port did not prove a death in time";
    bool long_enough = o->nodes >= SHUN_NODES_MIN && o->for_ms >= SHUN_MAX_MS;
    bool all_in_time = m->unnoticed == 0 && longest(&m->series[MEASURE_ALL_KNOW]) <= SHUN_MAX_MS;
    if (o->scenario == SCENARIO_EGRESS && long_enough && !all_in_time)
        return "S10: not all left out in time who loses most packets";
    return NULL;
}

const char *scenario_judge(const struct scenario_options *o, const struct scenario_result *r)
{
    const struct measure *m = &r->measure;
    if (r->failed) return r->message;
    if (o->scenario == SCENARIO_WIDE && o->algorithm->strict && o->for_ms >= WIDE_SETTLES_MS &&
        (r->estimates_off < 0 || r->estimates_off > WIDE_OFF_HALF))
        return "coordinates tell round-trip times badly";
    /* A clone speaks for the node it is a copy of. */
    if (o->scenario != SCENARIO_CLONE && m->false_dead > 0)
        return "a member that lived was declared dead";
    if (o->scenario == SCENARIO_BOOTSTRAP && r->bootstrap_ms > READY_MAX_MS)
        return "not all knew all in time";
    /* I17, and S9, S10, S12: who is well stays out of it. */
    bool one_is_bad = o->scenario == SCENARIO_FLIP || o->scenario == SCENARIO_EGRESS ||
                      o->scenario == SCENARIO_DETACHED || o->scenario == SCENARIO_BYZANTINE;
    if (one_is_bad && o->loss == 0 && m->false_unreachable > 0)
        return "I17: a healthy member was declared unreachable";
    return judge_parley(o, m);
}
