/* A wide area: nodes at places on a plane, each behind an access line, and how well the machines'
 * coordinates tell the round-trip times between them.
 *
 *   one way = (distance + line of one + line of the other) / 2        of WIDE_MS at most, each axis
 *
 * Where a node is follows from its index. Pure but for wide_error, which reads a world.
 */
#ifndef TESTS_SIM_WIDE_H
#define TESTS_SIM_WIDE_H

#include <stdint.h>

#define WIDE_MS         100.0
#define WIDE_LINE_MS    6.0
#define WIDE_OFF_HALF   0.15    /* what half of all predictions must not be off by more than */
#define WIDE_SETTLES_MS 300000u /* how long coordinates take to be any good */
#define WIDE_UNMEASURED (-1.0)

struct world;

double wide_one_way_us(uint32_t a, uint32_t b);
/* Half of all predictions are off by at most that share of the truth; WIDE_UNMEASURED: there are
 * none. */
double wide_error(const struct world *w);

#endif
