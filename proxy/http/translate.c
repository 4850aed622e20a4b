#include "proxy/http/translate.h"

#include "proxy/http/grpc.h"

/* --- requests --- */

static enum reason set_target(struct request *req, struct span target, struct arena *arena)
{
    bool options = span_eq(req->method, SPAN_LIT("OPTIONS"));
    char *text = arena_alloc(arena, target.len + 1);
    if (text == NULL) return REASON_INTERNAL;
    enum err err = uri_canonical(target, options, text, target.len + 1, &req->target);
    if (err == ERR_TOO_LARGE) return REASON_TARGET_TOO_LONG;
    return err == ERR_OK ? REASON_NONE : REASON_BAD_REQUEST;
}

static enum reason set_authority(struct request *req, struct span authority, struct arena *arena)
{
    uint16_t port;
    char *text = arena_alloc(arena, authority.len + 1);
    if (text == NULL) return REASON_INTERNAL;
    req->authority = authority;
    enum err err = uri_authority(authority, text, authority.len + 1, &req->host, &port);
    return err == ERR_OK ? REASON_NONE : REASON_BAD_REQUEST;
}

static void finish_request(struct request *req)
{
    struct headers *h = req->headers;
    const struct header *trace = headers_find(h, "traceparent");
    req->traceparent = trace != NULL ? trace->value : (struct span){NULL, 0};
    if (req->tunnel)
        headers_strip_tunnel(h);
    else
        headers_strip_hop(h);
    headers_remove(h, "host");
    headers_remove(h, "content-length");
    headers_remove(h, "transfer-encoding"); /* its alias (A21) */
    headers_remove(h, "expect");
    if (req->tunnel) {
        /* Bytes of the tunnel are no body, and nothing holds them back. */
        req->expect_continue = false;
        req->body_length = BODY_LENGTH_UNKNOWN;
    }
    bool safe = span_eq(req->method, SPAN_LIT("GET")) || span_eq(req->method, SPAN_LIT("HEAD")) ||
                span_eq(req->method, SPAN_LIT("OPTIONS"));
    req->replay_safe =
        safe && !req->upgrade && (req->body_length == BODY_LENGTH_NONE || req->body_length == 0);
}

/* RFC 9110 9.3.6: `authority` is all there is of a target. */
static enum reason set_tunnel(struct request *req, struct span authority, struct arena *arena)
{
    char *text = arena_alloc(arena, authority.len + 1);
    if (text == NULL) return REASON_INTERNAL;
    if (uri_tunnel(authority, text, authority.len + 1, &req->host) != ERR_OK)
        return REASON_BAD_REQUEST;
    req->authority = authority;
    req->target = (struct uri_target){.path = SPAN_LIT(""), .query = SPAN_LIT("")};
    req->connect = req->grpc = false;
    req->upgrade = req->tunnel = true;
    req->upgrade_protocol = SPAN_LIT(TRANSLATE_TUNNEL);
    finish_request(req);
    return REASON_NONE;
}

enum reason translate_request_h1(const struct h1_head *head, struct arena *arena,
                                 struct request *req)
{
    enum reason reason;
    req->headers = head->headers;
    req->method = head->method;
    req->body_length = head->body_length;
    req->expect_continue = head->expect_continue;
    grpc_request(req);
    struct span target = head->target, authority = {NULL, 0};
    bool connect = span_eq(head->method, SPAN_LIT("CONNECT"));
    if (target.len == 0) return REASON_BAD_REQUEST;
    if (!connect && target.p[0] != '/' && target.p[0] != '*' &&
        uri_absolute(head->target, &authority, &target) != ERR_OK)
        return REASON_BAD_REQUEST;
    /* RFC 9112 3.2.2: the target's authority wins, but a Host beside it must be one (B14). */
    if (head->host.p != NULL) {
        reason = set_authority(req, head->host, arena);
        if (reason != REASON_NONE) return reason;
    }
    if (connect) {
        /* It has no content, and what stands behind it is the tunnel's. */
        bool content = head->body_length != BODY_LENGTH_NONE && head->body_length != 0;
        return content ? REASON_BAD_REQUEST : set_tunnel(req, target, arena);
    }
    if (authority.p != NULL) {
        reason = set_authority(req, authority, arena);
        if (reason != REASON_NONE) return reason;
    }
    reason = set_target(req, target, arena);
    if (reason != REASON_NONE) return reason;
    /* Any other protocol, h2c first, is not offered: the field goes and the request stays (F01). */
    if (head->upgrade.p != NULL && span_eq_nocase(head->upgrade, SPAN_LIT("websocket")) &&
        span_eq(head->method, SPAN_LIT("GET")) && head->body_length == H1_LENGTH_NONE) {
        req->upgrade = true;
        req->upgrade_protocol = SPAN_LIT("websocket");
    }
    finish_request(req);
    return REASON_NONE;
}

