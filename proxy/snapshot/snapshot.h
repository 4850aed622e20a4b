/* Snapshot: the whole compiled state of the data plane, immutable, in one arena (architecture.md
 * 3).
 *
 * Built on the control thread (build.h), published to workers (publish.h), read by workers only
 * through a view (view.h), freed by the control thread when the last worker has handed it back.
 * Indices link its tables; nothing in it is ever written after build.
 */
#ifndef PROXY_SNAPSHOT_SNAPSHOT_H
#define PROXY_SNAPSHOT_SNAPSHOT_H

#include "core/crypto/identity.h"
#include "core/crypto/tls_cert.h"
#include "core/model/config.h"
#include "proxy/filters/filter.h"
#include "proxy/traffic/gate.h"
#include "proxy/traffic/lb_table.h"

#define SNAPSHOT_MAGIC       0x5aa95407u
#define SNAPSHOT_FILTERS_MAX FILTERS_MAX
#define SNAPSHOT_BYTES_MAX   (256u * 1024 * 1024)

enum endpoint_status { ENDPOINT_UP, ENDPOINT_DRAINING, ENDPOINT_DOWN, ENDPOINT_UNREACHABLE };
#define ENDPOINT_STATUSES (ENDPOINT_UNREACHABLE + 1u)

struct snapshot_service { /* an application on this host: where inbound exchanges go */
    struct name name;
    struct spiffe_id id;
    struct identity *identity; /* presented for SNI of this service; NULL until issued; owned
                                  reference */
    struct target local;
    enum service_protocol protocol;
    enum proxy_proto_version proxy_protocol; /* said in front of a connection to `local` */
    bool connect;                            /* CONNECT is passed on to it */
    uint64_t endpoint_id;                    /* stable id of this instance */
    struct config_limits limits;
    struct gate *gate; /* borrowed from the control thread for as long as workers run; NULL: no
                          limits */
    uint32_t connect_timeout_ms, idle_timeout_ms;
    enum service_health health;                      /* of this instance, as announced */
    struct filter_slot filter[SNAPSHOT_FILTERS_MAX]; /* inbound chain */
    size_t filter_count;
};

struct snapshot_endpoint {
    uint64_t id; /* stable: hash of node id and service; keys the live state */
    struct name node;
    struct addr addr;        /* of the host's mesh port */
    struct spiffe_id expect; /* who must answer */
    uint32_t weight;
    uint32_t group; /* index into the upstream's groups */
    bool near;      /* in this host's zone */
    enum endpoint_status status;
    int32_t local_service; /* index into service[] when it runs on this host, else -1 */
};

struct snapshot_pool {  /* endpoints that draws are made from */
    const uint32_t *at; /* indices into the upstream's endpoints; NULL: all in order */
    uint32_t count;
    uint32_t weight_max; /* the largest of theirs */
    bool cut;            /* by the aperture: there are more */
};

struct snapshot_group {     /* of a split; the first is what no part of it names */
    uint32_t percent;       /* of the requests; not of the first */
    uint32_t near_permille; /* of those, how many stay in this host's zone */
    struct snapshot_pool near, far;
};

struct snapshot_upstream { /* a service local applications call through a listener of ours */
    struct name name;
    uint64_t id; /* stable hash of the upstream's name */
    struct spiffe_id as;
    struct identity *identity; /* of `as`; NULL until issued; owned reference */
    enum service_protocol protocol;
    bool connect; /* callers may send CONNECT, for the applications to do */
    enum config_balance balance;
    struct config_affinity affinity;
    struct config_retry retry;
    struct config_eject eject;
    uint64_t resets; /* of its circuits, asked for by operators */
    uint32_t connect_timeout_ms, try_timeout_ms, request_timeout_ms, idle_timeout_ms;
    const struct snapshot_endpoint *endpoint; /* sorted by id */
    size_t endpoint_count;
    uint32_t weight_max;                /* the largest of its endpoints */
    uint64_t weight_total;              /* of all */
    const struct snapshot_group *group; /* subset.h; none: draws are made from all endpoints */
    uint32_t group_count;
    struct lb_table table; /* of the hash policies */
    uint32_t slow_start_ms;
    bool panic; /* so few are up that those that are down are drawn too */
    struct filter_slot filter[SNAPSHOT_FILTERS_MAX]; /* outbound chain */
    size_t filter_count;
};

enum listener_kind { LISTENER_MESH, LISTENER_HTTP, LISTENER_TCP, LISTENER_TLS };
struct snapshot_sni {
    struct span name; /* "*.x": every name under x */
    int32_t upstream;
};
struct snapshot_listener {
    struct tls_cert *tls; /* callers speak TLS; NULL: they do not; owned reference */
    uint64_t
        id; /* stable: hash of kind and address; a worker keeps the descriptor while the id stays */
    enum listener_kind kind;
    struct target at;
    int32_t upstream;               /* index; -1 for MESH and TLS */
    bool proxy_protocol;            /* connections begin with its header */
    const struct snapshot_sni *sni; /* of TLS: exact names, then "*." from the longest */
    size_t sni_count;
    const int *fd; /* one a worker; borrowed from the control thread, which closes it after the last
                      worker let go */
};

struct snapshot {
    uint32_t magic;
    uint32_t refs; /* control thread: workers that have not handed it back, and the builder */
    uint64_t generation;
    struct arena arena; /* owned; everything below lives in it */
    struct name mesh, node;
    struct spiffe_id node_spiffe;
    struct identity *node_identity;         /* owned reference */
    struct trust *trust;                    /* owned reference */
    const struct snapshot_service *service; /* sorted by name */
    size_t service_count;
    const struct snapshot_upstream *upstream; /* sorted by name */
    size_t upstream_count;
    const struct snapshot_listener *listener;
    size_t listener_count;
    uint32_t workers; /* of this process */
    struct config_bounds bounds;
    uint64_t memory_bytes; /* of the data plane of all workers; 0: not known */
    enum config_access_only access_only;
    bool access_query;
    bool draining;
    bool deaf; /* nothing is accepted any more: what comes waits for the next process */
};

/* NULL: not on this host. `name` is a service name. */
const struct snapshot_service *snapshot_service(const struct snapshot *s, struct span name);
/* NULL: nothing listens for it. `name` is the service that the upstream reaches. */
const struct snapshot_upstream *snapshot_upstream(const struct snapshot *s, struct span name);
/* NULL: nobody wants connections with this SNI (lower case). */
const struct snapshot_upstream *snapshot_sni(const struct snapshot *s,
                                             const struct snapshot_listener *l, struct span sni);
/* Control thread: one more reference, for each worker it is published to; a build begins with one.
 */
struct snapshot *snapshot_ref(struct snapshot *s);
/* Control thread: drops one; the last frees it. NULL is fine. */
void snapshot_unref(struct snapshot *s);
/* Control thread: frees it whatever the count, for a caller that counts by itself. NULL is fine. */
void snapshot_free(struct snapshot *s);

#endif
