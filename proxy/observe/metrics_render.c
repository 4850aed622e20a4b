#include "proxy/observe/metrics.h"

#include "core/base/check.h"
#include "core/wire/prom.h"
#include "proxy/observe/metrics_shard.h"

#include <stdio.h>
#include <stdlib.h>

#define LABELS_MAX 6u
#define CODES      1000u

/* One scrape: every shard's series, sorted so that the same labels of several shards are
 * neighbours. */
struct render {
    struct prom prom;
    struct metrics_shard *const *shard;
    size_t shards;
    struct metrics_series **series; /* owned */
    size_t count;
};

/* Series with the same labels, one a shard at most. */
struct group {
    struct metrics_series *const *series;
    size_t count;
    struct prom_label label[LABELS_MAX];
    size_t labels;
};

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static int series_cmp(const void *a, const void *b)
{
    const struct metrics_series *const *x = a, *const *y = b;
    if ((*x)->kind != (*y)->kind) return (*x)->kind < (*y)->kind ? -1 : 1;
    if ((*x)->direction != (*y)->direction) return (*x)->direction < (*y)->direction ? -1 : 1;
    int order = strcmp((*x)->service, (*y)->service);
    return order != 0 ? order : strcmp((*x)->peer, (*y)->peer);
}

/* Heads are read once: what is added behind our back waits for the next scrape. */
static bool collect(struct render *r)
{
    size_t count = 0, at = 0;
    struct metrics_series **head = calloc(r->shards > 0 ? r->shards : 1, sizeof(*head));
    if (head == NULL) return false;
    for (size_t i = 0; i < r->shards; i++) {
        /* Acquire pairs with the writer's release. */
        head[i] = atomic_load_explicit(&r->shard[i]->series, memory_order_acquire);
        for (const struct metrics_series *s = head[i]; s != NULL; s = s->next)
            count++;
    }
    r->series = calloc(count > 0 ? count : 1, sizeof(*r->series));
    for (size_t i = 0; r->series != NULL && i < r->shards; i++)
        for (struct metrics_series *s = head[i]; s != NULL; s = s->next)
            r->series[at++] = s;
    free(head);
    if (r->series == NULL) return false;
    r->count = count;
    qsort(r->series, count, sizeof(struct metrics_series *), series_cmp);
    return true;
}

static const char *direction_word(enum filter_direction d)
{
    return d == DIRECTION_INBOUND ? "inbound" : "outbound";
}

/* The next group of `kind` from `*at`; false at the end. */
static bool next_group(const struct render *r, enum metrics_kind kind, size_t *at, struct group *g)
{
    while (*at < r->count && r->series[*at]->kind != kind)
        (*at)++;
    if (*at == r->count) return false;
    const struct metrics_series *first = r->series[*at];
    *g = (struct group){.series = &r->series[*at], .labels = 3};
    while (*at < r->count && series_cmp(&r->series[*at], &g->series[0]) == 0) {
        (*at)++;
        g->count++;
    }
    g->label[0] = (struct prom_label){"direction", span_str(direction_word(first->direction))};
    g->label[1] = (struct prom_label){"service", span_str(first->service)};
    g->label[2] = (struct prom_label){"peer", span_str(first->peer)};
    return true;
}

static void with_label(struct group *g, size_t at, const char *name, const char *value)
{
    CHECK(at < LABELS_MAX);
    g->label[at] = (struct prom_label){name, span_str(value)};
    g->labels = at + 1;
}

/* --- Sums of one member over a group --- */

static uint64_t sum_at(const struct group *g, size_t offset)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < g->count; i++)
        sum += load((const _Atomic uint64_t *)(const void *)((const char *)g->series[i] + offset));
    return sum;
}

static void render_counter(struct render *r, enum metrics_kind kind, size_t offset)
{
    struct group g;
    for (size_t at = 0; next_group(r, kind, &at, &g);)
        prom_u64(&r->prom, g.label, g.labels, sum_at(&g, offset));
}

