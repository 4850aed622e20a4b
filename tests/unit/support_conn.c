#include "tests/unit/support_conn.h"

#include "core/base/check.h"
#include "core/io/clock.h"
#include "core/io/sock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

#define GIVE_UP_MS 30000u
#define PIECE_MAX  16384u

uint8_t pair_pattern(uint64_t at)
{
    return (uint8_t)(at * 131u + (at >> 8) * 7u + (at >> 16));
}

static void tell(struct pair_side *s, enum pair_event event)
{
    s->events++;
    if (s->on_event != NULL) s->on_event(s, event);
}

static struct pair_side *check_side(struct conn *c, void *owner)
{
    struct pair_side *s = owner;
    assert_false(s->closed);
    assert_ptr_equal(s->conn, c);
    assert_int_equal(s->error, ERR_OK);
    return s;
}

static void on_open(struct conn *c, void *owner)
{
    struct pair_side *s = check_side(c, owner);
    assert_false(s->opened);
    s->opened = true;
    assert_int_equal(conn_engine(c) != NULL, s->pair->kind->client != NULL);
    pair_side_pump(s);
    tell(s, PAIR_OPEN);
}

static size_t on_data(struct conn *c, void *owner, struct span data)
{
    struct pair_side *s = check_side(c, owner);
    size_t take = data.len;
    assert_true(s->opened && !s->ended && data.len > 0);
    if (s->take_part) {
        take = (size_t)rng_below(&s->rng, data.len + 1);
        if (take < data.len && !s->take_on) {
            conn_pause(c);
            loop_timer_set(s->pair->loop, &s->resume, loop_now_ms(s->pair->loop));
        }
    }
    for (size_t i = 0; i < take; i++)
        assert_int_equal((uint8_t)data.p[i], pair_pattern(s->received + i));
    s->received += take;
    tell(s, PAIR_DATA);
    return take;
}

static void on_blocks(struct conn *c, void *owner, struct iobuf *data)
{
    struct pair_side *s = check_side(c, owner);
    assert_true(s->opened && !s->ended && data->len >= LOOP_BLOCK_BYTES);
    for (struct span part; (part = iobuf_front(data)).len > 0; iobuf_consume(data, part.len)) {
        for (size_t i = 0; i < part.len; i++)
            assert_int_equal((uint8_t)part.p[i], pair_pattern(s->received + i));
        s->received += part.len;
    }
    s->blocks++;
    tell(s, PAIR_DATA);
}

static void on_eof(struct conn *c, void *owner)
{
    struct pair_side *s = check_side(c, owner);
    assert_true(s->opened && !s->ended);
    s->ended = true;
    tell(s, PAIR_EOF);
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    struct pair_side *s = check_side(c, owner);
    assert_int_not_equal(err, ERR_OK);
    s->error = err;
    tell(s, PAIR_ERROR);
}

static void on_drain(struct conn *c, void *owner)
{
    struct pair_side *s = check_side(c, owner);
    assert_true(conn_queued(c) <= conn_low_water(c));
    s->drains++;
    if (!s->produce) pair_side_pump(s);
    tell(s, PAIR_DRAIN);
}

static void on_flush(struct conn *c, void *owner)
{
    struct pair_side *s = check_side(c, owner);
    assert_true(conn_room(c) > 0);
    s->flushes++;
    if (s->produce) pair_side_pump(s);
    tell(s, PAIR_FLUSH);
}

static const struct conn_events events = {.on_open = on_open,
                                          .on_data = on_data,
                                          .on_eof = on_eof,
                                          .on_error = on_error,
                                          .on_drain = on_drain,
                                          .on_flush = on_flush};

static const struct conn_events block_events = {.on_open = on_open,
                                                .on_data = on_data,
                                                .on_blocks = on_blocks,
                                                .on_eof = on_eof,
                                                .on_error = on_error,
                                                .on_drain = on_drain,
                                                .on_flush = on_flush};

static void resume_expired(struct loop_timer *t)
{
    struct pair_side *s = CONTAINER_OF(t, struct pair_side, resume);
    if (!s->closed) conn_resume(s->conn);
}

static void guard_expired(struct loop_timer *t)
{
    struct pair *p = CONTAINER_OF(t, struct pair, guard);
    p->gave_up = true;
    loop_stop(p->loop);
}

