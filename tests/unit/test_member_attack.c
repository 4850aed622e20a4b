/* A member with valid keys of its own, and nobody else's, against the machine: what it says of
 * itself and of what it knows. */
#include "gossip/catalogue.h"
#include "gossip/change.h"
#include "gossip/self.h"
#include "tests/unit/support_gossip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ALL     UINT32_MAX
#define BAD     3u /* the peer */
#define INBOUND (STREAM_INBOUND_BIT | 1u)

static void say_conflict_by_stream(struct lab *lab, uint32_t id, uint32_t peer)
{
    struct sync_message m = {.kind = SYNC_CONFLICT};
    lab_stream_opened(lab, id, true, peer);
    lab_stream_data(lab, id, &m);
}

/* That our identity is used elsewhere is believed of two members. */
static void test_who_speaks_on_two_ways_is_one_witness(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct message m = {.kind = MESSAGE_CONFLICT};
    lab_say(&lab, BAD, &m);
    say_conflict_by_stream(&lab, INBOUND, BAD);
    lab.peer[BAD].persona.spki[0] ^= 1; /* its leaf was renewed */
    say_conflict_by_stream(&lab, INBOUND + 1, BAD);
    assert_int_equal(lab_effects(&lab, GOSSIP_CONFLICT), 0);
    say_conflict_by_stream(&lab, INBOUND + 2, 5);
    assert_int_equal(lab_effects(&lab, GOSSIP_CONFLICT), 1);
    lab_fini(&lab);
}

/* A newer record, with a body that hurries: what an operator should hear of at once. */
static void say_news(struct lab *lab, uint32_t peer, uint64_t number)
{
    struct lab_peer *p = &lab->peer[peer];
    p->status.policy_gen = 1;
    p->status.policy_hash[0] = (uint8_t)number;
    p->status.state = STATUS_REJECTED;
    p->head.version++;
    lab_sign(lab, peer);
    struct offer o = lab_offer(lab, peer);
    lab_say_record(lab, peer, &o);
}

/* Else one of a thousand would have each of them send all that its budget allows. */
static void test_a_flood_of_its_own_records_is_not_passed_on(void **state)
{
    (void)state;
    struct lab lab;
    const uint32_t seconds = 20;
    lab_init(&lab, 8);
    const struct gossip_counters before = *gossip_counters(lab.g);
    for (uint32_t i = 0; i < 100 * seconds; i++) {
        say_news(&lab, BAD, i);
        lab_run(&lab, 10, ALL);
        lab_forget(&lab);
    }
    const struct gossip_counters *now = gossip_counters(lab.g);
    uint64_t accepted = now->records_accepted - before.records_accepted;
    assert_in_range(accepted, SELF_NEWS_RATE * seconds, SELF_NEWS_RATE * seconds + 30);
    uint64_t bytes = now->bytes_sent - before.bytes_sent;
    assert_true(bytes / seconds < TUNING_RATE_BYTES / 4);
    lab_run(&lab, 1000, ALL);
    say_news(&lab, BAD, 0);
    assert_true(lab_member(&lab, BAD)->head->version == lab.peer[BAD].head.version);
    lab_fini(&lab);
}

/* What nobody has signed uses up nothing of its owner's. */
static void test_forged_records_do_not_silence_their_owner(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 0; i < 200; i++) {
        lab.peer[1].head.version = 1000 + i;
        struct offer o = lab_offer(&lab, 1);
        lab_say_record(&lab, BAD, &o);
    }
    assert_int_equal(gossip_counters(lab.g)->dropped_signature, 200);
    lab.peer[1].head.version = 2;
    say_news(&lab, 1, 1);
    assert_int_equal(lab_member(&lab, 1)->head->version, 3);
    lab_fini(&lab);
}

static uint32_t sessions_with(const struct lab *lab, uint32_t peer)
{
    uint32_t n = 0;
    for (size_t i = 0; i < lab->effect_count; i++) {
        const struct gossip_effect *e = &lab->effect[i];
        n += e->kind == GOSSIP_STREAM_OPEN &&
             name_node_id_cmp(&e->node, &lab->peer[peer].persona.id) == 0;
    }
    return n;
}

/* Streams to it come to nothing. */
static void end_streams(struct lab *lab)
{
    for (size_t i = 0; i < lab->g->streams.made; i++) {
        struct gossip_event e = {.kind = GOSSIP_STREAM_CLOSED,
                                 .stream = lab->g->streams.slot[i]->id};
        if (lab->g->streams.slot[i]->used) assert_int_equal(lab_step(lab, &e), ERR_OK);
    }
}

/* It says all the time that it knows more, and has nothing to tell: who does is asked all the
 * same. */
static void test_a_lie_about_what_it_knows_does_not_keep_us_from_others(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 0; i < 200; i++) {
        if (i % 10 == 0) lab_differ(&lab, 5);
        lab_differ(&lab, BAD);
        lab_run(&lab, 100, 0);
        end_streams(&lab);
    }
    assert_true(sessions_with(&lab, BAD) > 0);
    assert_true(sessions_with(&lab, 5) > 0);
    lab_fini(&lab);
}

/* Nor by saying all the time that it knows just what we know. */
static void test_a_flatterer_does_not_keep_us_from_others(void **state)
{
    (void)state;
    struct lab lab;
    struct message m = {.kind = MESSAGE_NACK};
    lab_init(&lab, 8);
    for (uint32_t i = 0; i < 100; i++) {
        if (i % 10 == 0) lab_differ(&lab, 5);
        lab_say(&lab, BAD, &m);
        lab_run(&lab, 100, 0);
        end_streams(&lab);
    }
    assert_true(sessions_with(&lab, 5) > 0);
    lab_fini(&lab);
}

static struct offer next_record(struct lab *lab, uint32_t peer)
{
    lab->peer[peer].head.version++;
    lab_sign(lab, peer);
    return lab_offer(lab, peer);
}

/* Who kept the records of another, and tells them late and one by one to who has been away, must
 * not keep the newest from it. */
static void test_old_records_do_not_keep_out_the_newest(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 0; i < 40; i++) {
        struct offer o = next_record(&lab, 1);
        lab_say_record(&lab, BAD, &o);
    }
    struct offer newest = next_record(&lab, 1);
    assert_true(lab_member(&lab, 1)->head->version < newest.head.version);
    assert_int_equal(catalogue_take(lab.g, &newest, lab_member(&lab, 2), CATALOGUE_SYNC),
                     CATALOGUE_NEW);
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_speaks_on_two_ways_is_one_witness),
        cmocka_unit_test(test_a_flood_of_its_own_records_is_not_passed_on),
        cmocka_unit_test(test_forged_records_do_not_silence_their_owner),
        cmocka_unit_test(test_old_records_do_not_keep_out_the_newest),
        cmocka_unit_test(test_a_lie_about_what_it_knows_does_not_keep_us_from_others),
        cmocka_unit_test(test_a_flatterer_does_not_keep_us_from_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
