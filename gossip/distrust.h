/* Distrust: members whose accusations proved wrong too often (gossip.md 3.4, security.md M10).
 *
 * More than DISTRUST_REFUTED refuted accusations in a minute, and a member's votes and questions
 * count for nothing for ten minutes: it lies, or its own network is what is broken. Honest members
 * do not come near it: who is gone is found gone by those who are asked.
 *
 * Pure; embedded in the machine. DISTRUST_SLOTS at a time; the one that was noted least lately
 * makes room.
 */
#ifndef GOSSIP_DISTRUST_H
#define GOSSIP_DISTRUST_H

#include "core/model/name.h"

#include <stdbool.h>
#include <stdint.h>

#define DISTRUST_SLOTS     32u
#define DISTRUST_REFUTED   5u
#define DISTRUST_WINDOW_MS 60000u
#define DISTRUST_MUTED_MS  600000u

struct distrust_slot {
    struct node_id id;
    uint64_t since_ms; /* when this minute began */
    uint64_t noted_ms;
    uint64_t until_ms; /* muted */
    uint32_t refuted;
};

struct distrust {
    struct distrust_slot slot[DISTRUST_SLOTS];
    uint32_t used;
};

/* An accusation of `accuser` was refuted; true: by this one it is muted. */
bool distrust_note(struct distrust *d, const struct node_id *accuser, uint64_t now_ms);
bool distrust_muted(const struct distrust *d, const struct node_id *accuser, uint64_t now_ms);

#endif
