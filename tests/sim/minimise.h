/* Minimising: from a script that fails to a shorter one that fails in the same way (delta
 * debugging: Zeller and Hildebrandt 2002, ddmin).
 *
 *   faults:  drop halves, quarters, ... single ones, for as long as it still fails
 *   nodes:   fewer, halving the step
 *   time:    no longer than the last fault; and each fault that lasts, shorter
 *
 * To fail in the same way is to break the same invariant: the same words up to the first ':'.
 * Pure but for the runs; one thread.
 */
#ifndef TESTS_SIM_MINIMISE_H
#define TESTS_SIM_MINIMISE_H

#include "tests/sim/script.h"

struct minimise_result {
    uint32_t runs;
    char message[256]; /* of the script as it is left */
};

struct minimise_options {
    /* Whether a script fails, and how; NULL: it does not. The text is in `result`, or static. */
    const char *(*fails)(const struct script *s, struct scenario_result *result);
    uint32_t runs_max;
};

/* Shortens `s` in place. False: it did not fail at all, and is as it was. */
bool minimise(struct script *s, const struct minimise_options *o, struct minimise_result *out);
/* What parley-sim uses: one run and scenario_judge. */
const char *minimise_by_run(const struct script *s, struct scenario_result *result);

#endif