static void render_gauge(struct render *r, enum metrics_kind kind, bool queued)
{
    struct group g;
    for (size_t at = 0; next_group(r, kind, &at, &g);) {
        int64_t sum = 0;
        for (size_t i = 0; i < g.count; i++)
            sum += atomic_load_explicit(queued ? &g.series[i]->queued : &g.series[i]->open,
                                        memory_order_relaxed);
        prom_i64(&r->prom, g.label, g.labels, sum);
    }
}

static void add_hist(const struct metrics_hist *h, uint64_t bucket[METRICS_BOUNDS + 1],
                     uint64_t *sum_us)
{
    for (size_t i = 0; i <= METRICS_BOUNDS; i++)
        bucket[i] += load(&h->bucket[i]);
    *sum_us += load(&h->sum_us);
}

static void render_hist(struct render *r, enum metrics_kind kind, size_t offset)
{
    struct group g;
    for (size_t at = 0; next_group(r, kind, &at, &g);) {
        uint64_t bucket[METRICS_BOUNDS + 1] = {0}, sum_us = 0;
        for (size_t i = 0; i < g.count; i++)
            add_hist((const void *)((const char *)g.series[i] + offset), bucket, &sum_us);
        struct prom_hist hist = {metrics_bound_us, bucket, METRICS_BOUNDS, sum_us};
        prom_histogram(&r->prom, g.label, g.labels, &hist);
    }
}

/* One sample a reason that was seen. `none` is the word for REASON_NONE; NULL: not shown. */
static void render_reasons(struct render *r, enum metrics_kind kind, const char *label,
                           const char *none)
{
    struct group g;
    for (size_t at = 0; next_group(r, kind, &at, &g);) {
        for (unsigned reason = 0; reason < REASON_COUNT; reason++) {
            const char *word = reason == REASON_NONE ? none : reason_word((enum reason)reason);
            uint64_t n =
                sum_at(&g, offsetof(struct metrics_series, reason) + reason * sizeof(uint64_t));
            if (n == 0 || word == NULL) continue;
            with_label(&g, 3, label, word);
            prom_u64(&r->prom, g.label, g.labels, n);
        }
    }
}

static void render_grpc(struct render *r)
{
    struct group g;
    for (size_t at = 0; next_group(r, METRICS_HTTP, &at, &g);) {
        for (unsigned status = 0; status < METRICS_GRPC_CODES; status++) {
            char code[8];
            uint64_t n =
                sum_at(&g, offsetof(struct metrics_series, grpc) + status * sizeof(uint64_t));
            if (n == 0) continue;
            snprintf(code, sizeof(code), "%u", status);
            with_label(&g, 3, "grpc_status", code);
            prom_u64(&r->prom, g.label, g.labels, n);
        }
    }
}

static void render_retries(struct render *r)
{
    struct group g;
    for (size_t at = 0; next_group(r, METRICS_HTTP, &at, &g);) {
        with_label(&g, 3, "result", "success");
        prom_u64(&r->prom, g.label, g.labels,
                 sum_at(&g, offsetof(struct metrics_series, retries_won)));
        with_label(&g, 3, "result", "failure");
        prom_u64(&r->prom, g.label, g.labels,
                 sum_at(&g, offsetof(struct metrics_series, retries_lost)));
    }
}

static void render_codes(struct render *r, uint64_t count[2][CODES])
{
    struct group g;
    for (size_t at = 0; next_group(r, METRICS_HTTP, &at, &g);) {
        memset(count, 0, 2 * sizeof(count[0]));
        for (size_t i = 0; i < g.count; i++) {
            const struct metrics_code *c =
                atomic_load_explicit(&g.series[i]->codes, memory_order_acquire);
            for (; c != NULL; c = c->next)
                count[c->app][c->status] += load(&c->count);
        }
        for (unsigned status = 0; status < CODES; status++) {
            for (unsigned app = 0; app < 2; app++) {
                char code[8];
                if (count[app][status] == 0) continue;
                snprintf(code, sizeof(code), "%u", status);
                with_label(&g, 3, "code", code);
                with_label(&g, 4, "origin", app ? "app" : "mesh");
                prom_u64(&r->prom, g.label, g.labels, count[app][status]);
            }
        }
    }
}

