#include "proxy/snapshot/build.h"

#include "core/base/check.h"
#include "core/base/hash.h"
#include "proxy/filters/registry.h"
#include "proxy/snapshot/subset.h"

#include <stdlib.h>

#define BUILD_CHUNK_BYTES (64u * 1024)
#define WEIGHT_MAX        1000u

struct build_row {
    const struct build_endpoint *from; /* borrowed */
    uint64_t id;
};

/* One build in progress. Identities and the trust are owned by `s` from the moment they are in it,
 * so snapshot_free undoes a build that stops anywhere. */
struct build {
    const struct build_input *in;
    struct diag *d;
    struct snapshot *s;
    struct build_row *row; /* owned: the input's endpoints by service, then id */
};

/* Stable ids need no secret: nobody outside chooses node ids or names at will, and a collision
 * would only share one endpoint's live state. */
static uint64_t stable_hash(const void *a, size_t a_len, const void *b, size_t b_len)
{
    static const struct hash_key key = {{0}};
    return hash_mix(hash_bytes(&key, a, a_len) ^ hash_mix(hash_bytes(&key, b, b_len)));
}

uint64_t build_endpoint_id(const struct node_id *node, const struct name *service)
{
    return stable_hash(node->byte, sizeof(node->byte), service->text, strlen(service->text));
}

static struct spiffe_id spiffe_of(const struct build *b, enum identity_kind kind,
                                  const struct name *name)
{
    return (struct spiffe_id){.mesh = b->in->config->node.mesh, .name = *name, .kind = kind};
}

/* A new reference, or NULL when it has not been issued yet. */
static struct identity *identity_of(const struct build *b, const struct spiffe_id *id)
{
    for (size_t i = 0; i < b->in->identity_count; i++)
        if (name_spiffe_eq(identity_spiffe(b->in->identity[i]), id))
            return identity_ref(b->in->identity[i]);
    return NULL;
}

/* --- Endpoint rows --- */

static int row_cmp(const void *a, const void *b)
{
    const struct build_row *x = a, *y = b;
    int order = strcmp(x->from->service.text, y->from->service.text);
    if (order != 0) return order;
    return x->id < y->id ? -1 : x->id > y->id;
}

static enum err sort_rows(struct build *b)
{
    size_t count = b->in->endpoint_count;
    b->row = calloc(count > 0 ? count : 1, sizeof(*b->row));
    if (b->row == NULL) return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct build_endpoint *from = &b->in->endpoint[i];
        b->row[i] = (struct build_row){from, build_endpoint_id(&from->node_id, &from->service)};
    }
    qsort(b->row, count, sizeof(*b->row), row_cmp);
    return ERR_OK;
}

