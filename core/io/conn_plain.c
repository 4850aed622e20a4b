#include "core/io/conn_impl.h"

size_t conn_plain_input(struct conn *c, const char *p, size_t len)
{
    size_t taken;
    if (!conn_may_deliver(c)) return conn_gone(c) ? len : 0;
    taken = c->events->on_data(c, c->owner, span_of(p, len));
    if (conn_gone(c)) return len;
    CHECK(taken <= len);
    return taken;
}

static enum err send_queued(struct conn *c)
{
    while (c->out.len > 0) {
        size_t sent;
        enum err err = conn_turn_send_queue(c, &sent);
        if (err != ERR_OK) return err;
        iobuf_consume(&c->out, sent);
    }
    return ERR_OK;
}

enum err conn_plain_output(struct conn *c)
{
    for (unsigned round = 0; round < CONN_SENDS_A_TURN; round++) {
        bool more = conn_turn_produce(c);
        if (c->state == CONN_FAILED || c->state == CONN_CLOSED) return ERR_OK;
        enum err err = send_queued(c);
        if (err != ERR_OK) return err;
        if (!more) return ERR_OK;
    }
    c->again = true;
    return ERR_OK;
}