/* --- Policy decisions --- */

static int decision_cmp(const void *a, const void *b)
{
    const struct metrics_decision *const *x = a, *const *y = b;
    int order = strcmp((*x)->verdict, (*y)->verdict);
    if (order == 0) order = strcmp((*x)->layer, (*y)->layer);
    return order != 0 ? order : strcmp((*x)->rule, (*y)->rule);
}

/* All decisions of a group, sorted, owned by the caller; the count. False: out of memory. */
static bool gather_decisions(const struct group *g, const struct metrics_decision ***out,
                             size_t *count)
{
    const struct metrics_decision **all = NULL;
    size_t cap = 0, used = 0;
    for (size_t i = 0; i < g->count; i++) {
        const struct metrics_decision *d =
            atomic_load_explicit(&g->series[i]->decisions, memory_order_acquire);
        for (; d != NULL; d = d->next) {
            if (used == cap) {
                cap = cap > 0 ? 2 * cap : 16;
                void *bigger = realloc(all, cap * sizeof(*all));
                if (bigger == NULL) goto fail;
                all = bigger;
            }
            all[used++] = d;
        }
    }
    if (used > 0) qsort(all, used, sizeof(*all), decision_cmp);
    *out = all;
    *count = used;
    return true;

fail:
    free(all);
    return false;
}

static bool render_decisions(struct render *r)
{
    struct group g;
    for (size_t at = 0; next_group(r, METRICS_POLICY, &at, &g);) {
        const struct metrics_decision **d;
        size_t count;
        if (!gather_decisions(&g, &d, &count)) return false;
        for (size_t i = 0; i < count;) {
            uint64_t n = 0;
            size_t first = i;
            for (; i < count && decision_cmp(&d[i], &d[first]) == 0; i++)
                n += load(&d[i]->count);
            with_label(&g, 3, "verdict", d[first]->verdict);
            with_label(&g, 4, "rule", d[first]->rule);
            with_label(&g, 5, "layer", d[first]->layer);
            prom_u64(&r->prom, g.label, g.labels, n);
        }
        free(d);
    }
    return true;
}

/* --- Handshakes --- */

/* Sums one (side, result) over all shards. False: no shard has it. */
static bool handshake_sum(const struct render *r, bool server, const char *result,
                          uint64_t bucket[METRICS_BOUNDS + 1], uint64_t *sum_us)
{
    bool seen = false;
    for (size_t i = 0; i < r->shards; i++) {
        const struct metrics_handshakes *h =
            atomic_load_explicit(&r->shard[i]->handshakes, memory_order_acquire);
        for (; h != NULL; h = h->next) {
            if (h->server != server || strcmp(h->result, result) != 0) continue;
            add_hist(&h->duration, bucket, sum_us);
            seen = true;
        }
    }
    return seen;
}

/* The least result word behind `after` (NULL: the first); NULL at the end. */
static const char *next_result(const struct render *r, const char *after)
{
    const char *best = NULL;
    for (size_t i = 0; i < r->shards; i++) {
        const struct metrics_handshakes *h =
            atomic_load_explicit(&r->shard[i]->handshakes, memory_order_acquire);
        for (; h != NULL; h = h->next)
            if ((after == NULL || strcmp(h->result, after) > 0) &&
                (best == NULL || strcmp(h->result, best) < 0))
                best = h->result;
    }
    return best;
}

static void render_handshakes(struct render *r, bool histogram)
{
    for (unsigned server = 0; server < 2; server++) {
        for (const char *result = NULL; (result = next_result(r, result)) != NULL;) {
            uint64_t bucket[METRICS_BOUNDS + 1] = {0}, sum_us = 0, total = 0;
            if (!handshake_sum(r, server, result, bucket, &sum_us)) continue;
            enum filter_direction side = server ? DIRECTION_INBOUND : DIRECTION_OUTBOUND;
            /* No session is resumed yet; the label stands so that its value is all that changes. */
            struct prom_label label[] = {{"direction", span_str(direction_word(side))},
                                         {"result", span_str(result)},
                                         {"resumed", SPAN_LIT("false")}};
            for (size_t i = 0; i <= METRICS_BOUNDS; i++)
                total += bucket[i];
            struct prom_hist hist = {metrics_bound_us, bucket, METRICS_BOUNDS, sum_us};
            if (histogram)
                prom_histogram(&r->prom, label, ARRAY_LEN(label), &hist);
            else
                prom_u64(&r->prom, label, ARRAY_LEN(label), total);
        }
    }
}

