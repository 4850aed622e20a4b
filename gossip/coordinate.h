/* Coordinates: where in a space of round-trip times this node and others stand (Dabek et al.,
 * "Vivaldi", SIGCOMM 2004; the constants are serf's, gossip.md 3.8).
 *
 *   rtt(a, b) ~ |a - b| + height(a) + height(b)                      milliseconds
 *
 *  0      2      4      6      8        10      11
 *  +------+------+------+------+--------+-------+
 *  | axis 0 .. 3, i16 each     | height | error |   units of 1/32 ms; error in 1/160; big-endian
 *  +------+------+------+------+--------+-------+
 *
 * Pure; any thread. What a peer says of itself is a hint that is bounded, never trusted: a sample
 * moves us by a part of what it is off, and one that is off by more than ten times the usual is
 * refused.
 */
#ifndef GOSSIP_COORDINATE_H
#define GOSSIP_COORDINATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/rng.h"

#define COORDINATE_AXES       4u
#define COORDINATE_BYTES      11u
#define COORDINATE_WINDOW     20u /* samples that the adjustment is of */
#define COORDINATE_RTT_MAX_US 10000000u

struct coordinate {
    float axis[COORDINATE_AXES];
    float height_ms;
    float error; /* expected relative error of what it predicts; at most 1.5, as at the start */
};

/* Our own. */
struct coordinate_space {
    struct coordinate own;
    float adjustment_ms; /* half of what predictions were short by: the other adds the rest */
    float off[COORDINATE_WINDOW];
    float sigma_ms; /* how far predictions of late were off */
    uint32_t samples;
};

void coordinate_init(struct coordinate_space *s);
/* We measured `rtt_us` to a peer that says to be at `peer`. False: refused, and nothing changed but
 * what is taken for usual. */
bool coordinate_sample(struct coordinate_space *s, struct rng *rng, const struct coordinate *peer,
                       uint32_t rtt_us);
/* The round-trip time to expect to `peer`; 0: we do not yet know where we are. */
uint32_t coordinate_estimate_us(const struct coordinate_space *s, const struct coordinate *peer);
/* Whether `now` is so far from `then` that others should hear of it. */
bool coordinate_moved(const struct coordinate *now, const struct coordinate *then);
/* Values beyond the range of the wire are cut. */
void coordinate_encode(const struct coordinate *c, uint8_t out[COORDINATE_BYTES]);
void coordinate_decode(const uint8_t bytes[COORDINATE_BYTES], struct coordinate *out);

#endif
