/* Circuits: whether an endpoint is ejected, by what this worker's own requests met there.
 *
 * One worker's thread; no clock, no allocation. One in each endpoint's state.
 *
 *          `after` failures in a row; or outlier.h says so
 *   CLOSED -----------------------------------------------> OPEN, for a time that grows
 *     ^ ^                                                     |  the time is over:
 *     | +------ the probe is answered ------ HALF_OPEN <------+  the next pick is a probe
 *     |                                          |
 *     |                                          +-- the probe fails: OPEN, for longer
 *     +-- HELD: open, but so many are that it is kept in rotation (outlier.h); the first success
 *
 * A failure is one that speaks against the endpoint: no connection, a reset, a timeout, or an
 * answer 502, 503 or 504. An answer of 500 is about the request.
 */
#ifndef PROXY_TRAFFIC_CIRCUIT_H
#define PROXY_TRAFFIC_CIRCUIT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/model/config.h"

#define CIRCUIT_WINDOW_MS 10000u
#define CIRCUIT_TIMES_MAX 10u /* the time open grows to so many times `for` */

enum circuit_state { CIRCUIT_CLOSED, CIRCUIT_OPEN, CIRCUIT_HALF_OPEN };
enum circuit_cause { CIRCUIT_NONE, CIRCUIT_CONSECUTIVE, CIRCUIT_RATE, CIRCUIT_LATENCY };
enum circuit_change { CIRCUIT_SAME, CIRCUIT_OPENED, CIRCUIT_CLOSES };

struct circuit {
    enum circuit_state state;
    enum circuit_cause cause; /* of the last opening */
    bool held;                /* open, and in rotation all the same */
    uint32_t failed_in_row;
    uint32_t opened_in_row; /* openings without a success between */
    uint32_t ok, failed;    /* in the window */
    uint64_t window_ms;     /* its begin */
    uint64_t until_ms;      /* open until */
    uint64_t latency_ms;    /* when its latency was last compared */
};

/* May it be picked like any other? In HALF_OPEN not: the probe is under way. */
bool circuit_ready(const struct circuit *c, uint64_t now_ms);
/* It was picked. True: as a probe; then its end is told by circuit_report or circuit_unproved. */
bool circuit_picked(struct circuit *c, uint64_t now_ms);
/* A request ended there. OPENED: for the first time since it was closed. */
enum circuit_change circuit_report(struct circuit *c, const struct config_eject *rules, bool ok,
                                   bool probe, uint64_t now_ms);
/* The probe ended without saying anything of the endpoint. */
void circuit_unproved(struct circuit *c);
/* Opens a closed one. */
void circuit_open(struct circuit *c, const struct config_eject *rules, enum circuit_cause cause,
                  uint64_t now_ms);
/* "consecutive", "rate", "latency", ""; static. */
const char *circuit_cause_word(enum circuit_cause cause);

#endif
