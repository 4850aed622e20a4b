/* Scripts: a world and all that is done to it, in order of time, as data and as text. It is what
 * runs, what a failing seed is cut down to, and what tests/sim/schedules/ keeps.
 *
 *   parley-sim schedule 1
 *   # why it is kept
 *   scenario pause
 *   nodes 20
 *   seed 7
 *   loss 0.01
 *   watch 60.000                seconds from when all know each other to the end
 *   start joined                or: one (by one), storm (all at once)
 *   crypto real                 when so
 *   12.500 pause 3-5 for 4.000  faults (fault.h)
 *
 * One thread; owns its faults.
 */
#ifndef TESTS_SIM_SCRIPT_H
#define TESTS_SIM_SCRIPT_H

#include "tests/sim/fault.h"
#include "tests/sim/scenario.h"

#define SCRIPT_FAULTS_MAX 200000u

enum script_start { SCRIPT_JOINED, SCRIPT_ONE, SCRIPT_STORM };

struct script {
    struct scenario_options options;
    enum script_start start;
    struct fault *fault; /* owned */
    size_t count, cap;
};

/* Of no faults. */
void script_init(struct script *s, const struct scenario_options *o);
void script_fini(struct script *s);
/* Behind those of the same time; times are rounded to milliseconds. More than
 * SCRIPT_FAULTS_MAX are left out. */
void script_add(struct script *s, const struct fault *f);
/* When the last fault is over. */
uint64_t script_end_us(const struct script *s);
void script_write(const struct script *s, struct strbuf *out);
/* ERR_INVALID: `*line` is the first that is wrong. The algorithm is parley's. */
enum err script_read(struct span text, struct script *out, unsigned *line) MUST_USE;

#endif
