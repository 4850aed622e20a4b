#include "tests/unit/support_conn.h"

#include "core/io/sock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB (1024u * 1024u)

/* The server returns as much as it got; the client ends when all is back, the server after it. */
static void echo_event(struct pair_side *s, enum pair_event event)
{
    struct pair *p = s->pair;
    if (s == &p->server && event == PAIR_DATA) {
        s->to_send = s->received;
        pair_side_pump(s);
    }
    if (s == &p->client && event == PAIR_DATA && s->received == s->to_send) conn_shutdown(s->conn);
    if (event != PAIR_EOF) return;
    pair_side_close(s, false);
    pair_stop_when_closed(p);
}

void pair_case_echo_then_clean_end(const struct pair_kind *kind)
{
    struct pair p;
    pair_open(&p, kind);
    p.client.on_event = p.server.on_event = echo_event;
    p.client.to_send = 100000;
    p.client.piece_max = p.server.piece_max = 8192;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.server.received, 100000);
    assert_int_equal(p.client.received, 100000);
    assert_int_equal(p.client.error, ERR_OK);
    assert_int_equal(p.server.error, ERR_OK);
    pair_close(&p);
}

/* Both send all they have; each closes when it has everything and has sent everything. */
static void bulk_event(struct pair_side *s, enum pair_event event)
{
    struct pair *p = s->pair;
    if (!s->closed && s->conn != NULL) {
        assert_true(conn_queued(s->conn) <= p->out_max || p->out_max == 0);
        if (event == PAIR_OPEN && s->produce) conn_mark(s->conn);
    }
    if (p->client.received == p->server.to_send && p->server.received == p->client.to_send)
        loop_stop(p->loop);
}

void pair_case_bulk_both_ways(const struct pair_kind *kind, uint64_t bytes, size_t out_max)
{
    struct pair p;
    pair_open(&p, kind);
    p.out_max = out_max;
    p.client.on_event = p.server.on_event = bulk_event;
    p.client.to_send = p.server.to_send = bytes;
    p.client.piece_max = 1 + out_max / 3;
    p.server.piece_max = 1 + out_max / 2;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.client.received, bytes);
    assert_int_equal(p.server.received, bytes);
    assert_true(p.client.drains > 1 && p.server.drains > 1);
    if (kind->blocks) assert_true(p.client.blocks > 1 && p.server.blocks > 1);
    assert_true(conn_sent_total(p.client.conn) >= bytes);
    pair_close(&p);
}

void pair_case_bulk_by_producing(const struct pair_kind *kind, uint64_t bytes)
{
    struct pair p;
    pair_open(&p, kind);
    p.out_max = 64 * 1024;
    p.client.on_event = p.server.on_event = bulk_event;
    p.client.to_send = p.server.to_send = bytes;
    p.client.produce = p.server.produce = true;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.client.received, bytes);
    assert_int_equal(p.server.received, bytes);
    assert_true(p.client.flushes > 1 && p.server.flushes > 1);
    pair_close(&p);
}

void pair_case_pauses_keep_order(const struct pair_kind *kind)
{
    struct pair p;
    pair_open(&p, kind);
    p.client.on_event = p.server.on_event = bulk_event;
    p.client.to_send = p.server.to_send = MIB;
    p.client.piece_max = p.server.piece_max = 8192;
    p.client.take_part = p.server.take_part = true;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.client.received, MIB);
    assert_int_equal(p.server.received, MIB);
    pair_close(&p);
}

void pair_case_parts_without_pause_keep_order(const struct pair_kind *kind)
{
    struct pair p;
    pair_open(&p, kind);
    p.client.on_event = p.server.on_event = bulk_event;
    p.client.to_send = p.server.to_send = MIB;
    p.client.piece_max = p.server.piece_max = 8192;
    p.client.take_part = p.server.take_part = true;
    p.client.take_on = p.server.take_on = true;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.client.received, MIB);
    assert_int_equal(p.server.received, MIB);
    pair_close(&p);
}

struct closing_case {
    enum pair_event when;
    bool abort, both, by_server;
};

/* The side under test closes at its event (with the other end, when told to); whoever is left
 * closes at what it then sees. */
struct closing {
    struct pair pair; /* first: sides lead here */
    struct closing_case how;
    bool fired;
};

