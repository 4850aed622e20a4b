/* HTTP/2 connections without I/O: a thin shape over nghttp2 (RFC 9113, RFC 8441; security.md D, E).
 *
 *      bytes -> h2_feed -> on_begin, on_head, on_data, on_trailers, on_end, on_close
 *      bytes <- on_write <- h2_pull <- heads, bodies (struct iobuf), resets, settings
 *
 * One thread. No clock: `now_ms` comes in. Events come only from inside h2_feed and h2_pull; an
 * event may submit, reset, consume and detach, but call neither h2_feed nor h2_pull nor h2_free:
 * owners mark their connection and pull when it flushes.
 *
 * Flow control is end to end: a byte given to on_data counts against the peer's window until
 * h2_consume says that it has left for the other side; what a stream has not consumed when it
 * closes, or receives after h2_detach, is consumed for it on the connection. Bodies out are read
 * from the stream's `out` queue as frames are made, so nothing is copied into a second queue.
 *
 * Floods (resets of either cause, pings, settings, empty frames) run down one budget a connection
 * and one of all that the same peer has and had; either empty, it ends with
 * GOAWAY(ENHANCE_YOUR_CALM). nghttp2's own limits stand behind it.
 */
#ifndef CORE_WIRE_H2_H
#define CORE_WIRE_H2_H

#include "core/base/arena.h"
#include "core/base/iobuf.h"
#include "core/base/list.h"
#include "core/wire/h2_alloc.h"
#include "core/wire/headers.h"

struct h2;

/* One header section as it was received or is to be sent. Spans of a received one lie in the
 * stream's arena. */
struct h2_head {
    struct span method, scheme, authority, path, protocol; /* request; empty: absent */
    unsigned status;                                       /* response */
    struct headers *headers;
    int64_t content_length; /* -1: none */
    bool too_large;         /* over HEADER_FIELDS_MAX, HEADER_BYTES_MAX or the arena: cut */
};

enum h2_close {
    H2_CLOSED,    /* complete both ways, or ended without error */
    H2_REFUSED,   /* not processed by the peer: safe to send again elsewhere */
    H2_CANCELLED, /* the peer lost interest */
    H2_RESET      /* anything else */
};

/* A stream, embedded by its owner and zero-initialised. The owner sets the first group before
 * h2_request or in on_begin; it stays valid until on_close or h2_detach. */
struct h2_stream {
    struct arena *arena;    /* borrowed: text of received heads */
    struct headers *fields; /* borrowed: where the fields of the next received head go */
    struct iobuf *out;      /* borrowed: body to send */
    bool out_ended;         /* no byte will follow what is in `out` */
    const struct headers *out_trailers; /* with out_ended; NULL: none */
    void *owner;
    /* of the wrapper */
    struct list node; /* of the connection's streams */
    int32_t id;       /* 0: not on a connection */
    struct h2_head head;
    uint64_t begun_ms;
    size_t unconsumed_bytes;
    size_t cookie_cap_bytes; /* of the buffer in which cookie crumbs are joined */
    bool deferred;           /* nghttp2 waits for h2_resume */
    bool head_seen;          /* the final head has been given out */
    bool sent;               /* the request's head has left */
    bool unsent;             /* and never will: nothing was processed */
};

