#include "proxy/http/upgrade.h"

#include "core/crypto/websocket.h"

#define KEY    "sec-websocket-key"
#define ACCEPT "sec-websocket-accept"

bool upgrade_add_key(struct exchange *ex)
{
    struct request *req = &ex->req;
    if (req->tunnel) return true;
    char *key = arena_alloc(&ex->arena, WEBSOCKET_KEY_BYTES + 1);
    if (key == NULL) return false;
    websocket_key(&ex->ctx->rng, key);
    req->websocket_key = span_of(key, WEBSOCKET_KEY_BYTES);
    headers_remove(req->headers, KEY);
    return headers_add(req->headers, SPAN_LIT(KEY), req->websocket_key) == ERR_OK;
}

bool upgrade_check_proof(struct exchange *ex)
{
    char want[WEBSOCKET_ACCEPT_BYTES + 1];
    if (ex->req.tunnel) return true;
    const struct header *accept = headers_find(ex->resp.headers, ACCEPT);
    websocket_accept(ex->req.websocket_key, want);
    if (accept == NULL || !span_eq_str(accept->value, want)) return false;
    headers_remove(ex->resp.headers, ACCEPT);
    return true;
}

void upgrade_hide_key(struct exchange *ex)
{
    const struct header *key = headers_find(ex->req.headers, KEY);
    if (key == NULL || ex->req.tunnel) return;
    ex->req.websocket_key = key->value;
    headers_remove(ex->req.headers, KEY);
}

bool upgrade_give_proof(struct exchange *ex)
{
    if (ex->req.tunnel) return true;
    headers_remove(ex->resp.headers, ACCEPT);
    if (ex->req.websocket_key.len == 0) return true;
    char *accept = arena_alloc(&ex->arena, WEBSOCKET_ACCEPT_BYTES + 1);
    if (accept == NULL) return false;
    websocket_accept(ex->req.websocket_key, accept);
    return headers_add(ex->resp.headers, SPAN_LIT(ACCEPT),
                       span_of(accept, WEBSOCKET_ACCEPT_BYTES)) == ERR_OK;
}
