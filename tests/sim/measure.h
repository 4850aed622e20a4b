/* Measuring: how long what was done to the world took to be noticed, and what was noticed that had
 * not happened.
 *
 * Incidents are nodes that go down (every live node should find them unreachable), leave, or
 * announce something new, and cuts of the network (every node of one part should find each of the
 * others unreachable). Any number of the first kinds may run at a time, one cut.
 *
 * An event is false when its target ran, was not faulty, and could be reached, now and for the last
 * 20 s. Events about nodes that do run but are faulty (paused, slow, lossy, half cut off, just
 * restarted), and what nodes with a broken network believe, are counted apart. Being declared dead
 * in a pause of at most 8 s is false.
 */
#ifndef TESTS_SIM_MEASURE_H
#define TESTS_SIM_MEASURE_H

#include "gossip/event.h"

#define MEASURE_SAMPLES_MAX 1000000u
#define MEASURE_GRACE_US    UINT64_C(20000000) /* suspicion at its longest, and the hold */
#define MEASURE_PAUSE_US    UINT64_C(8000000)  /* who is away for longer may be taken for dead */

struct world;

/* What is sampled, in milliseconds: the name in JSON, and in the table. */
#define MEASURE_LIST(X)                                                                            \
    X(FIRST_UNREACHABLE, "first_unreachable_ms", "first unreachable")                              \
    X(FIRST_DEAD, "first_dead_ms", "first dead")                                                   \
    X(ALL_KNOW, "all_know_ms", "all know")                                                         \
    X(SPREAD, "spread_ms", "first to last knows")                                                  \
    X(HEAL, "heal_ms", "healed")                                                                   \
    X(SETTLE, "settle_ms", "settled")                                                              \
    X(LEFT_P99, "left_p99_ms", "99 % know it left")                                                \
    X(NEWS_P99, "news_p99_ms", "99 % have the news")                                               \
    X(NEWS_ALL, "news_all_ms", "all have the news")                                                \
    X(HEAD_P99, "policy_head_p99_ms", "99 % know a policy")                                        \
    X(HEAD_ALL, "policy_head_all_ms", "all know a policy")                                         \
    X(FORCE_P99, "policy_force_p99_ms", "99 % have it in force")                                   \
    X(FORCE_ALL, "policy_force_all_ms", "all have it in force")
enum measure_what {
#define MEASURE_ENUM(name, key, label) MEASURE_##name,
    MEASURE_LIST(MEASURE_ENUM)
#undef MEASURE_ENUM
        MEASURE_WHATS
};

struct measure_series {
    double *ms; /* owned */
    size_t count, cap;
};

enum measure_incident { MEASURE_NONE, MEASURE_DOWN, MEASURE_LEFT, MEASURE_UNFIT };

/* One node as a target. */
struct measure_target {
    enum measure_incident incident;
    bool had_unreachable, had_dead, had_all, had_p99;
    uint64_t at_us, first_us;
    uint64_t came_us; /* when the last of those came who did not run then */
    uint32_t seen, expected;
    uint8_t *gone;                  /* owned: a bit an observer */
    uint64_t news_us, news_version; /* its last announcement; 0: none under way */
    uint32_t news_seen, news_expected;
};

struct measure {
    struct measure_series series[MEASURE_WHATS];
    uint64_t false_unreachable, false_dead;
    uint64_t faulty_unreachable, faulty_dead;
    uint64_t conflicts;
    uint64_t incidents, unnoticed; /* ended before all knew */
    uint32_t nodes;
    uint32_t open;                 /* targets with an incident */
    bool watch_news;               /* of records */
    struct measure_target *target; /* owned */

    bool cut, cut_had_unreachable, cut_had_dead, cut_had_all;
    uint64_t cut_us;
    uint64_t cut_expected, cut_seen;
};

/* For worlds of so many nodes. False: no memory. */
bool measure_init(struct measure *m, uint32_t nodes);
void measure_fini(struct measure *m);
/* Node i has just gone down, or said good-bye. */
void measure_went(struct measure *m, const struct world *w, uint32_t i, bool left);
/* Node i runs, but its network is so bad that the others should do without it; until
 * measure_came. */
void measure_unfit(struct measure *m, const struct world *w, uint32_t i);
/* Node i has just started, or is fit again. */
void measure_came(struct measure *m, const struct world *w, uint32_t i);
/* The network has just been cut, by its groups; or is whole again. */
void measure_cut(struct measure *m, const struct world *w);
void measure_uncut(struct measure *m);
/* Ends all incidents. */
void measure_end(struct measure *m);
void measure_effect(struct measure *m, const struct world *w, uint32_t i,
                    const struct gossip_effect *e);
/* A node that has been down for longer than that, and still not all know; `nodes`: none. Who starts
 * meanwhile has as long, and so have the others: it brings the dead along from its store. */
uint32_t measure_overdue(const struct measure *m, const struct world *w, uint64_t bound_us);

void measure_add(struct measure_series *s, double ms);
double measure_mean(const struct measure_series *s);
/* The smallest sample that at least `share` of all do not exceed; sorts. */
double measure_quantile(struct measure_series *s, double share);

#endif
