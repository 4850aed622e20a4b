#include "cmd/daemon/mesh_stream.h"

#include <stdlib.h>
#include <unistd.h>

#include "cmd/daemon/identities.h"
#include "core/io/conn.h"

#define MESH_STREAM_MAGIC  0x6d737431u
#define STREAM_INBOUND_BIT 0x80000000u
#define FRAME_HEAD_BYTES   4u
#define STREAM_OUT_MAX     (4u * 1024 * 1024)

enum stream_kind {
    STREAM_UNKNOWN, /* inbound, its first byte not read yet */
    STREAM_GOSSIP,
    STREAM_ASK,   /* we want a certificate */
    STREAM_ANSWER /* a peer wants one */
};

struct stream {
    struct list node;
    struct mesh_stream *ms; /* borrowed */
    enum stream_kind kind;
    uint32_t id;
    bool inbound;
    struct addr from;              /* inbound */
    bool open;                     /* the handshake is done */
    bool answered;                 /* ANSWER: its one request was served */
    bool busy, doomed;             /* closed from within its own callback: freed behind it */
    enum err failed;               /* never came to a connection: told by the timer */
    struct conn *conn;             /* owned */
    struct mesh_stream_call *call; /* borrowed; ASK only */
    struct strbuf early;           /* frames written before it opened, kind byte first */
    struct strbuf body;            /* of the frame being read */
    uint8_t head[FRAME_HEAD_BYTES];
    size_t head_len;
    size_t body_len; /* of the frame, once its head is complete */
    struct loop_timer limit;
};

struct mesh_stream {
    uint32_t magic;
    struct daemon *d;
    const struct mesh_stream_events *events;
    void *owner;
    struct mesh_stream_issue issue;
    struct list stream;
    unsigned inbound, outbound; /* connections */
    uint32_t next_inbound;
};

enum err mesh_stream_new(struct daemon *d, const struct mesh_stream_events *events, void *owner,
                         struct mesh_stream **out)
{
    struct mesh_stream *ms = calloc(1, sizeof *ms);
    if (ms == NULL) return ERR_NOMEM;
    ms->magic = MESH_STREAM_MAGIC;
    ms->d = d;
    ms->events = events;
    ms->owner = owner;
    list_init(&ms->stream);
    *out = ms;
    return ERR_OK;
}

static void stream_free(struct stream *s)
{
    if (s->conn != NULL) {
        conn_close(s->conn, false);
        s->conn = NULL;
        *(s->inbound ? &s->ms->inbound : &s->ms->outbound) -= 1;
    }
    loop_timer_clear(s->ms->d->loop, &s->limit);
    list_remove(&s->node);
    if (s->call != NULL) s->call->stream = NULL;
    s->call = NULL;
    if (s->busy) {
        s->doomed = true;
        return;
    }
    strbuf_fini(&s->early);
    strbuf_fini(&s->body);
    free(s);
}

void mesh_stream_free(struct mesh_stream *ms)
{
    if (ms == NULL) return;
    CHECK_OBJ(ms, MESH_STREAM_MAGIC);
    LIST_EACH(pos, tmp, &ms->stream)
    stream_free(LIST_ENTRY(pos, struct stream, node));
    ms->magic = MAGIC_POISON;
    free(ms);
}

/* Ends the stream and tells whoever waits for it. */
static void stream_end(struct stream *s, enum err err)
{
    struct mesh_stream *ms = s->ms;
    struct mesh_stream_call *call = s->call;
    bool told = s->kind == STREAM_GOSSIP && (s->open || !s->inbound);
    uint32_t id = s->id;
    stream_free(s);
    if (call != NULL)
        call->done(call, err == ERR_OK ? ERR_EOF : err, (struct span){0});
    else if (told)
        ms->events->on_closed(ms->owner, id, err);
}

static void limit_passed(struct loop_timer *t)
{
    struct stream *s = CONTAINER_OF(t, struct stream, limit);
    stream_end(s, s->failed != ERR_OK ? s->failed : ERR_TIMEOUT);
}

static void limit_restart(struct stream *s)
{
    struct loop *loop = s->ms->d->loop;
    loop_timer_set(loop, &s->limit, loop_now_ms(loop) + MESH_STREAM_LIMIT_MS);
}