/* --- Families --- */

static void render_http(struct render *r, uint64_t codes[2][CODES])
{
    struct prom *p = &r->prom;
    prom_family(p, "parley_requests_total", PROM_COUNTER,
                "Requests finished; code 0 had no answer.");
    render_codes(r, codes);
    prom_family(p, "parley_request_duration_seconds", PROM_HISTOGRAM,
                "Time from the request head to the end of the exchange.");
    render_hist(r, METRICS_HTTP, offsetof(struct metrics_series, duration));
    prom_family(p, "parley_app_duration_seconds", PROM_HISTOGRAM,
                "Time to the first byte of the application.");
    render_hist(r, METRICS_HTTP, offsetof(struct metrics_series, app));
    prom_family(p, "parley_failures_total", PROM_COUNTER,
                "Requests that failed or were refused, by reason.");
    render_reasons(r, METRICS_HTTP, "reason", NULL);
    prom_family(p, "parley_retries_total", PROM_COUNTER,
                "Further attempts made, by how the request ended.");
    render_retries(r);
    prom_family(p, "parley_retry_budget_exhausted_total", PROM_COUNTER,
                "Further attempts not made because the budget was used up.");
    render_counter(r, METRICS_HTTP, offsetof(struct metrics_series, out_of_budget));
    prom_family(p, "parley_requests_in_flight", PROM_GAUGE, "Requests in progress.");
    render_gauge(r, METRICS_HTTP, false);
    prom_family(p, "parley_requests_queued", PROM_GAUGE,
                "Requests in progress that wait for a place at their application.");
    render_gauge(r, METRICS_HTTP, true);
    prom_family(p, "parley_request_bytes_total", PROM_COUNTER, "Body bytes from callers.");
    render_counter(r, METRICS_HTTP, offsetof(struct metrics_series, rx_bytes));
    prom_family(p, "parley_response_bytes_total", PROM_COUNTER, "Body bytes to callers.");
    render_counter(r, METRICS_HTTP, offsetof(struct metrics_series, tx_bytes));
    prom_family(p, "parley_grpc_responses_total", PROM_COUNTER,
                "gRPC calls finished, by the status that their caller got.");
    render_grpc(r);
}

static void render_tcp(struct render *r)
{
    struct prom *p = &r->prom;
    prom_family(p, "parley_tcp_connections_total", PROM_COUNTER,
                "TCP sessions closed, by how they ended.");
    render_reasons(r, METRICS_TCP, "close", "end");
    prom_family(p, "parley_tcp_open_connections", PROM_GAUGE, "TCP sessions open.");
    render_gauge(r, METRICS_TCP, false);
    prom_family(p, "parley_tcp_sent_bytes_total", PROM_COUNTER, "Bytes to callers.");
    render_counter(r, METRICS_TCP, offsetof(struct metrics_series, tx_bytes));
    prom_family(p, "parley_tcp_received_bytes_total", PROM_COUNTER, "Bytes from callers.");
    render_counter(r, METRICS_TCP, offsetof(struct metrics_series, rx_bytes));
    prom_family(p, "parley_tcp_duration_seconds", PROM_HISTOGRAM, "Time a TCP session was open.");
    render_hist(r, METRICS_TCP, offsetof(struct metrics_series, duration));
}

static void render_tls(struct render *r)
{
    prom_family(&r->prom, "parley_tls_handshakes_total", PROM_COUNTER,
                "TLS handshakes of mesh links, by result.");
    render_handshakes(r, false);
    prom_family(&r->prom, "parley_tls_handshake_duration_seconds", PROM_HISTOGRAM,
                "Time a TLS handshake took.");
    render_handshakes(r, true);
}

