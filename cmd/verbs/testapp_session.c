#include "cmd/verbs/testapp_session.h"

#include "cmd/verbs/testapp_knobs.h"
#include "cmd/verbs/testapp_reader.h"
#include "core/base/check.h"
#include "core/io/conn.h"
#include "core/wire/h1_emit.h"
#include "core/wire/json.h"

#include <stdlib.h>
#include <unistd.h>

#define HEAD_BYTES_MAX   2048u
#define JSON_BYTES_MAX   (4u * TARGET_BYTES_MAX)
#define PIECE_BYTES      16384u
#define METHOD_BYTES_MAX 32u

enum stage { STAGE_HEAD, STAGE_CALL, STAGE_DELAY, STAGE_BODY, STAGE_STREAM, STAGE_TUNNEL };

struct session {
    struct list node;
    struct testapp_session_list *list;
    struct conn *conn;
    struct testapp_reader reader;
    struct testapp_call call;
    struct loop_timer delay;
    enum stage stage;
    struct testapp_knobs knobs;
    bool call_failed;
    const char *call_how;                   /* static */
    char reason[TESTAPP_CALL_REASON_BYTES]; /* the mesh's word for it, or "" */
    uint64_t body_bytes;                    /* of the request so far */
    uint64_t stream_left;
    bool to_head, keep_alive, chunked;
    bool eof;       /* the peer sends no more */
    bool throttled; /* paused until what we sent has left */
    bool broken;    /* an answer could not be queued */
};

static void session_end(struct session *s, bool abort)
{
    struct testapp_session_list *list = s->list;
    testapp_call_cancel(&s->call);
    loop_timer_clear(list->loop, &s->delay);
    list_remove(&s->node);
    conn_close(s->conn, abort);
    testapp_reader_fini(&s->reader);
    free(s);
    list->count--;
    if (list->count == 0 && list->on_empty) list->on_empty(list);
}

static void put(struct session *s, struct span data)
{
    enum err err = conn_write(s->conn, data);
    /* ERR_EOF: the connection has failed, which on_error tells. */
    if (err != ERR_OK && err != ERR_EOF) s->broken = true;
    if (conn_queued(s->conn) > BODY_HIGH_WATER_BYTES) s->throttled = true;
}

static void put_head(struct session *s, unsigned status, int64_t body_bytes, const char *type)
{
    char storage[HEAD_BYTES_MAX];
    struct strbuf head;
    strbuf_init_fixed(&head, storage, sizeof storage);
    h1_emit_status_line(&head, status);
    if (type) h1_emit_field(&head, SPAN_LIT("content-type"), span_str(type));
    if (s->reason[0]) h1_emit_field(&head, SPAN_LIT("call-reason"), span_str(s->reason));
    if (!s->keep_alive) h1_emit_field(&head, SPAN_LIT("connection"), SPAN_LIT("close"));
    if (body_bytes == H1_LENGTH_UNKNOWN)
        h1_emit_chunked(&head);
    else if (body_bytes >= 0)
        h1_emit_length(&head, (uint64_t)body_bytes);
    h1_emit_end(&head);
    CHECK(strbuf_ok(&head));
    put(s, strbuf_view(&head));
}

/* False: the session is gone. */
static bool message_done(struct session *s)
{
    if (!s->keep_alive || s->eof || s->list->ending || s->broken) {
        session_end(s, s->broken);
        return false;
    }
    testapp_reader_next(&s->reader);
    s->stage = STAGE_HEAD;
    return true;
}

/* --- answers --- */

static bool stream(struct session *s)
{
    char piece[PIECE_BYTES];
    memset(piece, 'x', sizeof piece);
    while (s->stream_left > 0 && !s->throttled && !s->broken) {
        size_t len = s->stream_left < sizeof piece ? (size_t)s->stream_left : sizeof piece;
        put(s, span_of(piece, len));
        s->stream_left -= len;
    }
    if (s->stream_left > 0 && !s->broken) return true;
    return message_done(s);
}

static void json_body(const struct session *s, struct strbuf *out)
{
    const struct header *peer = headers_find(&s->reader.headers, "parley-peer");
    struct json j;
    json_init(&j, out);
    json_object(&j);
    json_member_cstr(&j, "served_by", s->list->name);
    json_key(&j, "peer");
    if (peer)
        json_str(&j, peer->value);
    else
        json_null(&j);
    json_key(&j, "method");
    json_str(&j, s->reader.head.method);
    json_key(&j, "path");
    json_str(&j, s->reader.head.target);
    json_member_u64(&j, "body_bytes", s->body_bytes);
    if (s->call_failed) {
        json_member_cstr(&j, "call_failed", s->reason[0] ? s->reason : s->call_how);
    }
    json_object_end(&j);
    strbuf_char(out, '\n');
}

