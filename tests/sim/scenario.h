/* Scenarios: what is done to the world, and what must be true of it afterwards (gossip.md 4.1). A
 * scenario is a plan (plan.h) that makes a schedule out of options and a seed; to run one is to run
 * that schedule.
 *
 * The words and numbers of all are in SCENARIO_LIST. S18, a token that is spent twice, is not a
 * matter of gossip: a token is known to the one issuer that made it, which stores each use before
 * it grants it. tests/unit/test_enroll_decide.c spends one twice, with a restart between as well.
 */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include "core/base/err.h"
#include "tests/sim/algorithm.h"
#include "tests/sim/measure.h"

/* Name, word, number, what happens. */
#define SCENARIO_LIST(X)                                                                           \
    X(IDLE, "idle", "S1", "nothing")                                                               \
    X(CRASH, "crash", "S2", "every 15 s one node stops silently, until a third has")               \
    X(MASS, "mass-crash", "S3", "a share of all nodes stops silently at once (10 %)")              \
    X(ROLLING, "rolling", "S4", "a share a minute restarts, one after the other (5 %)")            \
    X(STORM, "storm", "S5", "all restart within 2 s")                                              \
    X(BOOTSTRAP, "bootstrap", "S6", "all but one start at once and know only that one")            \
    X(LOSS, "loss", "S7", "datagrams and segments are lost (30 %)")                                \
    X(PAUSE, "pause", "S8", "a share of the nodes is paused again and again (10 %, 0.1 to 8 s)")   \
    X(FLIP, "flip-flop", "S9", "a share hears nothing for 20 s in 40 (1 %)")                       \
    X(EGRESS, "egress-loss", "S10", "80 % of what a share sends is lost (1 %)")                    \
    X(PARTITION, "partition", "S11", "the network is cut in two or three, and heals")              \
    X(DETACHED, "detached", "S12", "one node exchanges packets with 3 others only")                \
    X(CLOCKS, "clocks", "S13", "wall clocks are up to 5 min off, are set, and drift")              \
    X(ROTATION, "rotation", "S14", "the group key is rotated, twice, while nodes restart")         \
    X(BYZANTINE, "byzantine", "S15", "one member uses its keys against the others")                \
    X(ROLLOUT, "rollout", "S16", "generations of policy, of which some are bad, and cuts")         \
    X(SERVICES, "services", "S17", "so many records change every second (5)")                      \
    X(SEEDS, "seeds-gone", "S19", "the seeds die for good, then all others restart")               \
    X(SWAP, "swap", "S20", "two nodes exchange addresses")                                         \
    X(LEAVE, "leave", "", "every 5 s one node says good-bye and stops")                            \
    X(CLONE, "clone", "", "a host runs a copy of another node beside it")                          \
    X(NETWORK, "network", "", "slow lines, delays, small MTU, duplicates, slow machines")          \
    X(CHURN, "churn", "", "restarts, pauses, leaves, cuts and lost disks, at random")              \
    X(WIDE, "wide", "", "nodes are up to 150 ms apart: how well coordinates tell")                 \
    X(KILL, "kill", "", "every 15 s a process is killed, and its host refuses connections")
enum scenario {
#define SCENARIO_ENUM(name, word, number, what) SCENARIO_##name,
    SCENARIO_LIST(SCENARIO_ENUM)
#undef SCENARIO_ENUM
        SCENARIOS
};

/* How the parts of a cut network are sized. */
enum scenario_cut { SCENARIO_CUT_ANY, SCENARIO_CUT_HALVES, SCENARIO_CUT_TENTH, SCENARIO_CUT_THREE };

struct scenario_options {
    enum scenario scenario;
    uint32_t nodes;
    uint64_t seed;
    double loss; /* of all datagrams and segments */
    uint64_t for_ms;
    bool real_crypto;
    const struct algorithm *algorithm; /* borrowed */

    /* Of some scenarios only; 0: the scenario's own. */
    double share;            /* of the nodes that are faulty */
    uint64_t pause_ms;       /* the longest pause */
    uint64_t cut_ms;         /* how long a cut lasts */
    enum scenario_cut parts; /* and into what */
    double rate;             /* changes a second */
    uint32_t attack;         /* 1 + enum byzantine_kind */
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
    double estimates_off; /* WIDE: wide_error; else negative */
    bool failed;
    char message[256];
};

struct script;

/* One run. ERR_NOMEM; a breach of an invariant is in the result. */
enum err scenario_run(const struct scenario_options *o, struct scenario_result *out) MUST_USE;
/* The same, of a schedule that is there already. */
enum err scenario_run_script(const struct script *s, struct scenario_result *out) MUST_USE;
/* What is wrong with the figures of a run in which no invariant broke: what the scenario must show
 * of detection and false events. NULL: nothing. */
const char *scenario_judge(const struct scenario_options *o, const struct scenario_result *r);
const char *scenario_word(enum scenario s);
/* "S2"; "" for those without. */
const char *scenario_number(enum scenario s);
/* Whether what happens there concerns the algorithm: memberlist as modelled has no records, no
 * owners of keys and no name apart from its address. */
bool scenario_concerns(enum scenario s, const struct algorithm *a);
/* A word or a number. False: no such one. */
bool scenario_parse(const char *word, enum scenario *out);

#endif
