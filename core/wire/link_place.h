/* The places of a link's streams: taken, left, closed.
 *
 * One thread, that of the connection; of core/wire/link* alone.
 *
 *      free -> OPEN -> PEER_ENDED and WE_ENDED, in any order -> free
 *                   -> reset by the peer                     -> free
 *                   -> reset by us                           -> free, ABANDONED
 */
#ifndef CORE_WIRE_LINK_PLACE_H
#define CORE_WIRE_LINK_PLACE_H

#include "core/wire/link_impl.h"

/* Takes a free place for `s` (NULL: nobody) under `id`, which is the place's next; `narrow`: the
 * response has the narrow window. */
void link_place_take(struct link *l, int32_t id, struct mux_stream *s, bool narrow);
/* Is `id` a stream that is not over? */
bool link_place_is_open(const struct link *l, int32_t id);
/* Its stream, attached, or NULL. */
struct mux_stream *link_place_stream(const struct link *l, int32_t id);
/* The stream gets no more events; the place stays as it is. */
void link_place_leave(struct link *l, struct mux_stream *s);
/* Frees the place. Its stream, if attached, leaves and gets on_close. */
void link_place_close(struct link *l, int32_t id, enum mux_close how);
/* As link_place_close, because we have reset it. */
void link_place_abandon(struct link *l, int32_t id, enum mux_close how);
/* Closes it when both sides have ended it and nothing of it waits to leave. */
void link_place_settle(struct link *l, int32_t id);

#endif
