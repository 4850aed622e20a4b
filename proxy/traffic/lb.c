#include "proxy/traffic/lb.h"

#include "core/base/check.h"
#include "core/base/hash.h"

#define RANK_BEST 0u
#define RANK_NONE 12u
#define DRAWS_MAX 8u
#define PERCENT   100u
#define PERMILLE  1000u
/* At equal load an endpoint that takes so many times as long loses; less is noise. Not where nobody
 * waits: an idle service is to see its weights. */
#define LATENCY_TELLS    2u
#define LATENCY_NOISE_NS 1000000u
/* Of peak-ewma: the grain of a wait, and what a latency counts for at most, so that their product
 * fits. */
#define WAIT_UNIT   16u
#define PEAK_US_MAX (UINT64_C(1) << 25)
/* Weights are counted in fine units, so that a slow start of weight 1 has steps too. */
#define WEIGHT_UNIT      64u
#define SLOW_START_TENTH 10u
/* Of the hash policies: places looked at, and requests in flight at one endpoint that are too few
 * to speak of a share. */
#define HASH_STEPS_MAX 512u
#define SHARE_LEAST    8u

struct pick {
    const struct lb_request *req;
    const struct snapshot_upstream *upstream;
    const struct snapshot_endpoint *endpoint; /* of the upstream */
    struct endpoint_state *const *state;      /* beside them */
    const struct snapshot_pool *whole;        /* what its pool is a slice of */
    uint32_t group;
    bool far;
};

/* The candidates of one pick: all untried endpoints of the best rank. */
struct field {
    const struct snapshot_pool *pool; /* in this one */
    unsigned rank;
    size_t count;
    uint64_t weight, weight_max; /* sum, and the largest */
    size_t first;                /* place in the pool of the first of them */
};

static bool was_tried(const struct lb_request *req, uint64_t id)
{
    for (size_t i = 0; i < req->tried_count; i++)
        if (req->tried[i] == id) return true;
    return false;
}

static uint64_t weight_of(const struct pick *p, size_t i)
{
    uint32_t stated = p->endpoint[i].weight;
    uint64_t weight = (stated > 0 ? stated : 1) * (uint64_t)WEIGHT_UNIT;
    uint64_t from_ms = p->state[i]->warm_from_ms, slow_ms = p->upstream->slow_start_ms;
    if (from_ms == 0 || p->req->now_ms >= from_ms + slow_ms) return weight;
    uint64_t age_ms = p->req->now_ms - from_ms;
    if (age_ms < slow_ms / SLOW_START_TENTH) age_ms = slow_ms / SLOW_START_TENTH;
    weight = weight * age_ms / slow_ms;
    return weight > 0 ? weight : 1;
}

/* Lower is better, as drawn in the header. */
static unsigned rank_of(const struct pick *p, size_t i)
{
    unsigned rank = RANK_NONE;
    if (was_tried(p->req, p->endpoint[i].id)) return RANK_NONE;
    switch (p->endpoint[i].status) {
    case ENDPOINT_UP:
        rank = RANK_BEST;
        break;
    case ENDPOINT_DOWN:
    case ENDPOINT_UNREACHABLE:
        rank = p->upstream->panic ? RANK_BEST : 4;
        break;
    case ENDPOINT_DRAINING:
        rank = 8;
        break;
    }
    if (p->req->now_ms < p->state[i]->avoid_until_ms ||
        !circuit_ready(&p->state[i]->circuit, p->req->now_ms))
        rank += 2;
    return p->endpoint[i].group == p->group ? rank : rank + 1;
}

static size_t pool_at(const struct snapshot_pool *pool, size_t place)
{
    return pool->at != NULL ? pool->at[place] : place;
}

