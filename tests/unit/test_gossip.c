#include "gossip/gossip.h"
#include "gossip/catalogue.h"
#include "tests/sim/measure.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"
#include "tests/unit/support_gossip.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ALL       UINT32_MAX
#define SECOND_US UINT64_C(1000000)

/* A world of a few nodes with libsodium behind every packet, signature and certificate. */
struct real {
    struct world world;
    struct oracle oracle;
    struct measure measure;
};

static void real_make(struct real *r, uint32_t nodes, bool preload)
{
    struct world_options o = {.nodes = nodes,
                              .preload = preload,
                              .seed = 5,
                              .period_ms = 1000,
                              .keep_stores = true,
                              .real_crypto = true,
                              .algorithm = algorithm_parley()};
    assert_true(measure_init(&r->measure, nodes));
    assert_true(oracle_init(&r->oracle, nodes));
    assert_int_equal(world_init(&r->world, &o, &r->oracle, &r->measure), ERR_OK);
}

static void real_init(struct real *r, uint32_t nodes)
{
    real_make(r, nodes, false);
    for (uint32_t i = 0; i < nodes; i++)
        assert_int_equal(world_start(&r->world, i), ERR_OK);
}

static void real_run(struct real *r, uint64_t seconds)
{
    if (!world_run(&r->world, r->world.now_us + seconds * SECOND_US))
        fail_msg("%s", r->oracle.message);
}

static void real_fini(struct real *r)
{
    world_fini(&r->world);
    oracle_fini(&r->oracle);
    measure_fini(&r->measure);
}

static enum member_state seen(const struct real *r, uint32_t by, uint32_t whom)
{
    struct gossip_member m;
    enum err err = gossip_member_get(r->world.node[by].gossip, &r->world.node[whom].persona.id, &m);
    return err == ERR_OK ? m.state : MEMBER_STATES;
}

static void test_three_real_nodes_find_each_other_and_agree(void **state)
{
    (void)state;
    struct real r;
    uint32_t agreeing, alive;
    real_init(&r, 3);
    real_run(&r, 8);
    for (uint32_t i = 0; i < 3; i++) {
        gossip_agreement(r.world.node[i].gossip, &agreeing, &alive);
        assert_int_equal(alive, 3);
        assert_int_equal(agreeing, 3);
        assert_int_equal(gossip_view_hash(r.world.node[i].gossip),
                         gossip_view_hash(r.world.node[0].gossip));
    }
    real_fini(&r);
}

static void test_a_real_node_that_dies_is_found_dead_and_returns_with_its_store(void **state)
{
    (void)state;
    struct real r;
    real_init(&r, 3);
    real_run(&r, 8);
    world_crash(&r.world, 2, false);
    real_run(&r, 4);
    assert_int_equal(seen(&r, 0, 2), MEMBER_UNREACHABLE);
    assert_int_equal(seen(&r, 1, 2), MEMBER_UNREACHABLE);
    real_run(&r, 10);
    assert_int_equal(seen(&r, 0, 2), MEMBER_DEAD);
    assert_int_equal(world_start(&r.world, 2), ERR_OK);
    real_run(&r, 2);
    assert_int_equal(seen(&r, 0, 2), MEMBER_ALIVE);
    assert_int_equal(seen(&r, 1, 2), MEMBER_ALIVE);
    assert_int_equal(seen(&r, 2, 1), MEMBER_ALIVE);
    real_fini(&r);
}

static void test_a_record_changed_on_one_real_node_reaches_the_others(void **state)
{
    (void)state;
    static const char body[] = "a body that is longer than what a rumour carries along: "
                               "it is named by its hash and pulled over a stream from whoever "
                               "told of it; and so it needs more than five hundred bytes, which "
                               "this sentence alone does not have, so that it is said again. "
                               "It is named by its hash and pulled over a stream from whoever "
                               "told of it; and so it needs more than five hundred bytes, which "
                               "this sentence alone does not have, so that it is said again. "
                               "It is named by its hash and pulled over a stream from whoever "
                               "told of it, and that will do.";
    struct real r;
    real_init(&r, 3);
    real_run(&r, 8);
    struct gossip_event e = {.kind = GOSSIP_UPSERT, .data = span_str(body)};
    assert_true(sizeof(body) > BROADCAST_BODY_INLINE_MAX);
    world_step(&r.world, 1, &e);
    real_run(&r, 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct span got = gossip_member_body(r.world.node[i].gossip, &r.world.node[1].persona.id);
        assert_true(span_eq_str(got, body));
    }
    real_fini(&r);
}

