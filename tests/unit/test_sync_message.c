#include "gossip/sync_chunk.h"

#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ROOM 8192u

static size_t encode(const struct sync_message *m, uint8_t *bytes)
{
    struct pack_writer w;
    pack_writer_init(&w, bytes, ROOM);
    sync_message_write(&w, m);
    assert_true(pack_writer_ok(&w));
    return w.len;
}

static struct sync_message there_and_back(const struct sync_message *m, uint8_t *bytes)
{
    struct sync_message back;
    size_t len = encode(m, bytes);
    assert_int_equal(sync_message_read(span_of(bytes, len), &back), ERR_OK);
    assert_int_equal(back.kind, m->kind);
    return back;
}

static void test_small_messages_come_back(void **state)
{
    (void)state;
    static const enum sync_message_kind kinds[] = {SYNC_PROBE, SYNC_PONG, SYNC_DONE, SYNC_CONFLICT,
                                                   SYNC_ACCUSED};
    uint8_t bytes[ROOM];
    for (size_t i = 0; i < 5; i++) {
        struct sync_message m = {
            .kind = kinds[i], .seq = 7, .accusation = {.epoch = 8, .inc = 9, .count = 1}};
        struct sync_message back = there_and_back(&m, bytes);
        if (kinds[i] == SYNC_PONG) assert_int_equal(back.seq, 7);
        if (kinds[i] == SYNC_ACCUSED) assert_int_equal(back.accusation.inc, 9);
    }
}

static void test_a_list_and_a_want_come_back(void **state)
{
    (void)state;
    uint8_t bytes[ROOM], prints[3 * SYNC_PRINT_BYTES] = {1, 2, 3};
    struct sync_message list = {.kind = SYNC_LIST, .last = true, .bytes = span_of(prints, 48)};
    list.bitmap[31] = 0x80;
    struct sync_message back = there_and_back(&list, bytes);
    assert_true(back.last);
    assert_int_equal(back.bitmap[31], 0x80);
    assert_int_equal(back.bytes.len, 48);
    struct sync_message want = {.kind = SYNC_WANT, .bytes = span_of(prints, 16)};
    assert_int_equal(there_and_back(&want, bytes).bytes.len, 16);
}

static void test_alternates_come_back_and_more_than_eight_are_cut(void **state)
{
    (void)state;
    uint8_t bytes[ROOM];
    struct sync_message busy = {.kind = SYNC_BUSY, .alternate_count = 2};
    busy.alternate[0] = (struct addr){.ip = {10, 0, 0, 1}, .port = 7400, .family = ADDR_IP4};
    busy.alternate[1] = (struct addr){.ip = {0xfd}, .port = 1, .family = ADDR_IP6};
    struct sync_message back = there_and_back(&busy, bytes);
    assert_int_equal(back.alternate_count, 2);
    assert_true(addr_eq(&back.alternate[0], &busy.alternate[0]));
    assert_true(addr_eq(&back.alternate[1], &busy.alternate[1]));
    struct pack_writer w;
    pack_writer_init(&w, bytes, sizeof(bytes));
    pack_write_array(&w, 2);
    pack_write_u64(&w, SYNC_BUSY);
    pack_write_array(&w, 100);
    for (unsigned i = 0; i < 100; i++) {
        pack_write_array(&w, 2);
        pack_write_bin(&w, "\x0a\0\0\1", 4);
        pack_write_u64(&w, 1);
    }
    assert_int_equal(sync_message_read(pack_writer_view(&w), &back), ERR_OK);
    assert_int_equal(back.alternate_count, SYNC_ALTERNATES_MAX);
}

static void refused(enum sync_message_kind kind, size_t len, enum err want)
{
    static uint8_t zeroes[SYNC_CHUNK_BYTES * 2];
    static uint8_t bytes[SYNC_CHUNK_BYTES * 2 + 64];
    struct pack_writer w;
    struct sync_message back;
    pack_writer_init(&w, bytes, sizeof(bytes));
    pack_write_array(&w, kind == SYNC_LIST ? 4 : 2);
    pack_write_u64(&w, kind);
    if (kind == SYNC_LIST) {
        pack_write_bool(&w, true);
        pack_write_bin(&w, zeroes, DIGEST_BITMAP_BYTES);
    }
    pack_write_bin(&w, zeroes, len);
    assert_int_equal(sync_message_read(pack_writer_view(&w), &back), want);
}