static int64_t h2_body_length(const struct mux_head *head, bool ended)
{
    if (ended) return head->content_length == 0 ? 0 : BODY_LENGTH_NONE;
    return head->content_length >= 0 ? head->content_length : BODY_LENGTH_UNKNOWN;
}

static enum reason connect_h2(const struct mux_head *head, struct request *req)
{
    req->body_length = BODY_LENGTH_UNKNOWN;
    if (head->protocol.p == NULL) {
        req->connect = true;
        return REASON_NONE;
    }
    if (span_eq(head->protocol, SPAN_LIT(TRANSLATE_TUNNEL))) {
        bool whole = span_eq(head->path, SPAN_LIT("/")) && span_eq(head->scheme, SPAN_LIT("http"));
        req->tunnel = whole;
        return whole ? REASON_NONE : REASON_BAD_REQUEST;
    }
    if (!span_eq(head->protocol, SPAN_LIT("websocket"))) return REASON_NOT_IMPLEMENTED;
    req->method = SPAN_LIT("GET");
    req->upgrade = true;
    req->upgrade_protocol = SPAN_LIT("websocket");
    return REASON_NONE;
}

enum reason translate_request_h2(const struct mux_head *head, bool ended, struct arena *arena,
                                 struct request *req)
{
    enum reason reason = REASON_NONE;
    req->headers = head->headers;
    req->method = head->method;
    req->body_length = h2_body_length(head, ended);
    grpc_request(req);
    if (head->too_large) return REASON_HEADERS_TOO_LARGE;
    if (!headers_token_valid(head->method)) return REASON_BAD_REQUEST;
    const struct header *expect = headers_find(head->headers, "expect");
    if (expect != NULL) {
        if (!span_eq_nocase(expect->value, SPAN_LIT("100-continue")))
            return REASON_EXPECTATION_FAILED;
        req->expect_continue = !ended;
    }
    if (span_eq(head->method, SPAN_LIT("CONNECT"))) reason = connect_h2(head, req);
    if (reason != REASON_NONE) return reason;
    /* RFC 9113 8.3.1: with no :authority, Host may stand in; two that differ are refused. */
    const struct header *host = headers_find(head->headers, "host");
    struct span authority = head->authority;
    if (host != NULL && authority.p == NULL) authority = host->value;
    if (host != NULL && !span_eq_nocase(host->value, authority)) return REASON_BAD_REQUEST;
    if (req->tunnel) return set_tunnel(req, authority, arena);
    if (authority.len > 0) reason = set_authority(req, authority, arena);
    if (reason != REASON_NONE || req->connect) return reason;
    if (!span_eq(head->scheme, SPAN_LIT("http")) && !span_eq(head->scheme, SPAN_LIT("https")))
        return REASON_BAD_REQUEST;
    reason = set_target(req, head->path, arena);
    if (reason == REASON_NONE) finish_request(req);
    return reason;
}

enum reason translate_tunnel(struct request *req, struct arena *arena)
{
    return set_tunnel(req, req->authority, arena);
}

