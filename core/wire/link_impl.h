/* What the files of core/wire/link share: the connection and its places. One thread, that of the
 * connection.
 *
 *      link.c         life, and what the owner submits
 *      link_recv.c    frames in      link_send.c    frames out      link_place.c    places
 *      link_head.c    heads          link_names.c   names that cost one byte in them
 *      link_window.c  what the peer may send
 */
#ifndef CORE_WIRE_LINK_IMPL_H
#define CORE_WIRE_LINK_IMPL_H

#include "core/wire/mux_flood.h"
#include "core/wire/mux_impl.h"
#include "core/wire/link.h"
#include "core/wire/link_head.h"

#define LINK_MAGIC 0x6c690001u

#define LINK_GENERATIONS 0x7fffffu

#define PLACE_OPEN       0x01u
#define PLACE_PEER_ENDED 0x02u
#define PLACE_WE_ENDED   0x04u /* the frame that says so is queued */
#define PLACE_ABANDONED  0x08u /* we reset the last one: its late frames are the peer's right */
#define PLACE_STALE      0x10u /* and some before it */
#define PLACE_WRAPPED    0x20u /* generations have begun anew */

struct link_place {
    struct mux_stream *s; /* NULL: detached */
    uint32_t generation;  /* the last; 0: never taken */
    uint8_t state;
};

struct link_queue {
    char *p; /* owned, of the allocator; NULL when nothing waits */
    size_t at, len, cap;
};

struct link {
    struct mux mux; /* first */
    uint32_t magic;
    const struct mux_events *events;
    void *owner;
    bool server, hello_seen;
    bool leaving;   /* the peer takes no new streams */
    bool last_told; /* we have told which were accepted */
    bool over;      /* an error, ours or the peer's */
    bool no_memory;
    uint64_t now_ms;
    struct mux_flood flood;
    uint32_t requests; /* opened, or accepted */
    size_t open_places;
    /* flow control */
    uint32_t stream_window, window; /* ours */
    uint32_t receive_left, owed;    /* of the connection, as a stream's */
    uint32_t credit_bytes;          /* owed on the connection before they are given back */
    uint32_t growth_left;           /* of the connection's window, for streams beyond theirs */
    bool narrow;                    /* link_window.h */
    int64_t send_window;
    uint32_t streams_max; /* the peer may open */
    uint32_t peer_stream_window, peer_streams_max;
    /* receiving */
    uint8_t head[LINK_FRAME_HEAD_BYTES];
    size_t head_len;
    uint32_t left, id; /* of the frame under way */
    uint8_t type;
    bool end, in_frame, narrow_head;
    char *whole; /* owned: a frame that comes in pieces */
    uint32_t whole_len;
    /* sending */
    struct link_queue queue;
    uint64_t queued, pulled; /* bytes of the queue, ever */
    struct list ready;       /* streams with a body to send, by turn */
    struct list blocked;     /* those that wait for the connection's window */
    struct list ending;      /* those whose end is in the queue */
    size_t room, written;    /* of the mux_pull in progress */
    /* client: free places, the last freed first */
    uint8_t free_place[LINK_PLACES];
    size_t free_count;
    struct link_place place[LINK_PLACES];
    struct link_dict send, receive;
};

static inline struct link *link_of(struct mux *m)
{
    struct link *l = CONTAINER_OF(m, struct link, mux);
    CHECK_OBJ(l, LINK_MAGIC);
    return l;
}

static inline const struct link *link_of_const(const struct mux *m)
{
    const struct link *l = (const void *)m;
    CHECK_OBJ(l, LINK_MAGIC);
    return l;
}

static inline struct link_place *link_place(struct link *l, int32_t id)
{
    return &l->place[(uint32_t)id % LINK_PLACES];
}

static inline void link_put_u32(char *p, uint32_t v)
{
    p[0] = (char)(v >> 24);
    p[1] = (char)(v >> 16);
    p[2] = (char)(v >> 8);
    p[3] = (char)v;
}

static inline uint32_t link_get_u32(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline uint32_t link_next_generation(uint32_t generation)
{
    return generation == LINK_GENERATIONS ? 1 : generation + 1;
}

#endif
