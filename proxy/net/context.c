#include "proxy/net/context.h"

#include "core/base/check.h"
#include "proxy/http/exchange_idle.h"
#include "proxy/net/pressure.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#define CONTEXT_MAGIC       0x63747801u
#define SCRATCH_CHUNK_BYTES 4096u
#define SCRATCH_BYTES_MAX   65536u
/* What nobody needs all this time is given back, but for so many exchanges and blocks. */
#define TRIM_MS   5000u
#define TRIM_KEPT 16u
/* glibc gives pages back only from its heap's end unless it is asked, which has to be worth it. */
#define TRIM_BYTES_MIN (512u * 1024)

/* A snapshot that waits for room in the return ring. */
struct returning {
    struct list node;
    struct snapshot *snapshot;
};

static void on_trim(struct loop_timer *t)
{
    struct context *c = CONTAINER_OF(t, struct context, trim);
    size_t bytes = exchange_idle_trim(c, TRIM_KEPT) + iobuf_pool_trim(c->pool, TRIM_KEPT);
    if (bytes >= TRIM_BYTES_MIN) (void)malloc_trim(0);
    context_trim_later(c);
}

void context_trim_later(struct context *c)
{
    if (c->trim.node.pos != 0) return;
    if (c->idle_exchange_count <= TRIM_KEPT && c->pool->blocks_free <= TRIM_KEPT) return;
    loop_timer_set(c->loop, &c->trim, loop_now_ms(c->loop) + TRIM_MS);
}

enum err context_init(struct context *c, const struct worker_options *o)
{
    *c = (struct context){.magic = CONTEXT_MAGIC,
                          .index = o->index,
                          .profile = o->profile,
                          .log = o->log,
                          .metrics = o->metrics,
                          .access_ring = o->access_ring,
                          .lineage = o->lineage,
                          .clients = o->clients,
                          .memory_bytes = SIZE_MAX,
                          .control_post = o->control_post,
                          .trim.on_expire = on_trim};
    rng_seed(&c->rng, o->seed);
    list_init(&c->returning);
    list_init(&c->idle_exchanges);
    list_init(&c->listeners);
    list_init(&c->sessions);
    list_init(&c->links);
    list_init(&c->h2_apps);
    list_init(&c->apps);
    list_init(&c->tunnels);
    enum err err = loop_new(&c->loop);
    if (err != ERR_OK) return err;
    c->pool = loop_pool(c->loop);
    err = publish_init(&c->slot);
    if (err != ERR_OK) goto fail_loop;
    err = ring_init(&c->mailbox, CONTEXT_MAILBOX_MAX);
    if (err != ERR_OK) goto fail_slot;
    c->heard = calloc(1, sizeof *c->heard);
    if (c->heard == NULL) {
        err = ERR_NOMEM;
        goto fail_mailbox;
    }
    heard_init(c->heard, &o->hash_key);
    endpoint_state_table_init(&c->endpoints, &o->hash_key);
    arena_init(&c->scratch, SCRATCH_CHUNK_BYTES, SCRATCH_BYTES_MAX);
    mux_alloc_init(&c->mux_alloc, CONTEXT_H2_BYTES_MAX);
    return ERR_OK;

fail_mailbox:
    ring_fini(&c->mailbox);
fail_slot:
    publish_fini(&c->slot);
fail_loop:
    loop_free(c->loop);
    return err;
}

void context_fini(struct context *c)
{
    CHECK_OBJ(c, CONTEXT_MAGIC);
    CHECK(list_empty(&c->sessions) && list_empty(&c->links) && list_empty(&c->h2_apps) &&
          c->view == NULL);
    loop_timer_clear(c->loop, &c->trim);
    loop_free(c->loop);
    exchange_idle_free(c);
    arena_fini(&c->scratch);
    mux_alloc_fini(&c->mux_alloc);
    endpoint_state_table_fini(&c->endpoints);
    free(c->heard);
    ring_fini(&c->mailbox);
    publish_fini(&c->slot);
    c->magic = MAGIC_POISON;
}

void context_wake_control(struct context *c)
{
    if (c->control_post != NULL) loop_post(c->control_post);
}