static struct stream *stream_new(struct mesh_stream *ms, enum stream_kind kind, uint32_t id)
{
    struct stream *s = calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    s->ms = ms;
    s->kind = kind;
    s->id = id;
    s->inbound = (id & STREAM_INBOUND_BIT) != 0;
    s->limit.on_expire = limit_passed;
    strbuf_init(&s->early, STREAM_OUT_MAX);
    strbuf_init(&s->body, MESH_STREAM_FRAME_MAX + 1);
    list_push_back(&ms->stream, &s->node);
    limit_restart(s);
    return s;
}

static void frame_head(uint8_t head[FRAME_HEAD_BYTES], size_t len)
{
    head[0] = (uint8_t)(len >> 24);
    head[1] = (uint8_t)(len >> 16);
    head[2] = (uint8_t)(len >> 8);
    head[3] = (uint8_t)len;
}

static enum err stream_write(struct stream *s, struct span message)
{
    uint8_t head[FRAME_HEAD_BYTES];
    if (message.len == 0) return ERR_INVALID;
    if (message.len > MESH_STREAM_FRAME_MAX) return ERR_TOO_LARGE;
    frame_head(head, message.len);
    if (!s->open) {
        strbuf_add(&s->early, head, sizeof head);
        strbuf_span(&s->early, message);
        return strbuf_ok(&s->early) ? ERR_OK : ERR_FULL;
    }
    limit_restart(s);
    enum err err = conn_write(s->conn, span_of(head, sizeof head));
    return err != ERR_OK ? err : conn_write(s->conn, message);
}

static void answer(struct stream *s, struct span request)
{
    struct mesh_stream *ms = s->ms;
    struct strbuf reply;
    strbuf_init(&reply, MESH_STREAM_FRAME_MAX + 1);
    s->answered = true;
    enum err err = ERR_UNSUPPORTED;
    if (ms->issue.on_request != NULL)
        err = ms->issue.on_request(ms->issue.owner, conn_peer(s->conn), conn_remote(s->conn),
                                   request, &reply);
    if (err == ERR_OK && strbuf_ok(&reply)) err = stream_write(s, strbuf_view(&reply));
    if (err == ERR_OK) conn_shutdown(s->conn);
    strbuf_fini(&reply);
    if (err != ERR_OK) stream_end(s, err);
}

static void frame_done(struct stream *s)
{
    struct mesh_stream *ms = s->ms;
    struct span message = strbuf_view(&s->body);
    limit_restart(s);
    if (s->kind == STREAM_GOSSIP) {
        ms->events->on_message(ms->owner, s->id, message);
    } else if (s->kind == STREAM_ASK) {
        struct mesh_stream_call *call = s->call;
        stream_free(s);
        call->done(call, ERR_OK, message);
    } else {
        answer(s, message);
    }
}

/* The opener's first byte says what the stream is for. */
static enum err kind_read(struct stream *s, char c)
{
    if (c == 'I') {
        s->kind = STREAM_ANSWER;
        return ERR_OK;
    }
    if (c != 'G') return ERR_PROTOCOL;
    s->kind = STREAM_GOSSIP;
    s->ms->events->on_opened(s->ms->owner, s->id, true, conn_peer(s->conn));
    return ERR_OK;
}

/* Takes what belongs to the frame in progress; the bytes used. */
static size_t frame_feed(struct stream *s, struct span data, enum err *err)
{
    size_t used = 0;
    while (s->head_len < FRAME_HEAD_BYTES && used < data.len) {
        s->head[s->head_len++] = (uint8_t)data.p[used++];
        if (s->head_len < FRAME_HEAD_BYTES) continue;
        s->body_len = (size_t)s->head[0] << 24 | (size_t)s->head[1] << 16 |
                      (size_t)s->head[2] << 8 | s->head[3];
        if (s->body_len == 0 || s->body_len > MESH_STREAM_FRAME_MAX) {
            *err = s->body_len == 0 ? ERR_PROTOCOL : ERR_TOO_LARGE;
            return used;
        }
    }
    if (s->head_len < FRAME_HEAD_BYTES) return used;
    size_t take = s->body_len - s->body.len;
    if (take > data.len - used) take = data.len - used;
    strbuf_add(&s->body, data.p + used, take);
    used += take;
    if (!strbuf_ok(&s->body)) {
        *err = ERR_NOMEM;
    } else if (s->body.len == s->body_len) {
        frame_done(s);
        if (s->doomed) return used;
        strbuf_reset(&s->body);
        s->head_len = 0;
    }
    return used;
}

