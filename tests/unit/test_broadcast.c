#include "gossip/broadcast.h"
#include "tests/unit/support_gossip.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ALL UINT32_MAX

static void new_body(struct lab *lab, uint32_t peer, const char *body, uint32_t from)
{
    lab->peer[peer].head.version++;
    lab->peer[peer].body = body;
    lab_sign(lab, peer);
    struct offer o = lab_offer(lab, peer);
    o.admission = span_of(NULL, 0);
    lab_say_record(lab, from, &o);
}

static size_t sends_of(const struct lab *lab, uint32_t peer)
{
    size_t n = 0;
    for (size_t i = 0; i < lab->sent_count; i++) {
        const struct message *m = &lab->sent[i].message;
        n += m->kind == MESSAGE_RECORD &&
             name_node_id_cmp(&m->offer.head.owner, &lab->peer[peer].persona.id) == 0;
    }
    return n;
}

static void test_a_rumour_is_sent_so_often_and_then_no_more(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    new_body(&lab, 1, "news", 2);
    lab_run(&lab, 5000, ALL);
    assert_int_equal(sends_of(&lab, 1), tuning_retransmits(9));
    assert_int_equal(lab.g->broadcast.count, 0);
    lab_fini(&lab);
}

static void test_three_duplicates_heard_end_a_rumour(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    new_body(&lab, 1, "news", 2);
    struct offer o = lab_offer(&lab, 1);
    assert_int_equal(lab.g->broadcast.count, 1);
    lab_say_record(&lab, 3, &o);
    lab_say_record(&lab, 4, &o);
    assert_int_equal(lab.g->broadcast.count, 1);
    lab_say_record(&lab, 5, &o);
    assert_int_equal(lab.g->broadcast.count, 0);
    lab_fini(&lab);
}

static void test_a_newer_version_takes_the_place_of_the_older(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    new_body(&lab, 1, "one", 2);
    new_body(&lab, 1, "two", 2);
    assert_int_equal(lab.g->broadcast.count, 1);
    lab_run(&lab, 5000, ALL);
    for (size_t i = 0; i < lab.sent_count; i++) {
        const struct message *m = &lab.sent[i].message;
        if (m->kind != MESSAGE_RECORD) continue;
        if (name_node_id_cmp(&m->offer.head.owner, &lab.peer[1].persona.id) != 0) continue;
        assert_int_equal(m->offer.head.version, lab.peer[1].head.version);
    }
    lab_fini(&lab);
}

static void test_nobody_is_told_its_own_record(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    new_body(&lab, 1, "news", 2);
    lab_run(&lab, 5000, ALL);
    assert_int_equal(lab_count(&lab, 1, MESSAGE_RECORD), 0);
    assert_true(lab_count(&lab, 2, MESSAGE_RECORD) > 0);
    lab_fini(&lab);
}

static void test_a_long_body_is_not_inlined(void **state)
{
    (void)state;
    static char big[BROADCAST_BODY_INLINE_MAX + 2];
    struct lab lab;
    memset(big, 'x', sizeof(big) - 1);
    lab_init(&lab, 4);
    struct gossip_event e = {.kind = GOSSIP_UPSERT, .data = span_str(big)};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    lab_run(&lab, 2000, ALL);
    assert_non_null(lab_last(&lab, LAB_ANYONE, MESSAGE_RECORD));
    assert_null(lab_last(&lab, LAB_ANYONE, MESSAGE_RECORD)->offer.body.p);
    lab_fini(&lab);
}

static void test_accusations_go_before_records_and_leave_them_room(void **state)
{
    (void)state;
    struct lab lab;
    struct packet p;
    lab_init(&lab, 8);
    for (uint32_t target = 1; target <= 6; target++)
        for (uint32_t i = 7; i <= 8; i++) {
            struct message m = {.kind = MESSAGE_ACCUSE, .accusation = lab_accuse(&lab, target, i)};
            lab_say(&lab, i, &m);
        }
    struct gossip_event e = {.kind = GOSSIP_UPSERT, .data = span_str("our news")};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    packet_begin(lab.g, &p, lab_member(&lab, 8));
    broadcast_fill(lab.g, &p);
    struct pack_reader r;
    unsigned accusations = 0, records = 0;
    uint8_t doc[PACKET_BYTES_MAX];
    struct pack_writer w;
    pack_writer_init(&w, doc, sizeof(doc));
    pack_write_array(&w, p.messages);
    memcpy(doc + w.len, p.writer.p, p.writer.len);
    assert_int_equal(pack_reader_init(&r, span_of(doc, w.len + p.writer.len), 4, 512), ERR_OK);
    uint32_t outer, inner;
    uint32_t count = pack_read_array(&r, 1, &outer);
    for (uint32_t i = 0; i < count; i++) {
        (void)pack_read_array(&r, 1, &inner);
        uint64_t kind = pack_read_u64(&r);
        accusations += kind == MESSAGE_ACCUSE;
        records += kind == MESSAGE_RECORD;
        if (i == 0) assert_int_equal(kind, MESSAGE_ACCUSE);
        pack_read_array_end(&r, inner);
    }
    assert_true(accusations >= 3);
    assert_int_equal(records, 1);
    lab_fini(&lab);
}

static void test_with_nobody_to_tell_rumours_end(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 0);
    struct gossip_event e = {.kind = GOSSIP_UPSERT, .data = span_str("alone")};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    lab_run(&lab, 500, ALL);
    assert_int_equal(lab.g->broadcast.count, 0);
    assert_int_equal(lab.sent_count, 0);
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rumour_is_sent_so_often_and_then_no_more),
        cmocka_unit_test(test_three_duplicates_heard_end_a_rumour),
        cmocka_unit_test(test_a_newer_version_takes_the_place_of_the_older),
        cmocka_unit_test(test_nobody_is_told_its_own_record),
        cmocka_unit_test(test_a_long_body_is_not_inlined),
        cmocka_unit_test(test_accusations_go_before_records_and_leave_them_room),
        cmocka_unit_test(test_with_nobody_to_tell_rumours_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
