#include "tests/sim/cases.h"

#include "core/base/check.h"

#define SEEDS  200u
#define FOR_MS 60000u

struct more {
    struct scenario_options run;
    const char *why;
};

/* Sizes and crypto that the many do not have. */
static const struct more more[] = {
    {{.scenario = SCENARIO_CRASH, .nodes = 100, .seed = 1, .loss = 0.05, .for_ms = 45000},
     "a hundred nodes at 5 % loss"},
    {{.scenario = SCENARIO_CHURN, .nodes = 5, .seed = 3, .for_ms = 60000, .real_crypto = true},
     "five nodes with the real crypto"},
    {{.scenario = SCENARIO_BYZANTINE, .nodes = 8, .seed = 3, .for_ms = 20000, .real_crypto = true},
     "a hostile member and the real crypto"},
    {{.scenario = SCENARIO_BOOTSTRAP, .nodes = 200, .seed = 1, .loss = 0.01, .for_ms = 5000},
     "two hundred join one seed at once"},
    {{.scenario = SCENARIO_EGRESS, .nodes = 100, .seed = 1, .for_ms = 40000},
     "one of a hundred loses most of what it sends"},
    {{.scenario = SCENARIO_EGRESS, .nodes = 1000, .seed = 1, .for_ms = 31000},
     "who missed the votes against one hears of nine others all the time"},
    {{.scenario = SCENARIO_EGRESS, .nodes = 1000, .seed = 6, .for_ms = 31000},
     "refutations overtake the votes against ten of a thousand"},
    {{.scenario = SCENARIO_KILL, .nodes = 100, .seed = 1, .loss = 0.05, .for_ms = 45000},
     "processes of a hundred are killed"},
    {{.scenario = SCENARIO_CHURN, .nodes = 30, .seed = 64, .loss = 0.05, .for_ms = 45000},
     "one is paused again while it is"},
    {{.scenario = SCENARIO_CHURN, .nodes = 30, .seed = 20, .loss = 0.05, .for_ms = 90000},
     "a cut of which another takes a part"},
    {{.scenario = SCENARIO_CHURN, .nodes = 30, .seed = 3017, .loss = 0.05, .for_ms = 120000},
     "a deaf one takes a paused one for dead"},
    {{.scenario = SCENARIO_CHURN, .nodes = 5, .seed = 511, .for_ms = 90000},
     "three votes of others left no room for the one that was needed"},
    {{.scenario = SCENARIO_CHURN, .nodes = 5, .seed = 511, .loss = 0.05, .for_ms = 60000},
     "one slept while the others agreed on a death"},
    {{.scenario = SCENARIO_CHURN, .nodes = 3, .seed = 519, .for_ms = 120000},
     "one starts and brings a dead one along from its store"},
    {{.scenario = SCENARIO_CRASH, .nodes = 1000, .seed = 1, .for_ms = 60000},
     "two of a thousand missed every vote"},
};

uint32_t cases_count(void)
{
    return SEEDS + (uint32_t)ARRAY_LEN(more);
}

/* Sizes 2 to 50, loss 0 to 20 %, the scenarios in turn. */
static void many(uint32_t i, struct scenario_options *out)
{
    static const double loss[] = {0, 0, 0.01, 0.05, 0.20};
    *out = (struct scenario_options){.scenario = (enum scenario)(i % SCENARIO_WIDE),
                                     .nodes = 2 + i * 7 % 49,
                                     .seed = 1000 + i,
                                     .loss = loss[i / SCENARIO_WIDE % ARRAY_LEN(loss)],
                                     .for_ms = FOR_MS};
    if (out->scenario == SCENARIO_IDLE) out->for_ms = FOR_MS / 2;
}

bool cases_get(uint32_t i, struct scenario_options *out, const char **why)
{
    *why = NULL;
    if (i >= cases_count()) return false;
    if (i < SEEDS) {
        many(i, out);
    } else {
        *out = more[i - SEEDS].run;
        *why = more[i - SEEDS].why;
    }
    out->algorithm = algorithm_parley();
    return true;
}
