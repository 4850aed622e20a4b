/* The self test of parley-sim: many small worlds, and the schedules that once found a bug, each run
 * twice (I16: the same seed gives the same trace). Prints TAP.
 */
#ifndef TESTS_SIM_SELFTEST_H
#define TESTS_SIM_SELFTEST_H

#include "tests/sim/script.h"

#include <stdio.h>

#define SELFTEST_SCHEDULES "tests/sim/schedules"

/* Runs all, of the schedules those in SELFTEST_SCHEDULES below the working directory. False: one
 * failed. */
bool selftest_run(void);
/* Cuts down a script that fails, and prints it and how to run it. */
void selftest_say_shortest(const struct script *s, FILE *to, const char *before);
/* Reads a schedule from a file. False: it cannot be read; said on stderr. */
bool selftest_load(const char *path, struct script *out);

#endif
