#include "gossip/sync.h"
#include "tests/unit/support_gossip.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ALL     UINT32_MAX
#define INBOUND (STREAM_INBOUND_BIT | 1u)

static struct sync_message hello(struct lab *lab, uint32_t peer)
{
    return (struct sync_message){.kind = SYNC_HELLO, .offer = lab_offer(lab, peer)};
}

static void say(struct lab *lab, enum sync_message_kind kind)
{
    struct sync_message m = {.kind = kind, .seq = 5};
    lab_stream_data(lab, INBOUND, &m);
}

/* The kind of the last message sent on a stream. */
static enum sync_message_kind last_kind(struct lab *lab, struct sync_message *m)
{
    assert_non_null(lab->stream_data);
    assert_int_equal(sync_message_read(span_of(lab->stream_data, lab->stream_len), m), ERR_OK);
    return m->kind;
}

static void open_bound(struct lab *lab, uint32_t peer)
{
    struct sync_message m = hello(lab, peer);
    lab_stream_opened(lab, INBOUND, true, peer);
    lab_stream_data(lab, INBOUND, &m);
}

static void test_a_hello_of_a_stranger_makes_it_known_and_spread(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    open_bound(&lab, 5);
    assert_int_equal(lab_state(&lab, 5), MEMBER_ALIVE);
    lab_run(&lab, 300, ALL);
    assert_true(lab_count(&lab, LAB_ANYONE, MESSAGE_RECORD) > 0);
    lab_fini(&lab);
}

static void test_a_hello_of_another_than_tls_proved_is_refused(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    struct sync_message m = hello(&lab, 4);
    lab_stream_opened(&lab, INBOUND, true, 3);
    lab_stream_data(&lab, INBOUND, &m);
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_CLOSE), 1);
    assert_int_equal(lab.g->counters.dropped_auth, 1);
    lab_fini(&lab);
}

static void test_nothing_counts_before_the_hello(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    lab_stream_opened(&lab, INBOUND, true, 1);
    say(&lab, SYNC_PROBE);
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_SEND), 0);
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_CLOSE), 1);
    lab_fini(&lab);
}

static void test_a_stream_probe_is_answered_behind_our_hello(void **state)
{
    (void)state;
    struct lab lab;
    struct sync_message m;
    lab_init(&lab, 2);
    open_bound(&lab, 1);
    say(&lab, SYNC_PROBE);
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_SEND), 2);
    assert_int_equal(last_kind(&lab, &m), SYNC_PONG);
    assert_int_equal(m.seq, 5);
    lab_fini(&lab);
}

static void test_nonsense_closes_the_stream(void **state)
{
    (void)state;
    static const uint8_t lying[] = {0xdd, 0xff, 0xff, 0xff, 0xff};
    struct lab lab;
    lab_init(&lab, 2);
    open_bound(&lab, 1);
    lab_stream_bytes(&lab, INBOUND, span_of(lying, sizeof(lying)));
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_CLOSE), 1);
    assert_int_equal(lab.g->counters.dropped_malformed, 1);
    lab_fini(&lab);
}

static void test_equal_digests_end_in_two_messages(void **state)
{
    (void)state;
    struct lab lab;
    struct sync_message m = {.kind = SYNC_VECTOR};
    uint8_t vector[DIGEST_VECTOR_BYTES];
    lab_init(&lab, 2);
    open_bound(&lab, 1);
    digest_vector(&lab.g->digest, vector);
    m.bytes = span_of(vector, sizeof(vector));
    lab_stream_data(&lab, INBOUND, &m);
    assert_int_equal(last_kind(&lab, &m), SYNC_DONE);
    lab_fini(&lab);
}

static void test_an_empty_vector_is_answered_with_a_list_of_all_and_wants_are_served(void **state)
{
    (void)state;
    struct lab lab;
    struct offer o;
    static const uint8_t nothing[DIGEST_VECTOR_BYTES];
    struct sync_message m = {.kind = SYNC_VECTOR, .bytes = span_of(nothing, sizeof(nothing))};
    lab_init(&lab, 3);
    open_bound(&lab, 1);
    lab_stream_data(&lab, INBOUND, &m);
    assert_int_equal(last_kind(&lab, &m), SYNC_LIST);
    assert_true(m.last);
    assert_int_equal(m.bytes.len, 4 * SYNC_PRINT_BYTES);
    struct sync_message want = {.kind = SYNC_WANT,
                                .bytes = span_of(lab.peer[2].persona.id.byte, NODE_ID_SHORT_BYTES)};
    lab_stream_data(&lab, INBOUND, &want);
    assert_int_equal(last_kind(&lab, &m), SYNC_RECORDS);
    assert_true(m.last);
    assert_true(sync_message_record(&m, &o));
    assert_memory_equal(o.head.owner.byte, lab.peer[2].persona.id.byte, NODE_ID_BYTES);
    assert_non_null(o.admission.p);
    assert_true(span_eq(o.body, lab_offer(&lab, 2).body));
    lab_fini(&lab);
}

