/* Connections: a non-blocking byte stream, plain or TLS, on a loop.
 *
 * Belongs to its loop's thread. Bytes arrive by on_data in the turn they were read; bytes written
 * are collected and leave in the flush phase of the same turn (plain before links). The owner sees
 * the same interface for both kinds.
 *
 * Life: conn_connect / conn_accept -> on_open once (plain: connected; TLS: handshake done, peer
 * verified) -> on_data*, on_eof -> conn_close by the owner, always exactly once, also after
 * on_error. After conn_close no callback comes; memory goes at the turn's end. Callbacks come last
 * in whatever caused them and never from inside a conn_ call; each may call anything on any
 * connection, conn_close on its own too.
 *
 * Reading: conn_pause stops reads (back-pressure: the kernel's window closes), conn_resume goes on.
 * While paused the peer's end is not noticed, and its reset within a second, when what it had sent
 * before is lost. Its reset behind its end (plain) is noticed within a second too.
 * Writing: conn_write takes all or nothing, bounded by `out_max`. conn_queued says how much waits.
 * on_drain comes when it falls to conn_low_water or less after conn_write had brought it over or
 * had answered ERR_FULL. Producing: an owner with its own framer (nghttp2) sets on_flush and calls
 * conn_mark: at flush time on_flush fills by conn_write while conn_room() > 0, so that frames go
 * straight into TLS records; it is called again until it leaves room.
 *
 * Ends: plain TCP has two halves, conn_shutdown ends ours. TLS 1.2 has not (RFC 5246 7.2.1): after
 * the peer's close_notify (on_eof) our writes are ERR_EOF, after ours the peer's bytes are dropped.
 * A TLS peer that closes TCP without close_notify is ERR_RESET (security.md T17). A send that fails
 * is told after what the peer had sent before.
 */
#ifndef CORE_IO_CONN_H
#define CORE_IO_CONN_H

#include "core/crypto/tls_engine.h"
#include "core/io/loop.h"
#include "core/model/addr.h"

struct conn;

struct conn_events {
    void (*on_open)(struct conn *c, void *owner);
    /* `data` is valid during the call; take all of it, or conn_pause and return how much was taken
     * (the rest is kept, at most one read buffer, and offered again after conn_resume; without a
     * pause in the next turn). */
    size_t (*on_data)(struct conn *c, void *owner, struct span data);
    /* As on_data, of a plain peer that sends much at once: the bytes as they were read, to be moved
     * out of `data`, all of them. NULL: on_data will do. */
    void (*on_blocks)(struct conn *c, void *owner, struct iobuf *data);
    void (*on_eof)(struct conn *c, void *owner); /* clean end of the peer's bytes */
    void (*on_error)(struct conn *c, void *owner,
                     enum err err); /* RESET, TIMEOUT, REFUSED, UNREACHABLE, PROTOCOL, AUTH.. */
    void (*on_drain)(struct conn *c, void *owner); /* may be NULL */
    void (*on_flush)(struct conn *c, void *owner); /* may be NULL */
};

struct conn_options {
    struct loop *loop;
    const struct conn_events *events;
    void *owner;
    enum loop_flush_phase phase; /* LOOP_FLUSH_PLAIN or LOOP_FLUSH_LINK */
    size_t out_max;              /* bytes that may wait; 0: BODY_HIGH_WATER_BYTES * 4 */
    uint64_t open_deadline_ms;   /* on_error(ERR_TIMEOUT) when not open by then; 0: none */
    const struct addr *remote;   /* conn_accept: what conn_remote says; NULL: the kernel knows */
};

/* Connects to an address or a unix socket. `tls` NULL: plain; else taken (freed with the
 * connection, also on failure). Errors that appear at once are reported by on_error in the same
 * turn's end, never inside this call, except ERR_NOMEM and ERR_FULL (no descriptor), which are
 * returned and leave nothing. */
enum err conn_connect(const struct conn_options *o, const struct target *to,
                      struct tls_engine *take_tls, struct conn **out) MUST_USE;
/* Takes an accepted, non-blocking descriptor and `tls`, also on failure. `seen`: bytes already read
 * from it (copied), fed first, at most READ_BUFFER_BYTES. on_open comes in the turn's flush at the
 * earliest. ERR_NOMEM, ERR_FULL, ERR_TOO_LARGE. */
enum err conn_accept(const struct conn_options *o, int take_fd, struct tls_engine *take_tls,
                     struct span seen, struct conn **out) MUST_USE;

/* From now on callbacks go to another owner, also when called from one of the old owner's. */
void conn_rebind(struct conn *c, const struct conn_events *events, void *owner);

/* All of `data` or nothing. ERR_FULL: over out_max; ERR_NOMEM; ERR_EOF: our side has ended
 * (conn_shutdown, an error, a TLS peer's end). Before on_open it waits. */
enum err conn_write(struct conn *c, struct span data) MUST_USE;
/* As conn_write of the first block of `from` (of the loop's pool, not empty), which goes out of
 * `from`: a large one is moved, not copied. `*len`: its bytes. */
enum err conn_write_front(struct conn *c, struct iobuf *from, size_t *len) MUST_USE;
/* Bytes that may be written now without queueing beyond what is sent at once (TLS) or the out bound
 * (plain). */
size_t conn_room(const struct conn *c);
size_t conn_queued(const struct conn *c);
/* A quarter of out_max, at most BODY_LOW_WATER_BYTES. */
size_t conn_low_water(const struct conn *c);
/* on_drain comes after the next bytes that leave, when it is at conn_low_water or less then: for an
 * owner that stops before it would come by itself. */
void conn_ask_drain(struct conn *c);
/* on_flush comes in this turn's flush, or when there is room again. */
void conn_mark(struct conn *c);
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
/* Ends our side after what is queued: FIN, or close_notify + FIN. Reading goes on. */
void conn_shutdown(struct conn *c);
/* Closes. Without `abort` what is queued is still sent (at most 5 s), then FIN (and close_notify),
 * then what the peer still sends is thrown away until its end, at most 2 s: the owner hears nothing
 * of that. Of LOOP_ORPHANS_MAX such the oldest is reset for one more. `abort`: RST, nothing
 * flushed. Before on_open and after on_error: at once. */
void conn_close(struct conn *c, bool abort);
/* As conn_close without `abort`, of a peer that has said that it sends nothing more: a plain
 * connection does not wait for its end. When it has sent more all the same and that was not taken,
 * it is closed as by conn_close; what comes later than this is answered with RST. */
void conn_close_last(struct conn *c);

const struct x509_leaf *conn_peer(const struct conn *c); /* NULL when plain or anonymous */
struct tls_engine *conn_engine(struct conn *c);          /* borrowed, NULL when plain */
const struct addr *conn_remote(const struct conn *c);
/* Family ADDR_NONE once the descriptor is gone. */
struct addr conn_local(const struct conn *c);
/* Whether the kernel holds nothing of the peer's that was not read yet, an end included. One system
 * call, for what must not be sent into a connection that is over. */
bool conn_still(const struct conn *c);
/* Bytes the kernel took: ciphertext when TLS. */
uint64_t conn_sent_total(const struct conn *c);

#endif
