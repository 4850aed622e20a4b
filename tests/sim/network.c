#include "tests/sim/network.h"

#include "tests/sim/wide.h"

#include <math.h>
#include <stdlib.h>

#define BASE_US         300.0
#define JITTER_US       200.0 /* its median */
#define JITTER_SIGMA    0.6
#define HELD_BACK_US    20000u
#define DUPLICATE_SHARE 0.001
#define REORDER_SHARE   0.005
#define RESENDS_MAX     8u
#define QUEUE_US        200000u /* what a slow line buffers */
#define TWO_PI          6.283185307179586

bool network_init(struct network *n, uint32_t nodes, uint64_t seed, double loss)
{
    *n = (struct network){.nodes = nodes,
                          .profile = {.base_us = BASE_US,
                                      .jitter_us = JITTER_US,
                                      .sigma = JITTER_SIGMA,
                                      .loss = loss,
                                      .duplicate = DUPLICATE_SHARE,
                                      .reorder = REORDER_SHARE,
                                      .mtu = NETWORK_MTU_BYTES}};
    rng_seed(&n->rng, seed);
    n->node = calloc(nodes, sizeof(n->node[0]));
    return n->node != NULL;
}

void network_fini(struct network *n)
{
    free(n->node);
    n->node = NULL;
}

bool network_is_split(const struct network *n, uint32_t a, uint32_t b)
{
    return n->splits > 0 && n->node[a].group != n->node[b].group;
}

static bool out_of_sight(const struct network *n, uint32_t a, uint32_t b)
{
    uint32_t ahead = (b + n->nodes - a) % n->nodes;
    return n->node[a].sees > 0 && ahead > n->node[a].sees;
}

bool network_blocked(const struct network *n, uint64_t now_us, uint32_t from, uint32_t to)
{
    if (network_is_split(n, from, to)) return true;
    for (size_t i = 0; i < n->blocked_count; i++)
        if (n->blocked[i].from == from && n->blocked[i].to == to) return true;
    if (n->unsteady == 0) return false;
    const struct network_node *receiver = &n->node[to];
    if (n->node[from].mute || receiver->deaf) return true;
    if (out_of_sight(n, from, to) || out_of_sight(n, to, from)) return true;
    return receiver->flip_us > 0 &&
           ((now_us - receiver->flip_from_us) / receiver->flip_us) % 2 == 0;
}

void network_block(struct network *n, uint32_t from, uint32_t to)
{
    if (n->blocked_count == NETWORK_BLOCKED_MAX) return;
    n->blocked[n->blocked_count].from = from;
    n->blocked[n->blocked_count++].to = to;
}

void network_unblock(struct network *n, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < n->blocked_count; i++) {
        if (n->blocked[i].from != from || n->blocked[i].to != to) continue;
        n->blocked[i] = n->blocked[--n->blocked_count];
        return;
    }
}

/* Box and Muller 1958. */
static double normal(struct rng *r)
{
    double u = 1.0 - rng_unit(r);
    return sqrt(-2.0 * log(u)) * cos(TWO_PI * rng_unit(r));
}

uint64_t network_latency_us(struct network *n, uint32_t from, uint32_t to)
{
    uint64_t extra = (uint64_t)n->node[from].extra_us + n->node[to].extra_us;
    if (n->profile.wide) extra += (uint64_t)wide_one_way_us(from, to);
    return extra + (uint64_t)(n->profile.base_us +
                              n->profile.jitter_us * exp(n->profile.sigma * normal(&n->rng)));
}

static uint64_t one_delay(struct network *n, const struct network_packet *p)
{
    uint64_t us = network_latency_us(n, p->from, p->to);
    if (rng_unit(&n->rng) < n->profile.reorder) us += rng_below(&n->rng, HELD_BACK_US);
    return us;
}

static bool is_lost(struct network *n, const struct network_packet *p)
{
    double arrives = 1.0 - n->profile.loss;
    if (n->unsteady > 0)
        arrives *= (1.0 - n->node[p->from].loss_out) * (1.0 - n->node[p->to].loss_in);
    if (rng_unit(&n->rng) < arrives) return false;
    n->lost++;
    return true;
}

/* False: the line's buffer is full. */
static bool queue(struct network *n, const struct network_packet *p, uint64_t *waits_us)
{
    struct network_node *from = &n->node[p->from];
    *waits_us = 0;
    if (from->rate == 0) return true;
    if (from->free_us < p->now_us) from->free_us = p->now_us;
    if (from->free_us - p->now_us > QUEUE_US) {
        n->dropped_queue++;
        return false;
    }
    from->free_us += (uint64_t)p->bytes * 1000000 / from->rate;
    *waits_us = from->free_us - p->now_us;
    return true;
}

unsigned network_datagram(struct network *n, const struct network_packet *p, uint64_t delay_us[2])
{
    uint64_t waits_us;
    if (p->bytes > n->profile.mtu) {
        n->dropped_mtu++;
        return 0;
    }
    if (!queue(n, p, &waits_us)) return 0;
    if (network_blocked(n, p->now_us, p->from, p->to) || is_lost(n, p)) return 0;
    delay_us[0] = waits_us + one_delay(n, p);
    if (rng_unit(&n->rng) >= n->profile.duplicate) return 1;
    delay_us[1] = waits_us + one_delay(n, p);
    return 2;
}

bool network_segment(struct network *n, const struct network_packet *p, uint64_t rto_us,
                     uint64_t *takes_us)
{
    uint64_t waited = 0;
    unsigned sent = 1;
    for (; is_lost(n, p) && sent < RESENDS_MAX; sent++) {
        waited += rto_us;
        rto_us *= 2;
    }
    if (n->node[p->from].rate > 0) waited += (uint64_t)p->bytes * 1000000 / n->node[p->from].rate;
    *takes_us = waited + network_latency_us(n, p->from, p->to);
    return sent < RESENDS_MAX;
}
