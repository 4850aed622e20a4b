#include "core/base/limits.h"
#include "core/io/conn_impl.h"

#include <assert.h>

/* Records with less room than this are full: a frame and its content did not fit any more. */
#define RECORD_SLACK_BYTES 512u
#define RECORDS_AT_ONCE    (WRITE_BUFFER_BYTES / TLS_RECORD_BYTES_MAX)
static_assert(RECORDS_AT_ONCE == 4, "as limits.h says");

/* A fault, or the peer's close_notify, that the engine has met by now. */
static void settle(struct conn *c)
{
    if (tls_engine_error(c->tls) != ERR_OK) {
        /* The alert is worth one try; the connection is lost either way. */
        struct span alert = tls_engine_out(c->tls);
        size_t sent;
        if (alert.len > 0 && !c->blocked && conn_turn_send(c, alert, false, &sent) == ERR_OK)
            tls_engine_sent(c->tls, sent);
        conn_turn_fail(c, tls_engine_error(c->tls));
        return;
    }
    if (!tls_engine_peer_closed(c->tls) || c->eof_seen) return;
    if (c->state == CONN_HANDSHAKE) {
        conn_turn_fail(c, ERR_RESET);
        return;
    }
    /* RFC 5246 7.2.1: pending writes are discarded, TLS 1.2 has no half-close. */
    iobuf_clear(&c->out);
    conn_turn_ended(c);
}

/* Hands out the plaintext of the engine; false when some stays there. */
static bool drain(struct conn *c)
{
    if (c->state == CONN_HANDSHAKE && tls_engine_ready(c->tls)) conn_turn_opened(c);
    for (;;) {
        if (c->state == CONN_HANDSHAKE) return true;
        if (!conn_may_deliver(c)) return false;
        struct span plain = tls_engine_in(c->tls);
        if (plain.len == 0) return true;
        size_t taken = c->events->on_data(c, c->owner, plain);
        if (conn_gone(c)) return false;
        CHECK(taken <= plain.len);
        tls_engine_read(c->tls, taken);
        if (taken == plain.len) continue;
        /* A pause that was taken back meanwhile: offer the rest again, but not without end. */
        if (!c->paused) conn_turn_again(c);
        return false;
    }
}

/* Whole records are opened where they were read. */
static size_t take(struct conn *c, uint8_t *p, size_t len)
{
    size_t n = tls_engine_open(c->tls, p, len);
    return n > 0 ? n : tls_engine_feed(c->tls, p, len);
}

size_t conn_tls_input(struct conn *c, uint8_t *p, size_t len)
{
    size_t used = 0;
    while (drain(c)) {
        size_t n = take(c, p + used, len - used);
        used += n;
        if (n > 0) continue;
        settle(c);
        break;
    }
    if (conn_gone(c)) return len;
    enum err err = tls_engine_keep(c->tls);
    if (err != ERR_OK) {
        conn_turn_fail(c, err);
        return len;
    }
    if (c->eof_seen) return len;
    /* A handshake answers by itself. */
    if (!c->blocked && tls_engine_out(c->tls).len > 0) conn_turn_again(c);
    return used;
}

bool conn_tls_has_input(const struct conn *c)
{
    bool end = tls_engine_peer_closed(c->tls) && !c->eof_seen;
    return end || tls_engine_in(c->tls).len > 0;
}

/* Sends finished records. While some wait no other is open, so with the last one gone all plaintext
 * in the engine is. */
static enum err send_records(struct conn *c, bool more)
{
    struct span records;
    bool any = false;
    while ((records = tls_engine_out(c->tls)).len > 0) {
        size_t sent;
        enum err err = conn_turn_send(c, records, more, &sent);
        if (err != ERR_OK) return err;
        tls_engine_sent(c->tls, sent);
        any = true;
    }
    if (any) c->record_bytes = 0;
    return ERR_OK;
}

static void fill_records(struct conn *c)
{
    while (c->out.len > 0) {
        struct span front = iobuf_front(&c->out);
        size_t n = tls_engine_write(c->tls, front.p, front.len);
        if (n == 0) return;
        c->record_bytes += (uint32_t)n;
        iobuf_consume(&c->out, n);
    }
}

/* Fills what was lent and sends it, until nothing more is to be sent. */
static enum err output_rounds(struct conn *c)
{
    for (unsigned round = 0; round < CONN_SENDS_A_TURN / RECORDS_AT_ONCE; round++) {
        fill_records(c);
        (void)conn_turn_produce(c);
        if (conn_gone(c) && c->state != CONN_CLOSING) return ERR_OK;
        if (c->record_bytes == 0) return ERR_OK;
        /* Full ones are most likely followed by others. */
        bool full = tls_engine_room(c->tls) < RECORD_SLACK_BYTES;
        tls_engine_flush(c->tls);
        enum err err = send_records(c, full && (c->out.len > 0 || c->produce));
        if (err != ERR_OK) return err;
    }
    c->again = true;
    return ERR_OK;
}

/* What was there before the thread's buffer is lent: a handshake, an alert, what the kernel had not
 * taken. `*go`: data may follow. */
static enum err send_rest(struct conn *c, bool *go)
{
    enum err err = send_records(c, false);
    *go = false;
    if (err != ERR_OK) return err;
    /* The end that answers last is ready when its answer has left, or not: T15. */
    if (c->state == CONN_HANDSHAKE) settle(c);
    if (c->state == CONN_HANDSHAKE && tls_engine_ready(c->tls)) conn_turn_opened(c);
    if (c->state < CONN_OPEN || c->state == CONN_FAILED || c->state == CONN_CLOSED) return ERR_OK;
    *go = !c->eof_seen && !tls_engine_closed(c->tls);
    if (*go) return ERR_OK;
    iobuf_clear(&c->out);
    c->record_bytes = 0;
    return ERR_OK;
}

enum err conn_tls_output(struct conn *c)
{
    bool go;
    enum err err = send_rest(c, &go);
    if (err != ERR_OK || !go) return err;
    if (!tls_engine_lend(c->tls, loop_write_buffer(c->loop), WRITE_BUFFER_BYTES)) return ERR_OK;
    err = output_rounds(c);
    enum err kept = tls_engine_take_back(c->tls);
    if (kept != ERR_OK) return kept;
    /* When the kernel is full, writing goes on and ends with a record that is the last. */
    if (err == ERR_OK && c->corked && c->state != CONN_CLOSED) conn_turn_push(c);
    return err;
}

enum err conn_tls_queue(struct conn *c, struct span data)
{
    /* 0 but in its own output, when the thread's buffer is lent to it. */
    size_t n = c->out.len == 0 ? tls_engine_write(c->tls, data.p, data.len) : 0;
    c->record_bytes += (uint32_t)n;
    enum err err = iobuf_append_span(&c->out, span_skip(data, n));
    if (err == ERR_OK || n == 0) return err;
    /* Part of it is in the record: the stream cannot go on without the rest. */
    c->error = err;
    return ERR_OK;
}

size_t conn_tls_room(const struct conn *c)
{
    const size_t at_once = RECORDS_AT_ONCE * TLS_RECORD_PLAIN_MAX;
    if (c->state != CONN_OPEN || c->eof_seen || c->blocked) return 0;
    size_t room = tls_engine_room(c->tls);
    if (room > 0 || c->record_bytes > 0) return c->out.len == 0 ? room : 0;
    return c->out.len < at_once ? at_once - c->out.len : 0;
}