/* security.md M08. */
static void test_lengths_that_are_not_whole_or_too_many_are_refused(void **state)
{
    (void)state;
    refused(SYNC_VECTOR, DIGEST_VECTOR_BYTES - 1, ERR_INVALID);
    refused(SYNC_VECTOR, DIGEST_VECTOR_BYTES, ERR_OK);
    refused(SYNC_WANT, 7, ERR_INVALID);
    refused(SYNC_WANT, (SYNC_WANTS_MAX + 1) * NODE_ID_SHORT_BYTES, ERR_TOO_LARGE);
    refused(SYNC_LIST, 17, ERR_INVALID);
    refused(SYNC_LIST, (SYNC_PRINTS_MAX + 1) * SYNC_PRINT_BYTES, ERR_TOO_LARGE);
}

static void test_records_come_back_one_by_one(void **state)
{
    (void)state;
    uint8_t *room = malloc(SYNC_CHUNK_ROOM);
    struct sync_chunk chunk;
    struct sync_message m;
    struct offer o = {.head.addr.family = ADDR_IP4, .body = span_str("b")};
    assert_non_null(room);
    sync_chunk_init(&chunk, room);
    for (uint64_t i = 0; i < 20; i++) {
        o.head.version = i;
        sync_chunk_add(&chunk, &o);
    }
    struct span message = sync_chunk_finish(&chunk, false);
    assert_int_equal(sync_message_read(message, &m), ERR_OK);
    assert_int_equal(m.kind, SYNC_RECORDS);
    assert_false(m.last);
    for (uint64_t i = 0; i < 20; i++) {
        assert_true(sync_message_record(&m, &o));
        assert_int_equal(o.head.version, i);
    }
    assert_false(sync_message_record(&m, &o));
    assert_int_equal(m.record_count, 0);
    free(room);
}

static void test_a_bad_last_record_refuses_them_all(void **state)
{
    (void)state;
    uint8_t *room = malloc(SYNC_CHUNK_ROOM);
    struct sync_chunk chunk;
    struct sync_message m;
    struct offer o = {.head.addr.family = ADDR_IP4};
    assert_non_null(room);
    sync_chunk_init(&chunk, room);
    sync_chunk_add(&chunk, &o);
    o.head.addr.family = 9;
    sync_chunk_add(&chunk, &o);
    assert_int_equal(sync_message_read(sync_chunk_finish(&chunk, true), &m), ERR_INVALID);
    free(room);
}

static void test_a_chunk_is_full_at_its_size_and_at_its_count(void **state)
{
    (void)state;
    static const char big[RECORD_BODY_BYTES_MAX];
    uint8_t *room = malloc(SYNC_CHUNK_ROOM);
    struct sync_chunk chunk;
    struct offer o = {.head.addr.family = ADDR_IP4, .body = span_of(big, sizeof(big))};
    assert_non_null(room);
    sync_chunk_init(&chunk, room);
    sync_chunk_add(&chunk, &o);
    assert_true(sync_chunk_full(&chunk));
    o.body = span_of(NULL, 0);
    sync_chunk_init(&chunk, room);
    while (!sync_chunk_full(&chunk))
        sync_chunk_add(&chunk, &o);
    assert_int_equal(chunk.count, SYNC_RECORDS_MAX);
    free(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_messages_come_back),
        cmocka_unit_test(test_a_list_and_a_want_come_back),
        cmocka_unit_test(test_alternates_come_back_and_more_than_eight_are_cut),
        cmocka_unit_test(test_lengths_that_are_not_whole_or_too_many_are_refused),
        cmocka_unit_test(test_records_come_back_one_by_one),
        cmocka_unit_test(test_a_bad_last_record_refuses_them_all),
        cmocka_unit_test(test_a_chunk_is_full_at_its_size_and_at_its_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
