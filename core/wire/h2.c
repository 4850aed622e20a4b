#include "core/wire/h2.h"

#include "core/base/uncleared.h"
#include "core/wire/mux_head.h"
#include "core/wire/h2_nv.h"
#include "core/wire/h2_send.h"
#include "core/wire/h2_session.h"

/* --- floods and broken rules --- */

static void end_with(struct h2 *h, uint32_t code)
{
    if (h->over) return;
    h->over = true;
    /* Fails only for want of memory; then `over` ends the connection by itself. */
    (void)nghttp2_session_terminate_session(h->session, code);
}

static void flood_spend(struct h2 *h)
{
    if (!mux_flood_spend(&h->flood, h->now_ms)) end_with(h, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* Of a frame for a stream that is over. */
static void late_spend(struct h2 *h)
{
    if (!mux_flood_late(&h->flood, h->now_ms)) end_with(h, NGHTTP2_ENHANCE_YOUR_CALM);
}

static bool is_known(struct h2 *h, int32_t id)
{
    return nghttp2_session_find_stream(h->session, id) != NULL;
}

/* --- receiving --- */

static void leave(struct h2 *h, struct mux_stream *s)
{
    if (h->heading == s) h->heading = NULL;
    mux_part(&h->mux, s);
}

/* RFC 9113 5.1, 5.1.1: what comes for a stream that is no more. Late frames for one that we reset
 * are the peer's right. */
static void check_stream(struct h2 *h, int32_t id)
{
    if (id % 2 == 0 || nghttp2_session_find_stream(h->session, id) != NULL) return;
    enum h2_recent_state state = h2_recent_look(&h->recent, id);
    if (state == H2_RECENT_SKIPPED) end_with(h, NGHTTP2_PROTOCOL_ERROR);
    if (state == H2_RECENT_ENDED) end_with(h, NGHTTP2_STREAM_CLOSED);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *owner)
{
    struct h2 *h = owner;
    (void)session;
    if (hd->type != NGHTTP2_HEADERS) return 0;
    if (h->server) check_stream(h, hd->stream_id);
    bool begins = h->server && h2_recent_look(&h->recent, hd->stream_id) == H2_RECENT_FRESH;
    if (!is_known(h, hd->stream_id) && (!begins || h->last_told)) late_spend(h);
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct h2 *h = owner;
    int32_t id = frame->hd.stream_id;
    struct mux_stream *s;
    h->heading = NULL;
    if (h->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        h2_recent_open(&h->recent, id);
        s = h->over ? NULL : h->events->on_begin(h->owner);
        if (s == NULL)
            return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id,
                                             NGHTTP2_REFUSED_STREAM) != 0
                       ? NGHTTP2_ERR_CALLBACK_FAILURE
                       : 0;
        s->id = id;
        s->begun_ms = h->now_ms;
        mux_join(&h->mux, s);
        nghttp2_session_set_stream_user_data(session, id, s);
    } else {
        s = h2_stream_of(h, id);
        if (s == NULL) return 0;
    }
    if (s->head_seen) {
        s->fields = arena_alloc(s->arena, sizeof *s->fields);
        if (s->fields == NULL) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    mux_head_begin(s);
    h->heading = s;
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *owner)
{
    (void)session;
    (void)frame;
    (void)flags;
    /* Nothing stands between the fields of a head (RFC 9113 4.3). */
    struct mux_stream *s = ((struct h2 *)owner)->heading;
    if (s == NULL || s->head.too_large || name_len == 0) return 0;
    /* The rest is still decoded, so that the connection's HPACK state stays right (D15). */
    if (!mux_head_field(s, span_of(name, name_len), span_of(value, value_len)))
        s->head.too_large = true;
    return 0;
}

static void headers_received(struct h2 *h, struct mux_stream *s, const nghttp2_frame *frame)
{
    bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (s == NULL) return;
    if (s->head_seen) {
        if (ended) h->events->on_end(h->owner, s, s->head.too_large ? NULL : s->fields);
        return;
    }
    if (!h->server && s->head.status / 100 == 1) {
        if (h->events->on_interim != NULL) h->events->on_interim(h->owner, s);
        return;
    }
    s->head_seen = true;
    if (!h->server) s->begun_ms = h->now_ms;
    h->events->on_head(h->owner, s, ended);
}

/* Streams beyond those allowed, which nghttp2 refuses by itself, cost us a reset each. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *owner)
{
    (void)session;
    (void)frame;
    if (code == NGHTTP2_ERR_REFUSED_STREAM) flood_spend(owner);
    return 0;
}

static bool ends_stream(const nghttp2_frame *frame)
{
    if (frame->hd.type == NGHTTP2_RST_STREAM) return true;
    return (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
           (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct h2 *h = owner;
    struct mux_stream *s = h2_stream_of(h, frame->hd.stream_id);
    (void)session;
    if (ends_stream(frame)) {
        h2_recent_end(&h->recent, frame->hd.stream_id);
        if (s != NULL) s->peer_ended = true;
    }
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        headers_received(h, s, frame);
        break;
    case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
            if (s != NULL) h->events->on_end(h->owner, s, NULL);
        } else if (frame->hd.length == 0) {
            flood_spend(h);
        }
        break;
    case NGHTTP2_RST_STREAM:
        if (!is_known(h, frame->hd.stream_id)) late_spend(h);
        if (h->server && s != NULL && h->now_ms - s->begun_ms < MUX_FLOOD_RAPID_MS) flood_spend(h);
        break;
    case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) break;
        flood_spend(h);
        if (h->events->on_settings != NULL) h->events->on_settings(h->owner);
        break;
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
            flood_spend(h);
        else
            (void)mux_quit_ponged(&h->mux.quit, h->now_ms);
        break;
    case NGHTTP2_PRIORITY:
        flood_spend(h);
        break;
    case NGHTTP2_GOAWAY:
        h->goaway_seen = true;
        if (h->events->on_goaway != NULL) h->events->on_goaway(h->owner);
        break;
    default:
        break;
    }
    return 0;
}

static int on_data_chunk_recv(nghttp2_session *session, uint8_t flags, int32_t id,
                              const uint8_t *data, size_t len, void *owner)
{
    struct h2 *h = owner;
    (void)flags;
    struct mux_stream *s = h2_stream_of(h, id);
    if (s == NULL) {
        /* Nobody will read it: give the window back at once (performance.md 9). One that was given
         * up keeps its own, so that no more comes than it allows. */
        int code = h->server ? nghttp2_session_consume(session, id, len)
                             : nghttp2_session_consume_connection(session, len);
        return code != 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    }
    s->unconsumed_bytes += len;
    h->events->on_data(h->owner, s, span_of(data, len));
    return 0;
}