static void test_a_real_node_that_leaves_is_known_to_have_left(void **state)
{
    (void)state;
    struct real r;
    real_init(&r, 3);
    real_run(&r, 8);
    struct gossip_event e = {.kind = GOSSIP_LEAVE};
    world_step(&r.world, 1, &e);
    real_run(&r, 1);
    assert_int_equal(seen(&r, 0, 1), MEMBER_LEFT);
    assert_int_equal(seen(&r, 2, 1), MEMBER_LEFT);
    real_fini(&r);
}

static void test_a_key_and_a_certificate_that_disagree_are_refused(void **state)
{
    (void)state;
    struct lab lab;
    struct gossip *g;
    lab_init(&lab, 0);
    struct offer o = lab_offer(&lab, 1);
    struct gossip_options options = {.mesh = lab.issuer.mesh,
                                     .key = persona_key(&lab.peer[2].persona),
                                     .admission = o.admission,
                                     .addr = lab.peer[1].head.addr,
                                     .epoch = (uint64_t)LAB_WALL_MS,
                                     .period_ms = 1000,
                                     .datagram_bytes = DATAGRAM_BYTES_MAX,
                                     .crypto = fake_crypto_ops()};
    memcpy(options.issuer_pk, lab.issuer.public_key, sizeof(options.issuer_pk));
    assert_int_equal(gossip_new(&options, &g), ERR_INVALID);
    options.key = persona_key(&lab.peer[1].persona);
    options.datagram_bytes = 100;
    assert_int_equal(gossip_new(&options, &g), ERR_INVALID);
    options.datagram_bytes = DATAGRAM_BYTES_MAX;
    options.persisted = span_str("not a store");
    assert_int_equal(gossip_new(&options, &g), ERR_OK);
    assert_int_equal(gossip_counters(g)->dropped_malformed, 1);
    gossip_free(g);
    lab_fini(&lab);
}

static void test_members_come_in_id_order_self_included(void **state)
{
    (void)state;
    struct lab lab;
    struct gossip_member m, before = {0};
    size_t pos = 0, count = 0, selves = 0;
    lab_init(&lab, 5);
    for (; gossip_member_next(lab.g, &pos, &m); count++, before = m) {
        assert_true(count == 0 || name_node_id_cmp(&before.id, &m.id) < 0);
        selves += m.self;
    }
    assert_int_equal(count, 6);
    assert_int_equal(selves, 1);
    lab_fini(&lab);
}

static void test_only_the_dead_and_gone_can_be_forgotten(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct gossip_event e = {.kind = GOSSIP_REMOVE, .node = lab.peer[1].persona.id};
    assert_int_equal(lab_step(&lab, &e), ERR_BUSY);
    e.node = lab.peer[0].persona.id;
    assert_int_equal(lab_step(&lab, &e), ERR_BUSY);
    e.node.byte[3] ^= 1;
    assert_int_equal(lab_step(&lab, &e), ERR_NOT_FOUND);
    for (uint32_t i = 2; i <= 4; i++) {
        struct message m = {.kind = MESSAGE_ACCUSE, .accusation = lab_accuse(&lab, 1, i)};
        lab_say(&lab, i, &m);
    }
    lab_run(&lab, 15000, ALL & ~2u);
    e.node = lab.peer[1].persona.id;
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    assert_null(lab_member(&lab, 1));
    assert_int_equal(lab.g->members.dead, 0);
    assert_int_equal(lab_step(&lab, &e), ERR_NOT_FOUND);
    lab_fini(&lab);
}

