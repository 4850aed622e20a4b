#include "tests/unit/support_joined.h"

#include "core/base/check.h"
#include "core/wire/h2.h"
#include "core/wire/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct mux_stream *on_begin(void *owner)
{
    struct support_side *s = owner;
    if (s->refuse) return NULL;
    struct mux_stream *stream = &s->stream[s->begun % 4];
    struct iobuf *out = &s->out[s->begun % 4];
    s->begun++;
    if (stream->id != 0) return NULL;
    iobuf_clear(out);
    *stream = (struct mux_stream){.arena = &s->arena, .fields = &s->fields, .out = out, .owner = s};
    return stream;
}

static void on_head(void *owner, struct mux_stream *stream, bool ended)
{
    struct support_side *s = owner;
    s->heads++;
    s->ends += ended;
    s->last = stream->head;
    snprintf(s->path, sizeof s->path, "%.*s", SPAN_ARG(stream->head.path));
    const struct header *f = headers_find(stream->head.headers, "x-a");
    struct span value = f != NULL ? f->value : SPAN_LIT("");
    snprintf(s->value, sizeof s->value, "%.*s", SPAN_ARG(value));
    f = headers_find(stream->head.headers, "cookie");
    s->cookie_bytes = f != NULL ? f->value.len : 0;
}

static void on_interim(void *owner, struct mux_stream *stream)
{
    struct support_side *s = owner;
    (void)stream;
    s->interims++;
}

static void on_data(void *owner, struct mux_stream *stream, struct span data)
{
    struct support_side *s = owner;
    s->data_bytes += data.len;
    if (!s->keep) mux_consume(s->mux, stream, data.len);
}

static void on_end(void *owner, struct mux_stream *stream, struct headers *trailers)
{
    struct support_side *s = owner;
    (void)stream;
    s->ends++;
    if (trailers != NULL) s->trailers += trailers->count;
}

static void on_sent(void *owner, struct mux_stream *stream, size_t bytes)
{
    struct support_side *s = owner;
    (void)stream;
    s->sent_bytes += bytes;
}

static void on_sent_end(void *owner, struct mux_stream *stream)
{
    struct support_side *s = owner;
    (void)stream;
    s->sent_ends++;
}

static void on_close(void *owner, struct mux_stream *stream, enum mux_close how)
{
    struct support_side *s = owner;
    (void)stream;
    s->closes++;
    s->how = how;
}

static void on_goaway(void *owner)
{
    ((struct support_side *)owner)->goaways++;
}

static void on_write(void *owner, struct span bytes)
{
    struct support_side *s = owner;
    assert_int_equal(iobuf_append_span(&s->wire, bytes), ERR_OK);
}

static const struct mux_events events = {on_begin,  on_head, on_interim,  on_data,
                                         on_end,    on_sent, on_sent_end, on_close,
                                         on_goaway, NULL,    on_write};

void support_joined_side_init(struct support_joined *j, struct support_side *s, bool server)
{
    struct mux_options o = {.server = server,
                            .events = &events,
                            .owner = s,
                            .alloc = &j->alloc,
                            .streams_max = 4,
                            .stream_window_bytes = LINK_STREAM_WINDOW_BYTES,
                            .connection_window_bytes = LINK_WINDOW_BYTES,
                            .now_ms = j->now_ms};
    iobuf_init(&s->wire, &j->pool);
    arena_init(&s->arena, 4096, (size_t)1 << 20);
    for (size_t i = 0; i < 4; i++)
        iobuf_init(&s->out[i], &j->pool);
    assert_int_equal(j->codec(&o, &s->mux), ERR_OK);
}

void support_joined_side_fini(struct support_side *s)
{
    mux_free(s->mux);
    iobuf_clear(&s->wire);
    for (size_t i = 0; i < 4; i++)
        iobuf_clear(&s->out[i]);
    arena_fini(&s->arena);
}

/* One side's frames to the other; false: nothing to move. */
bool support_joined_move(struct support_joined *j, struct support_side *from,
                         struct support_side *to, enum err *result)
{
    assert_int_equal(mux_pull(from->mux, 16384), ERR_OK);
    bool moved = from->wire.len > 0;
    while (from->wire.len > 0) {
        struct span part = iobuf_front(&from->wire);
        enum err err = mux_feed(to->mux, part, j->now_ms);
        if (err != ERR_OK) *result = err;
        iobuf_consume(&from->wire, part.len);
    }
    return moved;
}

enum err support_joined_pump(struct support_joined *j)
{
    enum err result = ERR_OK;
    for (bool moved = true; moved;) {
        moved = support_joined_move(j, &j->client, &j->server, &result);
        moved |= support_joined_move(j, &j->server, &j->client, &result);
    }
    return result;
}

static int setup(void **state, enum err (*codec)(const struct mux_options *o, struct mux **out))
{
    struct support_joined *j = calloc(1, sizeof *j);
    j->codec = codec;
    j->now_ms = 1000;
    iobuf_pool_init(&j->pool, 16384, 4096);
    mux_alloc_init(&j->alloc, (size_t)64 << 20);
    support_joined_side_init(j, &j->client, false);
    support_joined_side_init(j, &j->server, true);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    *state = j;
    return 0;
}

int support_joined_setup_h2(void **state)
{
    return setup(state, h2_new);
}

int support_joined_setup_link(void **state)
{
    return setup(state, link_new);
}

int support_joined_teardown(void **state)
{
    struct support_joined *j = *state;
    support_joined_side_fini(&j->client);
    support_joined_side_fini(&j->server);
    mux_alloc_fini(&j->alloc);
    iobuf_pool_fini(&j->pool);
    free(j);
    return 0;
}

enum err support_joined_request(struct support_joined *j, size_t i, struct headers *fields,
                                bool body)
{
    struct support_side *c = &j->client;
    struct mux_head head = {.method = body ? SPAN_LIT("POST") : SPAN_LIT("GET"),
                            .scheme = SPAN_LIT("http"),
                            .authority = SPAN_LIT("api.shop"),
                            .path = SPAN_LIT("/a?b"),
                            .headers = fields,
                            .content_length = -1};
    c->stream[i] = (struct mux_stream){
        .arena = &c->arena, .fields = &c->fields, .out = &c->out[i], .owner = c};
    return mux_request(c->mux, &c->stream[i], &head, body);
}

void support_joined_respond(struct support_joined *j, size_t i, unsigned status, bool body)
{
    struct headers none = {.count = 0};
    struct mux_head head = {.status = status, .headers = &none, .content_length = -1};
    assert_int_equal(mux_respond(j->server.mux, &j->server.stream[i], &head, body), ERR_OK);
}

void support_joined_put(struct iobuf *b, size_t bytes)
{
    char block[1000] = {0};
    for (; bytes > 0;) {
        size_t len = bytes < sizeof block ? bytes : sizeof block;
        assert_int_equal(iobuf_append(b, block, len), ERR_OK);
        bytes -= len;
    }
}
