#include "tests/unit/support_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct mux_stream *on_begin(void *owner)
{
    struct support_link *e = owner;
    struct mux_stream *s = &e->stream[e->begun++ % 4];
    if (e->refuse || s->id != 0) return NULL;
    *s = (struct mux_stream){.arena = &e->arena, .fields = &e->fields, .out = &e->out, .owner = e};
    return s;
}

static void on_head(void *owner, struct mux_stream *s, bool ended)
{
    struct support_link *e = owner;
    e->heads++;
    e->ends += ended;
    e->too_large = s->head.too_large;
}

static void on_interim(void *owner, struct mux_stream *s)
{
    (void)s;
    ((struct support_link *)owner)->interims++;
}

static void on_data(void *owner, struct mux_stream *s, struct span data)
{
    struct support_link *e = owner;
    e->data_bytes += data.len;
    if (!e->keep) mux_consume(e->mux, s, data.len);
}

static void on_end(void *owner, struct mux_stream *s, struct headers *trailers)
{
    (void)s;
    (void)trailers;
    ((struct support_link *)owner)->ends++;
}

static void on_close(void *owner, struct mux_stream *s, enum mux_close how)
{
    struct support_link *e = owner;
    (void)s;
    e->closes++;
    e->how = how;
}

static void on_goaway(void *owner)
{
    ((struct support_link *)owner)->goaways++;
}

static void on_write(void *owner, struct span bytes)
{
    struct support_link *e = owner;
    assert_int_equal(iobuf_append_span(&e->wire, bytes), ERR_OK);
}

static const struct mux_events events = {.on_begin = on_begin,
                                         .on_head = on_head,
                                         .on_interim = on_interim,
                                         .on_data = on_data,
                                         .on_end = on_end,
                                         .on_close = on_close,
                                         .on_goaway = on_goaway,
                                         .on_write = on_write};

static struct support_link *make(bool server, struct mux_alloc *alloc, _Atomic uint32_t *peer)
{
    struct support_link *e = calloc(1, sizeof *e);
    assert_non_null(e);
    iobuf_pool_init(&e->pool, 16384, 4096);
    iobuf_init(&e->wire, &e->pool);
    iobuf_init(&e->out, &e->pool);
    mux_alloc_init(&e->alloc, (size_t)16 << 20);
    arena_init(&e->arena, 65536, (size_t)16 << 20);
    struct mux_options o = {.server = server,
                            .events = &events,
                            .owner = e,
                            .alloc = alloc != NULL ? alloc : &e->alloc,
                            .streams_max = 4,
                            .stream_window_bytes = 65536,
                            .connection_window_bytes = 1u << 20,
                            .peer_steps = peer,
                            .now_ms = 1000};
    enum err err = link_new(&o, &e->mux);
    if (err == ERR_OK) return e;
    free(e);
    return NULL;
}

struct support_link *support_link_new(bool server)
{
    struct support_link *e = make(server, NULL, NULL);
    assert_non_null(e);
    return e;
}

struct support_link *support_link_of(bool server, struct mux_alloc *alloc, _Atomic uint32_t *peer)
{
    return make(server, alloc, peer);
}

void support_link_free(struct support_link *e)
{
    mux_lost(e->mux);
    mux_free(e->mux);
    iobuf_clear(&e->wire);
    iobuf_clear(&e->out);
    arena_fini(&e->arena);
    mux_alloc_fini(&e->alloc);
    iobuf_pool_fini(&e->pool);
    free(e);
}

enum err support_link_feed(struct support_link *e, struct span in, size_t step)
{
    for (size_t at = 0; at < in.len; at += step) {
        struct span piece = span_skip(in, at);
        if (piece.len > step) piece.len = step;
        enum err err = mux_feed(e->mux, piece, 2000);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

void support_link_ask(struct support_link *e, size_t i, const char *method)
{
    struct headers none = {.count = 0};
    struct mux_head head = {.method = span_str(method),
                            .scheme = SPAN_LIT("http"),
                            .authority = SPAN_LIT("a"),
                            .path = SPAN_LIT("/"),
                            .headers = &none,
                            .content_length = -1};
    e->stream[i] =
        (struct mux_stream){.arena = &e->arena, .fields = &e->fields, .out = &e->out, .owner = e};
    assert_int_equal(mux_request(e->mux, &e->stream[i], &head, false), ERR_OK);
}

void support_link_said(struct support_link *e, unsigned *type, unsigned *byte)
{
    static uint8_t bytes[1 << 16];
    assert_int_equal(mux_pull(e->mux, sizeof bytes), ERR_OK);
    size_t len = iobuf_peek(&e->wire, bytes, sizeof bytes);
    *type = LINK_TYPE_COUNT;
    *byte = 0;
    for (size_t at = 0; at + LINK_FRAME_HEAD_BYTES <= len;) {
        size_t payload = (size_t)bytes[at] << 16 | (size_t)bytes[at + 1] << 8 | bytes[at + 2];
        *type = bytes[at + 3] & 0x0f;
        *byte = payload > 0 ? bytes[at + LINK_FRAME_HEAD_BYTES] : 0;
        at += LINK_FRAME_HEAD_BYTES + payload;
        assert_true(at <= len);
    }
}
