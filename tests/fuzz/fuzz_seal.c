/* Any bytes as a sealed datagram, as a plaintext to seal, and as an admission certificate. Nothing
 * opens that was not sealed; what was sealed opens to the same. */
#include "core/base/check.h"
#include "core/crypto/seal.h"
#include "core/crypto/sign.h"

#include <stdlib.h>

#define PACKET_MAX 2048u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void there_and_back(const struct seal_scope *scope, struct span plain)
{
    uint8_t packet[PACKET_MAX + SEAL_OVERHEAD_BYTES], opened[PACKET_MAX];
    struct seal_header h = {.epoch = plain.len, .counter = 1}, seen;
    size_t len, back;
    if (plain.len > PACKET_MAX) return;
    CHECK(seal_packet(scope, &h, plain, packet, sizeof(packet), &len) == ERR_OK);
    CHECK(seal_peek(span_of(packet, len), &seen) == ERR_OK);
    CHECK(seen.epoch == h.epoch && seen.counter == 1);
    CHECK(seal_open(scope, span_of(packet, len), opened, sizeof(opened), &back) == ERR_OK);
    CHECK(span_eq(span_of(opened, back), plain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[SEAL_KEY_BYTES] = {1}, pk[SIGN_PUBLIC_BYTES] = {2};
    static const struct mesh_id mesh = {{3}};
    static const struct node_id node = {{4}}, other = {{5}};
    static const uint8_t shared[SEAL_SHARED_BYTES] = {6};
    static struct seal_ring *ring;
    struct span in = span_of(data, size);
    struct sign_admission a;
    size_t len;
    if (ring == NULL) {
        CHECK(seal_ring_new(&ring) == ERR_OK);
        CHECK(seal_ring_add(ring, key) == ERR_OK);
    }
    struct seal_scope scope = {.ring = ring,
                               .mesh = &mesh,
                               .sender = &node,
                               .receiver = &other,
                               .shared = shared,
                               .receiver_epoch = size};
    uint8_t *out = malloc(size + 1);
    CHECK(out != NULL);
    CHECK(seal_open(&scope, in, out, size, &len) != ERR_OK);
    free(out);
    there_and_back(&scope, in);
    CHECK(sign_admission_open(in, pk, &mesh, 0, &a) != ERR_OK);
    return 0;
}
