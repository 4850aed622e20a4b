/* Receive windows of a link: what its peer may send before it is read.
 *
 *      part -> whole -> twice -> ... LINK_STREAM_WINDOW_BYTES_MAX      of what HELLO says
 *      |       |        |
 *      |       |        `- a stream whose reader has kept up for LINK_GROWTH_BYTES or four windows
 *      |       `- requests; responses on a link where one was read as fast as it came
 *      `- responses before that, and after one that was not (LINK_FLAG_NARROW)
 *
 * So many slow readers hold little, and a fast one is not held up. Of what the connection's window
 * has beyond all streams' of HELLO, half is for those that grow and half for bytes that were read
 * and not yet given back: no stream waits because others are not read.
 *
 * One thread, that of the connection; of core/wire/link* alone.
 */
#ifndef CORE_WIRE_LINK_WINDOW_H
#define CORE_WIRE_LINK_WINDOW_H

#include "core/wire/link_impl.h"

void link_window_init(struct link *l, const struct mux_options *o);
/* A stream begins; `narrow`: its request said so. */
void link_window_begin(struct link *l, struct mux_stream *s, bool narrow);
/* Client: does the next request say LINK_FLAG_NARROW? */
bool link_window_narrow(const struct link *l);
/* A frame of `bytes` of the stream (NULL: of none) begins; false: more than the peer may send. */
bool link_window_take(struct link *l, struct mux_stream *s, uint32_t bytes) MUST_USE;
/* `bytes` of it have come that nobody has read yet. */
void link_window_unread(struct link *l, struct mux_stream *s, size_t bytes);
/* `bytes` were read, of the stream (NULL: of none): the peer may send as many again. */
void link_window_give(struct link *l, struct mux_stream *s, size_t bytes);
/* The peer has ended its side of the stream. */
void link_window_ended(struct link *l, const struct mux_stream *s);
/* The stream leaves the connection: what it has not read, it never will. */
void link_window_leave(struct link *l, struct mux_stream *s);

#endif
