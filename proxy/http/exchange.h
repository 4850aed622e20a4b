/* Exchange: one request and its response, or one TCP session, from accept to access log.
 *
 * Worker thread. An exchange stands between two ends that know their protocol and nothing of each
 * other: the downstream that began it (h1_server, mux_front, tcp_server, or another exchange on
 * this host) and the upstream that an attempt found for it (mux_back, h1_client, tcp_client, or
 * another exchange). Its arena holds every head; its two bodies are queues between the ends:
 *
 *      downstream --exchange_request_*--> [ req_body ]  --flush--> upstream
 *      downstream <--flush--  [ resp_body ] <--exchange_response_*-- upstream
 *
 * The steps, each function of exchange_steps.c, return MORE (next step now), WAIT (an event will
 * come) or DONE:
 *
 *      EX_ROUTE -> EX_FILTER_REQUEST -> EX_ADMIT
 *                                          |
 *                                       EX_PICK -> EX_CONNECT -> EX_FORWARD -> EX_RESPONSE
 *                        |                 ^           |             |             |
 *                        |                 +--- EX_ATTEMPT_END <-----+-------------+
 *                        |                 +--- EX_BACKOFF <---+                   v
 *                        v                             v                       EX_STREAM
 *                     EX_REPLY <-----------------------+                           |
 *                        +------------------------> EX_FINISH <-------------------+
 *
 * A mesh-made answer goes through EX_REPLY, a cut one straight to EX_FINISH with `aborted`. Events
 * may finish the exchange: an end drops its pointer in `release`. Its memory stays until the turn's
 * end, so an end that is in the middle of a parse may go on reading its arena, and events on a
 * finished exchange do nothing.
 */
#ifndef PROXY_HTTP_EXCHANGE_H
#define PROXY_HTTP_EXCHANGE_H

#include "core/wire/h1.h"
#include "core/wire/mux.h"
#include "proxy/filters/chain.h"
#include "proxy/http/end.h"
#include "proxy/http/request_id.h"
#include "proxy/net/context.h"
#include "proxy/net/lineage.h"
#include "proxy/traffic/lb.h"
#include "proxy/traffic/pace.h"

#define EXCHANGE_STEPS(X)                                                                          \
    X(EX_ROUTE, route)                   /* which service; may it be called this way */            \
    X(EX_FILTER_REQUEST, filter_request) /* authz, headers, retry */                               \
    X(EX_ADMIT, admit)                   /* its turn, where the service has limits */              \
    X(EX_PICK, pick)                     /* an endpoint */                                         \
    X(EX_CONNECT, connect)               /* a link or connection to it */                          \
    X(EX_FORWARD, forward)               /* the head goes; wait for the response's */              \
    X(EX_ATTEMPT_END, attempt_end)       /* it failed: again elsewhere, or give up */              \
    X(EX_BACKOFF, backoff)               /* a while before the next pick */                        \
    X(EX_RESPONSE, response)             /* the response head goes down */                         \
    X(EX_STREAM, stream)                 /* bodies, until both ends are done */                    \
    X(EX_REPLY, reply)                   /* the mesh answers itself */                             \
    X(EX_FINISH, finish)                 /* account, log, let go */

#define EXCHANGE_STEP_ENUM(step, function) step,
enum exchange_step { EXCHANGE_STEPS(EXCHANGE_STEP_ENUM) EX_STEP_COUNT };
#undef EXCHANGE_STEP_ENUM
enum exchange_verdict { EX_MORE, EX_WAIT, EX_DONE };

struct exchange_attempt {
    unsigned count; /* this one included */
    uint64_t tried[LB_TRIED_MAX];
    size_t tried_count;
    const struct snapshot_endpoint *endpoint; /* outbound */
    struct endpoint_state *state;             /* in flight on it; NULL: none */
    uint64_t begun_us, sent_us, deadline_ms;
    uint64_t try_deadline_ms; /* of this attempt, until its response begins; 0: none */
    enum reason failure;
    bool probe;       /* of an open circuit */
    bool waited;      /* for its connection: `sent_us` is not when it began */
    bool same;        /* every endpoint was tried: the next attempt is at one that was */
    bool seen_before; /* an earlier attempt may have been seen by an application */
    bool not_taken;   /* its host answered that the application has enough to do */
    bool app_reset;   /* its host answered that the application ended without an answer */
    bool final;       /* the answer is to be had no second time */
    bool try_expired; /* try_deadline_ms passed */
    bool sent;        /* the head went to the upstream end */
    bool fresh;       /* inbound: only a new connection will do */
    bool reused;      /* inbound: the connection had served before */
    bool reached;     /* bytes of the request may have been seen by the application */
};

