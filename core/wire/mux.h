/* Multiplexed connections without I/O: many streams, each a request and its response, on one byte
 * stream. One shape, two codecs: HTTP/2 (h2.h) and the frame that parleys speak among themselves
 * (link.h).
 *
 *      bytes -> mux_feed -> on_begin, on_head, on_data, on_trailers, on_end, on_close
 *      bytes <- on_write <- mux_pull <- heads, bodies (struct iobuf), resets, settings
 *
 * One thread. No clock: `now_ms` comes in. Events come only from inside mux_feed, mux_pull and
 * mux_lost; an event may submit, reset, consume and detach, but call none of those three nor
 * mux_free: owners mark their connection and pull when it flushes.
 *
 * Flow control is end to end: a byte given to on_data counts against the peer's window until
 * mux_consume says that it has left for the other side; what a stream has not consumed when it
 * closes, or receives after mux_detach, is consumed for it on the connection. Bodies out are read
 * from the stream's `out` queue as frames are made, so nothing is copied into a second queue.
 *
 * Floods (resets of either cause, pings, settings, empty frames) run down one budget a connection
 * and one of all that the same peer has and had (mux_flood.h); either empty, it ends. So it does
 * when it wants more memory than its part (mux_purse.h).
 */
#ifndef CORE_WIRE_MUX_H
#define CORE_WIRE_MUX_H

#include "core/base/arena.h"
#include "core/base/iobuf.h"
#include "core/base/list.h"
#include "core/wire/mux_purse.h"
#include "core/wire/headers.h"

/* One header section as it was received or is to be sent. Spans of a received one lie in the
 * stream's arena, or are constants. */
struct mux_head {
    struct span method, scheme, authority, path, protocol; /* request; empty: absent */
    unsigned status;                                       /* response */
    struct headers *headers;
    int64_t content_length; /* -1: none */
    bool too_large;         /* over HEADER_FIELDS_MAX, HEADER_BYTES_MAX or the arena: cut */
};

enum mux_close {
    MUX_CLOSED,    /* complete both ways, or ended without error */
    MUX_REFUSED,   /* not processed by the peer: safe to send again elsewhere */
    MUX_CANCELLED, /* the peer lost interest */
    MUX_RESET      /* anything else */
};

/* A stream, embedded by its owner and zero-initialised. The owner sets the first group before
 * mux_request or in on_begin; it stays valid until on_close or mux_detach. */
struct mux_stream {
    struct arena *arena;    /* borrowed: text of received heads */
    struct headers *fields; /* borrowed: where the fields of the next received head go */
    struct iobuf *out;      /* borrowed: body to send */
    bool out_ended;         /* no byte will follow what is in `out` */
    const struct headers *out_trailers; /* with out_ended; NULL: none */
    void *owner;
    /* of the codec */
    struct list node; /* of the connection's streams */
    int32_t id;       /* 0: not on a connection */
    struct mux_head head;
    uint64_t begun_ms; /* the request came; client: the final head did, which shows that it had */
    size_t unconsumed_bytes;
    size_t cookie_cap_bytes; /* of the buffer in which cookie crumbs are joined */
    bool deferred;           /* nothing to send: the codec waits for mux_resume */
    bool head_seen;          /* the final head has been given out */
    bool sent;               /* the request's head has left */
    bool unsent;             /* and never will: nothing was processed */
    bool peer_ended;         /* set before on_head(ended) and on_end */
    /* of link.c */
    struct list turn;      /* waits to send: a body, or the end that its head is */
    uint64_t queued_until; /* its head has left when so many bytes have */
    uint32_t ordinal;      /* how many requests had been made on the connection, this included */
    int64_t send_window, body_left; /* -1: of no stated length */
    uint32_t receive_left, owed;    /* bytes the peer may send; bytes it may have back */
    uint32_t window, taken;         /* of what it sends unread; bytes read since that grew */
    uint32_t turn_bytes;            /* of our body, since its turn began */
    bool has_body, bodiless;        /* we send one; the peer may not */
};

struct mux_events {
    /* Server: a request begins: gives its stream, or NULL to refuse it (MUX_REFUSED). */
    struct mux_stream *(*on_begin)(void *owner);
    /* The request head, or the final response head, in `s->head`. */
    void (*on_head)(void *owner, struct mux_stream *s, bool ended);
    void (*on_interim)(void *owner, struct mux_stream *s); /* client: a 1xx head; may be NULL */
    void (*on_data)(void *owner, struct mux_stream *s, struct span data);
    /* The peer has sent all; `trailers` NULL: none. Not after on_head(ended). */
    void (*on_end)(void *owner, struct mux_stream *s, struct headers *trailers);
    /* `bytes` of `out` went into frames; may be NULL. */
    void (*on_sent)(void *owner, struct mux_stream *s, size_t bytes);
    /* The end of our side has left; may be NULL. */
    void (*on_sent_end)(void *owner, struct mux_stream *s);
    /* Last event of a stream, not after mux_detach: it may be freed. */
    void (*on_close)(void *owner, struct mux_stream *s, enum mux_close how);
    void (*on_goaway)(void *owner);   /* the peer takes no new streams; may be NULL */
    void (*on_settings)(void *owner); /* the peer's limits have come or changed; may be NULL */
    /* Takes all of it: mux_pull's `room` bounds what comes, plus one control frame. */
    void (*on_write)(void *owner, struct span bytes);
};