/* The first row of `service` or of one after it. */
static size_t first_row(const struct build *b, const struct name *service)
{
    size_t low = 0, high = b->in->endpoint_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(b->row[middle].from->service.text, service->text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t count_rows(const struct build *b, size_t first, const struct name *service)
{
    size_t end = first;
    while (end < b->in->endpoint_count && name_eq(&b->row[end].from->service, service))
        end++;
    return end - first;
}

/* --- Services --- */

/* This host's own announcement of the service; NULL: none yet. */
static const struct build_endpoint *own_row(const struct build *b, const struct name *service)
{
    size_t first = first_row(b, service), count = count_rows(b, first, service);
    for (size_t i = first; i < first + count; i++)
        if (b->row[i].from->self) return b->row[i].from;
    return NULL;
}

static enum service_health health_of(const struct build *b, const struct name *service)
{
    const struct build_endpoint *own = own_row(b, service);
    if (own == NULL) return HEALTH_UNKNOWN;
    return own->status == ENDPOINT_DOWN ? HEALTH_DOWN : HEALTH_UP;
}

/* The first rule that looks at requests and was meant for this service: one of the host file, or
 * one of the mesh that names it. A mesh rule for every service may look at requests where there are
 * any. NULL: none. */
static const struct policy_rule *judging_rule(const struct policy *p)
{
    for (size_t i = 0; i < p->rule_count; i++) {
        const struct policy_rule *rule = &p->rule[i];
        bool meant = rule->layer == POLICY_LAYER_HOST || rule->to_count > 0;
        if (meant && policy_reads_requests(rule)) return rule;
    }
    return NULL;
}

/* `*out`: what the service is served as. Where the host file says tcp, such a rule is wrong (of its
 * own it has refused it); what was only seen must not stop a policy of the whole mesh. Then the
 * rule decides all the same: nothing gets past it as bytes. */
static enum err service_protocol(const struct build *b, const struct config_service *s,
                                 const struct policy *merged, enum service_protocol *out)
{
    const struct build_endpoint *own = s->learn ? own_row(b, &s->name) : NULL;
    bool known = own != NULL && own->origin != ORIGIN_DEFAULT;
    const struct policy_rule *rule = judging_rule(merged);
    *out = known ? own->protocol : s->protocol;
    if (rule == NULL || *out != PROTOCOL_TCP) return ERR_OK;
    struct diag_at at = {.file = rule->file, .line = rule->line};
    if (s->protocol == PROTOCOL_TCP) {
        diag_error(b->d, &at,
                   "rule \"%s\" looks at the method or path of requests to \"%s\", which is tcp on "
                   "this host",
                   rule->name, s->name.text);
        return ERR_INVALID;
    }
    diag_warning(
        b->d, &at,
        "rule \"%s\" looks at the method or path of requests to \"%s\", which was found to "
        "speak tcp on this host: what is no request is refused there",
        rule->name, s->name.text);
    *out = s->protocol;
    return ERR_OK;
}

static struct gate *gate_of(const struct build *b, const struct config_service *s)
{
    if (s->limits.in_flight == 0 && s->limits.rps == 0) return NULL;
    for (size_t i = 0; i < b->in->gate_count; i++)
        if (name_eq(&b->in->gate[i].service, &s->name)) return b->in->gate[i].gate;
    return NULL;
}

static enum err build_service(struct build *b, const struct config_service *from,
                              struct snapshot_service *to)
{
    to->name = from->name;
    to->id = spiffe_of(b, IDENTITY_SERVICE, &from->name);
    to->identity = identity_of(b, &to->id);
    to->local = from->local;
    to->proxy_protocol = from->proxy_protocol;
    to->connect = from->connect;
    to->endpoint_id = build_endpoint_id(&b->in->node_id, &from->name);
    to->connect_timeout_ms = from->connect_timeout_ms;
    to->limits = from->limits;
    to->gate = gate_of(b, from);
    to->health = health_of(b, &from->name);
    struct policy merged;
    enum err err = policy_merge(&from->policy, b->in->mesh, &from->name, &b->s->arena, &merged);
    if (err == ERR_OK) err = service_protocol(b, from, &merged, &to->protocol);
    if (err != ERR_OK) return err;
    to->idle_timeout_ms =
        to->protocol == PROTOCOL_TCP ? CONFIG_TCP_IDLE_TIMEOUT_MS : CONFIG_IDLE_TIMEOUT_MS;
    struct filter_config config = {.direction = DIRECTION_INBOUND, .policy = &merged};
    return registry_compile(&config, &b->s->arena, to->filter, &to->filter_count, b->d);
}

static int service_cmp(const void *a, const void *b)
{
    const struct config_service *const *x = a, *const *y = b;
    return strcmp((*x)->name.text, (*y)->name.text);
}

static enum err build_services(struct build *b)
{
    const struct config *config = b->in->config;
    size_t count = config->service_count;
    const struct config_service **from = arena_array(&b->s->arena, count, sizeof(*from));
    struct snapshot_service *to = arena_array(&b->s->arena, count, sizeof(*to));
    if (from == NULL || to == NULL) return ERR_NOMEM;
    b->s->service = to;
    b->s->service_count = count;
    for (size_t i = 0; i < count; i++)
        from[i] = &config->service[i];
    qsort(from, count, sizeof(*from), service_cmp);
    for (size_t i = 0; i < count; i++) {
        enum err err = build_service(b, from[i], &to[i]);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

/* --- Upstreams --- */

static bool is_near(const struct build *b, const struct build_endpoint *row)
{
    const struct name *own = &b->in->config->node.zone;
    return own->text[0] != '\0' && row->zone != NULL && name_eq(row->zone, own);
}

/* Is the row one of this upstream's endpoints, if it speaks what the others do? */
static bool is_of(const struct build *b, const struct build_endpoint *row,
                  const struct config_upstream *u)
{
    if (row->self && snapshot_service(b->s, span_str(row->service.text)) == NULL) return false;
    return subset_tagged(u->tag, u->tag_count, row->tag, row->tag_count);
}

/* What those who announce the service say, where the upstream does not: what most of those who know
 * say, of those that are up first, so that no single one takes the others' callers away. Where that
 * is nobody's majority, those count whose configuration says it. */
static enum service_protocol upstream_protocol(const struct build *b,
                                               const struct config_upstream *u)
{
    size_t first = first_row(b, &u->name), count = count_rows(b, first, &u->name);
    int64_t up = 0, said = 0, all = 0; /* above 0: TCP */
    if (!u->learn) return u->protocol;
    for (size_t i = first; i < first + count; i++) {
        const struct build_endpoint *row = b->row[i].from;
        if (row->origin == ORIGIN_DEFAULT || !is_of(b, row, u)) continue;
        int vote = row->protocol == PROTOCOL_TCP ? 1 : -1;
        all += vote;
        if (row->status == ENDPOINT_UP) up += vote;
        if (row->origin == ORIGIN_CONFIGURED) said += vote;
    }
    int64_t most = up != 0 ? up : said != 0 ? said : all;
    return most > 0 ? PROTOCOL_TCP : u->protocol;
}

static bool is_alike(const struct build_endpoint *row, enum service_protocol protocol)
{
    return record_speaks_http(row->protocol) == record_speaks_http(protocol);
}

/* Those that are known to speak otherwise are left out, but not without a word. */
static void warn_of_others(const struct build *b, const struct config_upstream *u,
                           enum service_protocol protocol)
{
    size_t first = first_row(b, &u->name), rows = count_rows(b, first, &u->name);
    unsigned others = 0, all = 0;
    for (size_t i = first; i < first + rows; i++) {
        const struct build_endpoint *row = b->row[i].from;
        if (!is_of(b, row, u)) continue;
        all++;
        others += row->origin != ORIGIN_DEFAULT && !is_alike(row, protocol);
    }
    if (others == 0) return;
    bool tcp = protocol == PROTOCOL_TCP;
    diag_warning(b->d, NULL,
                 "upstream \"%s\" is served as %s; %u of %u endpoints speak %s and are left out",
                 u->name.text, tcp ? "tcp" : "http", others, all, tcp ? "http" : "tcp");
}

/* False: the row is none of this upstream's endpoints. */
static bool build_endpoint(const struct build *b, const struct build_row *r,
                           const struct config_upstream *u, enum service_protocol protocol,
                           struct snapshot_endpoint *to)
{
    const struct build_endpoint *row = r->from;
    if (!is_alike(row, protocol) || !is_of(b, row, u)) return false;
    const struct snapshot_service *local =
        row->self ? snapshot_service(b->s, span_str(row->service.text)) : NULL;
    uint32_t weight = row->weight > WEIGHT_MAX ? WEIGHT_MAX : row->weight;
    *to = (struct snapshot_endpoint){
        .id = r->id,
        .node = row->node,
        .addr = row->addr,
        .expect = spiffe_of(b, IDENTITY_SERVICE, &row->service),
        .weight = weight > 0 ? weight : 1,
        .group = subset_group(u, row->tag, row->tag_count),
        .near = is_near(b, row),
        .status = row->status,
        .local_service = local != NULL ? (int32_t)(local - b->s->service) : -1,
    };
    return true;
}

static enum err build_endpoints(struct build *b, const struct config_upstream *from,
                                struct snapshot_upstream *to)
{
    size_t first = first_row(b, &to->name), rows = count_rows(b, first, &to->name), count = 0;
    struct snapshot_endpoint *endpoint = arena_array(&b->s->arena, rows, sizeof(*endpoint));
    if (endpoint == NULL) return ERR_NOMEM;
    for (size_t i = first; i < first + rows; i++) {
        if (!build_endpoint(b, &b->row[i], from, to->protocol, &endpoint[count])) continue;
        if (count > 0 && endpoint[count - 1].id == endpoint[count].id) continue;
        if (endpoint[count].weight > to->weight_max) to->weight_max = endpoint[count].weight;
        to->weight_total += endpoint[count].weight;
        count++;
    }
    to->endpoint = endpoint;
    to->endpoint_count = count;
    warn_of_others(b, from, to->protocol);
    return ERR_OK;
}

static enum err build_table(struct build *b, struct snapshot_upstream *to)
{
    bool ring = to->balance == BALANCE_RING;
    if (!ring && to->balance != BALANCE_HASH) return ERR_OK;
    struct lb_table_entry *entry = calloc(to->endpoint_count + 1, sizeof(*entry));
    if (entry == NULL) return ERR_NOMEM;
    for (size_t i = 0; i < to->endpoint_count; i++)
        entry[i] = (struct lb_table_entry){to->endpoint[i].id, to->endpoint[i].weight};
    enum err err = ring ? lb_table_ring(entry, to->endpoint_count, &b->s->arena, &to->table)
                        : lb_table_maglev(entry, to->endpoint_count, &b->s->arena, &to->table);
    free(entry);
    return err;
}

static enum err build_affinity(struct build *b, const struct config_upstream *from,
                               struct snapshot_upstream *to)
{
    to->affinity.kind = from->affinity.kind;
    if (from->affinity.name == NULL) return ERR_OK;
    to->affinity.name = arena_dup(&b->s->arena, from->affinity.name, strlen(from->affinity.name));
    return to->affinity.name != NULL ? ERR_OK : ERR_NOMEM;
}

static uint64_t resets_of(const struct build *b, const struct name *service)
{
    for (size_t i = 0; i < b->in->reset_count; i++)
        if (name_eq(&b->in->reset[i].service, service)) return b->in->reset[i].count;
    return 0;
}

static enum err build_upstream(struct build *b, const struct config_upstream *from,
                               struct snapshot_upstream *to)
{
    to->name = from->name;
    to->id = stable_hash("upstream", 8, from->name.text, strlen(from->name.text));
    to->as = from->as;
    to->identity = identity_of(b, &from->as);
    to->protocol = upstream_protocol(b, from);
    to->connect = from->connect;
    to->balance = from->balance;
    to->retry = from->retry;
    to->eject = from->eject;
    to->resets = resets_of(b, &from->name);
    to->try_timeout_ms = from->try_timeout_ms;
    to->connect_timeout_ms = from->connect_timeout_ms;
    to->request_timeout_ms = from->request_timeout_ms;
    to->idle_timeout_ms = from->idle_timeout_ms;
    if (from->learn && to->protocol == PROTOCOL_TCP) {
        /* As the loader has it for who says tcp. */
        to->idle_timeout_ms = from->tcp_idle_timeout_ms;
        to->retry.on_reset = to->retry.on_timeout = to->retry.on_5xx = false;
        to->retry.status_count = 0;
        to->try_timeout_ms = 0;
    }
    to->slow_start_ms = from->slow_start_ms;
    uint64_t self = stable_hash("node", 4, b->in->node_id.byte, sizeof(b->in->node_id.byte));
    enum err err = build_endpoints(b, from, to);
    if (err == ERR_OK) err = subset_build(from, self, &b->s->arena, to);
    if (err == ERR_OK) err = build_table(b, to);
    if (err == ERR_OK) err = build_affinity(b, from, to);
    if (err != ERR_OK) return err;
    struct filter_config config = {.direction = DIRECTION_OUTBOUND, .retry = &to->retry};
    return registry_compile(&config, &b->s->arena, to->filter, &to->filter_count, b->d);
}

static int upstream_cmp(const void *a, const void *b)
{
    const struct config_upstream *const *x = a, *const *y = b;
    return strcmp((*x)->name.text, (*y)->name.text);
}

static enum err build_upstreams(struct build *b)
{
    const struct config *config = b->in->config;
    size_t count = config->upstream_count;
    const struct config_upstream **from = arena_array(&b->s->arena, count, sizeof(*from));
    struct snapshot_upstream *to = arena_array(&b->s->arena, count, sizeof(*to));
    if (from == NULL || to == NULL) return ERR_NOMEM;
    b->s->upstream = to;
    b->s->upstream_count = count;
    for (size_t i = 0; i < count; i++)
        from[i] = &config->upstream[i];
    qsort(from, count, sizeof(*from), upstream_cmp);
    for (size_t i = 0; i < count; i++) {
        enum err err = build_upstream(b, from[i], &to[i]);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

/* --- Listeners --- */

/* Exact names first, then the longest ending: the first that fits is the best. */
static int sni_cmp(const void *a, const void *b)
{
    const struct snapshot_sni *x = a, *y = b;
    bool x_any = x->name.p[0] == '*', y_any = y->name.p[0] == '*';
    if (x_any != y_any) return x_any ? 1 : -1;
    if (x->name.len != y->name.len) return x->name.len > y->name.len ? -1 : 1;
    return span_cmp(x->name, y->name);
}

/* The names of all upstreams that share this listener. */
static enum err build_sni(struct build *b, struct snapshot_listener *to)
{
    const struct config *c = b->in->config;
    size_t count = 0;
    for (size_t i = 0; i < c->upstream_count; i++)
        if (c->upstream[i].sni != NULL && addr_target_eq(&c->upstream[i].listen, &to->at))
            count += c->upstream[i].sni_count;
    struct snapshot_sni *row = arena_array(&b->s->arena, count, sizeof(*row));
    if (row == NULL) return ERR_NOMEM;
    to->sni = row;
    for (size_t i = 0; i < c->upstream_count; i++) {
        const struct config_upstream *u = &c->upstream[i];
        if (u->sni == NULL || !addr_target_eq(&u->listen, &to->at)) continue;
        const struct snapshot_upstream *upstream = snapshot_upstream(b->s, span_str(u->name.text));
        CHECK(upstream != NULL);
        for (uint32_t j = 0; j < u->sni_count; j++) {
            struct span name = arena_span(&b->s->arena, span_str(u->sni[j]));
            if (name.p == NULL) return ERR_NOMEM;
            row[to->sni_count++] =
                (struct snapshot_sni){name, (int32_t)(upstream - b->s->upstream)};
        }
    }
    qsort(row, count, sizeof(*row), sni_cmp);
    return ERR_OK;
}

static enum err build_listener(struct build *b, const struct build_listener *from,
                               struct snapshot_listener *to)
{
    char text[ADDR_TEXT_MAX];
    uint32_t kind = from->kind;
    addr_target_format(&from->at, text);
    *to = (struct snapshot_listener){.id = stable_hash(&kind, sizeof(kind), text, strlen(text)),
                                     .kind = from->kind,
                                     .at = from->at,
                                     .upstream = -1,
                                     .proxy_protocol = from->proxy_protocol,
                                     .fd = from->fd};
    if (from->kind == LISTENER_MESH) return ERR_OK;
    if (from->kind == LISTENER_TLS) return build_sni(b, to);
    const struct snapshot_upstream *upstream =
        from->upstream != NULL ? snapshot_upstream(b->s, span_str(from->upstream->text)) : NULL;
    if (upstream == NULL) {
        diag_error(b->d, NULL, "the listener %s is for no upstream of the configuration", text);
        return ERR_INVALID;
    }
    to->upstream = (int32_t)(upstream - b->s->upstream);
    /* The id stays: what is learned is about the next connection to the same socket. */
    if (from->kind == LISTENER_HTTP && upstream->protocol == PROTOCOL_TCP) to->kind = LISTENER_TCP;
    return ERR_OK;
}

static enum err build_listeners(struct build *b)
{
    size_t count = b->in->listener_count;
    struct snapshot_listener *to = arena_array(&b->s->arena, count, sizeof(*to));
    if (to == NULL) return ERR_NOMEM;
    b->s->listener = to;
    for (size_t i = 0; i < count; i++) {
        enum err err = build_listener(b, &b->in->listener[i], &to[i]);
        if (err != ERR_OK) return err;
        if (b->in->listener[i].tls != NULL) to[i].tls = tls_cert_ref(b->in->listener[i].tls);
        b->s->listener_count++;
    }
    return ERR_OK;
}

static void build_head(struct build *b)
{
    const struct build_input *in = b->in;
    const struct config *config = in->config;
    struct snapshot *s = b->s;
    s->magic = SNAPSHOT_MAGIC;
    s->refs = 1;
    s->generation = in->generation;
    arena_init(&s->arena, BUILD_CHUNK_BYTES, SNAPSHOT_BYTES_MAX);
    s->mesh = config->node.mesh;
    s->node = config->node.name;
    s->node_spiffe = spiffe_of(b, IDENTITY_NODE, &config->node.name);
    s->node_identity = identity_of(b, &s->node_spiffe);
    s->trust = in->trust != NULL ? identity_trust_ref(in->trust) : NULL;
    s->access_only = config->log.access_only;
    s->access_query = config->log.access_query;
    s->workers = in->workers > 0 ? in->workers : 1;
    s->bounds = config->bounds;
    s->memory_bytes = s->bounds.memory_bytes != 0 ? s->bounds.memory_bytes : in->memory_bytes;
    s->draining = in->draining;
    s->deaf = in->deaf;
}

enum err build_snapshot(const struct build_input *in, struct diag *d, struct snapshot **out)
{
    struct build b = {.in = in, .d = d, .s = calloc(1, sizeof(*b.s))};
    if (b.s == NULL) return ERR_NOMEM;
    build_head(&b);
    enum err err = sort_rows(&b);
    if (err == ERR_OK) err = build_services(&b);
    if (err == ERR_OK) err = build_upstreams(&b);
    if (err == ERR_OK) err = build_listeners(&b);
    free(b.row);
    if (err != ERR_OK) {
        snapshot_free(b.s);
        return err;
    }
    *out = b.s;
    return ERR_OK;
}
