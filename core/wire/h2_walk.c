#include "core/wire/h2_walk.h"

#include <string.h>

size_t h2_walk_next(struct h2_walk *w, struct span in, bool *complete)
{
    *complete = false;
    if (w->skip >= in.len) {
        w->skip -= (uint32_t)in.len;
        return in.len;
    }
    size_t at = w->skip, part = sizeof w->head - w->have;
    if (part > in.len - at) part = in.len - at;
    memcpy(w->head + w->have, in.p + at, part);
    w->have = (uint8_t)(w->have + part);
    w->skip = 0;
    if (w->have < sizeof w->head) return at + part;
    const uint8_t *b = w->head;
    w->skip = (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
    w->type = b[3];
    w->stream_id = (int32_t)((uint32_t)(b[5] & 0x7f) << 24 | (uint32_t)b[6] << 16 |
                             (uint32_t)b[7] << 8 | b[8]);
    w->have = 0;
    *complete = true;
    return at + part;
}
