#include "proxy/observe/metrics.h"

#include "core/base/check.h"
#include "core/base/uncleared.h"
#include "proxy/observe/metrics_shard.h"

#include <stdlib.h>

const uint64_t metrics_bound_us[METRICS_BOUNDS] = {500,     1000,    2500,    5000,    10000,
                                                   25000,   50000,   100000,  250000,  500000,
                                                   1000000, 2500000, 5000000, 10000000};

/* The writer's add: no other thread writes, so no read-modify-write is needed. Relaxed: a count
 * orders nothing. */
static void add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

static void hist_add_us(struct metrics_hist *h, uint64_t us)
{
    size_t i = 0;
    while (i < METRICS_BOUNDS && us > metrics_bound_us[i])
        i++;
    add(&h->bucket[i], 1);
    add(&h->sum_us, us);
}

enum err metrics_shard_new(struct metrics_shard **out)
{
    /* Labels come from certificates of this mesh, not from strangers: a fixed key will do. */
    static const struct hash_key key = {{0}};
    struct metrics_shard *m = calloc(1, sizeof(*m));
    if (m == NULL) return ERR_NOMEM;
    m->magic = METRICS_SHARD_MAGIC;
    map_init(&m->map, &key, 2 * (size_t)METRIC_SERIES_MAX);
    *out = m;
    return ERR_OK;
}

static void series_free(struct metrics_series *s)
{
    struct metrics_code *code = atomic_load_explicit(&s->codes, memory_order_relaxed);
    struct metrics_decision *decision = atomic_load_explicit(&s->decisions, memory_order_relaxed);
    while (code != NULL) {
        struct metrics_code *next = code->next;
        free(code);
        code = next;
    }
    while (decision != NULL) {
        struct metrics_decision *next = decision->next;
        free(decision);
        decision = next;
    }
    free(s);
}

void metrics_shard_free(struct metrics_shard *m)
{
    if (m == NULL) return;
    CHECK_OBJ(m, METRICS_SHARD_MAGIC);
    struct metrics_series *s = atomic_load_explicit(&m->series, memory_order_relaxed);
    while (s != NULL) {
        struct metrics_series *next = s->next;
        series_free(s);
        s = next;
    }
    struct metrics_handshakes *h = atomic_load_explicit(&m->handshakes, memory_order_relaxed);
    while (h != NULL) {
        struct metrics_handshakes *next = h->next;
        free(h);
        h = next;
    }
    map_fini(&m->map);
    m->magic = MAGIC_POISON;
    free(m);
}

/* --- Series --- */

/* Never NULL, so that it may be compared and copied when it is empty. */
static struct span clipped(struct span s)
{
    if (s.p == NULL) return SPAN_LIT("");
    if (s.len > METRICS_LABEL_BYTES) s.len = METRICS_LABEL_BYTES;
    return s;
}

static void copy_label(char *dst, struct span s)
{
    if (s.len > 0) memcpy(dst, s.p, s.len);
    dst[s.len] = '\0';
}

static bool series_is(const struct metrics_series *s, enum metrics_kind kind,
                      const struct metrics_labels *l)
{
    /* As make_key lays it out: lengths first, since this runs several times a request. */
    return s->kind == kind && s->direction == l->direction &&
           s->key_len == 3 + l->service.len + l->peer.len && s->key[2 + l->service.len] == '\0' &&
           memcmp(s->key + 2, l->service.p, l->service.len) == 0 &&
           memcmp(s->key + 3 + l->service.len, l->peer.p, l->peer.len) == 0;
}

/* Kind, direction, service, NUL, peer. */
static size_t make_key(enum metrics_kind kind, const struct metrics_labels *l, char *key)
{
    key[0] = (char)('0' + (int)kind);
    key[1] = (char)('0' + (int)l->direction);
    copy_label(key + 2, l->service);
    copy_label(key + 3 + l->service.len, l->peer);
    return 3 + l->service.len + l->peer.len;
}