static struct field survey(const struct pick *p, const struct snapshot_pool *pool)
{
    struct field field = {.pool = pool, .rank = RANK_NONE};
    for (size_t i = 0; i < pool->count; i++) {
        unsigned rank = rank_of(p, pool_at(pool, i));
        if (rank > field.rank || rank == RANK_NONE) continue;
        if (rank < field.rank) field = (struct field){.pool = pool, .rank = rank, .first = i};
        uint64_t weight = weight_of(p, pool_at(pool, i));
        field.count++;
        field.weight += weight;
        if (weight > field.weight_max) field.weight_max = weight;
    }
    return field;
}

/* In the pool when someone there is up and well, else in what it is a slice of, else among all. */
static struct field survey_wide(const struct pick *p, const struct snapshot_pool *pool,
                                const struct snapshot_pool *all)
{
    struct field field = survey(p, pool);
    if (field.rank != RANK_BEST && pool->count < p->whole->count) field = survey(p, p->whole);
    return field.rank == RANK_BEST || pool->at == NULL ? field : survey(p, all);
}

/* The candidate under `point` of the weights laid end to end, `skip` left out. */
static size_t candidate_at(const struct pick *p, const struct field *field, uint64_t point,
                           size_t skip)
{
    size_t last = pool_at(field->pool, field->first);
    for (size_t i = field->first; i < field->pool->count; i++) {
        size_t at = pool_at(field->pool, i);
        if (at == skip || rank_of(p, at) != field->rank) continue;
        uint64_t weight = weight_of(p, at);
        if (point < weight) return at;
        point -= weight;
        last = at;
    }
    return last;
}

/* A draw by weight without looking at every endpoint: a uniform one is kept with the probability
 * weight / weight_max, and only if its rank is the best there is. False: no luck, survey them all.
 */
static bool draw(const struct pick *p, const struct snapshot_pool *pool, size_t skip, size_t *out)
{
    uint64_t weight_max = (uint64_t)pool->weight_max * WEIGHT_UNIT;
    for (unsigned i = 0; i < DRAWS_MAX; i++) {
        size_t at = pool_at(pool, (size_t)rng_below(p->req->rng, pool->count));
        if (at == skip || rank_of(p, at) != RANK_BEST) continue;
        uint64_t weight = weight_of(p, at);
        if (weight < weight_max && rng_below(p->req->rng, weight_max) >= weight) continue;
        *out = at;
        return true;
    }
    return false;
}

/* How many requests one more would wait for there, itself included, in sixteenths; a smaller weight
 * makes others count for more, but not itself: an idle service is to see its weights, which the
 * draws have. At most 2^38: load has 17 bits, a weight 16. */
static uint64_t waits_for(const struct pick *p, size_t at, uint64_t weight_max)
{
    uint64_t load = endpoint_state_load(p->state[at], p->req->now_ms);
    return load * weight_max * WAIT_UNIT / weight_of(p, at) + WAIT_UNIT;
}

static uint64_t peak_us(const struct pick *p, size_t at)
{
    uint64_t us = endpoint_state_peak_ns(p->state[at], p->req->now_ms) / 1000;
    return us < PEAK_US_MAX ? us : PEAK_US_MAX;
}

/* What one more request would wait. A newcomer without a latency is judged by load, or it would get
 * everything until its first answer. */
static size_t sooner_done(const struct pick *p, size_t a, size_t b)
{
    uint64_t weight_a = weight_of(p, a), weight_b = weight_of(p, b);
    uint64_t weight_max = weight_a > weight_b ? weight_a : weight_b;
    uint64_t cost_a = waits_for(p, a, weight_max), cost_b = waits_for(p, b, weight_max);
    uint64_t peak_a = peak_us(p, a), peak_b = peak_us(p, b);
    if (peak_a > 0 && peak_b > 0) {
        cost_a *= peak_a;
        cost_b *= peak_b;
    }
    return cost_b < cost_a ? b : a;
}

