/* Each invariant can be seen to break: a world that is well is changed by hand into one that the
 * oracle must object to. */
#include "tests/sim/oracle.h"

#include "gossip/state.h"
#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_US UINT64_C(1000000)
#define NODES     6u

struct bench {
    struct world world;
    struct oracle oracle;
    struct measure measure;
    struct head head; /* what node 0 is made to hold of node 1 */
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    struct world_options o = {
        .algorithm = algorithm_parley(), .nodes = NODES, .seed = 5, .period_ms = 1000};
    assert_non_null(b);
    assert_true(measure_init(&b->measure, NODES));
    assert_true(oracle_init(&b->oracle, NODES));
    assert_int_equal(world_init(&b->world, &o, &b->oracle, &b->measure), ERR_OK);
    for (uint32_t i = 0; i < NODES; i++)
        assert_int_equal(world_start(&b->world, i), ERR_OK);
    assert_true(world_run(&b->world, 8 * SECOND_US));
    assert_true(oracle_is_converged(&b->world));
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    world_fini(&b->world);
    oracle_fini(&b->oracle);
    measure_fini(&b->measure);
    free(b);
    return 0;
}

static struct member *held(struct bench *b)
{
    struct gossip *g = b->world.node[0].gossip;
    return member_find(&g->members, &b->world.node[1].persona.id);
}

/* Signs the head as node `by` and makes node 0 hold it. */
static void hold(struct bench *b, uint32_t by)
{
    const struct gossip *g = b->world.node[by].gossip;
    head_sign(g->crypto, g->key, &b->head);
    held(b)->head = &b->head;
}

/* The oracle looks, and says `what` first; then all is put back. */
static void expect(struct bench *b, const char *what)
{
    oracle_step(&b->oracle, &b->world, 0);
    assert_true(oracle_failed(&b->oracle));
    if (strncmp(b->oracle.message, what, strlen(what)) != 0)
        fail_msg("it said \"%s\" and not \"%s\"", b->oracle.message, what);
}

/* A report of node 0 about node 1. */
static void report(struct bench *b, enum member_state from, enum member_state to)
{
    struct gossip_effect e = {.kind = GOSSIP_MEMBER_CHANGED,
                              .node = b->world.node[1].persona.id,
                              .old_state = from,
                              .new_state = to};
    oracle_effect(&b->oracle, &b->world, 0, &e);
}

static void test_i1_a_record_that_goes_back(void **state)
{
    struct bench *b = *state;
    const struct head *before = held(b)->head;
    b->head = *before;
    b->head.version--;
    hold(b, 1);
    expect(b, "I1:");
    held(b)->head = before;
}

static void test_i2_a_record_that_another_signed(void **state)
{
    struct bench *b = *state;
    const struct head *before = held(b)->head;
    b->head = *before;
    b->head.version++;
    hold(b, 2);
    expect(b, "I2:");
    held(b)->head = before;
}

static void test_i2_a_certificate_that_is_over(void **state)
{
    struct bench *b = *state;
    const struct head *before = held(b)->head;
    b->head = *before;
    b->head.version++;
    hold(b, 1);
    hostclock_step(&b->world.node[0].clock, INT64_C(1) << 46);
    expect(b, "I2:");
    held(b)->head = before;
}

static void test_i3_an_incarnation_that_its_owner_never_signed(void **state)
{
    struct bench *b = *state;
    const struct head *before = held(b)->head;
    b->head = *before;
    b->head.inc++;
    hold(b, 1);
    expect(b, "I3:");
    held(b)->head = before;
}

static void test_i4_a_return_from_left_within_an_epoch(void **state)
{
    struct bench *b = *state;
    held(b)->state = MEMBER_LEFT;
    b->world.node[0].gossip->members.live--;
    oracle_step(&b->oracle, &b->world, 0);
    assert_false(oracle_failed(&b->oracle));
    held(b)->state = MEMBER_ALIVE;
    b->world.node[0].gossip->members.live++;
    expect(b, "I4:");
}

static struct accusation *accuse(struct bench *b, uint32_t voters, uint32_t signed_by)
{
    struct gossip *g = b->world.node[0].gossip;
    const struct head *h = held(b)->head;
    struct accusation *a = member_accuse(&g->members, held(b));
    assert_non_null(a);
    *a = (struct accusation){.target = h->owner, .epoch = h->epoch, .inc = h->inc};
    for (uint32_t i = 0; i < voters; i++) {
        uint32_t voter = 2 + i;
        const struct gossip *by = b->world.node[signed_by > 0 ? signed_by : voter].gossip;
        struct accusation_vote v;
        accusation_sign(by->crypto, by->key, &b->world.node[voter].persona.id, a, ACCUSATION_SILENT,
                        &v);
        assert_true(accusation_add(a, &v));
    }
    return a;
}

static void test_i5_votes_that_are_enough_are_believed(void **state)
{
    struct bench *b = *state;
    accuse(b, 3, 0);
    report(b, MEMBER_SUSPECT, MEMBER_UNREACHABLE);
    assert_false(oracle_failed(&b->oracle));
}

