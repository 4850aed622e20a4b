#include "core/io/conn_impl.h"

/* A record with less room than this is full: a frame and its content did not fit any more. */
#define RECORD_SLACK_BYTES 512u

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

size_t conn_tls_input(struct conn *c, const char *p, size_t len)
{
    size_t used = 0;
    while (drain(c)) {
        size_t n = tls_engine_feed(c->tls, p + used, len - used);
        used += n;
        if (n > 0) continue;
        settle(c);
        break;
    }
    if (conn_gone(c) || c->eof_seen) return len;
    /* A handshake answers by itself. */
    if (!c->blocked && tls_engine_out(c->tls).len > 0) conn_turn_again(c);
    return used;
}

bool conn_tls_has_plaintext(const struct conn *c)
{
    return tls_engine_in(c->tls).len > 0;
}

/* Sends finished records from the engine's own buffer. While one waits no other is open, so with
 * the last one gone all plaintext in the engine is. A full one is most likely followed by another.
 */
static enum err send_records(struct conn *c)
{
    struct span record;
    bool any = false;
    bool full = c->record_bytes > TLS_RECORD_PLAIN_MAX - RECORD_SLACK_BYTES;
    bool more = full && (c->out.len > 0 || c->produce);
    while ((record = tls_engine_out(c->tls)).len > 0) {
        size_t sent;
        enum err err = conn_turn_send(c, record, more, &sent);
        if (err != ERR_OK) return err;
        tls_engine_sent(c->tls, sent);
        any = true;
    }
    if (any) c->record_bytes = 0;
    return ERR_OK;
}

static void fill_record(struct conn *c)
{
    while (c->out.len > 0) {
        struct span front = iobuf_front(&c->out);
        size_t n = tls_engine_write(c->tls, front.p, front.len);
        if (n == 0) return;
        c->record_bytes += (uint32_t)n;
        iobuf_consume(&c->out, n);
    }
}

static enum err output_rounds(struct conn *c)
{
    for (unsigned round = 0; round < CONN_RECORDS_A_TURN; round++) {
        enum err err = send_records(c);
        if (err != ERR_OK) return err;
        /* The end that answers last is ready when its answer has left. */
        if (c->state == CONN_HANDSHAKE && tls_engine_ready(c->tls)) conn_turn_opened(c);
        if (c->state < CONN_OPEN || c->state == CONN_FAILED || c->state == CONN_CLOSED)
            return ERR_OK;
        if (c->eof_seen || tls_engine_closed(c->tls)) {
            iobuf_clear(&c->out);
            c->record_bytes = 0;
            return ERR_OK;
        }
        fill_record(c);
        (void)conn_turn_produce(c);
        if (c->state == CONN_FAILED || c->state == CONN_CLOSED) return ERR_OK;
        if (c->record_bytes == 0) return ERR_OK;
        tls_engine_flush(c->tls);
    }
    c->again = true;
    return ERR_OK;
}

enum err conn_tls_output(struct conn *c)
{
    enum err err = output_rounds(c);
    /* When the kernel is full, writing goes on and ends with a record that is the last. */
    if (err == ERR_OK && c->corked && c->state != CONN_CLOSED) conn_turn_push(c);
    return err;
}

enum err conn_tls_queue(struct conn *c, struct span data)
{
    size_t n = 0;
    if (c->state == CONN_OPEN && !c->blocked && c->out.len == 0)
        n = tls_engine_write(c->tls, data.p, data.len);
    c->record_bytes += (uint32_t)n;
    enum err err = iobuf_append_span(&c->out, span_skip(data, n));
    if (err == ERR_OK || n == 0) return err;
    /* Part of it is in the record: the stream cannot go on without the rest. */
    c->error = err;
    return ERR_OK;
}
