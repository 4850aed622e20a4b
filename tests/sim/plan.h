/* Plans: from the options of a scenario and its seed to the schedule of what is done. Pure.
 */
#ifndef TESTS_SIM_PLAN_H
#define TESTS_SIM_PLAN_H

#include "tests/sim/script.h"

#define PLAN_PRELOAD_FROM 65u /* nodes: smaller worlds join one by one */
#define PLAN_SEEDS        3u  /* of "seeds-gone" */

/* `out` becomes owner of its faults: script_fini. */
void plan_make(const struct scenario_options *o, struct script *out);

#endif
