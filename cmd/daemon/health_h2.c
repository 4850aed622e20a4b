#include "cmd/daemon/health_h2.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire/grpc_health.h"
#include "core/wire/h2.h"

#define ALLOC_BYTES_MAX ((size_t)1024 * 1024)
#define WINDOW_BYTES    65535u
#define TEXT_BYTES_MAX  ((size_t)2 * HEADER_BYTES_MAX) /* of a head and of trailers */

static_assert(CONFIG_HEALTH_GRPC_BYTES_MAX == GRPC_HEALTH_SERVICE_MAX, "one length byte");

struct health_h2 {
    struct health_h2_options o;
    struct mux_alloc alloc; /* owned */
    struct mux *mux;        /* owned */
    struct mux_stream stream;
    struct arena text; /* owned: of the answer */
    struct headers request, answer;
    struct iobuf body; /* owned: of the request */
    size_t fed_bytes;
    char message[GRPC_HEALTH_RESPONSE_MAX];
    size_t message_len;
    char timeout[16];
    enum health_verdict verdict;
    char why[HEALTH_WHY_BYTES];
};

static bool by_grpc(const struct health_h2 *h)
{
    return h->o.plan->how.kind == CONFIG_HEALTH_GRPC;
}

static __attribute__((format(printf, 2, 3))) void fail(struct health_h2 *h, const char *fmt, ...)
{
    va_list args;
    if (h->verdict != HEALTH_PENDING) return;
    h->verdict = HEALTH_FAILED;
    va_start(args, fmt);
    (void)vsnprintf(h->why, sizeof h->why, fmt, args);
    va_end(args);
}

/* --- the answer --- */

/* The gRPC status of the last header section: the two that tell an operator what to change have
 * words. */
static void judge_grpc_status(struct health_h2 *h, const struct headers *last)
{
    const struct header *field = headers_find(last, "grpc-status");
    const char *service = h->o.plan->how.text;
    enum grpc_health_status status = GRPC_HEALTH_UNKNOWN;
    if (field == NULL)
        fail(h, "it ends without a grpc-status");
    else if (span_eq_str(field->value, "5"))
        fail(h, "it knows no service \"%s\"", service);
    else if (span_eq_str(field->value, "12"))
        fail(h, "it has no grpc.health.v1.Health");
    else if (!span_eq_str(field->value, "0"))
        fail(h, "grpc-status %.*s", (int)(field->value.len < 16 ? field->value.len : 16),
             field->value.p);
    else if (grpc_health_response(span_of(h->message, h->message_len), &status) != ERR_OK)
        fail(h, "not an answer to a gRPC health check");
    else if (status != GRPC_HEALTH_SERVING)
        fail(h, "%s",
             status == GRPC_HEALTH_NOT_SERVING       ? "NOT_SERVING"
             : status == GRPC_HEALTH_SERVICE_UNKNOWN ? "SERVICE_UNKNOWN"
                                                     : "UNKNOWN");
    else if (h->verdict == HEALTH_PENDING)
        h->verdict = HEALTH_PASSED;
}

static void on_head(void *owner, struct mux_stream *s, bool ended)
{
    struct health_h2 *h = owner;
    unsigned status = s->head.status;
    const struct header *type = headers_find(s->head.headers, "content-type");
    if (!by_grpc(h)) {
        if (status < 200 || status > 399) fail(h, "status %u", status);
        if (h->verdict == HEALTH_PENDING) h->verdict = HEALTH_PASSED;
        return;
    }
    if (status != 200)
        fail(h, "status %u", status);
    else if (type == NULL || !span_starts(type->value, SPAN_LIT("application/grpc")))
        fail(h, "not a gRPC answer");
    else if (ended)
        judge_grpc_status(h, s->head.headers);
}

static void on_data(void *owner, struct mux_stream *s, struct span data)
{
    struct health_h2 *h = owner;
    mux_consume(h->mux, s, data.len);
    if (data.len > sizeof h->message - h->message_len) {
        fail(h, "not an answer to a gRPC health check");
        return;
    }
    memcpy(h->message + h->message_len, data.p, data.len);
    h->message_len += data.len;
}

static void on_end(void *owner, struct mux_stream *s, struct headers *trailers)
{
    static const struct headers none = {.count = 0};
    (void)s;
    judge_grpc_status(owner, trailers != NULL ? trailers : &none);
}

static void on_close(void *owner, struct mux_stream *s, enum mux_close how)
{
    (void)s;
    fail(owner, how == MUX_REFUSED ? "it refuses the stream" : "it resets the stream");
}