void translate_client(const struct headers *h, struct addr *client)
{
    const struct header *f = headers_find(h, "parley-client");
    struct addr named;
    if (f == NULL || addr_parse(f->value, 0, &named) != ERR_OK || addr_is_loopback(&named)) return;
    *client = named;
}

unsigned translate_hops(const struct headers *h)
{
    const struct header *f = headers_find(h, "parley-hops");
    uint64_t hops;
    return f != NULL && f->value.len <= 2 && span_u64(f->value, &hops) ? (unsigned)hops : 0;
}

struct headers *translate_trailers(struct headers *trailers)
{
    size_t kept = 0;
    if (trailers == NULL) return NULL;
    for (size_t i = 0; i < trailers->count; i++)
        if (headers_trailer_allowed(trailers->field[i].name))
            trailers->field[kept++] = trailers->field[i];
    trailers->count = kept;
    return trailers;
}

/* --- responses --- */

/* RFC 9110 9.3.6: no length that it states is one. Of all that allow it, to every client the same:
 * in HTTP/2 nothing could come behind a 204. */
static void switch_tunnel(struct response *resp)
{
    resp->status = 200;
    resp->upgrade = true;
    resp->body_length = BODY_LENGTH_UNKNOWN;
    resp->content_length = -1;
}

static void finish_response(const struct request *req, struct response *resp)
{
    if (req->tunnel)
        headers_strip_tunnel(resp->headers);
    else
        headers_strip_hop(resp->headers);
    headers_remove(resp->headers, "content-length");
    headers_remove(resp->headers, "transfer-encoding");
}

enum reason translate_response_h1(const struct h1_head *head, const struct request *req,
                                  struct response *resp)
{
    *resp = (struct response){.status = head->status,
                              .headers = head->headers,
                              .body_length = head->body_length,
                              .content_length = head->content_length};
    if (head->status == 101) {
        /* RFC 9110 7.8: only to a protocol that was asked for. */
        if (!req->upgrade || req->tunnel || head->upgrade.p == NULL ||
            !span_eq_nocase(head->upgrade, req->upgrade_protocol))
            return REASON_PROTOCOL_ERROR;
        resp->upgrade = true;
        resp->body_length = BODY_LENGTH_UNKNOWN;
        resp->content_length = -1;
    } else if (req->tunnel && head->status / 100 == 2) {
        switch_tunnel(resp);
    }
    finish_response(req, resp);
    return REASON_NONE;
}

static enum reason response_h2(const struct mux_head *head, bool ended, const struct request *req,
                               bool switched, struct response *resp)
{
    *resp = (struct response){.status = head->status,
                              .headers = head->headers,
                              .body_length = ended ? BODY_LENGTH_NONE : BODY_LENGTH_UNKNOWN,
                              .content_length = head->content_length};
    if (head->too_large || head->status < 200 || head->status > 599) return REASON_PROTOCOL_ERROR;
    if (!ended && head->content_length >= 0) resp->body_length = head->content_length;
    /* RFC 9112 6.3 item 1: no framing of a body that cannot come, whoever ends the stream late. */
    if (span_eq(req->method, SPAN_LIT("HEAD")) || head->status == 204 || head->status == 304)
        resp->body_length = BODY_LENGTH_NONE;
    if (switched && req->tunnel) {
        switch_tunnel(resp);
    } else if (switched) {
        resp->status = 101;
        resp->upgrade = true;
        resp->body_length = BODY_LENGTH_UNKNOWN;
        resp->content_length = -1;
    }
    finish_response(req, resp);
    return REASON_NONE;
}

enum reason translate_response_h2(const struct mux_head *head, bool ended,
                                  const struct request *req, struct response *resp)
{
    bool switched = req->upgrade && head->status == 200 &&
                    headers_find(head->headers, "parley-upgrade") != NULL;
    return response_h2(head, ended, req, switched, resp);
}

enum reason translate_response_app(const struct mux_head *head, bool ended,
                                   const struct request *req, struct response *resp)
{
    return response_h2(head, ended, req, req->upgrade && head->status / 100 == 2, resp);
}
