#include "proxy/http/mux_pump.h"

#include "core/base/limits.h"

void mux_pump_run(struct mux *mux, struct conn *c, bool *failed)
{
    size_t room;
    while ((room = conn_room(c)) > 0 && mux_wants_write(mux)) {
        size_t before = conn_queued(c);
        /* Bodies wait in their exchanges, where they push back, not here (D13). */
        if (before > conn_low_water(c)) break;
        if (room > BODY_LOW_WATER_BYTES) room = BODY_LOW_WATER_BYTES;
        if (mux_pull(mux, room) != ERR_OK) *failed = true;
        if (*failed || conn_queued(c) == before) break;
    }
}
