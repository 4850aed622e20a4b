/* Access log: one JSON object an exchange or TCP session, fixed key order (interface.md 6.3).
 *
 * Workers format into their own byte ring and never wait; the control thread drains the rings to
 * the sink. A full ring drops the line and counts it. Lines are at most ACCESS_LOG_LINE_BYTES_MAX:
 * every text has a share of it and is cut there, so a line is always whole JSON. Control bytes and
 * what is not UTF-8 are escaped; the query is dropped unless asked for. Never allocates.
 *
 *   {"ts":"2026-11-22T10:44:02.118201Z","id":"01JD9C","dir":"inbound","service":"api","peer":"web",
 *   "peer_id":"spiffe://shop/service/web","node":"api-1","client":"10.0.0.1:51034","proto":"h2",
 *   "method":"GET","host":"api","path":"/orders/17","code":200,"origin":"app","verdict":"allow",
 *   "rule":"allow","layer":"host","tries":1,"dur_ms":1.250,"app_ms":1.001,"rx":0,"tx":512,
 *   "tls":true,"gen":4}
 */
#ifndef PROXY_OBSERVE_ACCESS_LOG_H
#define PROXY_OBSERVE_ACCESS_LOG_H

#include "core/base/byte_ring.h"
#include "core/base/strbuf.h"
#include "core/model/addr.h"
#include "core/model/config.h"
#include "proxy/filters/filter.h"

struct access_record {
    uint64_t wall_us;
    struct span id;
    enum filter_direction direction;
    struct span service, peer, peer_id, node;
    const struct addr *client; /* NULL: unknown */
    const char *proto;         /* h1, h2, tcp */
    struct span method, host, path, query;
    unsigned status; /* 0: none, then neither code nor origin is written */
    bool grpc;       /* a gRPC call, which ended with `grpc_status` */
    unsigned grpc_status;
    enum reason reason;
    bool origin_app;
    const char *verdict, *rule, *layer; /* layer: where the rule is from: mesh, host, default */
    struct span endpoint;               /* node it went to */
    unsigned tries;
    uint64_t duration_us, app_us, connect_us;
    uint64_t rx, tx;
    bool tls;
    uint64_t generation;
    struct span user_agent;
    const char *close; /* TCP: how it ended; NULL for HTTP */
    /* Empty texts, NULL and zero times are left out; numbers of bytes, `tls` and `gen` never. */
};

/* Appends the line, without newline, to `out`. */
void access_log_line(const struct access_record *r, bool with_query, struct strbuf *out);
/* Worker: filters by `only`, formats, puts. ACCESS_ERRORS keeps what has a reason or a status of
 * 500 and above. False: dropped (counted in the ring); true when it was kept or not wanted. */
bool access_log_put(struct byte_ring *ring, const struct access_record *r,
                    enum config_access_only only, bool with_query);

#endif