static size_t on_data(struct conn *conn, void *owner, struct span data)
{
    (void)conn;
    struct stream *s = owner;
    enum err err = ERR_OK;
    size_t at = 0;
    s->busy = true;
    while (at < data.len && err == ERR_OK && !s->doomed && !s->answered) {
        if (s->kind == STREAM_UNKNOWN)
            err = kind_read(s, data.p[at++]);
        else
            at += frame_feed(s, span_skip(data, at), &err);
    }
    s->busy = false;
    if (s->doomed)
        stream_free(s);
    else if (err != ERR_OK)
        stream_end(s, err);
    return data.len;
}

/* Open streams that this node began. */
static unsigned open_from(const struct mesh_stream *ms, const struct name *peer)
{
    unsigned n = 0;
    LIST_EACH(pos, tmp, &ms->stream)
    {
        const struct stream *s = LIST_ENTRY(pos, struct stream, node);
        if (!s->inbound || !s->open) continue;
        n += name_eq(&conn_peer(s->conn)->id.name, peer);
    }
    return n;
}

static void on_open(struct conn *conn, void *owner)
{
    struct stream *s = owner;
    const struct x509_leaf *peer = conn_peer(conn);
    if (peer == NULL || peer->id.kind != IDENTITY_NODE) {
        stream_end(s, ERR_MISMATCH); /* a service's leaf has no business in the control plane */
        return;
    }
    if (s->inbound && open_from(s->ms, &peer->id.name) == MESH_STREAM_PEER_MAX) {
        log_limited(&s->ms->d->log, LOG_LEVEL_WARN, MESH_STREAM_MAGIC, "sync",
                    "refused a stream of %s: it has %u", peer->id.name.text, MESH_STREAM_PEER_MAX);
        stream_end(s, ERR_FULL);
        return;
    }
    s->open = true;
    limit_restart(s);
    if (s->inbound) return;
    enum err err = conn_write(conn, s->kind == STREAM_ASK ? SPAN_LIT("I") : SPAN_LIT("G"));
    if (err == ERR_OK) err = conn_write(conn, strbuf_view(&s->early));
    strbuf_fini(&s->early);
    if (err != ERR_OK)
        stream_end(s, err);
    else if (s->kind == STREAM_GOSSIP)
        s->ms->events->on_opened(s->ms->owner, s->id, false, peer);
}

static void on_eof(struct conn *conn, void *owner)
{
    (void)conn;
    struct stream *s = owner;
    stream_end(s, s->head_len == 0 ? ERR_OK : ERR_PROTOCOL);
}

static void on_error(struct conn *conn, void *owner, enum err err)
{
    (void)conn;
    stream_end(owner, err);
}

static const struct conn_events stream_events = {
    .on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_error = on_error};

static struct conn_options conn_options_of(struct stream *s)
{
    struct loop *loop = s->ms->d->loop;
    return (struct conn_options){.loop = loop,
                                 .events = &stream_events,
                                 .owner = s,
                                 .phase = LOOP_FLUSH_LINK,
                                 .out_max = STREAM_OUT_MAX,
                                 .open_deadline_ms = loop_now_ms(loop) + MESH_STREAM_LIMIT_MS};
}

static enum err stream_connect(struct stream *s, const struct addr *to, const struct name *name)
{
    struct daemon *d = s->ms->d;
    bool any = name->text[0] == '\0';
    struct spiffe_id expect = {d->config->node.mesh, *name, IDENTITY_NODE};
    char sni[SNI_BYTES_MAX + 1];
    if (!any) (void)name_sni_format(&expect, sni);
    struct tls_client_options tls = {.profile = d->profile,
                                     .self = identities_node(d->identities),
                                     .trust = identities_trust(d->identities),
                                     .expect = any ? NULL : &expect,
                                     .expect_any_node = any,
                                     .sni = any ? NULL : sni,
                                     .alpn = MESH_STREAM_ALPN,
                                     .now_s = loop_wall_s(d->loop)};
    struct tls_engine *engine = NULL;
    if (s->ms->outbound == MESH_STREAM_OUTBOUND_MAX) return ERR_FULL;
    enum err err = tls_engine_client(&tls, &engine);
    if (err != ERR_OK) return err;
    struct conn_options o = conn_options_of(s);
    struct target target = {.addr = *to};
    err = conn_connect(&o, &target, engine, &s->conn);
    if (err != ERR_OK) {
        s->conn = NULL;
        return err;
    }
    s->ms->outbound++;
    return ERR_OK;
}

void mesh_stream_open(struct mesh_stream *ms, uint32_t id, const struct addr *to,
                      const struct name *name)
{
    CHECK_OBJ(ms, MESH_STREAM_MAGIC);
    struct stream *s = stream_new(ms, STREAM_GOSSIP, id & ~STREAM_INBOUND_BIT);
    if (s == NULL) return; /* the machine's own time limit gives it up */
    s->failed = stream_connect(s, to, name);
    if (s->failed != ERR_OK) loop_timer_set(ms->d->loop, &s->limit, loop_now_ms(ms->d->loop));
}

