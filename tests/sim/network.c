#include "tests/sim/network.h"

#include <math.h>
#include <stdlib.h>

#define BASE_US         300.0
#define JITTER_US       200.0 /* its median */
#define JITTER_SIGMA    0.6
#define HELD_BACK_US    20000u
#define DUPLICATE_SHARE 0.001
#define REORDER_SHARE   0.005
#define RESENDS_MAX     6u
#define TWO_PI          6.283185307179586

bool network_init(struct network *n, uint32_t nodes, uint64_t seed, double loss)
{
    *n = (struct network){
        .nodes = nodes, .loss = loss, .duplicate = DUPLICATE_SHARE, .reorder = REORDER_SHARE};
    rng_seed(&n->rng, seed);
    n->group = calloc(nodes, sizeof(n->group[0]));
    return n->group != NULL;
}

void network_fini(struct network *n)
{
    free(n->group);
    n->group = NULL;
}

bool network_blocked(const struct network *n, uint32_t from, uint32_t to)
{
    if (!n->cut || n->group[from] == n->group[to]) return false;
    return !n->one_way || n->group[from] == 0;
}

/* Box and Muller 1958. */
static double normal(struct rng *r)
{
    double u = 1.0 - rng_unit(r);
    return sqrt(-2.0 * log(u)) * cos(TWO_PI * rng_unit(r));
}

uint64_t network_latency_us(struct network *n)
{
    return (uint64_t)(BASE_US + JITTER_US * exp(JITTER_SIGMA * normal(&n->rng)));
}

static uint64_t one_delay(struct network *n)
{
    uint64_t us = network_latency_us(n);
    if (rng_unit(&n->rng) < n->reorder) us += rng_below(&n->rng, HELD_BACK_US);
    return us;
}

unsigned network_datagram(struct network *n, uint32_t from, uint32_t to, uint64_t delay_us[2])
{
    if (network_blocked(n, from, to) || rng_unit(&n->rng) < n->loss) return 0;
    delay_us[0] = one_delay(n);
    if (rng_unit(&n->rng) >= n->duplicate) return 1;
    delay_us[1] = one_delay(n);
    return 2;
}

uint64_t network_segment(struct network *n, uint64_t rto_us)
{
    uint64_t waited = 0;
    for (unsigned i = 0; i < RESENDS_MAX && rng_unit(&n->rng) < n->loss; i++) {
        waited += rto_us;
        rto_us *= 2;
    }
    return waited + network_latency_us(n);
}
