#include "proxy/traffic/lb.h"

#include "core/base/check.h"

#define RANK_BEST 0u
#define RANK_NONE 6u
#define DRAWS_MAX 8u
/* At equal load an endpoint that takes so many times as long loses; less is noise, and would take
 * the weights of an idle service away. */
#define LATENCY_TELLS    2u
#define LATENCY_NOISE_NS 1000000u

struct pick {
    const struct lb_request *req;
    const struct snapshot_endpoint *endpoint; /* of the upstream */
    struct endpoint_state *const *state;      /* beside them */
    size_t count;
};

/* The candidates of one pick: all untried endpoints of the best rank. */
struct field {
    unsigned rank;
    size_t count;
    uint64_t weight; /* sum */
    size_t first;    /* index of the first of them */
};

static bool was_tried(const struct lb_request *req, uint64_t id)
{
    for (size_t i = 0; i < req->tried_count; i++)
        if (req->tried[i] == id) return true;
    return false;
}

static uint64_t weight_of(const struct pick *p, size_t i)
{
    uint32_t weight = p->endpoint[i].weight;
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
        rank = 2;
        break;
    case ENDPOINT_DRAINING:
        rank = 4;
        break;
    }
    return p->req->now_ms < p->state[i]->avoid_until_ms ? rank + 1 : rank;
}

static struct field survey(const struct pick *p)
{
    struct field field = {.rank = RANK_NONE};
    for (size_t i = 0; i < p->count; i++) {
        unsigned rank = rank_of(p, i);
        if (rank > field.rank || rank == RANK_NONE) continue;
        if (rank < field.rank) field = (struct field){.rank = rank, .first = i};
        field.count++;
        field.weight += weight_of(p, i);
    }
    return field;
}

/* The candidate under `point` of the weights laid end to end, `skip` left out. */
static size_t candidate_at(const struct pick *p, const struct field *field, uint64_t point,
                           size_t skip)
{
    size_t last = field->first;
    for (size_t i = field->first; i < p->count; i++) {
        if (i == skip || rank_of(p, i) != field->rank) continue;
        uint64_t weight = weight_of(p, i);
        if (point < weight) return i;
        point -= weight;
        last = i;
    }
    return last;
}

/* A draw by weight without looking at every endpoint: a uniform one is kept with the probability
 * weight / weight_max, and only if its rank is the best there is. False: no luck, survey them all.
 */
static bool draw(const struct pick *p, size_t skip, size_t *out)
{
    uint64_t weight_max = p->req->upstream->weight_max;
    for (unsigned i = 0; i < DRAWS_MAX; i++) {
        size_t at = (size_t)rng_below(p->req->rng, p->count);
        uint64_t weight = weight_of(p, at);
        if (at == skip || rank_of(p, at) != RANK_BEST) continue;
        if (weight < weight_max && rng_below(p->req->rng, weight_max) >= weight) continue;
        *out = at;
        return true;
    }
    return false;
}

/* What one more request would wait. A newcomer without a latency is judged by load, or it would get
 * everything until its first answer. */
static size_t sooner_done(const struct pick *p, size_t a, size_t b)
{
    uint64_t now_ms = p->req->now_ms;
    uint64_t cost_a = endpoint_state_load(p->state[a], now_ms) + 1;
    uint64_t cost_b = endpoint_state_load(p->state[b], now_ms) + 1;
    uint64_t peak_a = endpoint_state_peak_ns(p->state[a], now_ms) / 1000;
    uint64_t peak_b = endpoint_state_peak_ns(p->state[b], now_ms) / 1000;
    if (peak_a > 0 && peak_b > 0) {
        cost_a *= peak_a;
        cost_b *= peak_b;
    }
    return cost_b * weight_of(p, a) < cost_a * weight_of(p, b) ? b : a;
}

static size_t less_loaded(const struct pick *p, size_t a, size_t b)
{
    uint64_t now_ms = p->req->now_ms;
    /* load / weight compared without division: the factors fit 32 bits. */
    uint64_t load_a = endpoint_state_load(p->state[a], now_ms) * weight_of(p, b);
    uint64_t load_b = endpoint_state_load(p->state[b], now_ms) * weight_of(p, a);
    if (load_a != load_b) return load_b < load_a ? b : a;
    uint64_t mean_a = endpoint_state_mean_ns(p->state[a], now_ms);
    uint64_t mean_b = endpoint_state_mean_ns(p->state[b], now_ms);
    return mean_b > 0 && mean_a > mean_b * LATENCY_TELLS + LATENCY_NOISE_NS ? b : a;
}

static size_t better(const struct pick *p, size_t a, size_t b)
{
    bool by_latency = p->req->upstream->balance == BALANCE_PEAK_EWMA;
    return by_latency ? sooner_done(p, a, b) : less_loaded(p, a, b);
}

static enum err least_loaded(const struct pick *p, size_t *out)
{
    size_t none = p->count, a = none, b = none;
    bool lucky = draw(p, none, &a);
    if (lucky && draw(p, a, &b)) {
        *out = better(p, a, b);
        return ERR_OK;
    }
    struct field field = survey(p);
    if (field.count == 0) return ERR_NO_ENDPOINT;
    if (!lucky) a = candidate_at(p, &field, rng_below(p->req->rng, field.weight), none);
    uint64_t rest = field.weight - weight_of(p, a);
    b = rest > 0 ? candidate_at(p, &field, rng_below(p->req->rng, rest), a) : a;
    *out = better(p, a, b);
    return ERR_OK;
}

static enum err round_robin(const struct pick *p, size_t *out)
{
    struct field field = survey(p);
    if (field.count == 0) return ERR_NO_ENDPOINT;
    size_t best = field.first;
    int64_t best_credit = INT64_MIN;
    uint64_t ties = 0;
    for (size_t i = field.first; i < p->count; i++) {
        if (rank_of(p, i) != field.rank) continue;
        struct endpoint_state *e = p->state[i];
        e->wrr_credit += (int64_t)weight_of(p, i);
        if (e->wrr_credit < best_credit) continue;
        ties = e->wrr_credit == best_credit ? ties + 1 : 1;
        best_credit = e->wrr_credit;
        if (ties == 1 || rng_below(p->req->rng, ties) == 0) best = i;
    }
    p->state[best]->wrr_credit -= (int64_t)field.weight;
    *out = best;
    return ERR_OK;
}

enum err lb_pick(const struct lb_request *req, size_t *out)
{
    struct pick p = {.req = req,
                     .endpoint = req->upstream->endpoint,
                     .state = view_endpoints(req->view, req->upstream),
                     .count = req->upstream->endpoint_count};
    size_t at = 0;
    CHECK(req->tried_count <= LB_TRIED_MAX);
    if (p.count == 0) return ERR_NO_ENDPOINT;
    bool in_turn = req->upstream->balance == BALANCE_ROUND_ROBIN;
    enum err err = in_turn ? round_robin(&p, &at) : least_loaded(&p, &at);
    if (err != ERR_OK) return err;
    p.state[at]->picks_total++;
    *out = at;
    return ERR_OK;
}
