/* Graves: of members long forgotten, the newest epoch that was known, so that nothing older of them
 * comes back while someone may still hold a certificate of theirs (gossip.md 3.5: 24 hours as a
 * dead member, then 30 days here).
 *
 *   0        16                           24
 *   +--------+----------------------------+
 *   |  id16  | day 16 bits, epoch 48 bits |   big-endian; in order of ids; the same in the store
 *   +--------+----------------------------+
 *
 * Gossip thread; embedded in the machine. Bounded: the oldest makes room.
 */
#ifndef GOSSIP_GRAVE_H
#define GOSSIP_GRAVE_H

#include "core/base/span.h"
#include "core/model/name.h"

#include <stdbool.h>

#define GRAVE_BYTES 24u
#define GRAVE_DAYS  30
#define GRAVES_MAX  20000u

struct grave {
    struct node_id id;
    uint64_t day_epoch; /* Unix day in the upper 16 bits */
};

struct graveyard {
    struct grave *grave; /* owned */
    size_t count, cap;
};

void grave_fini(struct graveyard *y);
/* Notes that announcements of `id` before `epoch` count no more. Without memory it is not noted. */
void grave_dig(struct graveyard *y, const struct node_id *id, uint64_t epoch, int64_t wall_ms);
/* Whether an announcement of that epoch is too old. */
bool grave_bars(const struct graveyard *y, const struct node_id *id, uint64_t epoch);
/* Forgets what is older than GRAVE_DAYS. */
void grave_expire(struct graveyard *y, int64_t wall_ms);
/* y->count * GRAVE_BYTES into `out`. */
void grave_encode(const struct graveyard *y, uint8_t *out);
/* Takes up what grave_encode wrote, as far as it is whole. */
void grave_restore(struct graveyard *y, struct span bytes);

#endif
