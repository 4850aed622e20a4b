/* memberlist 0.2.2 with serf's reconnect as an algorithm of the simulator: what parley is compared
 * with (gossip.md section 2). Calibrated by tests/bench/serf_calibrate.py against the real one.
 *
 * Byte counts include TCP and IP headers of its streams. One signal: its dead count as unreachable
 * and as dead.
 */
#ifndef TESTS_SIM_MEMBERLIST_MEMBERLIST_H
#define TESTS_SIM_MEMBERLIST_MEMBERLIST_H

#include "tests/sim/algorithm.h"

const struct algorithm *memberlist_algorithm(void);

#endif