static size_t less_loaded(const struct pick *p, size_t a, size_t b)
{
    uint64_t now_ms = p->req->now_ms;
    /* load / weight compared without division: the factors fit 32 bits. */
    uint64_t load_a = endpoint_state_load(p->state[a], now_ms) * weight_of(p, b);
    uint64_t load_b = endpoint_state_load(p->state[b], now_ms) * weight_of(p, a);
    if (load_a != load_b) return load_b < load_a ? b : a;
    if (load_a == 0) return a;
    uint64_t mean_a = endpoint_state_mean_ns(p->state[a], now_ms);
    uint64_t mean_b = endpoint_state_mean_ns(p->state[b], now_ms);
    return mean_b > 0 && mean_a > mean_b * LATENCY_TELLS + LATENCY_NOISE_NS ? b : a;
}

static size_t better(const struct pick *p, size_t a, size_t b)
{
    bool by_latency = p->req->upstream->balance == BALANCE_PEAK_EWMA;
    return by_latency ? sooner_done(p, a, b) : less_loaded(p, a, b);
}

static enum err least_loaded(const struct pick *p, const struct snapshot_pool *pool,
                             const struct snapshot_pool *all, size_t *out)
{
    size_t none = SIZE_MAX, a = none, b = none;
    bool lucky = draw(p, pool, none, &a);
    if (lucky && pool->count > 1 && draw(p, pool, a, &b)) {
        *out = better(p, a, b);
        return ERR_OK;
    }
    struct field field = survey_wide(p, pool, all);
    if (field.count == 0) return ERR_NO_ENDPOINT;
    if (!lucky) a = candidate_at(p, &field, rng_below(p->req->rng, field.weight), none);
    uint64_t rest = field.weight - weight_of(p, a);
    b = rest > 0 ? candidate_at(p, &field, rng_below(p->req->rng, rest), a) : a;
    *out = better(p, a, b);
    return ERR_OK;
}

/* Whether its turn has come: the one of the largest weight is due whenever it is passed, one of a
 * third of that every third time, from a moment by lot on. */
static bool is_due(const struct pick *p, size_t at, uint64_t weight_max)
{
    struct endpoint_state *e = p->state[at];
    uint64_t weight = weight_of(p, at);
    if (e->picks_total == 0 && e->turn_credit == 0 && weight < weight_max)
        e->turn_credit = rng_below(p->req->rng, weight_max);
    e->turn_credit += weight;
    if (e->turn_credit < weight_max) return false;
    /* The largest weight may have become smaller since. */
    e->turn_credit -= weight_max;
    if (e->turn_credit >= weight_max) e->turn_credit = 0;
    return true;
}

/* Once round from where the last pick was made. False: nobody of that rank was due. */
static bool next_in_turn(const struct pick *p, const struct snapshot_pool *pool, unsigned rank,
                         uint64_t weight_max, size_t *out)
{
    uint32_t *turn = &view_edge(p->req->view, p->upstream)->turn[p->group * 2 + p->far];
    uint32_t place = *turn > 0 ? *turn : (uint32_t)rng_below(p->req->rng, pool->count);
    for (uint32_t i = 0; i < pool->count; i++, place++) {
        if (place >= pool->count) place = 0;
        size_t at = pool_at(pool, place);
        if (rank_of(p, at) != rank || !is_due(p, at, weight_max)) continue;
        *turn = place + 1;
        *out = at;
        return true;
    }
    return false;
}

static enum err round_robin(const struct pick *p, const struct snapshot_pool *pool,
                            const struct snapshot_pool *all, size_t *out)
{
    uint64_t weight_max = (uint64_t)pool->weight_max * WEIGHT_UNIT;
    if (next_in_turn(p, pool, RANK_BEST, weight_max, out)) return ERR_OK;
    struct field field = survey_wide(p, pool, all);
    if (field.count == 0) return ERR_NO_ENDPOINT;
    /* The one of the largest weight among them is due. */
    bool found = next_in_turn(p, field.pool, field.rank, field.weight_max, out);
    CHECK(found);
    return ERR_OK;
}

/* --- hash policies --- */