static void closing_event(struct pair_side *s, enum pair_event event)
{
    struct closing *c = (struct closing *)(void *)s->pair;
    struct pair_side *subject = c->how.by_server ? &c->pair.server : &c->pair.client;
    if (!c->fired && s == subject && event == c->how.when) {
        c->fired = true;
        pair_side_close(s, c->how.abort);
        struct pair_side *other = pair_other(s);
        if (c->how.both && other->conn != NULL) pair_side_close(other, c->how.abort);
    } else if (event == PAIR_EOF || event == PAIR_ERROR) {
        pair_side_close(s, false);
    } else if (event == PAIR_OPEN) {
        conn_mark(s->conn);
        /* Something to end with: the other's end or its reset. */
        if (s != subject && (c->how.when == PAIR_EOF || c->how.when == PAIR_ERROR))
            pair_side_close(s, c->how.when == PAIR_ERROR);
    }
    if (c->fired && c->pair.client.conn == NULL && c->pair.server.conn == NULL)
        loop_stop(c->pair.loop);
}

static void closing_case(const struct pair_kind *kind, struct closing_case how)
{
    struct closing c = {.how = how};
    pair_open(&c.pair, kind);
    c.pair.client.on_event = c.pair.server.on_event = closing_event;
    /* Enough to bring on_drain. */
    c.pair.client.to_send = c.pair.server.to_send = 300000;
    c.pair.client.piece_max = c.pair.server.piece_max = 8192;
    pair_connect(&c.pair);
    pair_run(&c.pair);
    assert_true(c.fired);
    pair_close(&c.pair);
}

void pair_case_close_in_each_callback(const struct pair_kind *kind)
{
    for (enum pair_event when = PAIR_OPEN; when <= PAIR_FLUSH; when++)
        for (unsigned bits = 0; bits < 8; bits++)
            closing_case(kind, (struct closing_case){.when = when,
                                                     .abort = (bits & 1) != 0,
                                                     .both = (bits & 2) != 0,
                                                     .by_server = (bits & 4) != 0});
}

static void abort_event(struct pair_side *s, enum pair_event event)
{
    struct pair *p = s->pair;
    if (s == &p->server && event == PAIR_DATA) pair_side_close(s, true);
    if (s == &p->client && event == PAIR_ERROR) loop_stop(p->loop);
}

void pair_case_abort_is_reset(const struct pair_kind *kind)
{
    struct pair p;
    pair_open(&p, kind);
    p.client.on_event = p.server.on_event = abort_event;
    p.client.to_send = 1;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.client.error, ERR_RESET);
    assert_false(p.client.ended);
    assert_int_equal(conn_write(p.client.conn, SPAN_LIT("late")), ERR_EOF);
    pair_close(&p);
}

static void farewell_event(struct pair_side *s, enum pair_event event)
{
    struct pair *p = s->pair;
    if (s == &p->server && event == PAIR_OPEN) pair_side_close(s, false);
    if (s == &p->client && event == PAIR_EOF) loop_stop(p->loop);
}

void pair_case_close_sends_what_is_queued(const struct pair_kind *kind)
{
    struct pair p;
    pair_open(&p, kind);
    p.out_max = 8 * MIB;
    p.client.on_event = p.server.on_event = farewell_event;
    p.server.to_send = 6 * MIB;
    p.server.piece_max = 16384;
    p.client.take_part = true;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.client.received, 6 * MIB);
    assert_int_equal(p.client.error, ERR_OK);
    pair_close(&p);
}

/* The server answers at the first bytes of an upload and closes; the client reads the answer
 * whatever became of its own bytes. */
static void early_event(struct pair_side *s, enum pair_event event)
{
    struct pair *p = s->pair;
    if (s == &p->server && event == PAIR_DATA) {
        s->to_send = 1000;
        pair_side_pump(s);
        pair_side_close(s, false);
    }
    if (s == &p->client && (event == PAIR_EOF || event == PAIR_ERROR)) loop_stop(p->loop);
}

void pair_case_answer_survives_close_during_upload(const struct pair_kind *kind)
{
    struct pair p;
    pair_open(&p, kind);
    p.client.on_event = p.server.on_event = early_event;
    p.client.to_send = 64 * MIB;
    p.client.produce = true;
    p.client.piece_max = 16384;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.client.received, 1000);
    assert_true(p.client.sent < p.client.to_send);
    pair_close(&p);
}

static void stop_at_error(struct pair_side *s, enum pair_event event)
{
    if (event == PAIR_ERROR) loop_stop(s->pair->loop);
}

