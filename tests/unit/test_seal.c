#include "core/crypto/seal.h"
#include "core/crypto/sign.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define PACKET_MAX 256u

static const uint8_t key_a[SEAL_KEY_BYTES] = {1, 2, 3};
static const uint8_t key_b[SEAL_KEY_BYTES] = {4, 5, 6};
static const uint8_t key_c[SEAL_KEY_BYTES] = {7};
static const uint8_t key_d[SEAL_KEY_BYTES] = {8};
static const struct mesh_id mesh = {{9, 9}};
static const struct node_id sender = {{1, 2, 3, 4, 5, 6, 7, 8, 9}};
static const struct node_id receiver = {{7, 7, 7}};
static const uint8_t shared[SEAL_SHARED_BYTES] = {5, 5, 5, 5};
static const struct seal_header header = {.epoch = UINT64_C(0x0000a1b2c3d4e5f6) & 0xffffffffffff,
                                          .counter = 77};

static struct seal_scope scope_of(const struct seal_ring *ring)
{
    return (struct seal_scope){.ring = ring,
                               .mesh = &mesh,
                               .sender = &sender,
                               .receiver = &receiver,
                               .shared = shared,
                               .receiver_epoch = 1234};
}

static struct seal_ring *ring_of(const uint8_t key[SEAL_KEY_BYTES])
{
    struct seal_ring *r;
    assert_int_equal(seal_ring_new(&r), ERR_OK);
    assert_int_equal(seal_ring_add(r, key), ERR_OK);
    return r;
}

static size_t seal_text(const struct seal_ring *ring, const char *text, uint8_t *out)
{
    struct seal_scope scope = scope_of(ring);
    size_t len;
    assert_int_equal(seal_packet(&scope, &header, span_str(text), out, PACKET_MAX, &len), ERR_OK);
    return len;
}

static void test_a_packet_opens_to_what_was_sealed(void **state)
{
    (void)state;
    struct seal_ring *ring = ring_of(key_a);
    struct seal_scope scope = scope_of(ring);
    uint8_t packet[PACKET_MAX], plain[PACKET_MAX];
    struct seal_header h;
    size_t len = seal_text(ring, "ping", packet), opened;
    assert_int_equal(len, 4 + SEAL_OVERHEAD_BYTES);
    assert_int_equal(packet[0], 1);
    assert_int_equal(seal_peek(span_of(packet, len), &h), ERR_OK);
    assert_memory_equal(h.sender, sender.byte, sizeof(h.sender));
    assert_true(h.epoch == header.epoch && h.counter == 77);
    assert_int_equal(seal_open(&scope, span_of(packet, len), plain, sizeof(plain), &opened),
                     ERR_OK);
    assert_int_equal(opened, 4);
    assert_memory_equal(plain, "ping", 4);
    len = seal_text(ring, "", packet);
    assert_int_equal(seal_open(&scope, span_of(packet, len), plain, 0, &opened), ERR_OK);
    assert_int_equal(opened, 0);
    seal_ring_free(ring);
}

/* The layout of the header's drawing, byte by byte. */
static void test_the_header_is_big_endian_where_it_is_drawn(void **state)
{
    (void)state;
    struct seal_ring *ring = ring_of(key_a);
    uint8_t packet[PACKET_MAX];
    uint32_t id;
    static const uint8_t epoch[6] = {0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6};
    static const uint8_t counter[6] = {0, 0, 0, 0, 0, 77};
    seal_text(ring, "x", packet);
    assert_non_null(seal_ring_key(ring, 0, &id));
    uint8_t key_id[4] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    assert_memory_equal(packet + 1, key_id, 4);
    assert_memory_equal(packet + 5, sender.byte, 8);
    assert_memory_equal(packet + 13, epoch, 6);
    assert_memory_equal(packet + 19, counter, 6);
    seal_ring_free(ring);
}

