#include "gossip/ask.h"
#include "tests/unit/support_gossip.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ALL   UINT32_MAX
#define TOKEN 77u

static enum err ask(struct lab *lab, uint32_t peer, bool by_stream, uint32_t bytes)
{
    struct gossip_event e = {.kind = GOSSIP_PING,
                             .node = lab->peer[peer].persona.id,
                             .token = TOKEN,
                             .by_stream = by_stream,
                             .bytes = bytes};
    lab_forget(lab);
    return lab_step(lab, &e);
}

static const struct gossip_effect *pong(struct lab *lab)
{
    const struct gossip_effect *e = lab_effect(lab, GOSSIP_PONG);
    assert_non_null(e);
    assert_int_equal(e->token, TOKEN);
    return e;
}

static void test_the_answer_of_a_member_comes_back_with_its_time(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    assert_int_equal(ask(&lab, 1, false, 0), ERR_OK);
    struct message ack = {.kind = MESSAGE_ACK, .seq = lab_last(&lab, 1, MESSAGE_PING)->seq};
    lab.now_ms += 7;
    lab_say(&lab, 2, &ack); /* of another */
    assert_null(lab_effect(&lab, GOSSIP_PONG));
    lab_say(&lab, 1, &ack);
    assert_int_equal(pong(&lab)->err, ERR_OK);
    assert_int_equal(pong(&lab)->rtt_us, 7000);
    lab_fini(&lab);
}

static void test_a_silent_member_is_reported_and_not_accused(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    uint64_t suspicions = lab.g->counters.suspicions;
    assert_int_equal(ask(&lab, 1, false, 0), ERR_OK);
    lab.now_ms += ASK_DATAGRAM_MS;
    struct gossip_event e = {.kind = GOSSIP_TICK};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    assert_int_equal(pong(&lab)->err, ERR_TIMEOUT);
    assert_int_equal(lab.g->counters.suspicions, suspicions);
    assert_int_equal(lab.g->asks.used, 0);
    lab_fini(&lab);
}

static void test_an_answer_that_finds_no_room_is_given_later(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    assert_int_equal(ask(&lab, 1, false, 0), ERR_OK);
    lab_forget(&lab);
    lab.g->fx = &lab.fx;
    while (event_push(&lab.fx, GOSSIP_RECORD_CHANGED) != NULL)
        ;
    ask_forget(lab.g, lab_member(&lab, 1));
    assert_int_equal(lab.g->asks.used, 1);
    struct gossip_event tick = {.kind = GOSSIP_TICK};
    assert_int_equal(lab_step(&lab, &tick), ERR_OK);
    const struct gossip_effect *e = pong(&lab);
    assert_int_not_equal(e->err, ERR_OK);
    assert_memory_equal(&e->node, &lab.peer[1].persona.id, sizeof(e->node));
    assert_int_equal(lab.g->asks.used, 0);
    lab_fini(&lab);
}

static void test_a_datagram_is_as_long_as_it_was_asked_to_be(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    uint64_t before = lab.g->counters.bytes_sent;
    assert_int_equal(ask(&lab, 1, false, 1400), ERR_OK);
    assert_in_range(lab.g->counters.bytes_sent - before, 1390, 1400);
    assert_non_null(lab_last(&lab, 1, MESSAGE_PING));
    assert_int_equal(ask(&lab, 1, false, 1401), ERR_TOO_LARGE);
    lab_fini(&lab);
}

static void test_by_stream_the_clock_of_the_other_comes_along(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    assert_int_equal(ask(&lab, 1, true, 0), ERR_OK);
    uint32_t stream = lab_effect(&lab, GOSSIP_STREAM_OPEN)->stream;
    lab.now_ms += 3;
    lab_stream_opened(&lab, stream, false, 1);
    struct sync_message probe;
    assert_int_equal(sync_message_read(span_of(lab.stream_data, lab.stream_len), &probe), ERR_OK);
    assert_int_equal(probe.kind, SYNC_PROBE);
    struct sync_message hello = {.kind = SYNC_HELLO, .offer = lab_offer(&lab, 1)};
    lab.now_ms += 2;
    lab_stream_data(&lab, stream, &hello);
    struct sync_message m = {.kind = SYNC_PONG, .seq = probe.seq};
    m.wall_ms = LAB_WALL_MS + (int64_t)lab.now_ms + 4000;
    lab_stream_data(&lab, stream, &m);
    assert_int_equal(pong(&lab)->err, ERR_OK);
    assert_int_equal(pong(&lab)->connect_us, 3000);
    assert_int_equal(pong(&lab)->rtt_us, 2000);
    assert_true(pong(&lab)->has_skew);
    assert_in_range(pong(&lab)->skew_ms, 4000, 4001);
    lab_fini(&lab);
}

static void test_a_refused_stream_says_so(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    assert_int_equal(ask(&lab, 1, true, 0), ERR_OK);
    struct gossip_event e = {.kind = GOSSIP_STREAM_CLOSED,
                             .stream = lab_effect(&lab, GOSSIP_STREAM_OPEN)->stream,
                             .err = ERR_REFUSED};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    assert_int_equal(pong(&lab)->err, ERR_REFUSED);
    lab_fini(&lab);
}

static void test_strangers_ourselves_and_too_many_are_refused(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    assert_int_equal(ask(&lab, 6, false, 0), ERR_NOT_FOUND);
    assert_int_equal(ask(&lab, 0, false, 0), ERR_NOT_FOUND);
    for (uint32_t i = 0; i < ASK_SLOTS; i++)
        assert_int_equal(ask(&lab, 1 + i % 3, false, 0), ERR_OK);
    assert_int_equal(ask(&lab, 1, false, 0), ERR_FULL);
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_answer_of_a_member_comes_back_with_its_time),
        cmocka_unit_test(test_a_silent_member_is_reported_and_not_accused),
        cmocka_unit_test(test_an_answer_that_finds_no_room_is_given_later),
        cmocka_unit_test(test_a_datagram_is_as_long_as_it_was_asked_to_be),
        cmocka_unit_test(test_by_stream_the_clock_of_the_other_comes_along),
        cmocka_unit_test(test_a_refused_stream_says_so),
        cmocka_unit_test(test_strangers_ourselves_and_too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