static void render_counts(struct render *r)
{
    static const struct {
        const char *name, *help;
    } family[METRICS_COUNTS] = {
        [METRICS_SESSIONS_OPENED] = {"parley_sessions_opened_total",
                                     "Downstream connections accepted."},
        [METRICS_SESSIONS_REFUSED] = {"parley_sessions_refused_total",
                                      "Downstream connections refused at a limit."},
        [METRICS_SHED_MEMORY] = {"parley_shed_memory_total",
                                 "Connections and requests refused for want of memory."},
        [METRICS_SHED_CONNECTIONS] = {"parley_shed_connections_total",
                                      "Times that accepting paused, or a connection was refused, "
                                      "at the limit of connections."},
        [METRICS_SHED_CLIENT] = {"parley_shed_client_connections_total",
                                 "Connections refused because their client had its share."},
        [METRICS_SHED_CLOSING] = {"parley_shed_closing_total",
                                  "Closed connections reset before their peer ended its side, "
                                  "because too many waited for that."},
        [METRICS_SHED_SHARE] = {"parley_shed_share_total",
                                "HTTP/2 connections and mesh links ended or refused because they, "
                                "or all of their peer, held too much memory."},
        [METRICS_ACCEPT_ERRORS] = {"parley_accept_errors_total", "Accepts that failed."},
        [METRICS_PLAINTEXT_ON_MESH] = {"parley_plaintext_on_mesh_total",
                                       "Connections to the mesh port that did not speak TLS."},
        [METRICS_BAD_PREFACE] = {"parley_bad_prefaces_total",
                                 "Local connections without the PROXY header, the TLS hello for a "
                                 "service, the TLS or the HTTP that their listener asks for."},
        [METRICS_BAD_HELLO] = {"parley_bad_hellos_total", "TLS hellos refused before a handshake."},
        [METRICS_LINKS_OPENED] = {"parley_links_opened_total", "Mesh links opened to peers."},
        [METRICS_LINKS_HTTP2] =
            {"parley_links_http2_total",
             "Mesh links, either way, that speak HTTP/2: their peer offers no parley-link/1."},
        [METRICS_LINK_SENDS] = {"parley_link_sends_total", "Writes made to mesh links."},
    };
    for (unsigned c = 0; c < METRICS_COUNTS; c++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < r->shards; i++)
            sum += metrics_count_get(r->shard[i], (enum metrics_count)c);
        prom_family(&r->prom, family[c].name, PROM_COUNTER, family[c].help);
        prom_u64(&r->prom, NULL, 0, sum);
    }
}

static void render_own(struct render *r)
{
    uint64_t overflow = 0, series = 0;
    for (size_t i = 0; i < r->shards; i++)
        overflow += load(&r->shard[i]->overflow);
    for (size_t i = 0; i < r->count; i++)
        series += i == 0 || series_cmp(&r->series[i - 1], &r->series[i]) != 0;
    prom_family(&r->prom, "parley_metrics_series", PROM_GAUGE,
                "Label tuples of traffic that are kept.");
    prom_u64(&r->prom, NULL, 0, series);
    prom_family(&r->prom, "parley_metrics_overflow_total", PROM_COUNTER,
                "Events counted under other labels because the table was full.");
    prom_u64(&r->prom, NULL, 0, overflow);
}

void metrics_render(struct metrics_shard *const *shard, size_t count, struct strbuf *out)
{
    struct render r = {.shard = shard, .shards = count};
    uint64_t(*codes)[CODES] = calloc(2, sizeof(*codes));
    prom_init(&r.prom, out);
    if (codes == NULL || !collect(&r)) {
        out->overflow = true;
        free(codes);
        return;
    }
    render_http(&r, codes);
    render_tcp(&r);
    render_tls(&r);
    prom_family(&r.prom, "parley_policy_decisions_total", PROM_COUNTER,
                "Authorization decisions, by verdict and rule.");
    if (!render_decisions(&r)) out->overflow = true;
    render_counts(&r);
    render_own(&r);
    free(r.series);
    free(codes);
}
