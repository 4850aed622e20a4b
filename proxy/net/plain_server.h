/* Plain server: what every session over a connection of a local application shares, in the clear or
 * with a TLS of ours around it, whatever it speaks (tcp_server.h, http/h1_server.h).
 *
 * Worker thread. Embedded first by its owner, whose `end` closes connection and session; from then
 * on neither is touched. One exchange at a time; its request body is under watermarks: reading
 * pauses over pressure_high_water and goes on at pressure_low_water.
 */
#ifndef PROXY_NET_PLAIN_SERVER_H
#define PROXY_NET_PLAIN_SERVER_H

#include "core/io/conn.h"
#include "proxy/http/exchange.h"
#include "proxy/net/session.h"

struct plain_server {
    struct session session; /* its `ops` are those of a struct plain_ops */
    struct conn *conn;
    struct exchange *ex; /* in progress, or NULL */
};

/* What a kind of them is; const. */
struct plain_ops {
    struct session_ops session; /* of an object that begins with a struct plain_server */
    struct conn_events events;
    void (*end)(struct plain_server *s, bool abort);
};

/* A connection whose owner it will be. */
struct plain_accepted {
    int fd;               /* taken, in any case */
    struct addr from;     /* who it is from: the other end, or whom a relay names */
    struct span seen;     /* read from it already */
    struct tls_cert *tls; /* borrowed: it speaks TLS to us; NULL: it does not */
};

/* Of a caller that speaks TLS. */
#define PLAIN_HANDSHAKE_TIMEOUT_MS 5000u

/* Takes the descriptor: a session on a connection. NULL: no room or no memory, all is closed. */
struct plain_server *plain_server_open(struct context *ctx, const struct plain_accepted *take,
                                       const struct plain_ops *ops);
/* Begins the exchange to this upstream of the newest view; `upstream` NULL: to none. NULL: no room,
 * refused and counted; the session has ended. */
struct exchange *plain_server_begin(struct plain_server *s, const struct downstream_ops *ops,
                                    const struct snapshot_upstream *upstream);

/* Hands the application's bytes to the exchange, and pauses reading when it has too many. */
void plain_server_feed(struct plain_server *s, struct span data);
/* After the exchange took some: pauses, when it has too many. */
void plain_server_check(struct plain_server *s);

/* For downstream_ops and conn_events and session_ops; the connection's owner is the server. */
void plain_server_consumed(struct exchange *ex, size_t bytes);
void plain_server_on_open(struct conn *c, void *owner);
void plain_server_on_error(struct conn *c, void *owner, enum err err);
void plain_server_on_drain(struct conn *c, void *owner);
void plain_server_close(struct session *session);

#endif