void pair_case_refused(const struct pair_kind *kind)
{
    struct pair p;
    int fd;
    const struct addr at = {.ip = {127, 0, 0, 1}, .family = ADDR_IP4};
    pair_open(&p, kind);
    assert_int_equal(sock_listen(&at, 0, &fd), ERR_OK);
    p.target.addr = sock_local(fd);
    close(fd);
    p.client.on_event = stop_at_error;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.client.error, ERR_REFUSED);
    assert_false(p.client.opened);
    pair_close(&p);
}

static void full_event(struct pair_side *s, enum pair_event event)
{
    static const char zero[1001] = {0};
    if (s != &s->pair->client) return;
    if (event == PAIR_OPEN) {
        size_t before = conn_queued(s->conn);
        assert_int_equal(conn_write(s->conn, span_of(zero, 1001)), ERR_FULL);
        assert_int_equal(conn_queued(s->conn), before);
        assert_int_equal(before, 0);
    }
    /* Nothing waits, yet the refusal is owed a call. */
    if (event == PAIR_DRAIN) loop_stop(s->pair->loop);
}

void pair_case_full_queue_takes_nothing(const struct pair_kind *kind)
{
    struct pair p;
    pair_open(&p, kind);
    p.out_max = 1000;
    p.client.on_event = full_event;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.client.drains, 1);
    pair_close(&p);
}

struct together {
    struct pair pair; /* first: sides lead here */
    uint64_t sent_before;
};

static void together_event(struct pair_side *s, enum pair_event event)
{
    struct together *t = (struct together *)(void *)s->pair;
    if (s == &t->pair.client && event == PAIR_OPEN) {
        t->sent_before = conn_sent_total(s->conn);
        for (s->to_send = 10; s->to_send <= 1000; s->to_send += 10)
            pair_side_pump(s);
        assert_int_equal(conn_queued(s->conn), 1000);
        assert_int_equal(conn_sent_total(s->conn), t->sent_before);
    }
    if (s == &t->pair.server && s->received == 1000) loop_stop(s->pair->loop);
}

void pair_case_writes_of_a_turn_leave_together(const struct pair_kind *kind, uint64_t overhead)
{
    struct together t = {.sent_before = 0};
    pair_open(&t.pair, kind);
    t.pair.client.on_event = t.pair.server.on_event = together_event;
    pair_connect(&t.pair);
    pair_run(&t.pair);
    assert_int_equal(conn_sent_total(t.pair.client.conn) - t.sent_before, 1000 + overhead);
    assert_int_equal(conn_queued(t.pair.client.conn), 0);
    pair_close(&t.pair);
}

static void linger_event(struct pair_side *s, enum pair_event event)
{
    struct pair *p = s->pair;
    if (event != PAIR_OPEN) return;
    conn_pause(s->conn);
    pair_side_close(s, false);
    loop_stop(p->loop);
}

/* The peer is paused and never ends: the closed side lingers, and loop_free takes it along. */
void pair_case_loop_ends_with_lingering(const struct pair_kind *kind)
{
    struct pair p;
    pair_open(&p, kind);
    p.out_max = 8 * MIB;
    p.server.on_event = linger_event;
    p.server.to_send = 8 * MIB - 1;
    p.server.piece_max = 16384;
    pair_connect(&p);
    pair_run(&p);
    assert_true(p.server.closed);
    pair_close(&p);
}

/* A hundred short connections one after the other on one loop. */
struct warm {
    struct pair pair; /* first: sides lead here */
    unsigned rounds;
    size_t blocks;
};

static void warm_event(struct pair_side *s, enum pair_event event)
{
    struct warm *w = (struct warm *)(void *)s->pair;
    echo_event(s, event);
    if (!w->pair.client.closed || !w->pair.server.closed) return;
    struct iobuf_pool *pool = loop_pool(w->pair.loop);
    if (++w->rounds == 50) w->blocks = pool->blocks_live + pool->blocks_free;
}

void pair_case_no_memory_when_warm(const struct pair_kind *kind)
{
    struct warm w = {.rounds = 0};
    pair_open(&w.pair, kind);
    while (w.rounds < 100) {
        struct pair_side *side[2] = {&w.pair.client, &w.pair.server};
        for (size_t i = 0; i < 2; i++) {
            struct pair_side fresh = {
                .pair = &w.pair, .on_event = warm_event, .resume = side[i]->resume};
            *side[i] = fresh;
        }
        w.pair.client.to_send = 5000;
        pair_connect(&w.pair);
        pair_run(&w.pair);
        assert_int_equal(w.pair.client.received, 5000);
    }
    struct iobuf_pool *pool = loop_pool(w.pair.loop);
    assert_int_equal(pool->blocks_live + pool->blocks_free, w.blocks);
    pair_close(&w.pair);
}