static struct stream *find(struct mesh_stream *ms, uint32_t id)
{
    LIST_EACH(pos, tmp, &ms->stream)
    {
        struct stream *s = LIST_ENTRY(pos, struct stream, node);
        if (s->kind == STREAM_GOSSIP && s->id == id) return s;
    }
    return NULL;
}

void mesh_stream_send(struct mesh_stream *ms, uint32_t id, struct span message)
{
    CHECK_OBJ(ms, MESH_STREAM_MAGIC);
    struct stream *s = find(ms, id);
    if (s == NULL || s->failed != ERR_OK) return; /* on_closed was told, or is on its way */
    enum err err = stream_write(s, message);
    if (err == ERR_OK) return;
    s->failed = err;
    loop_timer_set(ms->d->loop, &s->limit, loop_now_ms(ms->d->loop));
}

void mesh_stream_close(struct mesh_stream *ms, uint32_t id)
{
    CHECK_OBJ(ms, MESH_STREAM_MAGIC);
    struct stream *s = find(ms, id);
    if (s != NULL) stream_free(s);
}

/* Streams from there whose peer has not yet proven who it is. */
static unsigned handshakes_from(const struct mesh_stream *ms, const struct addr *from)
{
    unsigned n = 0;
    LIST_EACH(pos, tmp, &ms->stream)
    {
        const struct stream *s = LIST_ENTRY(pos, struct stream, node);
        n += s->inbound && !s->open && addr_same_ip(&s->from, from);
    }
    return n;
}

void mesh_stream_accept(struct mesh_stream *ms, int take_fd, const struct addr *from,
                        struct span seen)
{
    CHECK_OBJ(ms, MESH_STREAM_MAGIC);
    struct daemon *d = ms->d;
    char text[ADDR_TEXT_MAX];
    if (ms->inbound == MESH_STREAM_INBOUND_MAX ||
        handshakes_from(ms, from) == MESH_STREAM_HANDSHAKES_MAX) {
        log_limited(&d->log, LOG_LEVEL_WARN, MESH_STREAM_MAGIC, "sync",
                    "refused a stream from %s: %u are open", addr_format(from, text), ms->inbound);
        (void)close(take_fd);
        return;
    }
    uint32_t id = STREAM_INBOUND_BIT | (ms->next_inbound++ & ~STREAM_INBOUND_BIT);
    struct tls_server_options tls = {.profile = d->profile,
                                     .self = identities_node(d->identities),
                                     .trust = identities_trust(d->identities),
                                     .alpn = MESH_STREAM_ALPN,
                                     .now_s = loop_wall_s(d->loop)};
    struct tls_engine *engine = NULL;
    struct stream *s = stream_new(ms, STREAM_UNKNOWN, id);
    if (s == NULL || tls_engine_server(&tls, &engine) != ERR_OK) {
        (void)close(take_fd);
        if (s != NULL) stream_free(s);
        return;
    }
    s->from = *from;
    struct conn_options o = conn_options_of(s);
    if (conn_accept(&o, take_fd, engine, seen, &s->conn) != ERR_OK) {
        s->conn = NULL;
        stream_free(s);
        return;
    }
    ms->inbound++;
}

void mesh_stream_serve_issue(struct mesh_stream *ms, const struct mesh_stream_issue *serve)
{
    CHECK_OBJ(ms, MESH_STREAM_MAGIC);
    ms->issue = *serve;
}

enum err mesh_stream_call_start(struct mesh_stream *ms, struct mesh_stream_call *call,
                                const struct addr *to, const struct name *name, struct span request)
{
    CHECK_OBJ(ms, MESH_STREAM_MAGIC);
    struct stream *s = stream_new(ms, STREAM_ASK, 0);
    if (s == NULL) return ERR_NOMEM;
    enum err err = stream_write(s, request);
    if (err == ERR_OK) err = stream_connect(s, to, name);
    if (err != ERR_OK) {
        stream_free(s);
        return err;
    }
    s->call = call;
    call->stream = s;
    return ERR_OK;
}

void mesh_stream_call_cancel(struct mesh_stream_call *call)
{
    struct stream *s = call->stream;
    if (s == NULL) return;
    s->call = NULL;
    call->stream = NULL;
    stream_free(s);
}