/* What the stream will never consume goes back to the connection's window. */
static void settle(struct h2 *h, struct mux_stream *s)
{
    if (s->unconsumed_bytes > 0)
        (void)nghttp2_session_consume_connection(h->session, s->unconsumed_bytes);
    s->unconsumed_bytes = 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *owner)
{
    struct h2 *h = owner;
    struct mux_stream *s = h2_stream_of(h, id);
    (void)session;
    mux_flood_ended(&h->flood);
    if (s == NULL) return 0;
    settle(h, s);
    leave(h, s);
    enum mux_close how = MUX_RESET;
    if (s->unsent || code == NGHTTP2_REFUSED_STREAM)
        how = MUX_REFUSED;
    else if (code == NGHTTP2_NO_ERROR)
        how = MUX_CLOSED;
    else if (code == NGHTTP2_CANCEL)
        how = MUX_CANCELLED;
    h->events->on_close(h->owner, s, how);
    return 0;
}

/* --- sending --- */

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct h2 *h = owner;
    (void)session;
    if (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) {
        struct mux_stream *s = h2_stream_of(h, frame->hd.stream_id);
        if (s == NULL) return 0;
        s->sent = true;
        bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        if (end && h->events->on_sent_end != NULL) h->events->on_sent_end(h->owner, s);
        return 0;
    }
    if (frame->hd.type != NGHTTP2_RST_STREAM) return 0;
    /* Resets that the peer's mistakes make us send count like its own (D03). */
    uint32_t code = frame->rst_stream.error_code;
    if (code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
        code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR)
        flood_spend(h);
    return 0;
}

static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int code,
                             void *owner)
{
    (void)session;
    (void)code;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    struct mux_stream *s = h2_stream_of(owner, frame->hd.stream_id);
    if (s != NULL) s->unsent = true;
    return 0;
}

static bool conn_wants_write(const struct mux *m)
{
    return nghttp2_session_want_write(h2_of_const(m)->session) != 0;
}

static bool conn_done(const struct mux *m)
{
    nghttp2_session *session = h2_of_const(m)->session;
    return nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0;
}

static enum err give(struct h2 *h, struct span in)
{
    ssize_t taken = nghttp2_session_mem_recv(h->session, (const uint8_t *)in.p, in.len);
    return taken >= 0 && (size_t)taken == in.len ? ERR_OK : ERR_PROTOCOL;
}

