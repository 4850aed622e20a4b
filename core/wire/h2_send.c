#include "core/wire/h2_send.h"

#include "core/wire/h2_nv.h"

ssize_t h2_send_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len,
                     uint32_t *flags, nghttp2_data_source *source, void *owner)
{
    struct h2 *h = owner;
    (void)buf;
    (void)source;
    struct mux_stream *s = h2_stream_of(h, id);
    if (s == NULL)
        return mux_quit_has(&h->mux.quit, id) ? NGHTTP2_ERR_DEFERRED
                                              : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (h->written >= h->room) return NGHTTP2_ERR_PAUSE;
    size_t left = h->room - h->written;
    /* A frame fills what is left of the record, head included. */
    if (left > H2_WALK_HEAD_BYTES && len > left - H2_WALK_HEAD_BYTES)
        len = left - H2_WALK_HEAD_BYTES;
    if (len > s->out->len) len = s->out->len;
    if (len == 0 && !s->out_ended) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (len > 0) *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (len == s->out->len && s->out_ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->out_trailers != NULL && s->out_trailers->count > 0) {
            if (h2_nv_trailers(session, id, s->out_trailers) != ERR_OK)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        }
    }
    return (ssize_t)len;
}

static void write_out(struct h2 *h, struct span bytes)
{
    h->written += bytes.len;
    h->events->on_write(h->owner, bytes);
}

int h2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t len,
                 nghttp2_data_source *source, void *owner)
{
    struct h2 *h = owner;
    (void)session;
    (void)source;
    struct mux_stream *s = h2_stream_of(h, frame->hd.stream_id);
    if (s == NULL) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    write_out(h, span_of(head, H2_WALK_HEAD_BYTES));
    for (size_t left = len; left > 0;) {
        struct span part = iobuf_front(s->out);
        CHECK(part.len > 0);
        if (part.len > left) part.len = left;
        write_out(h, part);
        iobuf_consume(s->out, part.len);
        left -= part.len;
    }
    if (h->events->on_sent != NULL) h->events->on_sent(h->owner, s, len);
    return 0;
}

enum err h2_send_pull(struct mux *m, size_t room)
{
    struct h2 *h = h2_of(m);
    h->room = room;
    h->written = 0;
    while (h->written < room) {
        const uint8_t *data;
        ssize_t len = nghttp2_session_mem_send(h->session, &data);
        if (len < 0) return len == NGHTTP2_ERR_NOMEM ? ERR_NOMEM : ERR_PROTOCOL;
        if (len == 0) break;
        write_out(h, span_of(data, (size_t)len));
    }
    return ERR_OK;
}
