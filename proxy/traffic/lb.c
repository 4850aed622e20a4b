#include "proxy/traffic/lb.h"

#include "core/base/check.h"

#define RANK_NONE 6u

/* The candidates of one pick: all untried endpoints of the best rank. */
struct field {
    unsigned rank;
    size_t count;
    uint64_t weight; /* sum */
    size_t first;    /* index of one of them */
};

static bool was_tried(const struct lb_request *req, uint64_t id)
{
    for (size_t i = 0; i < req->tried_count; i++)
        if (req->tried[i] == id) return true;
    return false;
}

static const struct endpoint_state *state_of(const struct lb_request *req, size_t i)
{
    return view_endpoint(req->view, req->upstream, i);
}

static uint64_t weight_of(const struct lb_request *req, size_t i)
{
    uint32_t weight = req->upstream->endpoint[i].weight;
    return weight > 0 ? weight : 1;
}

/* Lower is better, as drawn in the header. */
static unsigned rank_of(const struct lb_request *req, size_t i)
{
    const struct snapshot_endpoint *e = &req->upstream->endpoint[i];
    unsigned rank = RANK_NONE;
    if (was_tried(req, e->id)) return RANK_NONE;
    switch (e->status) {
    case ENDPOINT_UP:
        rank = 0;
        break;
    case ENDPOINT_DOWN:
    case ENDPOINT_UNREACHABLE:
        rank = 2;
        break;
    case ENDPOINT_DRAINING:
        rank = 4;
        break;
    }
    return req->now_ms < state_of(req, i)->avoid_until_ms ? rank + 1 : rank;
}

static struct field survey(const struct lb_request *req)
{
    struct field field = {.rank = RANK_NONE};
    for (size_t i = 0; i < req->upstream->endpoint_count; i++) {
        unsigned rank = rank_of(req, i);
        if (rank > field.rank || rank == RANK_NONE) continue;
        if (rank < field.rank) field = (struct field){.rank = rank, .first = i};
        field.count++;
        field.weight += weight_of(req, i);
    }
    return field;
}

/* The candidate under `point` of the weights laid end to end, `skip` left out. */
static size_t candidate_at(const struct lb_request *req, const struct field *field, uint64_t point,
                           size_t skip)
{
    size_t last = field->first;
    for (size_t i = field->first; i < req->upstream->endpoint_count; i++) {
        if (i == skip || rank_of(req, i) != field->rank) continue;
        uint64_t weight = weight_of(req, i);
        if (point < weight) return i;
        point -= weight;
        last = i;
    }
    return last;
}

static size_t least_loaded(const struct lb_request *req, const struct field *field)
{
    size_t none = req->upstream->endpoint_count;
    size_t a = candidate_at(req, field, rng_below(req->rng, field->weight), none);
    uint64_t rest = field->weight - weight_of(req, a);
    size_t b = candidate_at(req, field, rng_below(req->rng, rest), a);
    /* in_flight / weight compared without division: both fit 32 bits. */
    uint64_t load_a = state_of(req, a)->in_flight * weight_of(req, b);
    uint64_t load_b = state_of(req, b)->in_flight * weight_of(req, a);
    return load_b < load_a ? b : a;
}

static size_t round_robin(const struct lb_request *req, const struct field *field)
{
    size_t best = field->first;
    int64_t best_credit = INT64_MIN;
    uint64_t ties = 0;
    for (size_t i = field->first; i < req->upstream->endpoint_count; i++) {
        if (rank_of(req, i) != field->rank) continue;
        struct endpoint_state *e = view_endpoint(req->view, req->upstream, i);
        e->wrr_credit += (int64_t)weight_of(req, i);
        if (e->wrr_credit < best_credit) continue;
        ties = e->wrr_credit == best_credit ? ties + 1 : 1;
        best_credit = e->wrr_credit;
        if (ties == 1 || rng_below(req->rng, ties) == 0) best = i;
    }
    view_endpoint(req->view, req->upstream, best)->wrr_credit -= (int64_t)field->weight;
    return best;
}

enum err lb_pick(const struct lb_request *req, size_t *out)
{
    CHECK(req->tried_count <= LB_TRIED_MAX);
    struct field field = survey(req);
    if (field.count == 0) return ERR_NO_ENDPOINT;
    size_t pick = field.first;
    if (field.count > 1)
        pick = req->upstream->balance == BALANCE_ROUND_ROBIN ? round_robin(req, &field)
                                                             : least_loaded(req, &field);
    view_endpoint(req->view, req->upstream, pick)->picks_total++;
    *out = pick;
    return ERR_OK;
}
