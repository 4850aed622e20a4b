#include "cmd/daemon/mesh_peers.h"

#include <stdlib.h>

#include "core/base/limits.h"
#include "core/io/resolver.h"

#define MESH_PEERS_MAGIC 0x6d707231u
#define RETRY_FIRST_MS   1000u
#define RETRY_MAX_MS     5000u

struct named_peer {
    struct resolver_query query;
    struct mesh_peers *peers; /* borrowed */
    char host[RESOLVER_HOST_MAX + 1];
    size_t count; /* 0: never resolved since it is called so */
    struct addr addr[RESOLVER_ADDRS_MAX];
};

struct mesh_peers {
    uint32_t magic;
    struct mesh *mesh; /* borrowed */
    struct daemon *d;
    struct resolver *resolver; /* owned; made with the first name */
    struct named_peer named[CONFIG_PEERS_MAX];
    struct loop_timer retry;
    uint32_t retry_ms;
};

static void retry_due(struct loop_timer *t);
static void resolved(struct resolver_query *q, enum err err, const struct addr *addr, size_t count);

enum err mesh_peers_new(struct mesh *m, struct daemon *d, struct mesh_peers **out)
{
    struct mesh_peers *p = calloc(1, sizeof *p);
    if (p == NULL) return ERR_NOMEM;
    p->magic = MESH_PEERS_MAGIC;
    p->mesh = m;
    p->d = d;
    p->retry_ms = RETRY_FIRST_MS;
    p->retry.on_expire = retry_due;
    for (size_t i = 0; i < CONFIG_PEERS_MAX; i++) {
        p->named[i].peers = p;
        p->named[i].query.on_done = resolved;
    }
    *out = p;
    return ERR_OK;
}

void mesh_peers_free(struct mesh_peers *p)
{
    if (p == NULL) return;
    CHECK_OBJ(p, MESH_PEERS_MAGIC);
    loop_timer_clear(p->d->loop, &p->retry);
    resolver_free(p->resolver);
    p->magic = MAGIC_POISON;
    free(p);
}

static void say_unresolved(struct named_peer *n, enum err err)
{
    log_limited(&n->peers->d->log, LOG_LEVEL_WARN, MESH_PEERS_MAGIC, "peer", "host=%s: %s", n->host,
                err_text(err));
}

static void resolved(struct resolver_query *q, enum err err, const struct addr *addr, size_t count)
{
    struct named_peer *n = CONTAINER_OF(q, struct named_peer, query);
    struct mesh_peers *p = n->peers;
    if (err == ERR_OK) {
        n->count = 0;
        for (size_t i = 0; i < count; i++)
            if (!addr_eq(&addr[i], &p->d->config->node.addr)) n->addr[n->count++] = addr[i];
    } else {
        say_unresolved(n, err);
    }
    /* The last good answer is better than none: a name server may be down when the mesh is. */
    if (n->count > 0) mesh_join(p->mesh, n->addr, n->count);
}

static void resolve(struct mesh_peers *p, struct named_peer *n, const struct config_peer *peer)
{
    if (n->query.job != NULL) return;
    if (!span_eq(span_str(n->host), span_str(peer->host))) n->count = 0;
    enum err err =
        span_to_cstr(span_str(peer->host), n->host, sizeof n->host) ? ERR_OK : ERR_INVALID;
    if (err == ERR_OK && p->resolver == NULL) err = resolver_new(p->d->loop, NULL, &p->resolver);
    if (err == ERR_OK) err = resolver_start(p->resolver, &n->query, span_str(n->host), peer->port);
    if (err != ERR_OK) say_unresolved(n, err);
}

static void contact(struct mesh_peers *p)
{
    const struct config_node *node = &p->d->config->node;
    struct addr addr[CONFIG_PEERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < node->peer_count && i < CONFIG_PEERS_MAX; i++) {
        const struct config_peer *peer = &node->peer[i];
        if (peer->kind == PEER_NAME)
            resolve(p, &p->named[i], peer);
        else if (!addr_eq(&peer->addr, &node->addr))
            addr[count++] = peer->addr;
    }
    if (count > 0) mesh_join(p->mesh, addr, count);
}

static void retry_later(struct mesh_peers *p)
{
    uint64_t jitter = rng_below(&p->d->rng, p->retry_ms / 4u);
    loop_timer_set(p->d->loop, &p->retry, loop_now_ms(p->d->loop) + p->retry_ms + jitter);
}

static void retry_due(struct loop_timer *t)
{
    struct mesh_peers *p = CONTAINER_OF(t, struct mesh_peers, retry);
    if (mesh_reachable(p->mesh) <= 1) {
        contact(p);
        p->retry_ms = p->retry_ms * 2 < RETRY_MAX_MS ? p->retry_ms * 2 : RETRY_MAX_MS;
    } else {
        p->retry_ms = RETRY_MAX_MS;
    }
    retry_later(p);
}

void mesh_peers_contact(struct mesh_peers *p)
{
    CHECK_OBJ(p, MESH_PEERS_MAGIC);
    contact(p);
    p->retry_ms = RETRY_FIRST_MS;
    retry_later(p);
}
