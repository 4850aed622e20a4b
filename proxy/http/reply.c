#include "proxy/http/reply.h"

#include "core/base/strbuf.h"
#include "proxy/http/grpc.h"

#define REPLY_BODY_BYTES_MAX 512u
#define CODE_BYTES_MAX       4u

enum reason reply_reason(struct span word)
{
    for (unsigned r = REASON_NONE + 1; r < REASON_COUNT; r++)
        if (span_eq_str(word, reason_word((enum reason)r))) return (enum reason)r;
    return REASON_INTERNAL;
}

/* One phrase a class of reasons; the word beside it is the exact one. */
static const char *error_text(enum reason reason, unsigned status)
{
    if (reason == REASON_DENIED_RULE || reason == REASON_DENIED_DEFAULT)
        return "denied by the mesh";
    if (reason == REASON_NO_ROUTE) return "no such service here";
    if (status == 504 || reason == REASON_CLIENT_TIMEOUT) return "a time limit passed";
    if (status < 500) return "the mesh cannot accept this request";
    return "the service cannot be reached";
}

static bool add(struct headers *h, const char *name, struct span value)
{
    return headers_add(h, span_str(name), value) == ERR_OK;
}

/* One header section, which is the trailer section too. */
static bool make_grpc(struct exchange *ex, unsigned http_status)
{
    struct headers *h = &ex->resp_headers;
    struct strbuf code, message;
    char *text = arena_alloc(&ex->arena, CODE_BYTES_MAX + REPLY_BODY_BYTES_MAX);
    if (text == NULL) return false;
    strbuf_init_fixed(&code, text, CODE_BYTES_MAX);
    strbuf_u64(&code, grpc_status(ex->reason));
    /* Nothing in it needs to be percent-encoded. */
    strbuf_init_fixed(&message, text + CODE_BYTES_MAX, REPLY_BODY_BYTES_MAX);
    strbuf_fmt(&message, "%s: %s", error_text(ex->reason, http_status), reason_word(ex->reason));
    ex->resp = (struct response){
        .status = 200, .headers = h, .body_length = BODY_LENGTH_NONE, .content_length = -1};
    return add(h, "content-type", SPAN_LIT("application/grpc")) &&
           add(h, "grpc-status", strbuf_view(&code)) &&
           add(h, "grpc-message", strbuf_view(&message));
}

static bool make_json(struct exchange *ex, unsigned status)
{
    struct headers *h = &ex->resp_headers;
    char text[REPLY_BODY_BYTES_MAX];
    struct strbuf body;
    strbuf_init_fixed(&body, text, sizeof text);
    strbuf_fmt(&body, "{\"error\":\"%s\",\"reason\":\"%s\",\"id\":\"%.*s\"}\n",
               error_text(ex->reason, status), reason_word(ex->reason), SPAN_ARG(ex->req.id));
    ex->resp = (struct response){.status = status,
                                 .headers = h,
                                 .body_length = (int64_t)body.len,
                                 .content_length = (int64_t)body.len};
    if (!add(h, "content-type", SPAN_LIT("application/json"))) return false;
    /* RFC 9110 15.5.6. */
    if (status == 405 && !add(h, "allow", SPAN_LIT("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")))
        return false;
    if (span_eq(ex->req.method, SPAN_LIT("HEAD"))) {
        ex->resp.body_length = BODY_LENGTH_NONE;
        return true;
    }
    ex->resp_body.bytes_total = body.len;
    return iobuf_append_span(&ex->resp_body.buf, strbuf_view(&body)) == ERR_OK;
}

bool reply_make(struct exchange *ex)
{
    unsigned status = reason_status(ex->reason);
    struct headers *h = &ex->resp_headers;
    if (status == 0) return false;
    h->count = h->bytes = 0;
    iobuf_clear(&ex->resp_body.buf);
    ex->resp_body = (struct body){.buf = ex->resp_body.buf, .ended = true};
    if (!add(h, "parley-reason", span_str(reason_word(ex->reason))) ||
        !add(h, "parley-request-id", ex->req.id))
        return false;
    return ex->req.grpc ? make_grpc(ex, status) : make_json(ex, status);
}
