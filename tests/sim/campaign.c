#include "tests/sim/campaign.h"

#include "core/base/check.h"
#include "gossip/gossip_policy.h"
#include "tests/sim/oracle.h"

#include <stdio.h>

#define TRIAL_MS 3000u

enum err campaign_init(struct campaign *c, struct world *w)
{
    *c = (struct campaign){.world = w};
    enum err err = drivers_init(&c->drivers, w);
    if (err == ERR_OK) err = operators_init(&c->operators, &w->issuer);
    if (err == ERR_OK)
        w->drivers = &c->drivers;
    else
        campaign_fini(c);
    return err;
}

void campaign_fini(struct campaign *c)
{
    if (c->world == NULL) return;
    operators_fini(&c->operators);
    drivers_fini(&c->drivers);
    *c = (struct campaign){0};
}

static int64_t wall_ms(const struct campaign *c, uint32_t i)
{
    return hostclock_wall_ms(&c->world->node[i].clock, c->world->now_us);
}

/* The first root is the same wherever it is given. */
static void give_root(struct campaign *c, uint32_t i)
{
    struct operators_order order = {.gen = 1, .by = OPERATORS_ISSUER, .count = OPERATORS};
    struct operators_signed s;
    if (gossip_policy_head(c->world->node[i].gossip, MANIFEST_ROOT).gen > 0) return;
    operators_root(&c->operators, &order, &s);
    if (drivers_intent(&c->drivers, i, &s, span_of(NULL, 0)) != ERR_OK)
        oracle_fail(c->world->oracle, "the first root is refused at node %u", i);
}

static struct operators_order next(struct campaign *c, uint32_t i, uint32_t by, char text[64])
{
    struct gossip *g = c->world->node[i].gossip;
    struct manifest_ref head = gossip_policy_head(g, MANIFEST_POLICY);
    int len = snprintf(text, 64, "# text %u of node %u\n", c->texts++, i);
    return (struct operators_order){.gen = head.gen + 1,
                                    .root_gen = gossip_policy_head(g, MANIFEST_ROOT).gen,
                                    .parent = head.hash,
                                    .wall_ms = wall_ms(c, i),
                                    .by = by,
                                    .text = span_of(text, (size_t)len)};
}

static void give(struct campaign *c, uint32_t i, const struct operators_order *order,
                 struct manifest_ref *ref)
{
    struct operators_signed s;
    operators_policy(&c->operators, order, &s);
    *ref = s.ref;
    if (drivers_intent(&c->drivers, i, &s, order->text) != ERR_OK)
        oracle_fail(c->world->oracle, "a good generation is refused at node %u", i);
}

static uint32_t other_node(const struct campaign *c, uint32_t i)
{
    uint32_t n = c->world->options.nodes;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t other = (i + n / 2 + k) % n;
        if (other != i && world_is_up(c->world, other)) return other;
    }
    return i;
}

static void mark(struct campaign *c, uint32_t i, enum drivers_fault fault,
                 const struct manifest_ref *ref)
{
    c->drivers.node[i].fault = fault;
    c->drivers.node[i].marked = ref->hash;
}

/* Operator 5, who signs policy only, goes; and says something at the other end of the mesh. */
static void remove_one(struct campaign *c, uint32_t i)
{
    struct gossip *g = c->world->node[i].gossip;
    struct manifest_ref root = gossip_policy_head(g, MANIFEST_ROOT), ref;
    struct operators_order order = {.gen = root.gen + 1,
                                    .root_gen = root.gen,
                                    .parent = root.hash,
                                    .wall_ms = wall_ms(c, i),
                                    .count = OPERATORS - 1,
                                    .pinned = gossip_policy_head(g, MANIFEST_POLICY)};
    struct operators_signed s;
    char text[64];
    uint32_t other = other_node(c, i);
    if (c->removed > 0) return;
    c->removed++;
    struct operators_order last = next(c, other, OPERATORS - 1, text);
    if (gossip_policy_head(c->world->node[other].gossip, MANIFEST_ROOT).gen > 0)
        give(c, other, &last, &ref);
    operators_root(&c->operators, &order, &s);
    if (drivers_intent(&c->drivers, i, &s, span_of(NULL, 0)) != ERR_OK)
        oracle_fail(c->world->oracle, "a removal is refused at node %u", i);
}

void campaign_apply(struct campaign *c, uint32_t i, enum campaign_kind kind)
{
    struct world *w = c->world;
    struct manifest_ref ref = {0};
    char text[64];
    if (!world_is_up(w, i) || w->node[i].paused_us > w->now_us) return;
    give_root(c, i);
    if (kind == CAMPAIGN_REMOVED) {
        remove_one(c, i);
        return;
    }
    struct operators_order order = next(c, i, 0, text);
    uint32_t other = other_node(c, i);
    if (kind == CAMPAIGN_TRIAL) order.confirm_within_ms = TRIAL_MS;
    struct operators_signed s;
    operators_policy(&c->operators, &order, &s);
    if (kind == CAMPAIGN_REJECTED) mark(c, other, DRIVERS_REJECTS, &s.ref);
    if (kind == CAMPAIGN_FAILS) mark(c, other, DRIVERS_FAILS, &s.ref);
    for (uint32_t k = 0; kind == CAMPAIGN_CRASHES && k < w->options.nodes; k++)
        mark(c, k, DRIVERS_CRASHES_AT_IT, &s.ref);
    drivers_watch(&c->drivers, kind == CAMPAIGN_GOOD ? &s.ref : &ref);
    give(c, i, &order, &ref);
    if (kind != CAMPAIGN_TWO || other == i) return;
    give_root(c, other);
    order = next(c, other, 2, text);
    if (order.gen == ref.gen) give(c, other, &order, &ref);
}
