/* The command line of parley-sim.
 *
 * Pure. Unknown or malformed flags are said with a message and exit code 2.
 */
#ifndef TESTS_SIM_OPTIONS_H
#define TESTS_SIM_OPTIONS_H

#include "core/base/strbuf.h"
#include "tests/sim/scenario.h"

struct options {
    struct scenario_options run;
    uint32_t runs; /* seeds seed, seed + 1, ... */
    bool json, self_test, help, print, judge;
    const char *schedule; /* a file; NULL: none */
};

/* False: `error` says why. */
bool options_parse(int argc, char *const *argv, struct options *out, struct strbuf *error);
const char *options_usage(void);

#endif
