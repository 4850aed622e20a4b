#include "core/base/check.h"
#include "core/base/rng.h"
#include "core/wire/link_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Two ends that keep to the rules, while bytes take their time between them: what one does crosses
 * what the other has sent. However it does, no end calls the other's frames broken, no window leaks
 * a byte, and nobody is told that a request was not looked at which was. */

#define STREAMS  4u
#define SEEDS    150u
#define CALLS    3000u
#define ASKED    4096u
#define WINDOW   16384u
#define ANSWERED 1u

struct world;

struct end {
    struct world *w;
    struct mux *mux;
    struct iobuf wire;
    struct arena arena;
    struct mux_stream stream[STREAMS];
    struct headers fields[STREAMS];
    struct iobuf out[STREAMS];
    unsigned number[STREAMS], state[STREAMS];
    bool server, calm; /* it does nothing of its own any more */
};

struct world {
    struct rng rng;
    struct iobuf_pool pool;
    struct mux_alloc alloc;
    struct end client, server;
    uint64_t now_ms;
    unsigned asked, refused, closed;
    bool looked_at[ASKED];
};

static bool one_of(struct end *e, unsigned n)
{
    return !e->calm && rng_below(&e->w->rng, n) == 0;
}

static size_t index_of(const struct end *e, const struct mux_stream *s)
{
    return (size_t)(s - e->stream);
}

static void prepare(struct end *e, size_t i)
{
    iobuf_clear(&e->out[i]);
    e->state[i] = 0;
    e->stream[i] = (struct mux_stream){
        .arena = &e->arena, .fields = &e->fields[i], .out = &e->out[i], .owner = e};
}

/* --- what is done --- */

static void ask(struct end *e, size_t i)
{
    static struct headers none;
    char path[16];
    bool body = one_of(e, 2);
    if (e->calm || e->stream[i].id != 0 || !mux_may_open(e->mux) || e->w->asked == ASKED) return;
    prepare(e, i);
    e->number[i] = e->w->asked++;
    snprintf(path, sizeof path, "/%u", e->number[i]);
    struct mux_head head = {.method = SPAN_LIT("POST"),
                            .scheme = SPAN_LIT("http"),
                            .path = span_str(path),
                            .headers = &none,
                            .content_length = -1};
    e->stream[i].out_ended = !body;
    assert_int_equal(mux_request(e->mux, &e->stream[i], &head, body), ERR_OK);
}

static void answer(struct end *e, size_t i)
{
    static struct headers none;
    struct mux_head head = {.status = 200, .headers = &none, .content_length = -1};
    bool body = !e->calm && one_of(e, 2);
    if (e->stream[i].id == 0 || e->state[i] == ANSWERED) return;
    e->state[i] = ANSWERED;
    e->stream[i].out_ended = !body;
    assert_int_equal(mux_respond(e->mux, &e->stream[i], &head, body), ERR_OK);
}

static void send_more(struct end *e, size_t i, bool last)
{
    static const char block[WINDOW];
    static struct headers trailers;
    struct mux_stream *s = &e->stream[i];
    if (s->id == 0 || s->out_ended || (e->server && e->state[i] != ANSWERED)) return;
    trailers.count = trailers.bytes = 0;
    assert_int_equal(headers_add(&trailers, SPAN_LIT("x-sum"), SPAN_LIT("1")), ERR_OK);
    if (s->out->len < WINDOW)
        assert_int_equal(iobuf_append(s->out, block, rng_below(&e->w->rng, sizeof block)), ERR_OK);
    s->out_ended = last;
    if (last && one_of(e, 2)) s->out_trailers = &trailers;
    mux_resume(e->mux, s);
}

static void consume(struct end *e, size_t i)
{
    mux_consume(e->mux, &e->stream[i], e->stream[i].unconsumed_bytes);
}

static void reset(struct end *e, size_t i)
{
    static const enum mux_close how[] = {MUX_CLOSED, MUX_CANCELLED, MUX_RESET};
    if (!e->server && one_of(e, 2))
        mux_cancel(e->mux, &e->stream[i]);
    else
        mux_reset(e->mux, &e->stream[i], how[rng_below(&e->w->rng, 3)]);
}

/* --- what is told --- */

