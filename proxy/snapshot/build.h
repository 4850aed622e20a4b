/* Build: configuration, catalogue and identities in; one snapshot out.
 *
 * Control thread. The data plane knows nothing of gossip: the daemon turns members and records into
 * build_endpoint rows. Rows may come in any order; one that repeats a (node, service) is left out,
 * as is one whose protocol is not the upstream's, and a `self` row of a service that the
 * configuration no longer has.
 *
 * What was learned of an application decides nothing against the operator: it is never an error. A
 * service that was found to speak tcp while rules look at requests to it is served as http, so that
 * what those rules cannot see is refused; an upstream without a protocol is what most of its
 * endpoints speak. Both is said in a warning.
 */
#ifndef PROXY_SNAPSHOT_BUILD_H
#define PROXY_SNAPSHOT_BUILD_H

#include "proxy/snapshot/snapshot.h"

struct build_endpoint {
    struct name service;
    struct name node;
    struct node_id node_id;
    struct addr addr;
    enum service_protocol protocol;
    enum protocol_origin origin;
    enum endpoint_status status;
    uint32_t weight;
    const struct name *zone;       /* borrowed; NULL or "": none */
    const struct service_tag *tag; /* borrowed */
    uint32_t tag_count;
    bool self; /* runs on this host: reached in the process */
};

struct build_listener {
    enum listener_kind kind;
    struct target at;
    const struct name *upstream; /* NULL for MESH; not looked at for TLS */
    bool proxy_protocol;
    struct tls_cert *tls; /* a reference is taken; NULL: none */
    const int *fd;        /* one a worker */
};

struct build_reset { /* how often operators reset the circuits of an upstream */
    struct name service;
    uint64_t count;
};

struct build_gate { /* of a service with limits */
    struct name service;
    struct gate *gate; /* borrowed for as long as workers run */
};

struct build_input {
    uint64_t generation;
    const struct config *config;
    const struct policy_mesh *mesh; /* NULL: no mesh policy */
    struct node_id node_id;
    const struct build_endpoint *endpoint;
    size_t endpoint_count;
    struct identity *const *identity; /* node and service leaves, any order; references are taken */
    size_t identity_count;
    struct trust *trust;
    const struct build_listener *listener;
    size_t listener_count;
    const struct build_gate *gate;
    size_t gate_count;
    const struct build_reset *reset;
    size_t reset_count;
    unsigned workers;      /* of this process; 0 counts as 1 */
    uint64_t memory_bytes; /* where [limits] does not say; 0: not known */
    bool draining;
    bool deaf;
};

/* On ERR_OK `*out` has one reference, the caller's; warnings may be in `d`. ERR_INVALID: a policy
 * does not compile, or a listener is for an upstream that the configuration does not have (said in
 * `d`); ERR_NOMEM. Copies all it needs but the listeners' descriptor arrays: the input may go after
 * the call. */
enum err build_snapshot(const struct build_input *in, struct diag *d,
                        struct snapshot **out) MUST_USE;
/* The stable id of a service's instance on a node: the same in every build and process. */
uint64_t build_endpoint_id(const struct node_id *node, const struct name *service);

#endif