struct mux_options {
    bool server;
    const struct mux_events *events; /* borrowed */
    void *owner;
    struct mux_alloc *alloc; /* borrowed, may be shared by a thread's connections */
    uint32_t streams_max;    /* the peer may open */
    uint32_t stream_window_bytes, connection_window_bytes;
    _Atomic uint64_t *peer_floods; /* of mux_flood.h; borrowed, may be NULL */
    _Atomic uint32_t *peer_steps;  /* of mux_purse.h; borrowed, may be NULL */
    uint64_t now_ms;
};

struct mux;

/* Streams that are still open get no event. NULL is fine. */
void mux_free(struct mux *m);

/* ERR_PROTOCOL: the connection is over; pull what is left (GOAWAY) and close. */
enum err mux_feed(struct mux *m, struct span in, uint64_t now_ms) MUST_USE;
/* Makes frames until `room` bytes were written or nothing waits. ERR_NOMEM, ERR_PROTOCOL: over. */
enum err mux_pull(struct mux *m, size_t room) MUST_USE;
bool mux_wants_write(const struct mux *m);
/* Has it wanted more of the allocator than its part, or its peer's, or than there was? Then that is
 * why it is over, if it is. */
bool mux_starved(const struct mux *m);
/* Neither side has anything left to say: close the connection. */
bool mux_done(const struct mux *m);

/* Client: opens a stream with this head. `has_body`: `out` and `out_ended` of `s` will give it.
 * ERR_FULL: the peer's limit or the id space is used up; ERR_TOO_LARGE: a head that the peer would
 * not take, which h2 finds out later; ERR_NOMEM. */
enum err mux_request(struct mux *m, struct mux_stream *s, const struct mux_head *head,
                     bool has_body) MUST_USE;
/* Server: the final head. ERR_CANCELLED: the stream is no more; ERR_NOMEM. */
enum err mux_respond(struct mux *m, struct mux_stream *s, const struct mux_head *head,
                     bool has_body) MUST_USE;
/* Server: a 1xx head. As mux_respond. */
enum err mux_interim(struct mux *m, struct mux_stream *s, const struct mux_head *head) MUST_USE;
/* There is more in `out`, or out_ended is now set. */
void mux_resume(struct mux *m, struct mux_stream *s);
/* `bytes` given to on_data have left for the other side. */
void mux_consume(struct mux *m, struct mux_stream *s, size_t bytes);
/* Ends a stream with an error or, MUX_CLOSED, without one (RFC 9113 8.1: an early complete
 * response), and detaches it. */
void mux_reset(struct mux *m, struct mux_stream *s, enum mux_close how);
/* No more events for this stream; its body out must be complete or have been reset. What the peer
 * goes on to say is thrown away; over the link frame it is told to end. */
void mux_detach(struct mux *m, struct mux_stream *s);

/* Client: gives a stream up, and detaches it. The peer is told MUX_CANCELLED as soon as it cannot
 * take that for a flood (mux_quit.h), by mux_tick; until then it counts among those it allows. */
void mux_cancel(struct mux *m, struct mux_stream *s);
/* Are there streams of which the peer is to be told? */
bool mux_wants_tick(const struct mux *m);
/* Does for them what is to be done now, which mux_pull then writes. Call it before mux_pull, and at
 * the time that it returns; UINT64_MAX: only what comes from the peer can make it due. */
uint64_t mux_tick(struct mux *m, uint64_t now_ms);

/* The connection is lost: on_close (MUX_RESET; MUX_REFUSED when the request never left) of every
 * stream. Not from an event. */
void mux_lost(struct mux *m);

void mux_ping(struct mux *m);
/* Server, graceful end in two steps (RFC 9113 6.8): announce, and after a round trip, name the last
 * stream. */
void mux_shutdown_notice(struct mux *m);
void mux_goaway(struct mux *m);
/* Streams open now; and whether the peer lets us open another. */
size_t mux_streams(const struct mux *m);
bool mux_may_open(const struct mux *m);
/* Does the peer take extended CONNECT (RFC 8441)? Known once on_settings has come. */
bool mux_may_upgrade(const struct mux *m);

#endif