static void test_a_want_without_a_session_is_served_behind_our_hello(void **state)
{
    (void)state;
    struct lab lab;
    struct sync_message m, want = {.kind = SYNC_WANT};
    lab_init(&lab, 3);
    open_bound(&lab, 1);
    want.bytes = span_of(lab.peer[2].persona.id.byte, NODE_ID_SHORT_BYTES);
    lab_stream_data(&lab, INBOUND, &want);
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_SEND), 2);
    assert_int_equal(last_kind(&lab, &m), SYNC_RECORDS);
    lab_fini(&lab);
}

static void test_what_the_other_side_has_newer_is_wanted(void **state)
{
    (void)state;
    struct lab lab;
    static const uint8_t nothing[DIGEST_VECTOR_BYTES];
    struct sync_message m = {.kind = SYNC_VECTOR, .bytes = span_of(nothing, sizeof(nothing))};
    uint8_t prints[2 * SYNC_PRINT_BYTES] = {0};
    lab_init(&lab, 3);
    open_bound(&lab, 1);
    lab_stream_data(&lab, INBOUND, &m);
    struct sync_message list = {.kind = SYNC_LIST, .last = true, .bytes = span_of(prints, 32)};
    const struct head *same = &lab.peer[2].head;
    memcpy(prints, same->owner.byte, NODE_ID_SHORT_BYTES);
    head_put_u64(prints + 8, digest_print(&lab.g->digest, same) & ~UINT64_C(3));
    memcpy(prints + 16, lab.peer[6].persona.id.byte, NODE_ID_SHORT_BYTES); /* a stranger, live */
    lab_stream_data(&lab, INBOUND, &list);
    assert_int_equal(last_kind(&lab, &m), SYNC_WANT);
    assert_int_equal(m.bytes.len, NODE_ID_SHORT_BYTES);
    assert_memory_equal(m.bytes.p, lab.peer[6].persona.id.byte, NODE_ID_SHORT_BYTES);
    lab_fini(&lab);
}

static void test_the_dead_that_we_never_knew_are_not_wanted(void **state)
{
    (void)state;
    struct lab lab;
    static const uint8_t nothing[DIGEST_VECTOR_BYTES];
    struct sync_message m = {.kind = SYNC_VECTOR, .bytes = span_of(nothing, sizeof(nothing))};
    uint8_t prints[SYNC_PRINT_BYTES] = {0};
    lab_init(&lab, 3);
    open_bound(&lab, 1);
    lab_stream_data(&lab, INBOUND, &m);
    memcpy(prints, lab.peer[6].persona.id.byte, NODE_ID_SHORT_BYTES);
    head_put_u64(prints + 8, SYNC_DEAD);
    struct sync_message list = {.kind = SYNC_LIST, .last = true, .bytes = span_of(prints, 16)};
    lab_stream_data(&lab, INBOUND, &list);
    assert_int_equal(last_kind(&lab, &m), SYNC_DONE);
    lab_fini(&lab);
}

static void test_records_nobody_asked_for_close_the_stream(void **state)
{
    (void)state;
    static const uint8_t records[] = {0x93, SYNC_RECORDS, 0xc3, 0x90};
    struct lab lab;
    lab_init(&lab, 2);
    open_bound(&lab, 1);
    lab_stream_bytes(&lab, INBOUND, span_of(records, sizeof(records)));
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_CLOSE), 1);
    lab_fini(&lab);
}

static void test_sessions_over_the_limit_are_sent_elsewhere(void **state)
{
    (void)state;
    struct lab lab;
    static const uint8_t nothing[DIGEST_VECTOR_BYTES];
    struct sync_message m = {.kind = SYNC_VECTOR, .bytes = span_of(nothing, sizeof(nothing))};
    lab_init(&lab, 8);
    lab_run(&lab, STREAM_IDLE_MS, ALL); /* nobody is a newcomer any more */
    for (uint32_t i = 1; i <= SYNC_SESSIONS_MAX + 1; i++) {
        struct sync_message h = hello(&lab, i);
        lab_stream_opened(&lab, STREAM_INBOUND_BIT | i, true, i);
        lab_stream_data(&lab, STREAM_INBOUND_BIT | i, &h);
        lab_stream_data(&lab, STREAM_INBOUND_BIT | i, &m);
    }
    struct sync_message back;
    assert_int_equal(last_kind(&lab, &back), SYNC_BUSY);
    assert_true(back.alternate_count > 0);
    lab_fini(&lab);
}