struct conn_options pair_options(struct pair *p, struct pair_side *s)
{
    return (struct conn_options){.loop = p->loop,
                                 .events = p->kind->blocks ? &block_events : &events,
                                 .owner = s,
                                 .phase = p->kind->phase,
                                 .out_max = p->out_max,
                                 .open_deadline_ms = p->open_deadline_ms};
}

static void listener_ready(struct loop_io *io, bool readable, bool writable)
{
    struct pair *p = CONTAINER_OF(io, struct pair, listener);
    struct sock_accepted accepted;
    size_t count;
    (void)readable;
    (void)writable;
    assert_int_equal(sock_accept(p->listen_fd, &accepted, 1, &count), ERR_OK);
    assert_null(p->server.conn);
    struct conn_options o = pair_options(p, &p->server);
    struct tls_engine *tls = p->kind->server != NULL ? p->kind->server(p->kind->context) : NULL;
    assert_int_equal(conn_accept(&o, accepted.fd, tls, p->seen, &p->server.conn), ERR_OK);
}

static void side_init(struct pair *p, struct pair_side *s, uint64_t seed)
{
    struct pair_side fresh = {.pair = p, .resume.on_expire = resume_expired};
    *s = fresh;
    rng_seed(&s->rng, seed);
}

void pair_open(struct pair *p, const struct pair_kind *kind)
{
    const struct addr at = {.ip = {127, 0, 0, 1}, .family = ADDR_IP4};
    *p = (struct pair){.kind = kind, .guard.on_expire = guard_expired};
    assert_int_equal(loop_new(&p->loop), ERR_OK);
    side_init(p, &p->client, 1);
    side_init(p, &p->server, 2);
    assert_int_equal(sock_listen(&at, 0, &p->listen_fd), ERR_OK);
    p->target.addr = sock_local(p->listen_fd);
    loop_io_init(&p->listener, p->listen_fd, listener_ready);
    loop_io_set(p->loop, &p->listener, true, false);
}

void pair_connect(struct pair *p)
{
    struct conn_options o = pair_options(p, &p->client);
    struct tls_engine *tls = p->kind->client != NULL ? p->kind->client(p->kind->context) : NULL;
    assert_int_equal(conn_connect(&o, &p->target, tls, &p->client.conn), ERR_OK);
    assert_int_equal(p->client.events, 0);
}

void pair_run(struct pair *p)
{
    loop_timer_set(p->loop, &p->guard, clock_mono_ms() + GIVE_UP_MS);
    loop_run(p->loop);
    loop_timer_clear(p->loop, &p->guard);
    assert_false(p->gave_up);
}

void pair_close(struct pair *p)
{
    struct pair_side *side[2] = {&p->client, &p->server};
    for (size_t i = 0; i < 2; i++) {
        if (side[i]->conn != NULL) pair_side_close(side[i], true);
        loop_timer_clear(p->loop, &side[i]->resume);
    }
    loop_io_set(p->loop, &p->listener, false, false);
    close(p->listen_fd);
    loop_free(p->loop);
}

struct pair_side *pair_other(struct pair_side *s)
{
    return s == &s->pair->client ? &s->pair->server : &s->pair->client;
}

void pair_side_pump(struct pair_side *s)
{
    uint8_t piece[PIECE_MAX];
    while (!s->closed && s->sent < s->to_send) {
        size_t len = s->piece_max != 0 ? s->piece_max : conn_room(s->conn);
        if (len > sizeof(piece)) len = sizeof(piece);
        if (len > s->to_send - s->sent) len = (size_t)(s->to_send - s->sent);
        if (len == 0) return;
        for (size_t i = 0; i < len; i++)
            piece[i] = pair_pattern(s->sent + i);
        enum err err = conn_write(s->conn, span_of(piece, len));
        if (err == ERR_FULL || err == ERR_EOF) return;
        assert_int_equal(err, ERR_OK);
        s->sent += len;
    }
    if (s->shut_when_sent && !s->closed && s->sent == s->to_send) conn_shutdown(s->conn);
}

void pair_side_close(struct pair_side *s, bool abort)
{
    assert_false(s->closed);
    s->closed = true;
    conn_close(s->conn, abort);
    s->conn = NULL;
    loop_timer_clear(s->pair->loop, &s->resume);
}

void pair_stop_when_closed(struct pair *p)
{
    if (p->client.closed && p->server.closed) loop_stop(p->loop);
}
