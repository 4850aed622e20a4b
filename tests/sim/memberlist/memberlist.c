#include "tests/sim/memberlist/memberlist.h"

#include "tests/sim/memberlist/ml_agent.h"
#include "tests/sim/world.h"

/* Nothing survives a restart: serf's snapshot holds addresses only, and all of them join by one. */
static enum err make(struct world *w, uint32_t i, struct span store, void **out)
{
    struct ml_agent *a;
    const struct world_node *n = &w->node[i];
    bool settled = w->options.preload && w->now_us == 0;
    uint64_t seed = hash_mix(w->options.seed ^ hash_mix(n->epoch) ^ ((uint64_t)i << 40));
    (void)store;
    enum err err = ml_agent_new(w, i, seed, settled, &a);
    if (err == ERR_OK) *out = a;
    return err;
}

static void drop(void *machine)
{
    ml_agent_free(machine);
}

static enum err step(void *machine, const struct gossip_event *e, struct gossip_effects *fx)
{
    return ml_agent_step(machine, e, fx);
}

static uint64_t next_deadline_ms(const void *machine)
{
    return ml_agent_next_deadline_ms(machine);
}

static const struct gossip_counters *counters(const void *machine)
{
    const struct ml_agent *a = machine;
    return &a->counters;
}

static enum err preload(struct world *w)
{
    enum err err = ERR_OK;
    for (uint32_t i = 0; i < w->options.nodes && err == ERR_OK; i++)
        err = world_start_with(w, i, span_of(NULL, 0));
    return err;
}

static bool agrees(const struct world *w, const struct ml_agent *a, uint32_t up)
{
    if (a->roster.count[ML_ALIVE] != up || a->roster.count[ML_SUSPECT] > 0) return false;
    for (uint32_t i = 0; i < a->nodes; i++)
        if ((a->roster.entry[i].status == ML_ALIVE) != world_is_up(w, i)) return false;
    return true;
}

static bool is_converged(const struct world *w)
{
    uint32_t up = 0;
    for (uint32_t i = 0; i < w->options.nodes; i++)
        up += world_is_up(w, i);
    for (uint32_t i = 0; i < w->options.nodes; i++)
        if (world_is_up(w, i) && !agrees(w, w->node[i].machine, up)) return false;
    return true;
}

const struct algorithm *memberlist_algorithm(void)
{
    static const struct algorithm memberlist = {.word = "memberlist",
                                                .tls = false,
                                                .strict = false,
                                                .notice_ms = 60000,
                                                .make = make,
                                                .free = drop,
                                                .step = step,
                                                .next_deadline_ms = next_deadline_ms,
                                                .counters = counters,
                                                .preload = preload,
                                                .is_converged = is_converged};
    return &memberlist;
}