/* security.md M14. */
static void
test_a_silent_stream_is_closed_after_ten_seconds_and_their_number_is_capped(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    for (uint32_t i = 0; i < 128; i++)
        lab_stream_opened(&lab, STREAM_INBOUND_BIT | i, true, 1);
    assert_true(lab.g->streams.used <= STREAM_SLOTS);
    assert_true(lab_effects(&lab, GOSSIP_STREAM_CLOSE) >= 128 - STREAM_SLOTS);
    lab_run(&lab, STREAM_IDLE_MS + 5, ALL);
    assert_int_equal(lab.g->streams.used, 0);
    lab_fini(&lab);
}

static void test_an_address_to_join_is_dialled_and_dialled_again(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 0);
    struct gossip_event e = {.kind = GOSSIP_JOIN, .addr = &lab.peer[3].head.addr, .addr_count = 1};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_OPEN), 1);
    const struct gossip_effect *open = lab_effect(&lab, GOSSIP_STREAM_OPEN);
    assert_true(addr_eq(&open->to, &lab.peer[3].head.addr));
    assert_string_equal(open->peer_name.text, "");
    struct gossip_event closed = {
        .kind = GOSSIP_STREAM_CLOSED, .stream = open->stream, .err = ERR_REFUSED};
    assert_int_equal(lab_step(&lab, &closed), ERR_OK);
    lab_run(&lab, 4000, ALL);
    assert_true(lab_effects(&lab, GOSSIP_STREAM_OPEN) >= 2);
    lab_fini(&lab);
}

/* 10.0.9.`number` is to be joined, once more maybe. */
static void join(struct lab *lab, unsigned number)
{
    struct addr at = {.ip = {10, 0, 9, (uint8_t)number}, .port = 7400, .family = ADDR_IP4};
    struct gossip_event e = {.kind = GOSSIP_JOIN, .addr = &at, .addr_count = 1};
    assert_int_equal(lab_step(lab, &e), ERR_OK);
}

static bool dialled(const struct lab *lab, unsigned number)
{
    for (size_t i = 0; i < lab->effect_count; i++)
        if (lab->effect[i].kind == GOSSIP_STREAM_OPEN && lab->effect[i].to.ip[3] == number)
            return true;
    return false;
}

/* A driver whose peers are silent names all of them again before each dial has ended. */
static void test_silent_addresses_keep_no_other_waiting_for_ever(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 0);
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned n = 1; n <= 3 * SYNC_OUTBOUND_MAX; n++)
            join(&lab, n);
        lab_run(&lab, 5000, ALL);
    }
    for (unsigned n = 1; n <= 3 * SYNC_OUTBOUND_MAX; n++)
        assert_true(dialled(&lab, n));
    lab_fini(&lab);
}

/* A name whose address changes at each look-up: what nobody answers at makes room for what is new.
 */
static void test_an_address_that_was_tried_makes_room_for_a_new_one(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 0);
    for (unsigned n = 1; n <= 2 * SYNC_SEEDS_MAX; n++) {
        join(&lab, n);
        lab_run(&lab, 2000, ALL);
    }
    lab_forget(&lab);
    join(&lab, 255);
    lab_run(&lab, 6000, ALL);
    assert_true(dialled(&lab, 255));
    assert_int_equal(lab.g->sync.seed_count, SYNC_SEEDS_MAX);
    lab_fini(&lab);
}

static void test_a_list_out_of_order_ends_the_stream(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t prints[2 * SYNC_PRINT_BYTES] = {0};
    lab_init(&lab, 0);
    struct gossip_event e = {.kind = GOSSIP_JOIN, .addr = &lab.peer[3].head.addr, .addr_count = 1};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    uint32_t id = lab_effect(&lab, GOSSIP_STREAM_OPEN)->stream;
    lab_stream_opened(&lab, id, false, 3);
    struct sync_message hello = {.kind = SYNC_HELLO, .offer = lab_offer(&lab, 3)};
    lab_stream_data(&lab, id, &hello);
    struct sync_message list = {.kind = SYNC_LIST, .bytes = span_of(prints, sizeof(prints))};
    prints[0] = 1;
    prints[SYNC_PRINT_BYTES] = 2;
    lab_stream_data(&lab, id, &list);
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_CLOSE), 0);
    lab_stream_data(&lab, id, &list); /* it begins again, below where it was */
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_CLOSE), 1);
    lab_fini(&lab);
}