struct h2_events {
    /* Server: a request begins: gives its stream, or NULL to refuse it (REFUSED_STREAM). */
    struct h2_stream *(*on_begin)(void *owner);
    /* The request head, or the final response head, in `s->head`. */
    void (*on_head)(void *owner, struct h2_stream *s, bool ended);
    void (*on_interim)(void *owner, struct h2_stream *s); /* client: a 1xx head; may be NULL */
    void (*on_data)(void *owner, struct h2_stream *s, struct span data);
    /* The peer has sent all; `trailers` NULL: none. Not after on_head(ended). */
    void (*on_end)(void *owner, struct h2_stream *s, struct headers *trailers);
    /* `bytes` of `out` went into frames. */
    void (*on_sent)(void *owner, struct h2_stream *s, size_t bytes);
    /* The end of our side has left. */
    void (*on_sent_end)(void *owner, struct h2_stream *s);
    /* Last event of a stream, not after h2_detach: it may be freed. */
    void (*on_close)(void *owner, struct h2_stream *s, enum h2_close how);
    void (*on_goaway)(void *owner);   /* the peer takes no new streams */
    void (*on_settings)(void *owner); /* the peer's limits have come or changed; may be NULL */
    /* Takes all of it: h2_pull's `room` bounds what comes, plus one control frame. */
    void (*on_write)(void *owner, struct span bytes);
};

struct h2_options {
    bool server;
    const struct h2_events *events; /* borrowed */
    void *owner;
    struct h2_alloc *alloc; /* borrowed, may be shared by a thread's connections */
    uint32_t streams_max;   /* the peer may open */
    uint32_t stream_window_bytes, connection_window_bytes;
    _Atomic uint64_t *peer_floods; /* of h2_flood.h; borrowed, may be NULL */
    uint64_t now_ms;
};

/* Settings are queued. ERR_NOMEM. */
enum err h2_new(const struct h2_options *o, struct h2 **out) MUST_USE;
/* Streams that are still open get no event. NULL is fine. */
void h2_free(struct h2 *h);

/* ERR_PROTOCOL: the connection is over; pull what is left (GOAWAY) and close. */
enum err h2_feed(struct h2 *h, struct span in, uint64_t now_ms) MUST_USE;
/* Makes frames until `room` bytes were written or nothing waits. ERR_NOMEM, ERR_PROTOCOL: over. */
enum err h2_pull(struct h2 *h, size_t room) MUST_USE;
bool h2_wants_write(const struct h2 *h);
/* Neither side has anything left to say: close the connection. */
bool h2_done(const struct h2 *h);

/* Client: opens a stream with this head. `has_body`: `out` and `out_ended` of `s` will give it.
 * ERR_FULL: the peer's limit or the id space is used up; ERR_NOMEM. */
enum err h2_request(struct h2 *h, struct h2_stream *s, const struct h2_head *head,
                    bool has_body) MUST_USE;
/* Server: the final head. */
enum err h2_respond(struct h2 *h, struct h2_stream *s, const struct h2_head *head,
                    bool has_body) MUST_USE;
/* Server: a 1xx head. */
enum err h2_interim(struct h2 *h, struct h2_stream *s, const struct h2_head *head) MUST_USE;
/* There is more in `out`, or out_ended is now set. */
void h2_resume(struct h2 *h, struct h2_stream *s);
/* `bytes` given to on_data have left for the other side. */
void h2_consume(struct h2 *h, struct h2_stream *s, size_t bytes);
/* Ends a stream with an error or, H2_CLOSED, without one (RFC 9113 8.1: an early complete
 * response), and detaches it. */
void h2_reset(struct h2 *h, struct h2_stream *s, enum h2_close how);
/* No more events for this stream; its body out must be complete or have been reset. */
void h2_detach(struct h2 *h, struct h2_stream *s);

/* The connection is lost: on_close (H2_RESET; H2_REFUSED when the request never left) of every
 * stream. Not from an event. */
void h2_lost(struct h2 *h);

void h2_ping(struct h2 *h);
/* Server, graceful end in two steps (RFC 9113 6.8): announce, and after a round trip, name the last
 * stream. */
void h2_shutdown_notice(struct h2 *h);
void h2_goaway(struct h2 *h);
/* Streams open now; and whether the peer lets us open another. */
size_t h2_streams(const struct h2 *h);
bool h2_may_open(const struct h2 *h);
/* Does the peer take extended CONNECT (RFC 8441)? Known once on_settings has come. */
bool h2_may_upgrade(const struct h2 *h);

#endif
