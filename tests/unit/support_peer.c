#include "tests/unit/support_peer.h"

#include "tests/unit/support_tls.h"

#include "core/wire/h2.h"
#include "core/wire/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* --- HTTP/2 events --- */

static struct mux_stream *on_begin(void *owner)
{
    (void)owner;
    return NULL;
}

static void on_head(void *owner, struct mux_stream *s, bool ended)
{
    struct support_peer *p = owner;
    const struct header *f = headers_find(s->head.headers, "parley-reason");
    struct span reason = f != NULL ? f->value : SPAN_LIT("");
    p->status = s->head.status;
    p->ended |= ended;
    snprintf(p->reason, sizeof p->reason, "%.*s", SPAN_ARG(reason));
    f = headers_find(s->head.headers, "parley-load");
    struct span load = f != NULL ? f->value : SPAN_LIT("");
    snprintf(p->load, sizeof p->load, "%.*s", SPAN_ARG(load));
    f = headers_find(s->head.headers, "parley-retry");
    struct span retry = f != NULL ? f->value : SPAN_LIT("");
    snprintf(p->retry, sizeof p->retry, "%.*s", SPAN_ARG(retry));
}

static void on_data(void *owner, struct mux_stream *s, struct span data)
{
    struct support_peer *p = owner;
    for (size_t i = 0; i < data.len && p->body_len < sizeof p->body - 1; i++)
        p->body[p->body_len++] = data.p[i];
    p->body[p->body_len] = '\0';
    mux_consume(p->mux, s, data.len);
}

static void on_end(void *owner, struct mux_stream *s, struct headers *trailers)
{
    (void)s;
    (void)trailers;
    ((struct support_peer *)owner)->ended = true;
}

static void on_close(void *owner, struct mux_stream *s, enum mux_close how)
{
    struct support_peer *p = owner;
    (void)s;
    p->closed = true;
    p->how = how;
}

static void on_goaway(void *owner)
{
    ((struct support_peer *)owner)->goaway = true;
}

static void send_tls(struct support_peer *p)
{
    struct span out;
    while ((out = tls_engine_out(p->tls)).len > 0) {
        ssize_t n = send(p->fd, out.p, out.len, MSG_NOSIGNAL);
        tls_engine_sent(p->tls, n > 0 ? (size_t)n : out.len);
    }
}

static void on_write(void *owner, struct span bytes)
{
    struct support_peer *p = owner;
    while (bytes.len > 0) {
        size_t n = support_tls_write(p->tls, bytes.p, bytes.len);
        bytes = span_skip(bytes, n);
        if (n == 0 && tls_engine_out(p->tls).len == 0) return;
        if (n == 0) send_tls(p);
    }
}

static const struct mux_events events = {.on_begin = on_begin,
                                         .on_head = on_head,
                                         .on_data = on_data,
                                         .on_end = on_end,
                                         .on_close = on_close,
                                         .on_goaway = on_goaway,
                                         .on_write = on_write};

/* --- the connection --- */

/* What the engine has decrypted. False: the connection is over. */
static bool read_plain(struct support_peer *p)
{
    struct span in;
    while (p->mux != NULL && (in = tls_engine_in(p->tls)).len > 0) {
        bool fine = mux_feed(p->mux, in, 1) == ERR_OK;
        tls_engine_read(p->tls, in.len);
        if (!fine) return false;
    }
    return true;
}

/* Sends what waits, reads once. False: the connection is over. */
static bool turn(struct support_peer *p)
{
    uint8_t bytes[16384];
    if (p->mux != NULL && mux_pull(p->mux, 65536) != ERR_OK) return false;
    send_tls(p);
    ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
    if (n <= 0) return false;
    for (size_t at = 0; at < (size_t)n;) {
        at += tls_engine_feed(p->tls, bytes + at, (size_t)n - at);
        if (!read_plain(p)) return false;
        if (p->mux == NULL) break;
    }
    send_tls(p);
    return !tls_engine_closed(p->tls);
}

static struct tls_engine *engine(struct support_mesh *mesh, const char *who, const char *sni,
                                 const char *alpn)
{
    struct timespec now;
    struct tls_engine *e;
    struct spiffe_id expect = {.mesh = mesh->name, .kind = IDENTITY_SERVICE};
    struct identity *self = support_mesh_identity(mesh, IDENTITY_SERVICE, who);
    clock_gettime(CLOCK_REALTIME, &now);
    assert_int_equal(name_set(&expect.name, span_of(sni, strcspn(sni, "."))), ERR_OK);
    struct tls_client_options o = {.profile = mesh->profile,
                                   .self = self,
                                   .trust = mesh->trust,
                                   .expect = &expect,
                                   .sni = sni,
                                   .alpn = alpn,
                                   .now_s = now.tv_sec};
    assert_int_equal(tls_engine_client(&o, &e), ERR_OK);
    identity_unref(self);
    return e;
}