static bool answer_json(struct session *s)
{
    struct strbuf body;
    unsigned status = s->call_failed ? 502 : s->knobs.status;
    bool bodiless = status == 204 || status == 304;
    strbuf_init(&body, JSON_BYTES_MAX);
    if (!bodiless) json_body(s, &body);
    if (!strbuf_ok(&body)) s->broken = true;
    put_head(s, status, bodiless ? H1_LENGTH_NONE : (int64_t)body.len,
             bodiless ? NULL : "application/json");
    if (!s->to_head && body.len > 0) put(s, strbuf_view(&body));
    strbuf_fini(&body);
    return message_done(s);
}

static bool echoes(const struct session *s)
{
    return s->knobs.echo && s->knobs.status == 200 && !s->call_failed;
}

/* The request has been read to its end. */
static bool answer(struct session *s)
{
    if (echoes(s)) {
        char storage[HEAD_BYTES_MAX + TRAILER_BYTES_MAX];
        struct strbuf end;
        strbuf_init_fixed(&end, storage, sizeof storage);
        if (s->chunked) h1_emit_last_chunk(&end, s->reader.parser.trailers);
        if (!strbuf_ok(&end)) s->broken = true;
        if (end.len > 0) put(s, strbuf_view(&end));
        return message_done(s);
    }
    if (!s->knobs.stream || s->call_failed) return answer_json(s);
    put_head(s, s->knobs.status, (int64_t)s->knobs.bytes, "application/octet-stream");
    s->stream_left = s->to_head ? 0 : s->knobs.bytes;
    s->stage = STAGE_STREAM;
    return stream(s);
}

static void on_content(void *owner, struct span data)
{
    struct session *s = owner;
    char line[H1_EMIT_CHUNK_BYTES];
    s->body_bytes += data.len;
    if (!echoes(s) || data.len == 0) return;
    if (s->chunked) put(s, span_of(line, h1_emit_chunk_line(line, data.len)));
    put(s, data);
    if (s->chunked) put(s, SPAN_LIT("\r\n"));
}

/* --- a request's way to its answer --- */

static void switch_protocols(struct session *s)
{
    char storage[HEAD_BYTES_MAX];
    struct strbuf head;
    strbuf_init_fixed(&head, storage, sizeof storage);
    h1_emit_status_line(&head, 101);
    h1_emit_field(&head, SPAN_LIT("connection"), SPAN_LIT("upgrade"));
    h1_emit_field(&head, SPAN_LIT("upgrade"), s->reader.head.upgrade);
    h1_emit_end(&head);
    if (strbuf_ok(&head))
        put(s, strbuf_view(&head));
    else
        s->broken = true;
    s->stage = STAGE_TUNNEL;
}

static void begin(struct session *s)
{
    const struct h1_head *head = &s->reader.head;
    s->stage = STAGE_BODY;
    if (s->knobs.upgrade && head->upgrade.p && head->body_length <= 0 && !s->call_failed) {
        switch_protocols(s);
        return;
    }
    if (!echoes(s)) return;
    s->chunked = head->body_length == H1_LENGTH_UNKNOWN;
    put_head(s, 200, head->body_length == H1_LENGTH_NONE ? 0 : head->body_length,
             "application/octet-stream");
}

static void after_call(struct session *s, const struct testapp_call_end *end)
{
    s->call_failed = end->failed;
    s->call_how = end->how;
    if (end->failed) (void)span_to_cstr(end->reason, s->reason, sizeof s->reason);
    if (s->knobs.delay_ms == 0) {
        begin(s);
        return;
    }
    s->stage = STAGE_DELAY;
    loop_timer_set(s->list->loop, &s->delay, loop_now_ms(s->list->loop) + s->knobs.delay_ms);
}

