/* Cases: the runs of the self test: small worlds of many seeds, and seeds that once found a bug.
 *
 * Pure.
 */
#ifndef TESTS_SIM_CASES_H
#define TESTS_SIM_CASES_H

#include "tests/sim/scenario.h"

/* Case number `i`; false past the last. `*why`: what it is for, or once found; NULL for the many.
 */
bool cases_get(uint32_t i, struct scenario_options *out, const char **why);
uint32_t cases_count(void);

#endif