static struct mux_stream *on_begin(void *owner)
{
    struct end *e = owner;
    for (size_t i = 0; i < STREAMS && !one_of(e, 16); i++) {
        if (e->stream[i].id != 0) continue;
        prepare(e, i);
        return &e->stream[i];
    }
    return NULL;
}

static void on_head(void *owner, struct mux_stream *s, bool ended)
{
    struct end *e = owner;
    size_t i = index_of(e, s);
    uint64_t number;
    (void)ended;
    if (e->server) {
        assert_true(span_u64(span_skip(s->head.path, 1), &number) && number < ASKED);
        assert_false(e->w->looked_at[number]);
        e->w->looked_at[number] = true;
        if (one_of(e, 4)) answer(e, i);
    }
    if (one_of(e, 16)) {
        reset(e, i);
        if (!e->server) ask(e, i);
    }
}

static void on_data(void *owner, struct mux_stream *s, struct span data)
{
    struct end *e = owner;
    size_t i = index_of(e, s);
    assert_true(data.len > 0);
    if (one_of(e, 32))
        reset(e, i);
    else if (!one_of(e, 4))
        consume(e, i);
}

static void on_end(void *owner, struct mux_stream *s, struct headers *trailers)
{
    struct end *e = owner;
    (void)trailers;
    assert_true(s->peer_ended);
    if (!e->server && one_of(e, 8)) mux_detach(e->mux, s);
}

static void on_sent(void *owner, struct mux_stream *s, size_t bytes)
{
    struct end *e = owner;
    assert_true(bytes > 0);
    if (one_of(e, 32)) reset(e, index_of(e, s));
}

static void on_sent_end(void *owner, struct mux_stream *s)
{
    struct end *e = owner;
    assert_true(s->out_ended);
    if (e->server && one_of(e, 4)) mux_detach(e->mux, s);
}

static void on_close(void *owner, struct mux_stream *s, enum mux_close how)
{
    struct end *e = owner;
    size_t i = index_of(e, s);
    assert_int_equal(s->id, 0);
    e->w->closed++;
    if (e->server) return;
    if (how == MUX_REFUSED) {
        e->w->refused++;
        assert_false(e->w->looked_at[e->number[i]]);
    }
    if (one_of(e, 4)) ask(e, i);
}

static void on_goaway(void *owner)
{
    assert_false(((struct end *)owner)->server);
}

static void on_write(void *owner, struct span bytes)
{
    assert_int_equal(iobuf_append_span(&((struct end *)owner)->wire, bytes), ERR_OK);
}

static const struct mux_events events = {.on_begin = on_begin,
                                         .on_head = on_head,
                                         .on_data = on_data,
                                         .on_end = on_end,
                                         .on_sent = on_sent,
                                         .on_sent_end = on_sent_end,
                                         .on_close = on_close,
                                         .on_goaway = on_goaway,
                                         .on_write = on_write};

/* --- the world --- */

static struct link *link_at(const struct end *e)
{
    return CONTAINER_OF(e->mux, struct link, mux);
}

static void end_init(struct world *w, struct end *e, bool server)
{
    struct mux_options o = {.server = server,
                            .events = &events,
                            .owner = e,
                            .alloc = &w->alloc,
                            .streams_max = STREAMS,
                            .stream_window_bytes = WINDOW / 4,
                            .connection_window_bytes = WINDOW,
                            .now_ms = w->now_ms};
    *e = (struct end){.w = w, .server = server};
    iobuf_init(&e->wire, &w->pool);
    arena_init(&e->arena, 65536, (size_t)64 << 20);
    for (size_t i = 0; i < STREAMS; i++)
        iobuf_init(&e->out[i], &w->pool);
    assert_int_equal(link_new(&o, &e->mux), ERR_OK);
    for (size_t i = 0; i < STREAMS; i++)
        link_at(e)->place[i].generation = LINK_GENERATIONS - 3;
}

static void end_fini(struct end *e)
{
    mux_free(e->mux);
    iobuf_clear(&e->wire);
    for (size_t i = 0; i < STREAMS; i++)
        iobuf_clear(&e->out[i]);
    arena_fini(&e->arena);
}