static void take_head(struct session *s)
{
    const struct h1_head *head = &s->reader.head;
    s->reason[0] = 0;
    s->body_bytes = 0;
    s->chunked = false;
    s->to_head = span_eq_str(head->method, "HEAD");
    s->keep_alive = head->keep_alive && !s->list->ending;
    if (testapp_knobs_read(head->target, &s->knobs) != ERR_OK)
        s->knobs = (struct testapp_knobs){.status = 400};
    if (head->expect_continue) put(s, SPAN_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
    s->stage = STAGE_CALL;
    struct testapp_call_end end = {.how = "limit"};
    if (s->list->call) end.failed = testapp_call_start(s->list->call, &s->call) != ERR_OK;
    if (!s->list->call || end.failed) after_call(s, &end);
}

static bool refuse(struct session *s)
{
    unsigned status = reason_status(s->reader.fault);
    s->keep_alive = false;
    s->reason[0] = 0;
    put_head(s, status ? status : 400, 0, NULL);
    session_end(s, s->broken);
    return false;
}

static bool waits(const struct session *s)
{
    return s->stage == STAGE_CALL || s->stage == STAGE_DELAY || s->stage == STAGE_STREAM;
}

/* Works on `*in` until it is used up or the request waits. False: the session is gone. */
static bool run(struct session *s, struct span *in)
{
    while (!waits(s)) {
        if (s->broken) {
            session_end(s, true);
            return false;
        }
        if (s->stage == STAGE_TUNNEL) {
            if (in->len == 0) return true;
            put(s, *in);
            *in = span_skip(*in, in->len);
            continue;
        }
        switch (testapp_reader_feed(&s->reader, in)) {
        case TESTAPP_READ_MORE:
            return true;
        case TESTAPP_READ_FAULT:
            return refuse(s);
        case TESTAPP_READ_HEAD:
            take_head(s);
            break;
        case TESTAPP_READ_END:
            if (!answer(s)) return false;
            break;
        }
    }
    return true;
}

/* What it waited for has come. */
static void go_on(struct session *s)
{
    struct span nothing = {NULL, 0};
    if (run(s, &nothing) && !waits(s) && !s->throttled) conn_resume(s->conn);
}

static void on_call_done(struct testapp_call *call, const struct testapp_call_end *end)
{
    struct session *s = CONTAINER_OF(call, struct session, call);
    after_call(s, end);
    go_on(s);
}

static void on_delay_over(struct loop_timer *t)
{
    struct session *s = CONTAINER_OF(t, struct session, delay);
    begin(s);
    go_on(s);
}

/* --- the connection --- */

static void on_open(struct conn *c, void *owner)
{
    (void)c;
    (void)owner;
}

static size_t on_data(struct conn *c, void *owner, struct span data)
{
    struct session *s = owner;
    struct span in = data;
    if (!run(s, &in)) return data.len;
    if (waits(s) || s->throttled) conn_pause(c);
    return data.len - in.len;
}

static void on_eof(struct conn *c, void *owner)
{
    struct session *s = owner;
    s->eof = true;
    if (s->stage == STAGE_HEAD || s->stage == STAGE_BODY)
        session_end(s, s->stage == STAGE_BODY);
    else if (s->stage == STAGE_TUNNEL && conn_queued(c) <= conn_low_water(c))
        session_end(s, false);
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    (void)c;
    (void)err;
    session_end(owner, true);
}

static void on_drain(struct conn *c, void *owner)
{
    struct session *s = owner;
    (void)c;
    s->throttled = false;
    if (s->stage == STAGE_TUNNEL && s->eof) {
        session_end(s, false);
        return;
    }
    if (s->stage == STAGE_STREAM && !stream(s)) return;
    if (!waits(s)) go_on(s);
}

static const struct conn_events events = {.on_open = on_open,
                                          .on_data = on_data,
                                          .on_eof = on_eof,
                                          .on_error = on_error,
                                          .on_drain = on_drain};

enum err testapp_session_new(struct testapp_session_list *list, int take_fd)
{
    struct session *s = calloc(1, sizeof *s);
    if (!s) {
        close(take_fd);
        return ERR_NOMEM;
    }
    struct h1_sink sink = {.on_data = on_content, .owner = s};
    struct conn_options o = {
        .loop = list->loop, .events = &events, .owner = s, .phase = LOOP_FLUSH_PLAIN};
    enum err err = conn_accept(&o, take_fd, NULL, (struct span){0}, &s->conn);
    if (err != ERR_OK) {
        free(s);
        return err;
    }
    s->list = list;
    s->stage = list->tcp ? STAGE_TUNNEL : STAGE_HEAD;
    s->call.on_done = on_call_done;
    s->delay.on_expire = on_delay_over;
    testapp_reader_init(&s->reader, H1_REQUEST, &sink);
    list_push_back(&list->sessions, &s->node);
    list->count++;
    return ERR_OK;
}

void testapp_session_end_idle(struct testapp_session_list *list)
{
    list->ending = true;
    LIST_EACH(node, next, &list->sessions)
    {
        struct session *s = LIST_ENTRY(node, struct session, node);
        if (s->stage == STAGE_HEAD && testapp_reader_idle(&s->reader)) session_end(s, false);
    }
}

void testapp_session_abort_all(struct testapp_session_list *list)
{
    LIST_EACH(node, next, &list->sessions)
    session_end(LIST_ENTRY(node, struct session, node), true);
}
