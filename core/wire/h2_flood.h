/* Flood budget of one HTTP/2 connection: a token bucket (security.md D02, D03, D07 to D10).
 *
 * One thread, that of the connection; no clock. Cheap frames with dear effects take a token each.
 */
#ifndef CORE_WIRE_H2_FLOOD_H
#define CORE_WIRE_H2_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

/* D02 wants the end before 300 resets. */
#define H2_FLOOD_BURST     280u
#define H2_FLOOD_REFILL_MS 20u /* a token */

struct h2_flood {
    uint32_t tokens;
    uint64_t refilled_ms;
};

void h2_flood_init(struct h2_flood *f, uint64_t now_ms);
/* Takes a token. False: none is left. */
bool h2_flood_spend(struct h2_flood *f, uint64_t now_ms);

#endif
