/* Name-value lists: a head as nghttp2 takes it.
 *
 * One thread, for the length of one call: the texts are borrowed, nghttp2 copies them. Of
 * core/wire/h2 alone.
 *
 * Fields that differ in every message (ids, trace parents, loads) would push everything else out of
 * HPACK's dynamic table, and be compared with each other there. The first of its name on a
 * connection is indexed, so that the name costs a byte; the others are literals (RFC 7541 6.2.3).
 */
#ifndef CORE_WIRE_H2_NV_H
#define CORE_WIRE_H2_NV_H

#include <nghttp2/nghttp2.h>

#include "core/wire/h2.h"

#define H2_NV_MAX (HEADER_FIELDS_MAX + 8u) /* beside pseudo fields and content-length */

/* Made by the compiler as UNCLEARED. */
struct h2_nv {
    size_t count;
    uint32_t *indexed; /* borrowed: which changing names this connection has had */
    char status[3];
    char number[20]; /* 2^64 - 1 has as many digits */
    nghttp2_nv nv[H2_NV_MAX];
};

/* Both begin `l`, and take content-length, when there is one, and all of head->headers. `indexed`
 * is borrowed for the call. */
void h2_nv_request(struct h2_nv *l, const struct mux_head *head, uint32_t *indexed);
void h2_nv_response(struct h2_nv *l, const struct mux_head *head, uint32_t *indexed);
/* Submits the stream's trailers; its last DATA frame is not the end then. ERR_NOMEM. */
enum err h2_nv_trailers(nghttp2_session *session, int32_t id,
                        const struct headers *trailers) MUST_USE;

#endif
