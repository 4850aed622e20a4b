#include "gossip/head.h"
#include "tests/sim/fake_crypto.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static struct head sample(struct fake_key *key)
{
    fake_crypto_key(1, 3, key);
    struct head h = {.owner = fake_crypto_node_id(key),
                     .epoch = UINT64_C(0x0102030405060708),
                     .version = UINT64_C(0x1112131415161718),
                     .inc = 0x21222324,
                     .flags = HEAD_LEFT,
                     .addr = {.ip = {10, 1, 2, 3}, .port = 7400, .family = ADDR_IP4}};
    memset(h.admission_hash, 0xaa, sizeof(h.admission_hash));
    memset(h.body_hash, 0xbb, sizeof(h.body_hash));
    head_sign(fake_crypto_ops(), fake_crypto_sign_key(key), &h);
    return h;
}

static void test_a_head_comes_back_as_it_was_and_verifies(void **state)
{
    (void)state;
    struct fake_key key;
    struct head h = sample(&key), back;
    uint8_t wire[HEAD_BYTES];
    head_encode(&h, wire);
    assert_int_equal(head_decode(span_of(wire, sizeof(wire)), &back), ERR_OK);
    assert_memory_equal(back.owner.byte, h.owner.byte, NODE_ID_BYTES);
    assert_int_equal(back.epoch, h.epoch);
    assert_int_equal(back.version, h.version);
    assert_int_equal(back.inc, h.inc);
    assert_int_equal(back.flags, HEAD_LEFT);
    assert_true(addr_eq(&back.addr, &h.addr));
    assert_true(head_verify(fake_crypto_ops(), key.public_key, &back));
}

static void test_the_layout_is_that_of_the_picture(void **state)
{
    (void)state;
    struct fake_key key;
    struct head h = sample(&key);
    uint8_t wire[HEAD_BYTES];
    head_encode(&h, wire);
    static const uint8_t numbers[] = {1, 2, 3, 4, 5, 6, 7, 8, 0x21, 0x22, 0x23, 0x24};
    assert_int_equal(wire[0], 1);
    assert_memory_equal(wire + 17, numbers, sizeof(numbers));
    assert_int_equal(wire[41], ADDR_IP4);
    assert_int_equal(wire[42] << 8 | wire[43], 7400);
    assert_int_equal(wire[60], 0xaa);
    assert_int_equal(wire[76], 0xbb);
}

static void test_every_changed_byte_breaks_the_signature(void **state)
{
    (void)state;
    struct fake_key key;
    struct head h = sample(&key), back;
    uint8_t wire[HEAD_BYTES];
    for (size_t i = 0; i < sizeof(wire); i++) {
        head_encode(&h, wire);
        wire[i] ^= 1;
        if (head_decode(span_of(wire, sizeof(wire)), &back) != ERR_OK) continue;
        assert_false(head_verify(fake_crypto_ops(), key.public_key, &back));
    }
}

static void test_other_lengths_versions_and_families_are_refused(void **state)
{
    (void)state;
    struct fake_key key;
    struct head h = sample(&key), back;
    uint8_t wire[HEAD_BYTES + 1] = {0};
    head_encode(&h, wire);
    for (size_t len = 0; len < HEAD_BYTES; len++)
        assert_int_equal(head_decode(span_of(wire, len), &back), ERR_INVALID);
    assert_int_equal(head_decode(span_of(wire, sizeof(wire)), &back), ERR_INVALID);
    wire[0] = 2;
    assert_int_equal(head_decode(span_of(wire, HEAD_BYTES), &back), ERR_INVALID);
    wire[0] = 1;
    wire[41] = 0;
    assert_int_equal(head_decode(span_of(wire, HEAD_BYTES), &back), ERR_INVALID);
    wire[41] = 3;
    assert_int_equal(head_decode(span_of(wire, HEAD_BYTES), &back), ERR_INVALID);
}

static void test_order_is_epoch_then_incarnation_then_version(void **state)
{
    (void)state;
    struct head a = {.epoch = 2, .inc = 0, .version = 0};
    struct head b = {.epoch = 1, .inc = 9, .version = 9};
    struct head c = {.epoch = 1, .inc = 9, .version = 8};
    assert_true(head_cmp(&a, &b) > 0);
    assert_true(head_cmp(&c, &b) < 0);
    assert_int_equal(head_cmp(&b, &b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_head_comes_back_as_it_was_and_verifies),
        cmocka_unit_test(test_the_layout_is_that_of_the_picture),
        cmocka_unit_test(test_every_changed_byte_breaks_the_signature),
        cmocka_unit_test(test_other_lengths_versions_and_families_are_refused),
        cmocka_unit_test(test_order_is_epoch_then_incarnation_then_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
