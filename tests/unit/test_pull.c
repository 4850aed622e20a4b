#include "gossip/pull.h"
#include "tests/unit/support_gossip.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ALL UINT32_MAX

/* The simulator's churn of 14 nodes, seed 1051: after five tries in a cut nobody asked again. */
static void test_a_missing_body_is_asked_for_until_it_comes(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    lab.peer[1].head.version++;
    lab.peer[1].body = "not carried along";
    lab_sign(&lab, 1);
    struct offer o = {.head = lab.peer[1].head};
    lab_say_record(&lab, 2, &o);
    lab_run(&lab, 100000, ALL);
    lab_forget(&lab);
    lab_run(&lab, 100000, ALL);
    assert_true(lab_effects(&lab, GOSSIP_STREAM_OPEN) >= 2);
    assert_true(span_eq_str(gossip_member_body(lab.g, &o.head.owner), "web"));
    o = lab_offer(&lab, 1);
    lab_say_record(&lab, 2, &o);
    lab_forget(&lab);
    assert_int_equal(lab.g->pulls.count, 0);
    assert_true(span_eq_str(gossip_member_body(lab.g, &o.head.owner), "not carried along"));
    lab_fini(&lab);
}

static void test_lacks_beyond_the_table_are_found_again(void **state)
{
    (void)state;
    struct lab lab;
    struct node_id stranger = {{0}};
    lab_init(&lab, 2);
    for (uint32_t i = 0; i < PULL_LACKS_MAX; i++) {
        head_put_u32(stranger.byte, i + 1);
        pull_lack(lab.g, &stranger, lab_member(&lab, 2));
    }
    lab.peer[1].head.version++;
    lab.peer[1].body = "not carried along";
    lab_sign(&lab, 1);
    struct offer o = {.head = lab.peer[1].head};
    lab_say_record(&lab, 2, &o);
    assert_true(lab.g->pulls.missed);
    lab_run(&lab, 120000, ALL); /* the strangers are given up */
    assert_int_equal(lab.g->pulls.count, 1);
    assert_memory_equal(lab.g->pulls.lack[0].id, lab.peer[1].persona.id.byte, NODE_ID_SHORT_BYTES);
    lab_fini(&lab);
}

static void test_many_lacks_make_few_streams(void **state)
{
    (void)state;
    struct lab lab;
    struct node_id stranger = {{0}};
    lab_init(&lab, 4);
    lab_run(&lab, STREAM_OPEN_MS, ALL); /* what it dialled at the start has failed */
    lab_forget(&lab);
    for (uint32_t i = 0; i < 100; i++) {
        head_put_u32(stranger.byte, i + 1);
        pull_lack(lab.g, &stranger, i % 3 == 0 ? lab_member(&lab, 2) : NULL);
    }
    lab_run(&lab, 1500, ALL);
    size_t asked = 0;
    for (size_t i = 0; i < lab.g->pulls.count; i++)
        asked += lab.g->pulls.lack[i].tries > 0;
    assert_int_equal(asked, 100);
    assert_true(lab_effects(&lab, GOSSIP_STREAM_OPEN) <= SYNC_OUTBOUND_MAX);
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_missing_body_is_asked_for_until_it_comes),
        cmocka_unit_test(test_lacks_beyond_the_table_are_found_again),
        cmocka_unit_test(test_many_lacks_make_few_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