static void give_back(struct context *c, struct snapshot *s)
{
    if (publish_return(&c->slot, s) == ERR_OK) {
        context_wake_control(c);
        return;
    }
    struct returning *r = malloc(sizeof *r);
    /* Control holds PUBLISH_RETURNS_MAX of them and reclaims none: it is gone or stuck for good. */
    CHECK(r != NULL);
    *r = (struct returning){.snapshot = s};
    list_push_back(&c->returning, &r->node);
}

static void give_back_waiting(struct context *c)
{
    struct list *node;
    while ((node = list_first(&c->returning)) != NULL) {
        struct returning *r = LIST_ENTRY(node, struct returning, node);
        if (publish_return(&c->slot, r->snapshot) != ERR_OK) return;
        list_remove(node);
        free(r);
        context_wake_control(c);
    }
}

bool context_refresh(struct context *c)
{
    CHECK_OBJ(c, CONTEXT_MAGIC);
    give_back_waiting(c);
    struct snapshot *s = publish_take(&c->slot);
    if (s == NULL) return false;
    struct view *fresh;
    if (view_new(s, &c->endpoints, loop_now_ms(c->loop), &fresh) != ERR_OK) {
        /* The old view goes on serving (architecture.md law 3). */
        log_error(c->log, "snapshot", "worker=%u generation=%llu cannot be taken: out of memory",
                  c->index, (unsigned long long)s->generation);
        give_back(c, s);
        return false;
    }
    struct view *old = c->view;
    c->view = fresh;
    atomic_store_explicit(&c->generation, s->generation, memory_order_relaxed);
    pressure_refresh(c);
    if (old != NULL) context_unpin(c, old);
    return true;
}

void context_unpin(struct context *c, struct view *v)
{
    struct snapshot *s = view_unpin(v, &c->endpoints);
    if (s != NULL) give_back(c, s);
}

void context_drop_view(struct context *c)
{
    struct view *v = c->view;
    c->view = NULL;
    if (v != NULL) context_unpin(c, v);
    /* The control thread reclaims after the worker's thread has ended; what found no room is its
     * own business then. */
    give_back_waiting(c);
}

/* NULL: out of memory. */
static struct worker_message *message_new(enum worker_message_kind kind, struct span seen)
{
    struct worker_message *m = calloc(1, sizeof *m + seen.len);
    if (m == NULL) return NULL;
    m->kind = kind;
    m->fd = -1;
    m->seen_len = seen.len;
    if (seen.len > 0) memcpy(m->seen, seen.p, seen.len);
    return m;
}

void context_dead_link(struct context *c, const struct addr *peer)
{
    struct worker_message *m = message_new(WORKER_DEAD_LINK, (struct span){NULL, 0});
    if (m == NULL) return;
    m->peer = *peer;
    /* A hint: when the mailbox is full there are enough of them. */
    if (ring_push(&c->mailbox, m) != ERR_OK) {
        free(m);
        return;
    }
    context_wake_control(c);
}

void context_circuit(struct context *c, const struct name *upstream,
                     const struct snapshot_endpoint *e, const struct circuit *circuit)
{
    bool open = circuit->state != CIRCUIT_CLOSED;
    log_limited(c->log, open ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, e->id, "circuit",
                "service=%s node=%s now=%s%s%s", upstream->text, e->node.text,
                open ? "open" : "closed", open ? " because=" : "",
                open ? circuit_cause_word(circuit->cause) : "");
    struct worker_message *m = message_new(WORKER_CIRCUIT, (struct span){NULL, 0});
    if (m == NULL) return;
    m->endpoint = e->id;
    m->service = *upstream;
    m->open = open;
    m->cause = circuit->cause;
    /* What is shown lags then; the next change puts it right. */
    if (ring_push(&c->mailbox, m) != ERR_OK) {
        free(m);
        return;
    }
    context_wake_control(c);
}

void context_handoff(struct context *c, int take_fd, const char *alpn, const struct addr *from,
                     struct span seen)
{
    struct worker_message *m = message_new(WORKER_HANDOFF, seen);
    if (m == NULL) goto fail;
    m->fd = take_fd;
    m->from = *from;
    if (!span_to_cstr(span_str(alpn), m->alpn, sizeof m->alpn)) goto fail;
    if (ring_push(&c->mailbox, m) != ERR_OK) goto fail;
    context_wake_control(c);
    return;
fail:
    free(m);
    close(take_fd);
    metrics_count(c->metrics, METRICS_SESSIONS_REFUSED, 1);
}
