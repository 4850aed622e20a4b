/* Measuring: how long what was done to the world took to be noticed, and what was noticed that had
 * not happened.
 *
 * An incident is a crash (every live node should find one target unreachable) or a cut (every node
 * of one side each of the other). An event is false when its target was up, not paused, and not
 * cut off, and had not been so of late.
 */
#ifndef TESTS_SIM_MEASURE_H
#define TESTS_SIM_MEASURE_H

#include "gossip/event.h"

#define MEASURE_SAMPLES_MAX 100000u
#define MEASURE_GRACE_US    UINT64_C(20000000) /* suspicion at its longest, and the hold */

struct world;

struct measure_series {
    double *ms; /* owned */
    size_t count, cap;
};

struct measure {
    struct measure_series first_unreachable, first_dead, all_know, heal;
    uint64_t false_unreachable, false_dead;
    uint64_t incidents, unnoticed; /* ended before all knew */

    bool active; /* the incident in hand */
    bool cut;
    uint64_t at_us;
    uint32_t target;
    uint64_t expected, seen;
    bool had_unreachable, had_dead, had_all;
};

void measure_init(struct measure *m);
void measure_fini(struct measure *m);
/* Node `target` has just crashed. */
void measure_crash(struct measure *m, const struct world *w, uint32_t target);
/* The network has just been cut. */
void measure_cut(struct measure *m, const struct world *w);
/* Ends the incident in hand. */
void measure_end(struct measure *m);
void measure_effect(struct measure *m, const struct world *w, uint32_t i,
                    const struct gossip_effect *e);
void measure_add(struct measure_series *s, double ms);
double measure_mean(const struct measure_series *s);
/* The smallest sample that at least `share` of all do not exceed; sorts. */
double measure_quantile(struct measure_series *s, double share);

#endif