/* Whether one more would be over 5/4 of its share of all in flight, rounded up. */
static bool over_share(const struct pick *p, size_t at)
{
    uint64_t mine = p->state[at]->in_flight + 1ull, all = 1;
    if (mine <= SHARE_LEAST) return false;
    uint64_t enough = (mine - 1) * 4 * p->upstream->weight_total / p->endpoint[at].weight;
    for (size_t i = 0; i < p->upstream->endpoint_count; i++) {
        all += p->state[i]->in_flight;
        if (all * 5 > enough) return false;
    }
    return true;
}

static bool by_hash(const struct pick *p, size_t *out)
{
    const struct lb_table *t = &p->upstream->table;
    bool found = false;
    if (!p->req->hashed || t->count == 0) return false;
    uint32_t place = lb_table_place(t, p->req->hash);
    for (uint32_t step = 0; step < HASH_STEPS_MAX; step++) {
        size_t at = lb_table_at(t, place, step);
        if (rank_of(p, at) != RANK_BEST) continue;
        if (!found) *out = at;
        found = true;
        if (over_share(p, at)) continue;
        *out = at;
        break;
    }
    return found;
}

/* --- which endpoints --- */

/* By lot; of hash policies by the hash, so that whoever sees the new version goes on seeing it. */
static uint32_t group_of(const struct pick *p)
{
    const struct snapshot_upstream *u = p->upstream;
    if (u->group_count < 2) return 0;
    uint64_t point =
        p->req->hashed ? hash_mix(p->req->hash) % PERCENT : rng_below(p->req->rng, PERCENT);
    for (uint32_t g = 1; g < u->group_count; g++) {
        if (point < u->group[g].percent) return g;
        point -= u->group[g].percent;
    }
    return 0;
}

static const struct snapshot_pool *pool_of(struct pick *p, const struct snapshot_pool *all)
{
    if (p->upstream->group_count == 0) return all;
    const struct snapshot_group *g = &p->upstream->group[p->group];
    bool near = g->near_permille == PERMILLE || rng_below(p->req->rng, PERMILLE) < g->near_permille;
    const struct snapshot_pool *first = near ? &g->near : &g->far;
    const struct snapshot_pool *second = near ? &g->far : &g->near;
    p->far = near == (first->count == 0);
    if (first->count > 0) return first;
    return second->count > 0 ? second : all;
}

static struct snapshot_pool slice_of(const struct lb_request *req, const struct snapshot_pool *pool)
{
    if (!pool->cut || req->workers < 2) return *pool;
    uint32_t count = (pool->count + req->workers - 1) / req->workers;
    if (count < LB_SLICE_MIN) count = LB_SLICE_MIN;
    if (count > pool->count) count = pool->count;
    uint32_t from = (uint32_t)((uint64_t)pool->count * req->worker / req->workers);
    if (from > pool->count - count) from = pool->count - count;
    return (struct snapshot_pool){
        .at = pool->at + from, .count = count, .weight_max = pool->weight_max};
}

enum err lb_pick(const struct lb_request *req, size_t *out)
{
    const struct snapshot_upstream *u = req->upstream;
    struct pick p = {
        .req = req, .upstream = u, .endpoint = u->endpoint, .state = view_endpoints(req->view, u)};
    struct snapshot_pool all = {.count = (uint32_t)u->endpoint_count, .weight_max = u->weight_max};
    enum err err = ERR_OK;
    size_t at = 0;
    CHECK(req->tried_count <= LB_TRIED_MAX);
    if (all.count == 0) return ERR_NO_ENDPOINT;
    p.group = group_of(&p);
    if (!by_hash(&p, &at)) {
        p.whole = pool_of(&p, &all);
        const struct snapshot_pool slice = slice_of(req, p.whole);
        bool in_turn = u->balance == BALANCE_ROUND_ROBIN;
        err = in_turn ? round_robin(&p, &slice, &all, &at) : least_loaded(&p, &slice, &all, &at);
    }
    if (err != ERR_OK) return err;
    p.state[at]->picks_total++;
    *out = at;
    return ERR_OK;
}