bool support_peer_open(struct support_peer *p, struct support_mesh *mesh, const char *who,
                       const char *addr, const char *sni, const char *alpn)
{
    memset(p, 0, sizeof *p);
    p->fd = support_dial(addr);
    p->tls = engine(mesh, who, sni, alpn);
    iobuf_pool_init(&p->pool, 16384, 256);
    iobuf_init(&p->out, &p->pool);
    arena_init(&p->arena, 16384, (size_t)4 << 20);
    mux_alloc_init(&p->alloc, (size_t)16 << 20);
    while (!tls_engine_ready(p->tls))
        if (!turn(p)) return false;
    struct mux_options o = {.events = &events,
                            .owner = p,
                            .alloc = &p->alloc,
                            .streams_max = 16,
                            .stream_window_bytes = 1u << 20,
                            .connection_window_bytes = 1u << 24,
                            .now_ms = 1};
    bool link_frame = strcmp(alpn, LINK_ALPN) == 0;
    assert_int_equal(link_frame ? link_new(&o, &p->mux) : h2_new(&o, &p->mux), ERR_OK);
    bool fine = read_plain(p);
    while (fine && !mux_may_open(p->mux))
        fine = turn(p);
    return fine;
}

void support_peer_close(struct support_peer *p)
{
    mux_free(p->mux);
    mux_alloc_fini(&p->alloc);
    iobuf_clear(&p->out);
    iobuf_pool_fini(&p->pool);
    arena_fini(&p->arena);
    tls_engine_free(p->tls);
    close(p->fd);
}

void support_peer_request(struct support_peer *p, const struct mux_head *head, const char *body)
{
    struct headers none = {.count = 0};
    struct mux_head h = *head;
    if (h.headers == NULL) h.headers = &none;
    iobuf_clear(&p->out);
    if (body != NULL) assert_int_equal(iobuf_append_span(&p->out, span_str(body)), ERR_OK);
    p->stream = (struct mux_stream){
        .arena = &p->arena, .fields = &p->fields, .out = &p->out, .out_ended = !p->endless};
    p->status = 0;
    p->reason[0] = p->body[0] = '\0';
    p->body_len = 0;
    p->ended = p->closed = false;
    assert_int_equal(mux_request(p->mux, &p->stream, &h, body != NULL), ERR_OK);
    while (!p->closed)
        if (!turn(p)) break;
    if (p->stream.id != 0) mux_detach(p->mux, &p->stream);
}

size_t support_peer_hello(struct support_mesh *mesh, const char *sni, const char *alpn,
                          uint8_t *out, size_t cap)
{
    struct tls_engine *e = engine(mesh, "web", sni, alpn);
    struct span hello = tls_engine_out(e);
    assert_true(hello.len > 0 && hello.len <= cap);
    memcpy(out, hello.p, hello.len);
    size_t len = hello.len;
    tls_engine_free(e);
    return len;
}

/* Completes the handshake, says `first`, then `raw` as it is, and listens. */
static void mute(int fd, void *arg, const char *alpn, struct span first, struct span raw)
{
    struct support_mesh *mesh = arg;
    struct identity *self = support_mesh_identity(mesh, IDENTITY_SERVICE, "api");
    struct support_peer p = {.fd = fd};
    struct timespec now;
    struct timeval patient = {.tv_sec = 30};
    uint8_t bytes[4096];
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patient, sizeof patient);
    clock_gettime(CLOCK_REALTIME, &now);
    struct tls_server_options o = {.profile = mesh->profile,
                                   .self = self,
                                   .trust = mesh->trust,
                                   .alpn = alpn,
                                   .now_s = now.tv_sec};
    if (tls_engine_server(&o, &p.tls) == ERR_OK) {
        while (!tls_engine_ready(p.tls))
            if (!turn(&p)) break;
        on_write(&p, first);
        send_tls(&p);
        (void)!send(fd, raw.p, raw.len, MSG_NOSIGNAL);
        while (recv(fd, bytes, sizeof bytes, 0) > 0)
            continue;
        tls_engine_free(p.tls);
    }
    identity_unref(self);
}

void support_peer_mute(int fd, void *arg)
{
    mute(fd, arg, "h2", SPAN_LIT(""), SPAN_LIT(""));
}

void support_peer_mute_link(int fd, void *arg)
{
    mute(fd, arg, LINK_ALPN, SPAN_LIT(""), SPAN_LIT(""));
}

void support_peer_settings_only(int fd, void *arg)
{
    static const char settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    mute(fd, arg, "h2", span_of(settings, sizeof settings), SPAN_LIT(""));
}

void support_peer_part_of_a_record(int fd, void *arg)
{
    static const char part[] = {23, 3, 3, 0x40, 0, 'p', 'a', 'r', 't'};
    mute(fd, arg, LINK_ALPN, SPAN_LIT(""), span_of(part, sizeof part));
}

void support_peer_hang_up(int fd, void *arg)
{
    (void)arg;
    (void)shutdown(fd, SHUT_RDWR);
}