static void on_write(void *owner, struct span bytes)
{
    struct health_h2 *h = owner;
    h->o.on_write(h->o.owner, bytes);
}

static const struct mux_events events = {.on_head = on_head,
                                         .on_data = on_data,
                                         .on_end = on_end,
                                         .on_close = on_close,
                                         .on_write = on_write};

/* --- the request --- */

static enum err add_grpc(struct health_h2 *h, struct mux_head *head)
{
    char body[GRPC_HEALTH_REQUEST_MAX];
    struct headers *fields = &h->request;
    size_t len = grpc_health_request(span_str(h->o.plan->how.text), body);
    (void)snprintf(h->timeout, sizeof h->timeout, "%um", (unsigned)h->o.plan->how.timeout_ms);
    head->method = SPAN_LIT("POST");
    head->path = SPAN_LIT("/grpc.health.v1.Health/Check");
    enum err err = headers_add(fields, SPAN_LIT("content-type"), SPAN_LIT("application/grpc"));
    if (err == ERR_OK) err = headers_add(fields, SPAN_LIT("te"), SPAN_LIT("trailers"));
    if (err == ERR_OK) err = headers_add(fields, SPAN_LIT("grpc-timeout"), span_str(h->timeout));
    if (err == ERR_OK) err = iobuf_append(&h->body, body, len);
    return err;
}

static enum err submit(struct health_h2 *h)
{
    struct mux_head head = {.method = SPAN_LIT("GET"),
                            .scheme = SPAN_LIT("http"),
                            .authority = span_str(h->o.host),
                            .path = span_str(h->o.plan->how.text),
                            .headers = &h->request,
                            .content_length = -1};
    enum err err =
        headers_add(&h->request, SPAN_LIT("user-agent"), SPAN_LIT("parley-health/" PARLEY_VERSION));
    if (err == ERR_OK && by_grpc(h)) err = add_grpc(h, &head);
    h->stream.arena = &h->text;
    h->stream.fields = &h->answer;
    h->stream.out = &h->body;
    h->stream.out_ended = true;
    if (err == ERR_OK) err = mux_request(h->mux, &h->stream, &head, by_grpc(h));
    if (err == ERR_OK) err = mux_pull(h->mux, WINDOW_BYTES);
    return err;
}

enum err health_h2_new(const struct health_h2_options *o, struct health_h2 **out)
{
    struct health_h2 *h = calloc(1, sizeof *h);
    if (h == NULL) return ERR_NOMEM;
    h->o = *o;
    mux_alloc_init(&h->alloc, ALLOC_BYTES_MAX);
    arena_init(&h->text, 4096, TEXT_BYTES_MAX);
    iobuf_init(&h->body, o->pool);
    const struct mux_options options = {.events = &events,
                                        .owner = h,
                                        .alloc = &h->alloc,
                                        .streams_max = 1,
                                        .stream_window_bytes = WINDOW_BYTES,
                                        .connection_window_bytes = WINDOW_BYTES,
                                        .now_ms = o->now_ms};
    enum err err = h2_new(&options, &h->mux);
    if (err == ERR_OK) err = submit(h);
    h->o.host = NULL;
    if (err != ERR_OK) {
        health_h2_free(h);
        return err;
    }
    *out = h;
    return ERR_OK;
}

void health_h2_free(struct health_h2 *h)
{
    if (h == NULL) return;
    mux_free(h->mux);
    iobuf_clear(&h->body);
    arena_fini(&h->text);
    mux_alloc_fini(&h->alloc);
    free(h);
}

enum health_verdict health_h2_feed(struct health_h2 *h, struct span in, uint64_t now_ms,
                                   char why[HEALTH_WHY_BYTES])
{
    if (h->verdict == HEALTH_PENDING) {
        enum err err = mux_feed(h->mux, in, now_ms);
        h->fed_bytes += in.len;
        if (h->verdict == HEALTH_PENDING && err == ERR_OK) err = mux_pull(h->mux, WINDOW_BYTES);
        if (err != ERR_OK || mux_done(h->mux)) fail(h, "not an HTTP/2 answer");
        if (h->fed_bytes > HEALTH_H2_BYTES_MAX)
            fail(h, "more than %u KiB without an answer", HEALTH_H2_BYTES_MAX / 1024);
    }
    if (h->verdict == HEALTH_FAILED) (void)snprintf(why, HEALTH_WHY_BYTES, "%s", h->why);
    return h->verdict;
}
