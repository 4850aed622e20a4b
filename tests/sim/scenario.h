/* Scenarios: what is done to the world, and what must be true of it afterwards.
 *
 *   idle       nothing; the mesh must stay as it is, and send no rumours when no packet is lost
 *   crash      now and then one node stops without a word, until a third of them has
 *   partition  the mesh is cut in two for a while and heals, again and again
 *   bootstrap  all but one start within a second and know only that one, which is up (S6)
 *   churn      restarts, pauses, refused connections, leaves and cuts, all at random (self test)
 */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include "core/base/err.h"
#include "tests/sim/algorithm.h"
#include "tests/sim/measure.h"

enum scenario {
    SCENARIO_IDLE,
    SCENARIO_CRASH,
    SCENARIO_PARTITION,
    SCENARIO_CHURN,
    SCENARIO_BOOTSTRAP,
    SCENARIOS
};

struct scenario_options {
    enum scenario scenario;
    uint32_t nodes;
    uint64_t seed;
    double loss;
    uint64_t for_ms;
    bool real_crypto;
    const struct algorithm *algorithm;
};

struct scenario_result {
    struct measure measure; /* owned: measure_fini */
    uint64_t trace_hash;
    uint64_t virtual_ms; /* the start included */
    uint64_t events;
    uint64_t bootstrap_ms;               /* until all agreed */
    double rumours_sent, rumours_queued; /* while measuring, all nodes */
    double bytes_sent;                   /* IP and UDP, TCP payload and TLS records included */
    double node_seconds;
    bool failed;
    char message[256];
};

/* One run. ERR_NOMEM; a breach of an invariant is in the result. */
enum err scenario_run(const struct scenario_options *o, struct scenario_result *out) MUST_USE;
const char *scenario_word(enum scenario s);
/* False: no such word. */
bool scenario_parse(const char *word, enum scenario *out);

#endif
