/* Awareness of our own health: the local health multiplier of Lifeguard (arXiv 1707.00788, section
 * IV.A) and the amnesty after a pause (gossip.md 3.2 item 5).
 *
 * Pure; embedded in the machine. Score 0 is well; every timeout is multiplied by score + 1.
 */
#ifndef GOSSIP_AWARENESS_H
#define GOSSIP_AWARENESS_H

#include <stdbool.h>
#include <stdint.h>

#define AWARENESS_SCORE_MAX 8u

struct awareness {
    uint32_t score;
    uint64_t quiet_until_ms; /* after a pause: judge nobody before */
};

/* A probe succeeded. */
void awareness_good(struct awareness *a);
/* A probe failed and helpers were silent too, we had to refute, or our loop was late. */
void awareness_bad(struct awareness *a);
/* We were stopped until `now_ms`; nothing seen in the next `quiet_ms` counts against others. */
void awareness_paused(struct awareness *a, uint64_t now_ms, uint64_t quiet_ms);
bool awareness_quiet(const struct awareness *a, uint64_t now_ms);

#endif
