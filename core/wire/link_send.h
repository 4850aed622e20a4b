/* Frames out of a link: the queue of heads and control frames, and bodies by turns.
 *
 * One thread, that of the connection; of core/wire/link* alone. Room in the queue that cannot be
 * had ends the connection: the next mux_pull says ERR_NOMEM.
 */
#ifndef CORE_WIRE_LINK_SEND_H
#define CORE_WIRE_LINK_SEND_H

#include "core/wire/link_impl.h"

/* Queues a frame with a payload of at most a few bytes. */
void link_send_frame(struct link *l, enum link_type type, uint32_t id, struct span payload);
/* Queues a head of `type` for `s`; `flags`: LINK_FLAG_*. ERR_NOMEM. */
enum err link_send_head(struct link *l, struct mux_stream *s, enum link_type type,
                        const struct mux_head *head, unsigned flags) MUST_USE;
void link_send_reset(struct link *l, int32_t id, enum mux_close how);
void link_send_goaway(struct link *l, enum link_goaway reason);
/* Begins what follows a head: the body, or the end that it was. */
void link_send_follow(struct link *l, struct mux_stream *s, bool has_body);
/* The stream's window has grown. */
void link_send_credited(struct link *l, struct mux_stream *s);
/* Bodies that wait for the connection's window go on. */
void link_send_unblock(struct link *l);
/* The stream waits to send no more. */
void link_send_drop(struct mux_stream *s);

/* As mux.h has them. */
enum err link_send_pull(struct mux *m, size_t room) MUST_USE;
bool link_send_wants(const struct mux *m);
void link_send_resume(struct mux *m, struct mux_stream *s);

#endif
