/* Checks Prometheus text format 0.0.4 the way a scraper reads it.
 *
 * One thread; fails the running test on the first line that breaks a rule: HELP then TYPE once a
 * family, samples of a family together, names and labels well formed and escaped, no sample twice,
 * histograms cumulative with +Inf equal to _count and with a _sum.
 */
#ifndef TESTS_UNIT_SUPPORT_PROM_H
#define TESTS_UNIT_SUPPORT_PROM_H

#include "core/base/span.h"

/* The number of samples. */
size_t support_prom_check(struct span text);
/* The value of the sample written exactly so (name and labels), or -1 when there is none. */
double support_prom_value(struct span text, const char *sample);

#endif
