/* What a run or several have shown, as a table for people or one JSON document
 * (parley.sim.v1).
 *
 * Pure. A figure of which nothing was measured is "-" or null.
 */
#ifndef TESTS_SIM_REPORT_H
#define TESTS_SIM_REPORT_H

#include "core/base/strbuf.h"
#include "tests/sim/options.h"

struct report {
    struct options options;
    struct scenario_result total; /* owned: measure_fini of its measure; hashes are folded */
    uint32_t runs;
    uint64_t wall_ms;
};

/* False: no memory. */
bool report_init(struct report *r, const struct options *o);
void report_fini(struct report *r);
void report_add(struct report *r, const struct scenario_result *one);
void report_json(struct report *r, struct strbuf *out);
void report_table(struct report *r, struct strbuf *out);
/* The command that runs a failed seed again. */
void report_replay(const struct scenario_options *o, struct strbuf *out);

#endif
