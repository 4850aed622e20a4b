#include "proxy/http/grpc.h"

#include "core/base/strbuf.h"
#include "proxy/http/exchange.h"

#define DIGITS_MAX 8u
#define NUMBER_MAX UINT64_C(99999999)

/* Codes of the gRPC "status codes" document. */
enum {
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16,
};

/* "application/grpc", "application/grpc+proto", with or without parameters; not grpc-web. */
static bool is_grpc(struct span type)
{
    static const char wanted[] = "application/grpc";
    size_t len = sizeof wanted - 1;
    if (type.len < len || !span_eq_nocase(span_of(type.p, len), span_of(wanted, len))) return false;
    return type.len == len || type.p[len] == '+' || type.p[len] == ';' || type.p[len] == ' ';
}

void grpc_request(struct request *req)
{
    const struct header *type = headers_find(req->headers, "content-type");
    req->grpc = type != NULL && is_grpc(type->value);
    if (!req->grpc) return;
    const struct header *timeout = headers_find(req->headers, "grpc-timeout");
    if (timeout != NULL && grpc_timeout_parse(timeout->value, &req->timeout_ms))
        headers_remove(req->headers, "grpc-timeout");
}

bool grpc_timeout_parse(struct span value, uint64_t *ms)
{
    static const struct {
        char unit;
        uint64_t ns;
    } units[] = {{'n', 1},          {'u', 1000},        {'m', 1000000},
                 {'S', 1000000000}, {'M', 60000000000}, {'H', 3600000000000}};
    uint64_t number;
    if (value.len < 2 || value.len > DIGITS_MAX + 1) return false;
    if (!span_u64(span_of(value.p, value.len - 1), &number)) return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (value.p[value.len - 1] != units[i].unit) continue;
        uint64_t step = units[i].ns / 1000000;
        uint64_t found = step > 0 ? number * step : (number * units[i].ns + 999999) / 1000000;
        *ms = found > 0 ? found : 1;
        return true;
    }
    return false;
}

size_t grpc_timeout_format(uint64_t ms, char out[GRPC_TIMEOUT_BYTES_MAX])
{
    static const struct {
        char unit;
        uint64_t ms;
    } units[] = {{'m', 1}, {'S', 1000}, {'M', 60000}, {'H', 3600000}};
    struct strbuf text;
    size_t i = 0;
    uint64_t number = ms;
    while (number > NUMBER_MAX && i + 1 < ARRAY_LEN(units)) {
        i++;
        number = (ms + units[i].ms - 1) / units[i].ms;
    }
    char digits[24];
    strbuf_init_fixed(&text, digits, sizeof digits);
    strbuf_u64(&text, number > NUMBER_MAX ? NUMBER_MAX : number);
    struct span view = strbuf_view(&text);
    memcpy(out, view.p, view.len);
    out[view.len] = units[i].unit;
    return view.len + 1;
}

uint64_t grpc_left_ms(const struct exchange *ex)
{
    if (ex->req.timeout_ms == 0) return 0;
    uint64_t end = ex->begun_ms + ex->req.timeout_ms, now = loop_now_ms(ex->ctx->loop);
    return end > now ? end - now : 1;
}

unsigned grpc_status(enum reason reason)
{
    if (reason == REASON_UPSTREAM_TIMEOUT || reason == REASON_CLIENT_TIMEOUT ||
        reason == REASON_DEADLINE_EXPIRED)
        return GRPC_DEADLINE_EXCEEDED;
    switch (reason_status(reason)) {
    case 400:
    case 417:
    case 500:
    case 508:
        return GRPC_INTERNAL;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
    case 405:
    case 414:
    case 421:
    case 501:
    case 505:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 431:
        return GRPC_RESOURCE_EXHAUSTED;
    case 0:
        return GRPC_CANCELLED;
    default:
        return GRPC_UNAVAILABLE;
    }
}

void grpc_note(struct exchange *ex, const struct headers *h)
{
    const struct header *field = headers_find(h, "grpc-status");
    uint64_t code;
    if (field == NULL) return;
    bool known = span_u64(field->value, &code) && code <= GRPC_UNAUTHENTICATED;
    ex->grpc_told = 1 + (known ? (unsigned)code : GRPC_UNKNOWN);
}

static unsigned of_http(unsigned status)
{
    switch (status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

unsigned grpc_outcome(const struct exchange *ex)
{
    if (ex->grpc_told > 0 && !ex->aborted) return ex->grpc_told - 1;
    if (ex->reason != REASON_NONE && ex->reason != REASON_APP) return grpc_status(ex->reason);
    return of_http(ex->resp.status);
}
