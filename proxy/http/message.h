/* Messages: a request and a response head as every part of the data plane sees them, whatever
 * protocol carried them.
 *
 * Worker thread. Spans point into the exchange's arena. Header names are lower-case; hop-by-hop
 * fields, `parley-` fields and the framing fields content-length, transfer-encoding and host are
 * already gone from `headers`: they are members here.
 */
#ifndef PROXY_HTTP_MESSAGE_H
#define PROXY_HTTP_MESSAGE_H

#include "core/model/name.h"
#include "core/wire/headers.h"
#include "core/wire/uri.h"

#define BODY_LENGTH_NONE    (-2) /* no body */
#define BODY_LENGTH_UNKNOWN (-1) /* chunked, or until the stream ends */

struct request {
    struct span method;
    struct span authority; /* as the client sent it; "" for HTTP/1.0 without Host */
    struct span host;      /* canonical, lower-case, without port */
    struct uri_target target;
    struct headers *headers;
    int64_t body_length; /* or BODY_LENGTH_* */
    bool expect_continue;
    bool upgrade; /* to `upgrade_protocol`, if the answer says so: then bytes go both ways */
    bool tunnel;  /* an upgrade that was asked for by CONNECT, of an application that is a proxy */
    struct span upgrade_protocol;
    struct span websocket_key;    /* where an end has none (upgrade.h) */
    bool connect;                 /* HTTP/2 CONNECT: a TCP session (RFC 9113 8.5) */
    bool grpc;                    /* a gRPC call */
    uint64_t timeout_ms;          /* its grpc-timeout, from when it began; 0: none */
    bool replay_safe;             /* GET, HEAD, OPTIONS without a body */
    const struct spiffe_id *peer; /* who calls */
    struct span peer_uri;
    struct span id; /* parley-request-id */
    struct span traceparent;
};

struct response {
    unsigned status;
    struct headers *headers;
    int64_t body_length;
    int64_t content_length; /* as stated, also where there is no body (HEAD, 304); -1: none */
    bool upgrade;           /* the protocol is switched: 101 to an HTTP/1.1 client */
};

#endif
