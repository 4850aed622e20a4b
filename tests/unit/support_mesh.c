#include "tests/unit/support_mesh.h"

#include "core/io/sock.h"
#include "core/wire/config_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include <cmocka.h>

static int64_t wall_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec;
}

static void nap(void)
{
    struct timespec ms = {.tv_nsec = 1000000};
    nanosleep(&ms, NULL);
}

static struct name name_of(const char *text)
{
    struct name n = {{0}};
    assert_int_equal(name_set(&n, span_str(text)), ERR_OK);
    return n;
}

void support_mesh_init(struct support_mesh *m)
{
    uint8_t public_key[P256_PUBLIC_BYTES];
    assert_true(sodium_init() >= 0);
    memset(m, 0, sizeof *m);
    m->name = name_of("shop");
    x509_mint_key(m->ca_secret, public_key);
    assert_int_equal(
        x509_mint_ca(&m->name, m->ca_secret, wall_s() - 3600, wall_s() + 86400, &m->ca), ERR_OK);
    struct span der = span_of(m->ca.data, m->ca.len);
    assert_int_equal(identity_trust_new(&der, 1, &m->name, &m->trust), ERR_OK);
    assert_int_equal(tls_engine_profile_new(&m->profile), ERR_OK);
    log_init(&m->log, 2, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
}

void support_mesh_fini(struct support_mesh *m)
{
    identity_trust_unref(m->trust);
    tls_engine_profile_free(m->profile);
}

struct identity *support_mesh_identity(struct support_mesh *m, enum identity_kind kind,
                                       const char *name)
{
    uint8_t secret[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES];
    struct x509_der leaf;
    struct identity *id;
    x509_mint_key(secret, public_key);
    struct x509_leaf_request r = {.ca_der = span_of(m->ca.data, m->ca.len),
                                  .ca_secret = m->ca_secret,
                                  .id = {.mesh = m->name, .name = name_of(name), .kind = kind},
                                  .public_key = public_key,
                                  .not_before_s = wall_s() - 60,
                                  .not_after_s = wall_s() + 3600};
    assert_int_equal(x509_mint_leaf(&r, &leaf), ERR_OK);
    assert_int_equal(identity_new(span_of(leaf.data, leaf.len), secret, &id), ERR_OK);
    return id;
}

/* --- nodes --- */

static void add_identity(struct support_node *n, enum identity_kind kind, const char *name)
{
    for (size_t i = 0; i < n->identity_count; i++) {
        const struct spiffe_id *id = identity_spiffe(n->identity[i]);
        if (id->kind == kind && strcmp(id->name.text, name) == 0) return;
    }
    assert_true(n->identity_count < SUPPORT_MESH_IDENTITIES);
    n->identity[n->identity_count++] = support_mesh_identity(n->mesh, kind, name);
}

void support_node_config(struct support_node *n, const char *toml)
{
    char full[4096];
    struct config_text text = {.file = "test.toml",
                               .text = span_str(support_expand(toml, full, sizeof full))};
    struct diag d;
    struct config *fresh;
    diag_init(&d);
    enum err err = config_load(&text, 1, &d, &fresh);
    if (err != ERR_OK) print_error("%s\n", d.count > 0 ? d.entry[0].message : "?");
    assert_int_equal(err, ERR_OK);
    config_free(n->config);
    n->config = fresh;
    add_identity(n, IDENTITY_NODE, fresh->node.name.text);
    for (size_t i = 0; i < fresh->service_count; i++)
        add_identity(n, IDENTITY_SERVICE, fresh->service[i].name.text);
}

void support_node_init(struct support_node *n, struct support_mesh *m, uint8_t number,
                       const char *toml)
{
    memset(n, 0, sizeof *n);
    n->mesh = m;
    n->id.byte[0] = number;
    assert_int_equal(metrics_shard_new(&n->metrics), ERR_OK);
    assert_int_equal(byte_ring_init(&n->access, 65536), ERR_OK);
    support_node_config(n, toml);
    struct worker_options o = {.profile = m->profile,
                               .log = &m->log,
                               .seed = number,
                               .metrics = n->metrics,
                               .access_ring = &n->access,
                               .lineage = &n->lineage,
                               .clients = &n->clients};
    assert_int_equal(worker_new(&o, &n->worker), ERR_OK);
    assert_int_equal(worker_start(n->worker), ERR_OK);
}

static void reclaim(struct support_node *n)
{
    struct snapshot *s;
    while ((s = worker_reclaim(n->worker)) != NULL) {
        snapshot_free(s);
        n->snapshots--;
    }
}

void support_node_fini(struct support_node *n)
{
    struct worker_message *message;
    worker_stop(n->worker);
    reclaim(n);
    assert_int_equal(n->snapshots, 0);
    while ((message = worker_receive(n->worker)) != NULL) {
        if (message->fd >= 0) close(message->fd);
        free(message);
    }
    worker_free(n->worker);
    for (size_t i = 0; i < n->listen_count; i++)
        close(n->listen_fd[i]);
    for (size_t i = 0; i < n->identity_count; i++)
        identity_unref(n->identity[i]);
    config_free(n->config);
    byte_ring_fini(&n->access);
    metrics_shard_free(n->metrics);
}

void support_node_endpoint(struct support_node *n, const char *service,
                           const struct support_node *at, enum service_protocol protocol)
{
    assert_true(n->endpoint_count < SUPPORT_MESH_ENDPOINTS);
    n->endpoint[n->endpoint_count++] = (struct build_endpoint){.service = name_of(service),
                                                               .node = at->config->node.name,
                                                               .node_id = at->id,
                                                               .addr = at->config->node.addr,
                                                               .protocol = protocol,
                                                               .status = ENDPOINT_UP,
                                                               .weight = 100,
                                                               .self = at == n};
}

static const int *listen_fd(struct support_node *n, const struct addr *addr)
{
    for (size_t i = 0; i < n->listen_count; i++)
        if (addr_eq(&n->listen_addr[i], addr)) return &n->listen_fd[i];
    assert_true(n->listen_count < SUPPORT_MESH_LISTENERS);
    size_t i = n->listen_count++;
    n->listen_addr[i] = *addr;
    assert_int_equal(sock_listen(addr, SOCK_LISTEN_SHARED, &n->listen_fd[i]), ERR_OK);
    return &n->listen_fd[i];
}

void support_node_publish(struct support_node *n)
{
    struct build_listener listener[SUPPORT_MESH_LISTENERS];
    size_t count = 0;
    struct snapshot *s;
    struct diag d;
    const struct config *c = n->config;
    diag_init(&d);
    listener[count++] = (struct build_listener){
        .kind = LISTENER_MESH, .at.addr = c->node.addr, .fd = listen_fd(n, &c->node.addr)};
    for (size_t i = 0; i < c->upstream_count; i++) {
        bool tcp = c->upstream[i].protocol == PROTOCOL_TCP;
        const struct addr *at = &c->upstream[i].listen.addr;
        listener[count++] =
            (struct build_listener){.kind = c->upstream[i].sni != NULL ? LISTENER_TLS
                                            : tcp                      ? LISTENER_TCP
                                                                       : LISTENER_HTTP,
                                    .at.addr = *at,
                                    .upstream = &c->upstream[i].name,
                                    .proxy_protocol = c->upstream[i].proxy_protocol,
                                    .fd = listen_fd(n, at)};
    }
    struct build_gate gate = {.gate = &n->gate};
    if (c->service_count > 0) gate.service = c->service[0].name;
    struct build_input in = {.generation = ++n->generation,
                             .config = c,
                             .node_id = n->id,
                             .endpoint = n->endpoint,
                             .endpoint_count = n->endpoint_count,
                             .identity = n->identity,
                             .identity_count = n->identity_count,
                             .trust = n->mesh->trust,
                             .listener = listener,
                             .listener_count = count,
                             .gate = &gate,
                             .gate_count = 1,
                             .memory_bytes = n->memory_bytes,
                             .draining = n->draining};
    assert_int_equal(build_snapshot(&in, &d, &s), ERR_OK);
    n->snapshots++;
    struct snapshot *untaken = worker_publish(n->worker, s);
    if (untaken != NULL) {
        snapshot_free(untaken);
        n->snapshots--;
    }
    for (unsigned i = 0; i < 30000 && worker_generation(n->worker) != n->generation; i++)
        nap();
    assert_int_equal(worker_generation(n->worker), n->generation);
    reclaim(n);
}

const char *support_node_line(struct support_node *n, char *buf, size_t cap)
{
    size_t len = 0;
    for (unsigned i = 0; i < 30000 && len == 0; i++) {
        len = byte_ring_get(&n->access, buf, cap - 1);
        if (len == 0) nap();
    }
    buf[len] = '\0';
    return buf;
}

void support_node_forget_lines(struct support_node *n)
{
    char line[8192];
    support_node_quiet(n);
    while (byte_ring_get(&n->access, line, sizeof line) > 0)
        continue;
}

void support_node_quiet(struct support_node *n)
{
    for (unsigned i = 0; i < 30000 && worker_in_flight(n->worker) > 0; i++)
        nap();
    assert_int_equal(worker_in_flight(n->worker), 0);
}