static void test_our_own_address_is_not_dialled(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 0);
    struct gossip_event e = {.kind = GOSSIP_JOIN, .addr = &lab.peer[0].head.addr, .addr_count = 1};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    lab_run(&lab, 3000, ALL);
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_OPEN), 0);
    lab_fini(&lab);
}

static void test_two_contacts_that_disagree_start_a_session(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t bytes[2][PACKET_BYTES_MAX];
    size_t len[2];
    struct message ping = {.kind = MESSAGE_PING};
    lab_init(&lab, 4);
    for (int i = 0; i < 2; i++)
        len[i] = lab_seal(&lab, 1, &ping, bytes[i]); /* their summary is of now */
    struct gossip_event e = {.kind = GOSSIP_UPSERT, .data = span_str("changed")};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    lab_run(&lab, 3000, ALL);
    uint64_t before = lab.g->counters.syncs_started;
    lab_datagram(&lab, 1, bytes[0], len[0]);
    assert_int_equal(lab.g->counters.syncs_started, before);
    lab_datagram(&lab, 1, bytes[1], len[1]);
    assert_int_equal(lab.g->counters.syncs_started, before + 1);
    lab_fini(&lab);
}

static void ask_anew(struct lab *lab)
{
    lab->g->sync.synced = false;
    lab->g->sync.agreed = 0;
}

static void test_a_node_is_synced_when_two_others_have_its_digest(void **state)
{
    (void)state;
    struct lab lab;
    struct message ping = {.kind = MESSAGE_PING};
    lab_init(&lab, 4);
    ask_anew(&lab);
    lab_say(&lab, 1, &ping);
    lab_say(&lab, 1, &ping);
    assert_false(gossip_synced(lab.g));
    lab_say(&lab, 2, &ping);
    assert_true(gossip_synced(lab.g));
    lab_fini(&lab);
}

static void test_one_other_is_enough_where_there_is_but_one(void **state)
{
    (void)state;
    struct lab lab;
    struct message ping = {.kind = MESSAGE_PING};
    lab_init(&lab, 1);
    ask_anew(&lab);
    lab_say(&lab, 1, &ping);
    assert_true(gossip_synced(lab.g));
    lab_fini(&lab);
}

static void test_who_differs_again_does_not_count_as_agreeing(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t bytes[PACKET_BYTES_MAX];
    struct message ping = {.kind = MESSAGE_PING};
    lab_init(&lab, 4);
    ask_anew(&lab);
    lab_say(&lab, 1, &ping);
    size_t len = lab_seal(&lab, 1, &ping, bytes); /* its summary is of now */
    struct gossip_event e = {.kind = GOSSIP_UPSERT, .data = span_str("changed")};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    lab_run(&lab, 3000, 0);
    lab_datagram(&lab, 1, bytes, len);
    lab_say(&lab, 2, &ping);
    assert_false(gossip_synced(lab.g));
    lab_fini(&lab);
}

static void test_the_first_node_of_a_mesh_is_synced_but_not_one_that_waits_for_a_seed(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 0);
    assert_true(gossip_synced(lab.g));
    struct gossip_event e = {.kind = GOSSIP_JOIN, .addr = &lab.peer[3].head.addr, .addr_count = 1};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    assert_false(gossip_synced(lab.g));
    lab_fini(&lab);
}

/* The integration test of a mesh that starts cold: a member that one store alone still had could
 * never be voted dead, and kept that node out of sync for good. */
static void test_who_only_our_store_speaks_of_is_dead_when_it_is_silent(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    lab_run(&lab, 40000, ALL & ~2u);
    assert_int_not_equal(lab_state(&lab, 1), MEMBER_DEAD); /* nobody agrees */
    lab_member(&lab, 1)->restored = true;
    lab_member(&lab, 1)->vouched = false;
    lab_run(&lab, 40000, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_DEAD);
    lab_fini(&lab);
}