static void expect_verdict(struct bench *b, enum member_state to)
{
    report(b, MEMBER_SUSPECT, to);
    assert_true(oracle_failed(&b->oracle));
    assert_memory_equal(b->oracle.message, "I5:", 3);
}

static void test_i5_a_verdict_without_votes(void **state)
{
    expect_verdict(*state, MEMBER_UNREACHABLE);
}

static void test_i5_a_verdict_on_two_votes(void **state)
{
    accuse(*state, 2, 0);
    expect_verdict(*state, MEMBER_UNREACHABLE);
}

static void test_i5_a_verdict_on_votes_that_one_node_signed(void **state)
{
    accuse(*state, 3, 5);
    expect_verdict(*state, MEMBER_UNREACHABLE);
}

static void test_i5_a_death_at_once_without_refusals(void **state)
{
    accuse(*state, 3, 0);
    expect_verdict(*state, MEMBER_DEAD);
}

static void test_i9_a_datagram_that_is_too_long(void **state)
{
    struct bench *b = *state;
    static const char bytes[DATAGRAM_BYTES_MAX + 1];
    struct gossip_effect e = {.kind = GOSSIP_SEND_DATAGRAM, .data = span_of(bytes, sizeof(bytes))};
    oracle_effect(&b->oracle, &b->world, 0, &e);
    assert_memory_equal(b->oracle.message, "I9:", 3);
}

static void test_i9_an_empty_message(void **state)
{
    struct bench *b = *state;
    struct gossip_effect e = {.kind = GOSSIP_STREAM_SEND};
    oracle_effect(&b->oracle, &b->world, 0, &e);
    assert_memory_equal(b->oracle.message, "I9:", 3);
}

static void test_i10_more_bytes_than_the_bucket_has(void **state)
{
    struct bench *b = *state;
    static const char bytes[1000];
    struct gossip_effect e = {.kind = GOSSIP_SEND_DATAGRAM, .data = span_of(bytes, sizeof(bytes))};
    for (unsigned i = 0; i < 250; i++)
        oracle_effect(&b->oracle, &b->world, 0, &e);
    assert_false(oracle_failed(&b->oracle));
    for (unsigned i = 0; i < 50; i++)
        oracle_effect(&b->oracle, &b->world, 0, &e);
    assert_memory_equal(b->oracle.message, "I10:", 4);
}

/* A packet with a header that can be read. */
static struct span packet(uint8_t *bytes, uint8_t counter)
{
    memset(bytes, 0, SEAL_OVERHEAD_BYTES);
    bytes[0] = 1;
    bytes[13] = 0xff; /* a late epoch */
    bytes[24] = counter;
    return span_of(bytes, SEAL_OVERHEAD_BYTES);
}

static void test_i11_a_datagram_that_is_taken_twice(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[SEAL_OVERHEAD_BYTES];
    for (unsigned i = 0; i < 2; i++) {
        assert_false(oracle_failed(&b->oracle));
        struct wiretap_delivery d = wiretap_before(&b->oracle.tap, &b->world, 0, packet(bytes, 7));
        wiretap_after(&b->oracle, &b->world, 0, &d); /* nothing was refused meanwhile */
    }
    assert_memory_equal(b->oracle.message, "I11:", 4);
}

static void test_i12_a_counter_that_is_used_again(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[SEAL_OVERHEAD_BYTES];
    wiretap_sent(&b->oracle, &b->world, 0, packet(bytes, 7));
    wiretap_sent(&b->oracle, &b->world, 0, packet(bytes, 8));
    assert_false(oracle_failed(&b->oracle));
    wiretap_sent(&b->oracle, &b->world, 0, packet(bytes, 8));
    assert_memory_equal(b->oracle.message, "I12:", 4);
}

static void test_counts_that_disagree_with_the_table(void **state)
{
    struct bench *b = *state;
    b->world.node[0].gossip->members.live++;
    expect(b, "node 0 counts 7 live members of 6");
    b->world.node[0].gossip->members.live--;
}

/* The rest are judged over whole runs: of machines that are parley's but for one flaw. */
static enum err run_flawed(const struct algorithm *flawed, enum scenario scenario,
                           struct scenario_result *out)
{
    struct scenario_options o = {
        .scenario = scenario, .nodes = 8, .seed = 3, .for_ms = 40000, .algorithm = flawed};
    return scenario_run(&o, out);
}

static void expect_flaw(const struct algorithm *flawed, enum scenario scenario, const char *what)
{
    struct scenario_result r;
    struct scenario_options o = {.scenario = scenario};
    assert_int_equal(run_flawed(flawed, scenario, &r), ERR_OK);
    const char *said = scenario_judge(&o, &r);
    assert_non_null(said);
    if (strncmp(said, what, strlen(what)) != 0) fail_msg("it said \"%s\"", said);
    measure_fini(&r.measure);
}

static bool always(const struct world *w)
{
    (void)w;
    return true;
}

static bool never(const struct world *w)
{
    (void)w;
    return false;
}

/* Parley's machines, which are not looked into. */
static struct algorithm flawless(void)
{
    struct algorithm a = *algorithm_parley();
    a.is_converged = always;
    return a;
}

