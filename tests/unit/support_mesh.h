/* A mesh in one process for tests: workers as hosts on loopback addresses, real TLS between them,
 * and small blocking applications and clients at both ends.
 *
 * In addresses and configurations "@" stands for three octets of this process's own, "127.A.B.", so
 * that runs side by side do not meet: "@21:17400".
 *
 * One thread calls it; each application runs a thread of its own a connection. Everything fails the
 * test that uses it rather than returning errors.
 */
#ifndef TESTS_UNIT_SUPPORT_MESH_H
#define TESTS_UNIT_SUPPORT_MESH_H

#include "core/base/byte_ring.h"
#include "core/crypto/x509_mint.h"
#include "proxy/net/clients.h"
#include "proxy/net/lineage.h"
#include "proxy/net/worker.h"
#include "proxy/snapshot/build.h"

#define SUPPORT_MESH_IDENTITIES 8u
#define SUPPORT_MESH_LISTENERS  8u
#define SUPPORT_MESH_ENDPOINTS  8u

struct support_mesh {
    struct name name;
    uint8_t ca_secret[P256_SECRET_BYTES];
    struct x509_der ca;
    struct trust *trust;
    struct tls_profile *profile;
    struct log log;
};

struct support_node {
    struct support_mesh *mesh;
    struct worker *worker;
    struct metrics_shard *metrics;
    struct byte_ring access;
    struct lineage lineage;
    struct clients clients;
    struct gate gate; /* of the first of its services, which alone may have limits */
    struct config *config;
    struct node_id id;
    uint64_t generation;
    bool draining;
    uint64_t memory_bytes; /* of the next snapshots; 0: no limit */
    struct identity *identity[SUPPORT_MESH_IDENTITIES];
    size_t identity_count;
    struct build_endpoint endpoint[SUPPORT_MESH_ENDPOINTS];
    size_t endpoint_count;
    struct addr listen_addr[SUPPORT_MESH_LISTENERS];
    int listen_fd[SUPPORT_MESH_LISTENERS];
    size_t listen_count;
    unsigned snapshots; /* published and not yet back */
};

void support_mesh_init(struct support_mesh *m);
void support_mesh_fini(struct support_mesh *m);
/* A leaf of this mesh, valid for an hour; one reference. */
struct identity *support_mesh_identity(struct support_mesh *m, enum identity_kind kind,
                                       const char *name);

/* Starts a worker with this configuration (TOML). Nothing is published yet. */
void support_node_init(struct support_node *n, struct support_mesh *m, uint8_t number,
                       const char *toml);
void support_node_fini(struct support_node *n);
/* Replaces the configuration; published by the next support_node_publish. */
void support_node_config(struct support_node *n, const char *toml);
/* An endpoint of `service` on `at` (which may be `n` itself), as `n` sees it. */
void support_node_endpoint(struct support_node *n, const char *service,
                           const struct support_node *at, enum service_protocol protocol);
/* Builds and publishes; returns when the worker serves it. */
void support_node_publish(struct support_node *n);
/* The next access-log line, waiting at most 5 s; "" when none comes. */
const char *support_node_line(struct support_node *n, char *buf, size_t cap);
/* Forgets the lines so far. */
void support_node_forget_lines(struct support_node *n);
/* Waits until the worker has nothing in flight. */
void support_node_quiet(struct support_node *n);

/* An application: accepts on `addr` and gives each connection to `serve` on a thread of its own. */
struct support_app;
struct support_app *support_app_start(const char *addr, void (*serve)(int fd, void *arg),
                                      void *arg);
void support_app_stop(struct support_app *app);

/* Writes `text` with every "@" replaced; returns `out`. */
const char *support_expand(const char *text, char *out, size_t cap);

/* Blocking sockets with a time limit of 5 s. */
int support_dial(const char *addr);
void support_send(int fd, const char *text);
/* Reads until `until` has been seen, the peer ends (then `*ended`), or `cap` - 1; a C string. */
size_t support_read(int fd, char *buf, size_t cap, const char *until, bool *ended);
/* One request on a connection of its own; the whole answer until the peer closes. */
void support_exchange(const char *addr, const char *request, char *buf, size_t cap);

#endif