/* security.md M02. */
static void test_every_single_bit_flip_is_refused(void **state)
{
    (void)state;
    struct seal_ring *ring = ring_of(key_a);
    struct seal_scope scope = scope_of(ring);
    uint8_t packet[PACKET_MAX], plain[PACKET_MAX];
    size_t len = seal_text(ring, "suspect n7", packet), opened;
    for (size_t bit = 0; bit < len * 8; bit++) {
        packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum err want = bit < 8 ? ERR_INVALID : bit < 40 ? ERR_NOT_FOUND : ERR_AUTH;
        assert_int_equal(seal_open(&scope, span_of(packet, len), plain, sizeof(plain), &opened),
                         want);
        packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(seal_open(&scope, span_of(packet, len), plain, sizeof(plain), &opened),
                     ERR_OK);
    seal_ring_free(ring);
}

/* M15. */
static void test_every_prefix_and_other_versions_are_refused(void **state)
{
    (void)state;
    struct seal_ring *ring = ring_of(key_a);
    struct seal_scope scope = scope_of(ring);
    uint8_t packet[PACKET_MAX], plain[PACKET_MAX];
    size_t len = seal_text(ring, "suspect n7", packet), opened;
    for (size_t n = 0; n < len; n++) {
        enum err want = n < SEAL_OVERHEAD_BYTES ? ERR_INVALID : ERR_AUTH;
        assert_int_equal(seal_open(&scope, span_of(packet, n), plain, sizeof(plain), &opened),
                         want);
    }
    packet[0] = 0;
    assert_int_equal(seal_open(&scope, span_of(packet, len), plain, sizeof(plain), &opened),
                     ERR_INVALID);
    packet[0] = 255;
    assert_int_equal(seal_open(&scope, span_of(packet, len), plain, sizeof(plain), &opened),
                     ERR_INVALID);
    seal_ring_free(ring);
}

static void refused(const struct seal_scope *scope, const uint8_t *packet, size_t len)
{
    uint8_t plain[PACKET_MAX];
    size_t opened;
    assert_int_equal(seal_open(scope, span_of(packet, len), plain, sizeof(plain), &opened),
                     ERR_AUTH);
}

/* M03, M04: the same group key does not help another mesh, another end, or another life of it. */
static void test_a_packet_is_bound_to_its_mesh_its_ends_and_the_receivers_life(void **state)
{
    (void)state;
    struct seal_ring *ring = ring_of(key_a);
    const struct mesh_id other_mesh = {{9, 8}};
    const struct node_id other_node = {{7, 7, 6}};
    const struct node_id namesake = {{1, 2, 3, 4, 5, 6, 7, 8, 10}}; /* the same 8 bytes */
    const uint8_t other_shared[SEAL_SHARED_BYTES] = {5, 5, 5, 4};
    uint8_t packet[PACKET_MAX];
    size_t len = seal_text(ring, "ping", packet);
    struct seal_scope elsewhere = scope_of(ring), to_another = elsewhere, from_another = elsewhere,
                      stolen = elsewhere, restarted = elsewhere, reflected = elsewhere;
    elsewhere.mesh = &other_mesh;
    refused(&elsewhere, packet, len);
    to_another.receiver = &other_node;
    refused(&to_another, packet, len);
    from_another.sender = &namesake;
    refused(&from_another, packet, len);
    stolen.shared = other_shared; /* who has the group key and no node's key */
    refused(&stolen, packet, len);
    restarted.receiver_epoch++;
    refused(&restarted, packet, len);
    reflected.sender = &receiver;
    reflected.receiver = &sender;
    refused(&reflected, packet, len);
    seal_ring_free(ring);
}

/* Both directions use one key: what keeps them apart is the sender in the nonce. */
static void test_either_end_makes_the_same_key(void **state)
{
    (void)state;
    struct sign_key *a, *b, *c;
    uint8_t ab[SIGN_SHARED_BYTES], ba[SIGN_SHARED_BYTES], ac[SIGN_SHARED_BYTES];
    const uint8_t seed_a[SIGN_SEED_BYTES] = {1}, seed_b[SIGN_SEED_BYTES] = {2},
                  seed_c[SIGN_SEED_BYTES] = {3};
    uint8_t torsion[SIGN_PUBLIC_BYTES] = {1}; /* the neutral element: in no large group */
    assert_int_equal(sign_key_new(seed_a, &a), ERR_OK);
    assert_int_equal(sign_key_new(seed_b, &b), ERR_OK);
    assert_int_equal(sign_key_new(seed_c, &c), ERR_OK);
    assert_int_equal(sign_agree(a, sign_key_public(b), ab), ERR_OK);
    assert_int_equal(sign_agree(b, sign_key_public(a), ba), ERR_OK);
    assert_int_equal(sign_agree(a, sign_key_public(c), ac), ERR_OK);
    assert_memory_equal(ab, ba, sizeof(ab));
    assert_memory_not_equal(ab, ac, sizeof(ab));
    assert_int_equal(sign_agree(a, torsion, ac), ERR_INVALID);
    sign_key_free(a);
    sign_key_free(b);
    sign_key_free(c);
}

static void test_limits_are_refused_before_anything_is_written(void **state)
{
    (void)state;
    struct seal_ring *ring = ring_of(key_a), *empty;
    struct seal_scope scope = scope_of(ring);
    struct seal_header h = header;
    uint8_t packet[PACKET_MAX], plain[PACKET_MAX];
    size_t len;
    assert_int_equal(seal_packet(&scope, &h, SPAN_LIT("1234"), packet, 44, &len), ERR_TOO_LARGE);
    assert_int_equal(seal_packet(&scope, &h, SPAN_LIT("1234"), packet, 45, &len), ERR_OK);
    assert_int_equal(seal_open(&scope, span_of(packet, len), plain, 3, &len), ERR_TOO_LARGE);
    h.counter = UINT64_C(1) << 48;
    assert_int_equal(seal_packet(&scope, &h, SPAN_LIT("x"), packet, sizeof(packet), &len),
                     ERR_RANGE);
    h.counter--;
    assert_int_equal(seal_packet(&scope, &h, SPAN_LIT("x"), packet, sizeof(packet), &len), ERR_OK);
    h.epoch = UINT64_MAX;
    assert_int_equal(seal_packet(&scope, &h, SPAN_LIT("x"), packet, sizeof(packet), &len),
                     ERR_RANGE);
    assert_int_equal(seal_ring_new(&empty), ERR_OK);
    scope.ring = empty;
    assert_int_equal(seal_packet(&scope, &header, SPAN_LIT("x"), packet, sizeof(packet), &len),
                     ERR_NOT_FOUND);
    seal_ring_free(empty);
    seal_ring_free(ring);
}

static void test_a_ring_rotates_without_a_gap(void **state)
{
    (void)state;
    struct seal_ring *ring = ring_of(key_a), *old = ring_of(key_a);
    struct seal_scope scope = scope_of(ring);
    uint8_t packet[PACKET_MAX], plain[PACKET_MAX];
    uint32_t id_a, id_b, id;
    size_t opened;
    seal_ring_key(ring, 0, &id_a);
    assert_int_equal(seal_ring_add(ring, key_b), ERR_OK);
    assert_int_equal(seal_ring_add(ring, key_b), ERR_EXISTS);
    assert_non_null(seal_ring_key(ring, 1, &id_b));
    assert_int_equal(seal_ring_add(ring, key_c), ERR_OK);
    assert_int_equal(seal_ring_add(ring, key_d), ERR_FULL);
    assert_int_equal(seal_ring_count(ring), 3);
    assert_null(seal_ring_key(ring, 3, &id));

    size_t len = seal_text(ring, "old", packet);
    assert_int_equal(seal_ring_use(ring, id_b), ERR_OK);
    assert_memory_equal(seal_ring_key(ring, 0, &id), key_b, SEAL_KEY_BYTES);
    assert_int_equal(id, id_b);
    assert_memory_equal(seal_ring_key(ring, 1, &id), key_a, SEAL_KEY_BYTES);
    assert_int_equal(seal_open(&scope, span_of(packet, len), plain, sizeof(plain), &opened),
                     ERR_OK);
    len = seal_text(ring, "new", packet);
    scope.ring = old;
    assert_int_equal(seal_open(&scope, span_of(packet, len), plain, sizeof(plain), &opened),
                     ERR_NOT_FOUND);

    assert_int_equal(seal_ring_remove(ring, id_b), ERR_BUSY);
    assert_int_equal(seal_ring_remove(ring, id_a), ERR_OK);
    assert_int_equal(seal_ring_remove(ring, id_a), ERR_NOT_FOUND);
    assert_int_equal(seal_ring_use(ring, id_a), ERR_NOT_FOUND);
    assert_int_equal(seal_ring_count(ring), 2);
    assert_memory_equal(seal_ring_key(ring, 1, &id), key_c, SEAL_KEY_BYTES);
    seal_ring_free(old);
    seal_ring_free(ring);
}

static void test_the_window_takes_each_counter_once(void **state)
{
    (void)state;
    struct seal_window w = {0};
    assert_int_equal(seal_window_check(&w, 5, 36), ERR_OK); /* what came before it is not known */
    assert_int_equal(seal_window_check(&w, 5, 100), ERR_OK);
    assert_int_equal(seal_window_check(&w, 5, 100), ERR_REPLAY);
    assert_int_equal(seal_window_check(&w, 5, 99), ERR_OK);
    assert_int_equal(seal_window_check(&w, 5, 99), ERR_REPLAY);
    assert_int_equal(seal_window_check(&w, 5, 37), ERR_OK); /* 63 behind: the last that fits */
    assert_int_equal(seal_window_check(&w, 5, 37), ERR_REPLAY);
    assert_int_equal(seal_window_check(&w, 5, 36), ERR_REPLAY); /* 64 behind */
    assert_int_equal(seal_window_check(&w, 5, 163), ERR_OK);    /* 63 ahead keeps 100 */
    assert_int_equal(seal_window_check(&w, 5, 100), ERR_REPLAY);
    assert_int_equal(seal_window_check(&w, 5, 101), ERR_OK);
    assert_int_equal(seal_window_check(&w, 5, 163 + 64), ERR_OK); /* a whole window ahead */
    assert_int_equal(seal_window_check(&w, 5, 163), ERR_REPLAY);
    assert_int_equal(seal_window_check(&w, 5, 164), ERR_OK);
}

/* A receiver that restarted has forgotten what it took: the first packet it hears is its floor. */
static void test_the_first_packet_of_an_epoch_is_its_floor(void **state)
{
    (void)state;
    struct seal_window w = {0};
    assert_int_equal(seal_window_check(&w, 5, 100), ERR_OK);
    for (uint64_t counter = 0; counter <= 100; counter++)
        assert_int_equal(seal_window_check(&w, 5, counter), ERR_REPLAY);
    assert_int_equal(seal_window_check(&w, 5, 102), ERR_OK);
    assert_int_equal(seal_window_check(&w, 5, 101), ERR_OK);
    assert_int_equal(seal_window_check(&w, 6, 50), ERR_OK);
    assert_int_equal(seal_window_check(&w, 6, 49), ERR_REPLAY);
}

static void test_a_newer_epoch_restarts_the_window_and_an_older_is_refused(void **state)
{
    (void)state;
    struct seal_window w = {0};
    assert_int_equal(seal_window_check(&w, 0, 0), ERR_OK);
    assert_int_equal(seal_window_check(&w, 0, 0), ERR_REPLAY);
    assert_int_equal(seal_window_check(&w, 9, 1000), ERR_OK);
    assert_int_equal(seal_window_check(&w, 10, 0), ERR_OK);
    assert_int_equal(seal_window_check(&w, 10, 0), ERR_REPLAY);
    assert_int_equal(seal_window_check(&w, 9, 1001), ERR_REPLAY);
    assert_int_equal(seal_window_check(&w, 10, UINT64_MAX), ERR_OK);
    assert_int_equal(seal_window_check(&w, 10, UINT64_MAX), ERR_REPLAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_packet_opens_to_what_was_sealed),
        cmocka_unit_test(test_the_header_is_big_endian_where_it_is_drawn),
        cmocka_unit_test(test_every_single_bit_flip_is_refused),
        cmocka_unit_test(test_every_prefix_and_other_versions_are_refused),
        cmocka_unit_test(test_a_packet_is_bound_to_its_mesh_its_ends_and_the_receivers_life),
        cmocka_unit_test(test_either_end_makes_the_same_key),
        cmocka_unit_test(test_limits_are_refused_before_anything_is_written),
        cmocka_unit_test(test_a_ring_rotates_without_a_gap),
        cmocka_unit_test(test_the_window_takes_each_counter_once),
        cmocka_unit_test(test_the_first_packet_of_an_epoch_is_its_floor),
        cmocka_unit_test(test_a_newer_epoch_restarts_the_window_and_an_older_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