static void test_who_others_have_too_is_not_only_of_our_store(void **state)
{
    (void)state;
    struct lab lab;
    struct sync_message m = {.kind = SYNC_VECTOR};
    uint8_t vector[DIGEST_VECTOR_BYTES];
    lab_init(&lab, 4);
    ask_anew(&lab);
    lab_member(&lab, 2)->vouched = false;
    open_bound(&lab, 1);
    digest_vector(&lab.g->digest, vector);
    m.bytes = span_of(vector, sizeof(vector));
    lab_stream_data(&lab, INBOUND, &m);
    assert_true(lab_member(&lab, 2)->vouched);
    lab_fini(&lab);
}

static void test_the_accused_are_told_in_answer_to_their_hello(void **state)
{
    (void)state;
    struct lab lab;
    struct sync_message m;
    lab_init(&lab, 8);
    for (uint32_t i = 2; i <= 4; i++) {
        struct message a = {.kind = MESSAGE_ACCUSE, .accusation = lab_accuse(&lab, 1, i)};
        lab_say(&lab, i, &a);
    }
    open_bound(&lab, 1);
    assert_int_equal(last_kind(&lab, &m), SYNC_ACCUSED);
    lab.peer[1].head.inc++;
    lab_sign(&lab, 1);
    m = hello(&lab, 1);
    lab_stream_data(&lab, INBOUND, &m);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    lab_fini(&lab);
}

/* An idle node wakes up for packets and probes, not for a look of its own besides. */
static void test_the_look_for_work_rides_on_what_comes_anyway(void **state)
{
    (void)state;
    struct lab lab;
    struct message ping = {.kind = MESSAGE_PING, .seq = 1};
    lab_init(&lab, 4);
    lab_run(&lab, 10000, ALL);
    struct timer *t = &lab.g->sync.timer;
    uint64_t looked = lab.g->sync.looked_ms;
    assert_true(timer_armed(t));
    assert_true(t->node.key > looked + SYNC_LOOK_MS);
    lab.now_ms = looked + SYNC_LOOK_MS;
    lab_say(&lab, 2, &ping);
    assert_int_equal(lab.g->sync.looked_ms, looked + SYNC_LOOK_MS);
    lab.now_ms += 10;
    lab_say(&lab, 3, &ping);
    assert_int_equal(lab.g->sync.looked_ms, looked + SYNC_LOOK_MS);
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hello_of_a_stranger_makes_it_known_and_spread),
        cmocka_unit_test(test_a_hello_of_another_than_tls_proved_is_refused),
        cmocka_unit_test(test_nothing_counts_before_the_hello),
        cmocka_unit_test(test_a_stream_probe_is_answered_behind_our_hello),
        cmocka_unit_test(test_nonsense_closes_the_stream),
        cmocka_unit_test(test_equal_digests_end_in_two_messages),
        cmocka_unit_test(test_an_empty_vector_is_answered_with_a_list_of_all_and_wants_are_served),
        cmocka_unit_test(test_a_want_without_a_session_is_served_behind_our_hello),
        cmocka_unit_test(test_what_the_other_side_has_newer_is_wanted),
        cmocka_unit_test(test_the_dead_that_we_never_knew_are_not_wanted),
        cmocka_unit_test(test_records_nobody_asked_for_close_the_stream),
        cmocka_unit_test(test_sessions_over_the_limit_are_sent_elsewhere),
        cmocka_unit_test(
            test_a_silent_stream_is_closed_after_ten_seconds_and_their_number_is_capped),
        cmocka_unit_test(test_an_address_to_join_is_dialled_and_dialled_again),
        cmocka_unit_test(test_silent_addresses_keep_no_other_waiting_for_ever),
        cmocka_unit_test(test_an_address_that_was_tried_makes_room_for_a_new_one),
        cmocka_unit_test(test_the_look_for_work_rides_on_what_comes_anyway),
        cmocka_unit_test(test_a_list_out_of_order_ends_the_stream),
        cmocka_unit_test(test_our_own_address_is_not_dialled),
        cmocka_unit_test(test_two_contacts_that_disagree_start_a_session),
        cmocka_unit_test(test_a_node_is_synced_when_two_others_have_its_digest),
        cmocka_unit_test(test_one_other_is_enough_where_there_is_but_one),
        cmocka_unit_test(test_who_differs_again_does_not_count_as_agreeing),
        cmocka_unit_test(test_the_first_node_of_a_mesh_is_synced_but_not_one_that_waits_for_a_seed),
        cmocka_unit_test(test_who_only_our_store_speaks_of_is_dead_when_it_is_silent),
        cmocka_unit_test(test_who_others_have_too_is_not_only_of_our_store),
        cmocka_unit_test(test_the_accused_are_told_in_answer_to_their_hello),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
