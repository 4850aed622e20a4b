/* What the crypto of a gossip datagram costs: the first contact with a peer, sealing and opening
 * 300 bytes, and refusing what was forged. One line each, nanoseconds a call, best of five rounds.
 */
#include "core/base/check.h"
#include "core/crypto/seal.h"
#include "core/crypto/sign.h"
#include "tests/bench/rounds.h"

#include <stdio.h>

#define TEXT_BYTES 300u

struct bench {
    struct sign_key *a, *b;
    struct seal_ring *ring;
    struct node_id id_a, id_b;
    struct mesh_id mesh;
    uint8_t shared[SIGN_SHARED_BYTES];
    char text[TEXT_BYTES];
    uint8_t packet[TEXT_BYTES + SEAL_OVERHEAD_BYTES], plain[TEXT_BYTES];
    uint64_t counter;
};

static struct seal_scope scope_of(const struct bench *b)
{
    return (struct seal_scope){.ring = b->ring,
                               .mesh = &b->mesh,
                               .sender = &b->id_a,
                               .receiver = &b->id_b,
                               .shared = b->shared,
                               .receiver_epoch = 1};
}

static void agree(struct bench *b)
{
    CHECK(sign_agree(b->a, sign_key_public(b->b), b->shared) == ERR_OK);
}

static void seal(struct bench *b)
{
    struct seal_scope scope = scope_of(b);
    struct seal_header h = {.epoch = 1, .counter = ++b->counter};
    size_t len;
    CHECK(seal_packet(&scope, &h, span_of(b->text, TEXT_BYTES), b->packet, sizeof(b->packet),
                      &len) == ERR_OK);
}

static void open_good(struct bench *b)
{
    struct seal_scope scope = scope_of(b);
    size_t len;
    CHECK(seal_open(&scope, span_of(b->packet, sizeof(b->packet)), b->plain, sizeof(b->plain),
                    &len) == ERR_OK);
}

static void open_forged(struct bench *b)
{
    struct seal_scope scope = scope_of(b);
    size_t len;
    scope.receiver_epoch = 2;
    CHECK(seal_open(&scope, span_of(b->packet, sizeof(b->packet)), b->plain, sizeof(b->plain),
                    &len) == ERR_AUTH);
}

int main(void)
{
    static struct bench b;
    const uint8_t seed_a[SIGN_SEED_BYTES] = {1}, seed_b[SIGN_SEED_BYTES] = {2};
    const uint8_t key[SEAL_KEY_BYTES] = {3};
    CHECK(sign_key_new(seed_a, &b.a) == ERR_OK && sign_key_new(seed_b, &b.b) == ERR_OK);
    CHECK(seal_ring_new(&b.ring) == ERR_OK && seal_ring_add(b.ring, key) == ERR_OK);
    b.id_a = sign_node_id(sign_key_public(b.a));
    b.id_b = sign_node_id(sign_key_public(b.b));
    rounds_report("first contact with a peer (X25519)", &b, agree, 2000);
    rounds_report("seal a datagram of 300 bytes", &b, seal, 100000);
    rounds_report("open it", &b, open_good, 100000);
    rounds_report("refuse a forged one", &b, open_forged, 100000);
    seal_ring_free(b.ring);
    sign_key_free(b.a);
    sign_key_free(b.b);
    return 0;
}