static void pull(struct end *e)
{
    static const size_t room[] = {1, 100, 5000, 70000, 70000};
    assert_int_equal(mux_pull(e->mux, room[rng_below(&e->w->rng, ARRAY_LEN(room))]), ERR_OK);
}

static void deliver(struct end *from, struct end *to, size_t most)
{
    while (from->wire.len > 0 && most > 0) {
        struct span part = iobuf_front(&from->wire);
        if (part.len > most) part.len = most;
        assert_int_equal(mux_feed(to->mux, part, from->w->now_ms), ERR_OK);
        iobuf_consume(&from->wire, part.len);
        most -= part.len;
    }
}

static void act(struct world *w, struct end *e, struct end *other)
{
    size_t i = rng_below(&w->rng, STREAMS);
    switch (rng_below(&w->rng, 9)) {
    case 0:
    case 1:
        if (e->server)
            answer(e, i);
        else
            ask(e, i);
        break;
    case 2:
        send_more(e, i, one_of(e, 3));
        break;
    case 3:
        consume(e, i);
        break;
    case 4:
        if (one_of(e, 4)) reset(e, i);
        break;
    case 5:
    case 6:
        pull(e);
        break;
    default:
        deliver(e, other, rng_below(&w->rng, 4) == 0 ? 7 : 20000);
        break;
    }
}

static void calm(struct end *e)
{
    e->calm = true;
    e->w->now_ms += 25;
    (void)mux_tick(e->mux, e->w->now_ms);
    for (size_t i = 0; i < STREAMS; i++) {
        consume(e, i);
        if (e->server) answer(e, i);
        send_more(e, i, true);
    }
    assert_int_equal(mux_pull(e->mux, 70000), ERR_OK);
}

static void nothing_is_left(const struct end *e, const struct end *other)
{
    const struct link *l = link_at(e);
    assert_int_equal(mux_streams(e->mux), 0);
    assert_false(mux_wants_tick(e->mux));
    assert_int_equal(l->open_places, 0);
    assert_int_equal(l->receive_left + l->owed, l->window);
    assert_int_equal(link_at(other)->send_window, l->receive_left);
}

static void run(struct world *w, uint64_t seed)
{
    w->now_ms = 1000;
    rng_seed(&w->rng, seed);
    iobuf_pool_init(&w->pool, 16384, 4096);
    mux_alloc_init(&w->alloc, (size_t)64 << 20);
    end_init(w, &w->client, false);
    end_init(w, &w->server, true);
    for (unsigned k = 0; k < CALLS; k++) {
        w->now_ms += 25;
        (void)mux_tick(w->client.mux, w->now_ms);
        if (seed % 4 == 3 && k == CALLS / 2) mux_shutdown_notice(w->server.mux);
        if (seed % 4 == 3 && k == CALLS / 2 + 20) mux_goaway(w->server.mux);
        if (rng_below(&w->rng, 2) == 0)
            act(w, &w->client, &w->server);
        else
            act(w, &w->server, &w->client);
    }
    for (unsigned k = 0; k < 50 && seed % 4 != 2; k++) {
        calm(&w->client);
        deliver(&w->client, &w->server, SIZE_MAX);
        calm(&w->server);
        deliver(&w->server, &w->client, SIZE_MAX);
    }
    if (seed % 4 == 2) {
        mux_lost(w->client.mux);
        mux_lost(w->server.mux);
    } else {
        nothing_is_left(&w->client, &w->server);
        nothing_is_left(&w->server, &w->client);
    }
    assert_int_equal(mux_done(w->server.mux), seed % 4 == 3);
    end_fini(&w->client);
    end_fini(&w->server);
    mux_alloc_fini(&w->alloc);
    iobuf_pool_fini(&w->pool);
}

static void test_what_crosses_breaks_leaks_and_repeats_nothing(void **state)
{
    unsigned asked = 0, refused = 0, closed = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct world *w = calloc(1, sizeof *w);
        assert_non_null(w);
        run(w, seed);
        asked += w->asked;
        refused += w->refused;
        closed += w->closed;
        free(w);
    }
    /* It was no silence. */
    assert_true(asked > SEEDS * 50 && refused > SEEDS * 3 && closed > SEEDS * 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_crosses_breaks_leaks_and_repeats_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
