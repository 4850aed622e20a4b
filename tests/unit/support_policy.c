#include "tests/unit/support_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define JOIN_MS 8000u

void crowd_init(struct crowd *c, uint32_t nodes, bool real_crypto)
{
    struct world_options o = {.algorithm = algorithm_parley(),
                              .nodes = nodes,
                              .seed = 11,
                              .period_ms = 1000,
                              .preload = !real_crypto,
                              .keep_stores = true,
                              .real_crypto = real_crypto};
    memset(c, 0, sizeof(*c));
    assert_true(measure_init(&c->measure, nodes));
    assert_true(oracle_init(&c->oracle, nodes));
    assert_int_equal(world_init(&c->world, &o, &c->oracle, &c->measure), ERR_OK);
    assert_int_equal(drivers_init(&c->drivers, &c->world), ERR_OK);
    c->world.drivers = &c->drivers;
    for (uint32_t i = 0; i < nodes && real_crypto; i++)
        assert_int_equal(world_start(&c->world, i), ERR_OK);
    assert_int_equal(operators_init(&c->operators, &c->world.issuer), ERR_OK);
    crowd_run(c, JOIN_MS);
    struct operators_order root = {
        .gen = 1, .wall_ms = crowd_wall_ms(c), .by = OPERATORS_ISSUER, .count = OPERATORS};
    assert_int_equal(crowd_apply_root(c, 0, &root), ERR_OK);
    crowd_run(c, 2000);
}

void crowd_fini(struct crowd *c)
{
    world_fini(&c->world);
    drivers_fini(&c->drivers);
    operators_fini(&c->operators);
    oracle_fini(&c->oracle);
    measure_fini(&c->measure);
}

void crowd_run(struct crowd *c, uint64_t ms)
{
    if (!world_run(&c->world, c->world.now_us + ms * 1000)) fail_msg("%s", c->oracle.message);
}

struct gossip *crowd_gossip(struct crowd *c, uint32_t i)
{
    return c->world.node[i].gossip;
}

int64_t crowd_wall_ms(const struct crowd *c)
{
    return hostclock_wall_ms(&c->world.node[0].clock, c->world.now_us);
}

struct operators_order crowd_order(const struct crowd *c, uint32_t by)
{
    return (struct operators_order){.gen = c->policy.ref.gen + 1,
                                    .root_gen = c->root.ref.gen,
                                    .parent = c->policy.ref.hash,
                                    .wall_ms = crowd_wall_ms(c),
                                    .by = by,
                                    .text = span_str(c->text)};
}

enum err crowd_apply(struct crowd *c, uint32_t i, const struct operators_order *order)
{
    struct operators_signed s;
    operators_policy(&c->operators, order, &s);
    enum err err = drivers_intent(&c->drivers, i, &s, order->text);
    if (err == ERR_OK) c->policy = s;
    return err;
}

void crowd_apply_next(struct crowd *c, uint32_t i)
{
    (void)snprintf(c->text, sizeof(c->text), "# text of generation %llu\n",
                   (unsigned long long)c->policy.ref.gen + 1);
    struct operators_order order = crowd_order(c, 0);
    assert_int_equal(crowd_apply(c, i, &order), ERR_OK);
}

struct operators_order crowd_root_order(const struct crowd *c, uint32_t by)
{
    return (struct operators_order){.gen = c->root.ref.gen + 1,
                                    .root_gen = c->root.ref.gen,
                                    .parent = c->root.ref.hash,
                                    .wall_ms = crowd_wall_ms(c),
                                    .by = by,
                                    .count = OPERATORS,
                                    .pinned = c->policy.ref};
}

enum err crowd_apply_root(struct crowd *c, uint32_t i, const struct operators_order *order)
{
    struct operators_signed s;
    operators_root(&c->operators, order, &s);
    enum err err = drivers_intent(&c->drivers, i, &s, span_of(NULL, 0));
    if (err == ERR_OK) c->root = s;
    return err;
}

struct status crowd_status(struct crowd *c, uint32_t i)
{
    struct status s;
    gossip_policy_status(crowd_gossip(c, i), &s);
    return s;
}

bool crowd_all_have(struct crowd *c, const struct manifest_ref *ref)
{
    return drivers_in_force(&c->drivers, ref) == c->world.options.nodes;
}