static enum err conn_feed(struct mux *m, struct span in, uint64_t now_ms)
{
    struct h2 *h = h2_of(m);
    h->now_ms = now_ms;
    size_t at = 0, given = 0;
    bool complete;
    while (h->server && at < in.len) {
        at += h2_walk_next(&h->walk, span_skip(in, at), &complete);
        if (!complete || h->walk.type != NGHTTP2_DATA) continue;
        /* What is before counts; what the frame does begins with its head's last byte. */
        if (give(h, span_of(in.p + given, at - 1 - given)) != ERR_OK) return ERR_PROTOCOL;
        given = at - 1;
        check_stream(h, h->walk.stream_id);
        if (h->walk.skip == 0 && !is_known(h, h->walk.stream_id)) late_spend(h);
    }
    return give(h, span_skip(in, given));
}

/* --- submitting --- */

static bool conn_may_open(const struct mux *m)
{
    const struct h2 *h = h2_of_const(m);
    return !h->over && !h->goaway_seen && nghttp2_session_check_request_allowed(h->session) != 0 &&
           m->streams + m->quit.count < nghttp2_session_get_remote_settings(
                                            h->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

static enum err submit_error(int code)
{
    return code == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE ? ERR_FULL : ERR_NOMEM;
}

static enum err conn_request(struct mux *m, struct mux_stream *s, const struct mux_head *head,
                             bool has_body)
{
    struct h2 *h = h2_of(m);
    CHECK(!h->server && s->id == 0);
    struct h2_nv l UNCLEARED;
    h2_nv_request(&l, head, &h->indexed);
    nghttp2_data_provider provider = {.read_callback = h2_send_read};
    if (!conn_may_open(m)) return ERR_FULL;
    int32_t id =
        nghttp2_submit_request(h->session, NULL, l.nv, l.count, has_body ? &provider : NULL, s);
    if (id < 0) return submit_error(id);
    s->id = id;
    s->begun_ms = h->now_ms;
    s->deferred = s->head_seen = s->sent = s->unsent = s->peer_ended = false;
    mux_join(&h->mux, s);
    return ERR_OK;
}

static enum err conn_respond(struct mux *m, struct mux_stream *s, const struct mux_head *head,
                             bool has_body)
{
    struct h2 *h = h2_of(m);
    struct h2_nv l UNCLEARED;
    if (s->id == 0) return ERR_CANCELLED;
    h2_nv_response(&l, head, &h->indexed);
    nghttp2_data_provider provider = {.read_callback = h2_send_read};
    int code =
        nghttp2_submit_response(h->session, s->id, l.nv, l.count, has_body ? &provider : NULL);
    return code == 0 ? ERR_OK : submit_error(code);
}

static enum err conn_interim(struct mux *m, struct mux_stream *s, const struct mux_head *head)
{
    struct h2 *h = h2_of(m);
    struct h2_nv l UNCLEARED;
    if (s->id == 0) return ERR_CANCELLED;
    h2_nv_response(&l, head, &h->indexed);
    int code =
        nghttp2_submit_headers(h->session, NGHTTP2_FLAG_NONE, s->id, NULL, l.nv, l.count, NULL);
    return code == 0 ? ERR_OK : submit_error(code);
}

static void conn_resume(struct mux *m, struct mux_stream *s)
{
    struct h2 *h = h2_of(m);
    if (s->id == 0 || !s->deferred) return;
    s->deferred = false;
    /* Fails when the data was cancelled or memory is short; the stream's end is reported anyway. */
    (void)nghttp2_session_resume_data(h->session, s->id);
}

static void conn_consume(struct mux *m, struct mux_stream *s, size_t bytes)
{
    struct h2 *h = h2_of(m);
    if (s->id == 0 || bytes == 0) return;
    CHECK(bytes <= s->unconsumed_bytes);
    s->unconsumed_bytes -= bytes;
    (void)nghttp2_session_consume(h->session, s->id, bytes);
}

static void conn_detach(struct mux *m, struct mux_stream *s)
{
    struct h2 *h = h2_of(m);
    if (s->id == 0) return;
    nghttp2_session_set_stream_user_data(h->session, s->id, NULL);
    settle(h, s);
    leave(h, s);
}

static void conn_reset(struct mux *m, struct mux_stream *s, enum mux_close how)
{
    struct h2 *h = h2_of(m);
    static const uint32_t code[] = {NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM, NGHTTP2_CANCEL,
                                    NGHTTP2_INTERNAL_ERROR};
    if (s->id == 0) return;
    (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, code[how]);
    conn_detach(m, s);
}

static void conn_cancel(struct mux *m, struct mux_stream *s)
{
    struct h2 *h = h2_of(m);
    if (s->id == 0) return;
    bool known = s->head_seen && h->now_ms - s->begun_ms >= MUX_QUIT_WAIT_MS;
    /* A request that has not left never will: nghttp2 takes it back. */
    bool queued = nghttp2_session_find_stream(h->session, s->id) == NULL;
    if (known || queued || !mux_quit_add(&m->quit, s->id))
        conn_reset(m, s, MUX_CANCELLED);
    else
        conn_detach(m, s);
}

static void conn_tell(struct mux *m, int32_t id)
{
    nghttp2_session *session = h2_of(m)->session;
    if (nghttp2_session_find_stream(session, id) != NULL)
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
}

static void conn_lost(struct mux *m)
{
    struct h2 *h = h2_of(m);
    struct list *node;
    while ((node = list_first(&h->mux.open)) != NULL) {
        struct mux_stream *s = LIST_ENTRY(node, struct mux_stream, node);
        bool never = !h->server && !s->sent;
        leave(h, s);
        h->events->on_close(h->owner, s, never ? MUX_REFUSED : MUX_RESET);
    }
}

static void conn_ping(struct mux *m)
{
    /* Fails for want of memory: then no answer will come. */
    int code = nghttp2_submit_ping(h2_of(m)->session, NGHTTP2_FLAG_NONE, NULL);
    if (code == 0) m->quit.pings++;
}

static void conn_shutdown_notice(struct mux *m)
{
    (void)nghttp2_submit_shutdown_notice(h2_of(m)->session);
}

static void conn_goaway(struct mux *m)
{
    struct h2 *h = h2_of(m);
    nghttp2_session *session = h->session;
    if (!h->last_told) mux_flood_ended_all(&h->flood);
    h->last_told = true;
    (void)nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(session), NGHTTP2_NO_ERROR,
                                NULL, 0);
}

static bool conn_may_upgrade(const struct mux *m)
{
    return nghttp2_session_get_remote_settings(h2_of_const(m)->session,
                                               NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

/* --- life --- */

static enum err session_new(struct h2 *h, const struct mux_options *o)
{
    nghttp2_session_callbacks *cb = NULL;
    if (nghttp2_session_callbacks_new(&cb) != 0) return ERR_NOMEM;
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_send);
    nghttp2_session_callbacks_set_send_data_callback(cb, h2_send_data);
    enum err err = h2_session_new(o, cb, h, &h->session);
    nghttp2_session_callbacks_del(cb);
    return err;
}

static void conn_free(struct mux *m)
{
    struct h2 *h = h2_of(m);
    nghttp2_session_del(h->session);
    h->magic = MAGIC_POISON;
    mux_fini(m);
}

static const struct mux_ops ops = {.free = conn_free,
                                   .feed = conn_feed,
                                   .pull = h2_send_pull,
                                   .wants_write = conn_wants_write,
                                   .done = conn_done,
                                   .request = conn_request,
                                   .respond = conn_respond,
                                   .interim = conn_interim,
                                   .resume = conn_resume,
                                   .consume = conn_consume,
                                   .reset = conn_reset,
                                   .detach = conn_detach,
                                   .cancel = conn_cancel,
                                   .tell = conn_tell,
                                   .lost = conn_lost,
                                   .ping = conn_ping,
                                   .shutdown_notice = conn_shutdown_notice,
                                   .goaway = conn_goaway,
                                   .may_open = conn_may_open,
                                   .may_upgrade = conn_may_upgrade};

enum err h2_new(const struct mux_options *o, struct mux **out)
{
    struct h2 *h = mux_new(&ops, o, sizeof *h);
    if (h == NULL) return ERR_NOMEM;
    h->magic = H2_MAGIC;
    h->events = o->events;
    h->owner = o->owner;
    h->server = o->server;
    h->walk.skip = o->server ? NGHTTP2_CLIENT_MAGIC_LEN : 0;
    h->now_ms = o->now_ms;
    mux_flood_init(&h->flood, o->peer_floods, o->now_ms);
    if (session_new(h, o) != ERR_OK) {
        mux_fini(&h->mux);
        return ERR_NOMEM;
    }
    *out = &h->mux;
    return ERR_OK;
}