static struct metrics_series *series_add(struct metrics_shard *m, enum metrics_kind kind,
                                         const struct metrics_labels *l)
{
    struct metrics_series *s = calloc(1, sizeof(*s));
    if (s == NULL) return NULL;
    s->kind = kind;
    s->direction = l->direction;
    copy_label(s->service, l->service);
    copy_label(s->peer, l->peer);
    s->key_len = make_key(kind, l, s->key);
    if (map_put(&m->map, span_of(s->key, s->key_len), s) != ERR_OK) {
        free(s);
        return NULL;
    }
    m->entries++;
    s->next = atomic_load_explicit(&m->series, memory_order_relaxed);
    /* Release pairs with the reader's acquire: it sees the labels filled in. */
    atomic_store_explicit(&m->series, s, memory_order_release);
    return s;
}

/* NULL: out of memory; then nothing is counted but the overflow. */
static struct metrics_series *series_of(struct metrics_shard *m, enum metrics_kind kind,
                                        const struct metrics_labels *labels)
{
    char key[sizeof(((struct metrics_series *)0)->key)] UNCLEARED;
    CHECK_OBJ(m, METRICS_SHARD_MAGIC);
    struct metrics_labels l = {labels->direction, clipped(labels->service), clipped(labels->peer)};
    struct metrics_series *s = m->recent[kind];
    if (s != NULL && series_is(s, kind, &l)) return s;
    s = map_get(&m->map, span_of(key, make_key(kind, &l, key)));
    if (s == NULL && m->entries >= METRIC_SERIES_MAX) {
        /* Services are configured, so these few may go over the bound. */
        add(&m->overflow, 1);
        l.peer = SPAN_LIT("_other");
        s = map_get(&m->map, span_of(key, make_key(kind, &l, key)));
    }
    if (s == NULL) s = series_add(m, kind, &l);
    if (s == NULL) {
        add(&m->overflow, 1);
        return NULL;
    }
    m->recent[kind] = s;
    return s;
}

static struct metrics_code *code_find(struct metrics_series *s, unsigned status, bool app)
{
    struct metrics_code *c = atomic_load_explicit(&s->codes, memory_order_relaxed);
    while (c != NULL && (c->status != status || c->app != app))
        c = c->next;
    return c;
}

static void count_code(struct metrics_shard *m, struct metrics_series *s, unsigned status, bool app)
{
    if (status > 999) status = 0;
    struct metrics_code *c = code_find(s, status, app);
    if (c == NULL && m->entries >= METRIC_SERIES_MAX) {
        add(&m->overflow, 1);
        status -= status % 100;
        c = code_find(s, status, app);
    }
    if (c == NULL) {
        c = calloc(1, sizeof(*c));
        if (c == NULL) return;
        c->status = status;
        c->app = app;
        c->next = atomic_load_explicit(&s->codes, memory_order_relaxed);
        m->entries++;
        atomic_store_explicit(&s->codes, c, memory_order_release);
    }
    add(&c->count, 1);
}

static struct metrics_decision *decision_find(struct metrics_series *s, const char *verdict,
                                              struct span rule, const char *layer)
{
    struct metrics_decision *d = atomic_load_explicit(&s->decisions, memory_order_relaxed);
    while (d != NULL && !(span_eq_str(rule, d->rule) && strcmp(d->verdict, verdict) == 0 &&
                          strcmp(d->layer, layer) == 0))
        d = d->next;
    return d;
}

static void count_decision(struct metrics_shard *m, const struct metrics_labels *l,
                           const char *verdict, const char *rule, const char *layer)
{
    if (verdict == NULL || verdict[0] == '\0') return;
    struct metrics_series *s = series_of(m, METRICS_POLICY, l);
    if (s == NULL) return;
    if (layer == NULL) layer = "";
    struct span name = span_str(rule);
    if (name.len > METRICS_RULE_BYTES) name.len = METRICS_RULE_BYTES;
    struct metrics_decision *d = decision_find(s, verdict, name, layer);
    if (d == NULL && m->entries >= METRIC_SERIES_MAX) {
        add(&m->overflow, 1);
        name = SPAN_LIT("_other");
        d = decision_find(s, verdict, name, layer);
    }
    if (d == NULL) {
        d = calloc(1, sizeof(*d));
        if (d == NULL) return;
        d->verdict = verdict;
        d->layer = layer;
        copy_label(d->rule, name);
        d->next = atomic_load_explicit(&s->decisions, memory_order_relaxed);
        m->entries++;
        atomic_store_explicit(&s->decisions, d, memory_order_release);
    }
    add(&d->count, 1);
}

