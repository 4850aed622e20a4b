/* Connections, the inside: what conn.c, conn_plain.c and conn_tls.c share. Nobody else includes it.
 *
 * conn.c holds the life cycle, the descriptor and the turn's flush; conn_plain.c and conn_tls.c
 * move bytes between it and the owner. No call of the owner's reaches a callback directly: calls
 * set state and mark the flush, callbacks come from the loop (descriptor, deadline, flush). So a
 * callback may call anything on any connection; what it did shows as `state` when it returns, and
 * the object stays until LOOP_FLUSH_FREE.
 *
 *   CONNECTING -> HANDSHAKE (TLS) -> OPENING -> OPEN -> CLOSING (conn_close; lingers) -> CLOSED
 *        \____________\________________\__________\--> FAILED (on_error told) ------------^
 */
#ifndef CORE_IO_CONN_IMPL_H
#define CORE_IO_CONN_IMPL_H

#include "core/io/conn.h"

#define CONN_MAGIC             0x636f6e6eu
#define CONN_READ_BYTES_A_TURN (256u * 1024) /* fairness between connections */
#define CONN_SENDS_A_TURN      32u           /* in one flush, of a TLS record each or what waits */

enum conn_state {
    CONN_CONNECTING,
    CONN_HANDSHAKE,
    CONN_OPENING, /* accepted and plain: on_open comes with the flush */
    CONN_OPEN,
    CONN_FAILED,
    CONN_CLOSING,
    CONN_CLOSED
};

struct conn {
    uint32_t magic;
    enum conn_state state;
    enum err error; /* not told yet; ERR_OK: none */
    int fd;         /* owned; -1: none */
    uint8_t phase;  /* enum loop_flush_phase */
    bool paused : 1;
    bool blocked : 1;  /* the kernel takes no more; waits for writable */
    bool flushing : 1; /* inside the own flush: marks are seen by it */
    bool again : 1;    /* flush once more next turn */
    bool produce : 1;  /* on_flush has more to write */
    bool drain_wanted : 1;
    bool eof_seen : 1; /* the peer's bytes have ended */
    bool shut_wanted : 1;
    bool shut_done : 1;
    bool tls_closing : 1; /* close_notify is queued */
    bool bulk : 1;        /* the last read was large: the next goes into blocks */
    bool corked : 1;      /* the last send promised more */
    bool orphaned : 1;    /* `orphan` is on the loop's list, there is no owner */
    bool last : 1;        /* conn_close_last */
    uint32_t out_max;
    uint32_t record_bytes;  /* plaintext in the engine's records, not all sent */
    struct tls_engine *tls; /* owned */
    struct iobuf in;  /* read from the socket and not taken: plaintext, or ciphertext when TLS */
    struct iobuf out; /* plaintext that waits */
    struct loop_io io;
    struct loop_flush flush;
    struct loop_timer timer; /* open deadline; while nothing is read; end of lingering */
    struct addr remote;
    uint64_t sent_total;
    struct loop *loop; /* borrowed */
    union {
        struct {
            const struct conn_events *events; /* borrowed */
            void *owner;                      /* borrowed */
        };
        struct loop_orphan orphan; /* when it is closing: nobody hears of it any more */
    };
};

/* The owner gets no callback any more: failed, closing or closed. */
static inline bool conn_gone(const struct conn *c)
{
    return c->state >= CONN_FAILED;
}
/* Open and reading: on_data may be called. */
static inline bool conn_may_deliver(const struct conn *c)
{
    return c->state == CONN_OPEN && !c->paused;
}

/* Tells the loop what to watch; to be called after each change of state. */
void conn_turn_interest(struct conn *c);
/* Flushes once more: in this turn, or the next when called from the own flush. */
void conn_turn_again(struct conn *c);
/* Output waits for this turn's flush; nothing to do when that is under way or the kernel is full.
 */
void conn_turn_mark_output(struct conn *c);
/* While nothing is read, looks now and then whether the peer has reset it. */
void conn_turn_watch(struct conn *c);
/* No callback any more, everything goes in LOOP_FLUSH_FREE. */
void conn_turn_end(struct conn *c);
void conn_turn_destroy(struct conn *c);
void conn_turn_on_ready(struct loop_io *io, bool readable, bool writable);
void conn_turn_on_flush(struct loop_flush *f);
void conn_turn_on_deadline(struct loop_timer *t);

/* From within the loop's callbacks only, each ends in a callback of the owner's. on_error: */
void conn_turn_fail(struct conn *c, enum err err);
/* Handshake or connect is done, on_open: */
void conn_turn_opened(struct conn *c);
/* The peer's bytes have ended cleanly, on_eof: */
void conn_turn_ended(struct conn *c);
/* Calls on_flush while there is room and the owner wants it; true when it may have more. */
bool conn_turn_produce(struct conn *c);
/* One send. ERR_OK: `*sent` > 0 bytes went. ERR_AGAIN: `blocked` is set. `more`: the kernel may
 * wait for what follows at once, and fills its segments; when nothing did, conn_turn_push. */
enum err conn_turn_send(struct conn *c, struct span data, bool more, size_t *sent) MUST_USE;
void conn_turn_push(struct conn *c);
/* One send of what is in `out`, which is not empty. */
enum err conn_turn_send_queue(struct conn *c, size_t *sent) MUST_USE;

/* Hands `len` bytes from the socket on; how many were used up. All of them when conn_gone. */
size_t conn_plain_input(struct conn *c, const char *p, size_t len);
/* TLS opens records where they are. */
size_t conn_tls_input(struct conn *c, uint8_t *p, size_t len);
/* Sends what waits. ERR_OK: nothing waits any more, or `again` is set. ERR_AGAIN: blocked. */
enum err conn_plain_output(struct conn *c) MUST_USE;
enum err conn_tls_output(struct conn *c) MUST_USE;
/* Queues all of `data` behind what waits. ERR_FULL, ERR_NOMEM: nothing is taken. */
enum err conn_tls_queue(struct conn *c, struct span data) MUST_USE;
/* conn_room, of a connection that may be written to. */
size_t conn_tls_room(const struct conn *c);
/* Plaintext waits in the engine, or the peer's end is still to be told. */
bool conn_tls_has_input(const struct conn *c);

#endif
