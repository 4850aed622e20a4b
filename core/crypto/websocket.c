#include "core/crypto/websocket.h"

#include <bearssl.h>
#include <sodium.h>

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

void websocket_key(struct rng *rng, char out[WEBSOCKET_KEY_BYTES + 1])
{
    uint64_t bytes[2] = {rng_u64(rng), rng_u64(rng)};
    sodium_bin2base64(out, WEBSOCKET_KEY_BYTES + 1, (const unsigned char *)bytes, sizeof bytes,
                      sodium_base64_VARIANT_ORIGINAL);
}

void websocket_accept(struct span key, char out[WEBSOCKET_ACCEPT_BYTES + 1])
{
    br_sha1_context sha;
    unsigned char digest[br_sha1_SIZE];
    br_sha1_init(&sha);
    br_sha1_update(&sha, key.p, key.len);
    br_sha1_update(&sha, guid, sizeof guid - 1);
    br_sha1_out(&sha, digest);
    sodium_bin2base64(out, WEBSOCKET_ACCEPT_BYTES + 1, digest, sizeof digest,
                      sodium_base64_VARIANT_ORIGINAL);
}