/* --- Events --- */

static void gauge_add(_Atomic int64_t *gauge, int64_t delta)
{
    int64_t now = atomic_load_explicit(gauge, memory_order_relaxed);
    atomic_store_explicit(gauge, now + delta, memory_order_relaxed);
}

void metrics_request(struct metrics_shard *m, const struct metrics_exchange *x)
{
    struct metrics_series *s = series_of(m, METRICS_HTTP, &x->labels);
    if (s == NULL) return;
    if (x->was_in_flight) gauge_add(&s->open, -1);
    count_code(m, s, x->status, x->origin_app);
    hist_add_us(&s->duration, x->duration_us);
    if (x->app_us > 0) hist_add_us(&s->app, x->app_us);
    if (x->reason != REASON_NONE && x->reason < REASON_COUNT) add(&s->reason[x->reason], 1);
    bool won = x->status != 0 && x->status < 500;
    if (x->retries > 0) add(won ? &s->retries_won : &s->retries_lost, x->retries);
    if (x->grpc && x->grpc_status < METRICS_GRPC_CODES) add(&s->grpc[x->grpc_status], 1);
    if (x->out_of_budget) add(&s->out_of_budget, 1);
    add(&s->rx_bytes, x->rx_bytes);
    add(&s->tx_bytes, x->tx_bytes);
    count_decision(m, &x->labels, x->verdict, x->rule, x->layer);
}

void metrics_in_flight(struct metrics_shard *m, const struct metrics_labels *l)
{
    struct metrics_series *s = series_of(m, METRICS_HTTP, l);
    if (s != NULL) gauge_add(&s->open, 1);
}

void metrics_queued(struct metrics_shard *m, const struct metrics_labels *l, int delta)
{
    struct metrics_series *s = series_of(m, METRICS_HTTP, l);
    if (s != NULL) gauge_add(&s->queued, delta);
}

void metrics_tcp_open(struct metrics_shard *m, const struct metrics_labels *l)
{
    struct metrics_series *s = series_of(m, METRICS_TCP, l);
    if (s != NULL) gauge_add(&s->open, 1);
}

void metrics_tcp_close(struct metrics_shard *m, const struct metrics_tcp *x)
{
    struct metrics_series *s = series_of(m, METRICS_TCP, &x->labels);
    if (s == NULL) return;
    gauge_add(&s->open, -1);
    add(&s->reason[x->reason < REASON_COUNT ? x->reason : REASON_INTERNAL], 1);
    hist_add_us(&s->duration, x->duration_us);
    add(&s->rx_bytes, x->rx_bytes);
    add(&s->tx_bytes, x->tx_bytes);
    count_decision(m, &x->labels, x->verdict, x->rule, x->layer);
}

void metrics_handshake(struct metrics_shard *m, bool server, const char *result,
                       uint64_t duration_us)
{
    CHECK_OBJ(m, METRICS_SHARD_MAGIC);
    struct span word = clipped(span_str(result));
    struct metrics_handshakes *h = atomic_load_explicit(&m->handshakes, memory_order_relaxed);
    while (h != NULL && !(h->server == server && span_eq_str(word, h->result)))
        h = h->next;
    if (h == NULL) {
        h = calloc(1, sizeof(*h));
        if (h == NULL) return;
        h->server = server;
        copy_label(h->result, word);
        h->next = atomic_load_explicit(&m->handshakes, memory_order_relaxed);
        atomic_store_explicit(&m->handshakes, h, memory_order_release);
    }
    hist_add_us(&h->duration, duration_us);
}

void metrics_count(struct metrics_shard *m, enum metrics_count c, uint64_t n)
{
    CHECK_OBJ(m, METRICS_SHARD_MAGIC);
    CHECK(c < METRICS_COUNTS);
    add(&m->count[c], n);
}

uint64_t metrics_count_get(const struct metrics_shard *m, enum metrics_count c)
{
    CHECK(c < METRICS_COUNTS);
    return atomic_load_explicit(&m->count[c], memory_order_relaxed);
}
