#include "tests/fuzz/support_mux.h"

#include "core/base/check.h"

#include <stdlib.h>

#define STREAMS_MAX 16u

struct side {
    struct mux *mux;
    struct arena arena;
    struct headers fields;
    struct mux_stream stream[STREAMS_MAX];
    struct iobuf out[STREAMS_MAX];
    size_t live, answered;
    size_t written;
};

static struct mux_stream *on_begin(void *owner)
{
    struct side *s = owner;
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        if (s->stream[i].id != 0) continue;
        iobuf_clear(&s->out[i]);
        s->stream[i] = (struct mux_stream){
            .arena = &s->arena, .fields = &s->fields, .out = &s->out[i], .owner = s};
        s->live++;
        return &s->stream[i];
    }
    return NULL;
}

static void on_head(void *owner, struct mux_stream *stream, bool ended)
{
    struct side *s = owner;
    struct headers none = {.count = 0};
    struct mux_head head = {.status = 200, .headers = &none, .content_length = -1};
    (void)ended;
    CHECK(stream->head.headers->count <= HEADER_FIELDS_MAX);
    for (size_t i = 0; i < stream->head.headers->count; i++)
        CHECK(headers_value_valid(stream->head.headers->field[i].value));
    if (stream->head.status != 0) return;
    s->answered++;
    if (s->answered % 5 == 4) {
        mux_reset(s->mux, stream, MUX_CANCELLED);
        s->live--;
        return;
    }
    bool body = s->answered % 2 == 1;
    stream->out_ended = true;
    CHECK(iobuf_append(stream->out, "0123456789", 10) == ERR_OK);
    CHECK(mux_respond(s->mux, stream, &head, body) != ERR_FULL);
}

static void on_interim(void *owner, struct mux_stream *stream)
{
    (void)owner;
    CHECK(stream->head.status / 100 == 1);
}

static void on_data(void *owner, struct mux_stream *stream, struct span data)
{
    mux_consume(((struct side *)owner)->mux, stream, data.len);
}

static void on_end(void *owner, struct mux_stream *stream, struct headers *trailers)
{
    (void)owner;
    (void)stream;
    if (trailers != NULL) CHECK(trailers->count <= HEADER_FIELDS_MAX);
}

static void on_sent(void *owner, struct mux_stream *stream, size_t bytes)
{
    (void)owner;
    (void)stream;
    CHECK(bytes > 0);
}

static void on_sent_end(void *owner, struct mux_stream *stream)
{
    (void)owner;
    CHECK(stream->out_ended);
}

static void on_close(void *owner, struct mux_stream *stream, enum mux_close how)
{
    struct side *s = owner;
    (void)how;
    CHECK(stream->id == 0 && s->live > 0);
    s->live--;
}

static void on_goaway(void *owner)
{
    CHECK(((struct side *)owner)->mux != NULL);
}

static void on_write(void *owner, struct span bytes)
{
    ((struct side *)owner)->written += bytes.len;
}

static const struct mux_events events = {on_begin,  on_head, on_interim,  on_data,
                                         on_end,    on_sent, on_sent_end, on_close,
                                         on_goaway, NULL,    on_write};

static void open_requests(struct side *s)
{
    struct headers none = {.count = 0};
    struct mux_head head = {.method = SPAN_LIT("POST"),
                            .scheme = SPAN_LIT("http"),
                            .authority = SPAN_LIT("a"),
                            .path = SPAN_LIT("/"),
                            .headers = &none,
                            .content_length = -1};
    for (unsigned i = 0; i < 3; i++) {
        struct mux_stream *stream = on_begin(s);
        CHECK(stream != NULL);
        stream->out_ended = true;
        CHECK(mux_request(s->mux, stream, &head, i != 1) == ERR_OK);
        if (i != 2) continue;
        /* Left, but for its body; then given up. */
        CHECK(mux_pull(s->mux, 1) == ERR_OK);
        mux_cancel(s->mux, stream);
        iobuf_clear(stream->out);
        s->live--;
    }
}

static void feed(struct side *s, struct span in, size_t step)
{
    uint64_t now_ms = 1; /* of ten */
    bool over = false;
    for (size_t at = 0; at < in.len && !over; now_ms++) {
        struct span piece = span_skip(in, at);
        if (piece.len > step) piece.len = step;
        at += piece.len;
        over = mux_feed(s->mux, piece, now_ms * 10) != ERR_OK;
        (void)mux_tick(s->mux, now_ms * 10);
        over |= mux_pull(s->mux, 16384) != ERR_OK || mux_done(s->mux);
    }
}

void support_mux_run(const struct support_mux *codec, const uint8_t *data, size_t size)
{
    struct iobuf_pool pool;
    struct mux_alloc alloc;
    struct side *s = calloc(1, sizeof *s);
    if (size < 1 || s == NULL) {
        free(s);
        return;
    }
    bool server = data[0] % 2 == 0;
    iobuf_pool_init(&pool, 4096, 1024);
    mux_alloc_init(&alloc, (size_t)16 << 20);
    arena_init(&s->arena, 65536, (size_t)16 << 20);
    for (size_t i = 0; i < STREAMS_MAX; i++)
        iobuf_init(&s->out[i], &pool);
    struct mux_options o = {.server = server,
                            .events = &events,
                            .owner = s,
                            .alloc = &alloc,
                            .streams_max = STREAMS_MAX,
                            .stream_window_bytes = 65536,
                            .connection_window_bytes = 1u << 20,
                            .now_ms = 1};
    CHECK(codec->open(&o, &s->mux) == ERR_OK);
    struct span first = server ? codec->to_server : codec->to_client;
    CHECK(first.len == 0 || mux_feed(s->mux, first, 1) == ERR_OK);
    if (!server) open_requests(s);
    feed(s, span_of(data + 1, size - 1), 1 + data[0] / 2u * 17u);
    CHECK(mux_streams(s->mux) == s->live);
    mux_lost(s->mux);
    CHECK(s->live == 0);
    mux_free(s->mux);
    for (size_t i = 0; i < STREAMS_MAX; i++)
        iobuf_clear(&s->out[i]);
    arena_fini(&s->arena);
    mux_alloc_fini(&alloc);
    iobuf_pool_fini(&pool);
    free(s);
}