static void test_the_dead_are_forgotten_after_a_day(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 2; i <= 4; i++) {
        struct message m = {.kind = MESSAGE_ACCUSE, .accusation = lab_accuse(&lab, 1, i)};
        lab_say(&lab, i, &m);
    }
    lab_run(&lab, 20000, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_DEAD);
    for (uint32_t i = 2; i <= 8; i++) { /* spare the test a day of their pings */
        lab.peer[i].head.flags = HEAD_LEFT;
        lab.peer[i].head.version++;
        lab_sign(&lab, i);
        struct offer bye = {.head = lab.peer[i].head};
        lab_say_record(&lab, i == 8 ? 7 : 8, &bye);
    }
    lab_run(&lab, 25u * 3600 * 1000, 0);
    assert_int_equal(lab.g->members.count, 1);
    /* What they said when they left is not news; a life that was only silent goes on. */
    lab.peer[2].head.flags = 0;
    lab_sign(&lab, 2);
    struct offer left = lab_offer(&lab, 2), silent = lab_offer(&lab, 1), old = silent;
    old.head.epoch--;
    lab.peer[1].head = old.head;
    lab_sign(&lab, 1);
    old = lab_offer(&lab, 1);
    assert_int_equal(catalogue_take(lab.g, &left, NULL, CATALOGUE_RESTORED), CATALOGUE_STALE);
    assert_int_equal(catalogue_take(lab.g, &old, NULL, CATALOGUE_RESTORED), CATALOGUE_STALE);
    assert_int_equal(catalogue_take(lab.g, &silent, NULL, CATALOGUE_RESTORED), CATALOGUE_NEW);
    lab_fini(&lab);
}

static void test_prefilled_machines_agree_at_once_and_hear_of_changes(void **state)
{
    (void)state;
    struct real r;
    real_make(&r, 5, true);
    for (uint32_t i = 0; i < 5; i++) {
        const struct gossip *g = r.world.node[i].gossip;
        struct gossip_member m;
        size_t pos = 0, count = 0;
        for (; gossip_member_next(g, &pos, &m); count++) {
            assert_int_equal(m.state, MEMBER_ALIVE);
            assert_int_equal(m.self, name_node_id_cmp(&m.id, &r.world.node[i].persona.id) == 0);
            assert_true(gossip_member_body(g, &m.id).len > 0);
        }
        assert_int_equal(count, 5);
    }
    real_run(&r, 4);
    for (uint32_t i = 1; i < 5; i++)
        assert_int_equal(gossip_view_hash(r.world.node[i].gossip),
                         gossip_view_hash(r.world.node[0].gossip));
    world_crash(&r.world, 3, false);
    real_run(&r, 25);
    for (uint32_t i = 0; i < 5; i++)
        if (i != 3) assert_int_equal(seen(&r, i, 3), MEMBER_DEAD);
    real_fini(&r);
}

static void test_state_words(void **state)
{
    (void)state;
    assert_string_equal(gossip_state_word(MEMBER_ALIVE), "alive");
    assert_string_equal(gossip_state_word(MEMBER_UNREACHABLE), "unreachable");
    assert_string_equal(gossip_state_word(MEMBER_BANNED), "banned");
    assert_string_equal(gossip_state_word(MEMBER_STATES), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_real_nodes_find_each_other_and_agree),
        cmocka_unit_test(test_a_real_node_that_dies_is_found_dead_and_returns_with_its_store),
        cmocka_unit_test(test_a_record_changed_on_one_real_node_reaches_the_others),
        cmocka_unit_test(test_a_real_node_that_leaves_is_known_to_have_left),
        cmocka_unit_test(test_a_key_and_a_certificate_that_disagree_are_refused),
        cmocka_unit_test(test_members_come_in_id_order_self_included),
        cmocka_unit_test(test_only_the_dead_and_gone_can_be_forgotten),
        cmocka_unit_test(test_the_dead_are_forgotten_after_a_day),
        cmocka_unit_test(test_prefilled_machines_agree_at_once_and_hear_of_changes),
        cmocka_unit_test(test_state_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
