/* What the files of core/wire/h2 share: the connection. One thread, that of the connection.
 *
 *      h2.c           life, frames in, and what the owner submits      h2_send.c      frames out
 *      h2_session.c   nghttp2's session                                h2_nv.c        heads
 *      h2_walk.c, h2_recent.c   what nghttp2 does not tell
 */
#ifndef CORE_WIRE_H2_IMPL_H
#define CORE_WIRE_H2_IMPL_H

#include <nghttp2/nghttp2.h>

#include "core/base/check.h"
#include "core/wire/h2.h"
#include "core/wire/h2_recent.h"
#include "core/wire/h2_walk.h"
#include "core/wire/mux_flood.h"
#include "core/wire/mux_impl.h"

#define H2_MAGIC 0x68320001u

struct h2 {
    struct mux mux; /* first */
    uint32_t magic;
    nghttp2_session *session; /* owned */
    const struct mux_events *events;
    void *owner;
    bool server, goaway_seen;
    bool last_told;          /* GOAWAY has named the last stream */
    bool over;               /* told to end for a flood or a broken rule */
    struct h2_recent recent; /* server: streams of the peer */
    struct h2_walk walk;     /* server */
    struct mux_flood flood;
    uint64_t now_ms;
    size_t room, written;       /* of the mux_pull in progress */
    uint32_t indexed;           /* h2_nv.h */
    struct mux_stream *heading; /* whose head is being received; NULL: nobody's */
};

static inline struct h2 *h2_of(struct mux *m)
{
    struct h2 *h = CONTAINER_OF(m, struct h2, mux);
    CHECK_OBJ(h, H2_MAGIC);
    return h;
}

static inline const struct h2 *h2_of_const(const struct mux *m)
{
    return (const void *)m;
}

/* The stream of this number, attached, or NULL. */
static inline struct mux_stream *h2_stream_of(struct h2 *h, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h->session, id);
}

#endif
