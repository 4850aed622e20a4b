/* Gathers one received header section into a stream's `head`, field by field (RFC
 * 9113 8.2, 8.3).
 *
 * One thread, that of the connection; of core/wire/h2, and in part of link_head. Text is copied to
 * the stream's arena. Pseudo fields, :status and content-length become members, cookie crumbs one
 * field; names and values have been checked by nghttp2, or by link_head.
 */
#ifndef CORE_WIRE_MUX_HEAD_H
#define CORE_WIRE_MUX_HEAD_H

#include "core/wire/mux.h"

/* Starts a section in `s->fields`. */
void mux_head_begin(struct mux_stream *s);
/* Takes a field. False: the section is over a limit. */
bool mux_head_field(struct mux_stream *s, struct span name, struct span value);
/* Takes one of the crumbs of which RFC 9113 8.2.3 makes one field. False: no room. */
bool mux_head_cookie(struct mux_stream *s, struct span value);

#endif