/* Says nothing of who is gone. */
static enum err step_in_silence(void *machine, const struct gossip_event *e,
                                struct gossip_effects *fx)
{
    enum err err = algorithm_parley()->step(machine, e, fx);
    for (size_t i = 0; i < fx->count; i++)
        if (fx->effect[i].kind == GOSSIP_MEMBER_CHANGED)
            fx->effect[i].new_state = fx->effect[i].old_state;
    return err;
}

/* Gives up whoever it hears of. */
static enum err step_in_panic(void *machine, const struct gossip_event *e,
                              struct gossip_effects *fx)
{
    enum err err = algorithm_parley()->step(machine, e, fx);
    if (e->kind != GOSSIP_DATAGRAM || e->now_ms < 25000) return err;
    size_t pos = 0;
    struct gossip_member m;
    while (gossip_member_next(machine, &pos, &m)) {
        struct gossip_effect *effect = m.self ? NULL : event_push(fx, GOSSIP_MEMBER_CHANGED);
        if (effect == NULL) continue;
        effect->node = m.id;
        effect->new_state = MEMBER_UNREACHABLE;
    }
    return err;
}

/* Announces itself anew now and then, for no reason. */
static enum err step_in_unrest(void *machine, const struct gossip_event *e,
                               struct gossip_effects *fx)
{
    char body[32];
    if (e->kind != GOSSIP_TICK || e->now_ms % 50 != 0)
        return algorithm_parley()->step(machine, e, fx);
    struct gossip_event upsert = *e;
    int len = snprintf(body, sizeof(body), "%llu", (unsigned long long)e->now_ms);
    upsert.kind = GOSSIP_UPSERT;
    upsert.data = span_of(body, (size_t)len);
    return algorithm_parley()->step(machine, &upsert, fx);
}

static void test_the_flawless_break_nothing(void **state)
{
    (void)state;
    struct algorithm a = flawless();
    struct scenario_options o = {.scenario = SCENARIO_CRASH};
    struct scenario_result r;
    assert_int_equal(run_flawed(&a, SCENARIO_CRASH, &r), ERR_OK);
    assert_null(scenario_judge(&o, &r));
    measure_fini(&r.measure);
}

static void test_i6_a_death_that_nobody_notices(void **state)
{
    (void)state;
    struct algorithm a = flawless();
    a.step = step_in_silence;
    expect_flaw(&a, SCENARIO_CRASH, "I6:");
}

static void test_i7_nodes_that_never_agree(void **state)
{
    (void)state;
    struct algorithm a = flawless();
    a.is_converged = never;
    expect_flaw(&a, SCENARIO_IDLE, "I7:");
}

static void test_i17_a_healthy_member_given_up_beside_a_hostile_one(void **state)
{
    (void)state;
    struct algorithm a = flawless();
    a.step = step_in_panic;
    expect_flaw(&a, SCENARIO_BYZANTINE, "I17:");
}

static void test_i14_an_idle_mesh_that_talks(void **state)
{
    (void)state;
    struct algorithm a = flawless();
    a.step = step_in_unrest;
    expect_flaw(&a, SCENARIO_IDLE, "I14:");
}

static void test_i16_other_seeds_give_other_traces(void **state)
{
    (void)state;
    struct scenario_options o = {.scenario = SCENARIO_CHURN,
                                 .nodes = 6,
                                 .seed = 3,
                                 .for_ms = 10000,
                                 .algorithm = algorithm_parley()};
    uint64_t hash[3];
    for (unsigned i = 0; i < 3; i++) {
        struct scenario_result r;
        o.seed = i < 2 ? 3 : 4;
        assert_int_equal(scenario_run(&o, &r), ERR_OK);
        hash[i] = r.trace_hash;
        measure_fini(&r.measure);
    }
    assert_true(hash[0] == hash[1]);
    assert_true(hash[0] != hash[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_i1_a_record_that_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_i2_a_record_that_another_signed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_i2_a_certificate_that_is_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_i3_an_incarnation_that_its_owner_never_signed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_i4_a_return_from_left_within_an_epoch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_i5_votes_that_are_enough_are_believed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_i5_a_verdict_without_votes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_i5_a_verdict_on_two_votes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_i5_a_verdict_on_votes_that_one_node_signed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_i5_a_death_at_once_without_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_i9_a_datagram_that_is_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_i9_an_empty_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_i10_more_bytes_than_the_bucket_has, setup, teardown),
        cmocka_unit_test_setup_teardown(test_i11_a_datagram_that_is_taken_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_i12_a_counter_that_is_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counts_that_disagree_with_the_table, setup, teardown),
        cmocka_unit_test(test_the_flawless_break_nothing),
        cmocka_unit_test(test_i6_a_death_that_nobody_notices),
        cmocka_unit_test(test_i7_nodes_that_never_agree),
        cmocka_unit_test(test_i14_an_idle_mesh_that_talks),
        cmocka_unit_test(test_i16_other_seeds_give_other_traces),
        cmocka_unit_test(test_i17_a_healthy_member_given_up_beside_a_hostile_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