struct exchange {
    uint32_t magic;
    enum exchange_step step;
    bool running, again; /* in exchange_run; an event came meanwhile */
    bool ended;
    struct context *ctx;
    struct view *view; /* pinned */
    struct arena arena;
    struct list node;   /* idle_exchanges */
    struct list tunnel; /* ctx->tunnels */
    struct loop_timer timer;
    struct loop_flush free;
    enum filter_direction direction;
    bool down_tls;                            /* the downstream came over a mesh link */
    bool tcp;                                 /* a TCP session: bytes both ways, no heads */
    bool tunnelled;                           /* TCP, or upgraded: bytes both ways from now on */
    const struct snapshot_upstream *upstream; /* outbound */
    const struct snapshot_service *service;   /* inbound */

    struct request req;
    struct response resp;
    struct headers req_headers, resp_headers;
    struct body req_body, resp_body;
    struct iobuf replay; /* what came of a small request body so far */
    bool replayable;     /* `replay` holds all of it */
    size_t again_bytes;  /* of req_body: an earlier attempt had taken them, the client knows */
    struct chain chain;
    struct spiffe_id peer;
    char id[REQUEST_ID_BYTES + 1];
    unsigned hops;
    uint64_t deadline_ms; /* of the whole chain of calls; 0: none */
    struct lineage_place lineage;
    struct pace request_pace, response_pace;
    struct list on_gate; /* inbound: waits in its service's queue */
    bool admitted;       /* is counted inside its service's gate */
    bool again_above;    /* a hop further out repeats it already */
    unsigned interims;
    struct addr client;

    const struct downstream_ops *down_ops;
    void *down;
    struct mux_stream down_stream;     /* of mux_front */
    struct h1 down_h1;                 /* of h1_server, which shall be small when idle */
    const struct upstream_ops *up_ops; /* NULL: no attempt is connected */
    void *up;
    struct mux_stream up_stream; /* of mux_back */
    struct list on_link;         /* in the list of a link: its stream, or waits for it to open */
    struct exchange_attempt attempt;

    enum reason reason;
    unsigned grpc_told; /* one more than the grpc-status that goes to the caller; 0: none yet */
    bool origin_app;    /* the application answered */
    bool responded;     /* the response head went down */
    bool delivered;     /* and all of its body */
    bool response_done; /* the upstream has given all */
    bool request_sent;  /* of a tunnel: the end of the request has left for the upstream */
    bool aborted;       /* cut: `reason` says why */
    bool refused;       /* the caller was told to go elsewhere */
    bool counted;       /* in the gauges */
    bool out_of_budget; /* a retry was not made for want of it */
    bool streaming;     /* EX_STREAM has begun */
    bool pumping;       /* of proxy/http/local: bytes are being moved */
    uint64_t begun_us, begun_ms, begun_wall_us, active_ms, first_byte_us, connect_us;
};

/* --- the downstream end --- */

/* A fresh exchange with the newest view pinned; NULL: none or no memory. `client` is copied. */
struct exchange *exchange_new(struct context *ctx, enum filter_direction direction,
                              const struct downstream_ops *ops, void *down,
                              const struct addr *client);
/* Gives it a request id of its own; an outbound one has it at birth. */
void exchange_name(struct exchange *ex);
/* ex->req is filled: begins. */
void exchange_start(struct exchange *ex);
/* The request could not even be read: answers with `reason`. */
void exchange_reject(struct exchange *ex, enum reason reason);
void exchange_request_data(struct exchange *ex, struct span data);
void exchange_request_end(struct exchange *ex, struct headers *trailers);
void exchange_response_taken(struct exchange *ex, size_t bytes);
/* All of the response is on its way to the client. */
void exchange_delivered(struct exchange *ex);
/* The client went away (REASON_CLIENT_GONE) or is too slow (REASON_CLIENT_TIMEOUT). */
void exchange_client_gone(struct exchange *ex, enum reason reason);
/* Nothing here can serve it: tells the caller to go elsewhere. */
void exchange_refuse(struct exchange *ex, enum reason reason);
/* Cuts what is in progress for a reason of the mesh's own (policy_changed, draining). */
void exchange_cut(struct exchange *ex, enum reason reason);

/* --- the upstream end --- */

/* The attempt has its connection, `up_ops` and `up` are set. */
void exchange_connected(struct exchange *ex);
void exchange_request_taken(struct exchange *ex, size_t bytes);
/* The end of the request is on its way too: of a tunnel, which lasts until then. */
void exchange_request_sent(struct exchange *ex);
void exchange_interim(struct exchange *ex, unsigned status, const struct headers *h);
/* ex->resp is filled. */
void exchange_response_head(struct exchange *ex);
void exchange_response_data(struct exchange *ex, struct span data);
void exchange_response_blocks(struct exchange *ex, struct iobuf *data); /* all are taken */
void exchange_response_end(struct exchange *ex, struct headers *trailers);
/* The attempt is over and detached. `reached`: bytes of the request may have been seen. */
void exchange_failed(struct exchange *ex, enum reason reason, bool reached);

/* --- of its own files --- */

void exchange_run(struct exchange *ex);
/* Sets the timer for the earliest of the deadlines that hold now. */
void exchange_arm(struct exchange *ex);
/* Ends the attempt in progress towards its endpoint. */
void exchange_drop_attempt(struct exchange *ex);
bool exchange_request_ended(const struct exchange *ex);

#endif
