#include "gossip/message.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ROOM 1400u

static struct accusation some_votes(void)
{
    struct accusation a = {.target = {{5}}, .epoch = 6, .inc = 7, .count = 2};
    a.vote[0].accuser.byte[0] = 1;
    a.vote[1].accuser.byte[0] = 2;
    return a;
}

/* One of each kind. */
static size_t all_kinds(struct message *out)
{
    static const enum message_kind seq_kinds[] = {MESSAGE_PING, MESSAGE_ACK, MESSAGE_NACK};
    size_t n = 0;
    for (size_t i = 0; i < 3; i++)
        out[n++] = (struct message){.kind = seq_kinds[i], .seq = UINT32_MAX - (uint32_t)i};
    out[n++] = (struct message){.kind = MESSAGE_PING_REQ, .seq = 1, .target = {{9, 9}}};
    out[n++] = (struct message){.kind = MESSAGE_CONFIRM, .accusation = some_votes()};
    out[n++] = (struct message){
        .kind = MESSAGE_REACHED, .target = {{8}}, .epoch = UINT64_MAX, .inc = UINT32_MAX};
    out[n++] = (struct message){.kind = MESSAGE_ACCUSED, .accusation = some_votes()};
    out[n++] = (struct message){.kind = MESSAGE_ACCUSE, .accusation = some_votes()};
    out[n++] = (struct message){.kind = MESSAGE_CONFLICT};
    out[n] = (struct message){.kind = MESSAGE_RECORD};
    out[n].offer.head.addr.family = ADDR_IP6;
    out[n].offer.head.version = 12;
    out[n++].offer.body = span_str("body");
    return n;
}

static size_t write_all(uint8_t *bytes, size_t *count)
{
    struct message m[16];
    struct pack_writer w;
    *count = all_kinds(m);
    pack_writer_init(&w, bytes, ROOM);
    pack_write_array(&w, (uint32_t)*count + 1);
    pack_write_u64(&w, 1234);
    for (size_t i = 0; i < *count; i++)
        message_write(&w, &m[i]);
    assert_true(pack_writer_ok(&w));
    return w.len;
}

static void test_every_kind_comes_back_as_it_was(void **state)
{
    (void)state;
    uint8_t bytes[ROOM];
    struct message want[16], m;
    struct message_reader mr;
    uint64_t summary;
    size_t count;
    size_t len = write_all(bytes, &count);
    (void)all_kinds(want);
    assert_int_equal(message_reader_init(&mr, span_of(bytes, len), &summary), ERR_OK);
    assert_int_equal(summary, 1234);
    for (size_t i = 0; i < count; i++) {
        assert_true(message_next(&mr, &m));
        assert_int_equal(m.kind, want[i].kind);
        if (m.kind <= MESSAGE_NACK) assert_int_equal(m.seq, want[i].seq);
    }
    assert_true(span_eq_str(m.offer.body, "body"));
    assert_null(m.offer.admission.p);
    assert_int_equal(m.offer.head.version, 12);
    assert_false(message_next(&mr, &m));
    assert_int_equal(message_reader_err(&mr), ERR_OK);
}

static void test_what_was_voted_and_reached_comes_back(void **state)
{
    (void)state;
    uint8_t bytes[ROOM];
    struct message_reader mr;
    struct message m;
    uint64_t summary;
    size_t count;
    size_t len = write_all(bytes, &count);
    assert_int_equal(message_reader_init(&mr, span_of(bytes, len), &summary), ERR_OK);
    while (message_next(&mr, &m)) {
        if (m.kind == MESSAGE_ACCUSE) {
            assert_int_equal(m.accusation.count, 2);
            assert_int_equal(m.accusation.vote[1].accuser.byte[0], 2);
        }
        if (m.kind == MESSAGE_REACHED) {
            assert_int_equal(m.epoch, UINT64_MAX);
            assert_int_equal(m.inc, UINT32_MAX);
            assert_int_equal(m.target.byte[0], 8);
        }
    }
}

/* security.md M15. */
static void test_every_prefix_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[ROOM];
    struct message_reader mr;
    uint64_t summary;
    size_t count;
    size_t len = write_all(bytes, &count);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_not_equal(message_reader_init(&mr, span_of(bytes, cut), &summary), ERR_OK);
}

static void test_a_number_over_its_range_is_refused(void **state)
{
    (void)state;
    static const uint8_t seq_of_33_bits[] = {0x92, 0x00, 0x92, 0x01, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0};
    struct message_reader mr;
    struct message m;
    uint64_t summary;
    struct span doc = span_of(seq_of_33_bits, sizeof(seq_of_33_bits));
    assert_int_equal(message_reader_init(&mr, doc, &summary), ERR_OK);
    assert_false(message_next(&mr, &m));
    assert_int_equal(message_reader_err(&mr), ERR_RANGE);
}

static void test_a_message_that_does_not_fit_overflows_the_writer(void **state)
{
    (void)state;
    uint8_t bytes[16];
    struct pack_writer w;
    struct message m = {.kind = MESSAGE_ACCUSE, .accusation = some_votes()};
    pack_writer_init(&w, bytes, sizeof(bytes));
    message_write(&w, &m);
    assert_false(pack_writer_ok(&w));
}

static void test_each_kind_has_a_word_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MESSAGE_KINDS; i++) {
        assert_non_null(message_word((enum message_kind)i));
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(message_word((enum message_kind)i),
                                    message_word((enum message_kind)j));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_has_a_word_of_its_own),
        cmocka_unit_test(test_every_kind_comes_back_as_it_was),
        cmocka_unit_test(test_what_was_voted_and_reached_comes_back),
        cmocka_unit_test(test_every_prefix_is_refused),
        cmocka_unit_test(test_a_number_over_its_range_is_refused),
        cmocka_unit_test(test_a_message_that_does_not_fit_overflows_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
