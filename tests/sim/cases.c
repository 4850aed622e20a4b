#include "tests/sim/cases.h"

#include "core/base/check.h"

#define SEEDS 200u

struct more {
    struct scenario_options run;
    const char *why;
};

/* Sizes and crypto that the many do not have, and seeds that found a bug, which stay for good. */
static const struct more more[] = {
    {{SCENARIO_CRASH, 100, 1, 0.05, 45000, false, NULL}, "a hundred nodes at 5 % loss"},
    {{SCENARIO_CHURN, 5, 3, 0.05, 60000, true, NULL}, "five nodes with the real crypto"},
    {{SCENARIO_BOOTSTRAP, 200, 1, 0.01, 5000, false, NULL}, "two hundred join one seed at once"},
    {{SCENARIO_CRASH, 1000, 1, 0, 60000, false, NULL}, "two of a thousand missed every vote"},
    {{SCENARIO_CHURN, 14, 1051, 0.01, 60000, false, NULL}, "a body was given up during a cut"},
};

uint32_t cases_count(void)
{
    return SEEDS + (uint32_t)ARRAY_LEN(more);
}

/* Sizes 2 to 24, loss 0 to 20 %, the scenarios in turn. */
static void many(uint32_t i, struct scenario_options *out)
{
    static const double loss[] = {0, 0, 0.01, 0.05, 0.20};
    static const enum scenario scenario[] = {SCENARIO_IDLE, SCENARIO_CRASH, SCENARIO_PARTITION,
                                             SCENARIO_CHURN};
    static const uint64_t for_ms[SCENARIOS] = {30000, 45000, 60000, 60000};
    out->seed = 1000 + i;
    out->nodes = 2 + i * 7 % 23;
    out->loss = loss[i / 4 % ARRAY_LEN(loss)];
    out->scenario = scenario[i % ARRAY_LEN(scenario)];
    out->for_ms = for_ms[out->scenario];
    out->algorithm = algorithm_parley();
}

bool cases_get(uint32_t i, struct scenario_options *out, const char **why)
{
    *why = NULL;
    if (i >= cases_count()) return false;
    if (i < SEEDS) {
        many(i, out);
        return true;
    }
    *out = more[i - SEEDS].run;
    out->algorithm = algorithm_parley();
    *why = more[i - SEEDS].why;
    return true;
}
