/* Sealed gossip datagrams: XChaCha20-Poly1305 (libsodium) under a key of the two nodes alone, made
 * from their own keys and the mesh's group key (gossip.md 3.4).
 *
 *  0      1         5          13        19          25                      25+n      +16
 *  +------+---------+----------+---------+-----------+----------------------+---------+
 *  | ver1 | key_id4 | sender8  | epoch6  | counter6  | ciphertext of n      | tag 16  | big-endian
 *  +------+---------+----------+---------+-----------+----------------------+---------+
 *  AAD     header(25) || mesh_id16 || sender node_id16 || receiver node_id16 || receiver epoch6
 *  nonce   sender8 || epoch6 || counter6 || 0^4
 *  key     BLAKE2b-256(key = group key, X25519(sender, receiver) || lower id || higher id || mesh)
 *
 * The group key alone speaks for nobody, a node's key alone is not heard. A packet is good for one
 * life of its receiver: what was recorded before it restarted does not open after. Life 0 is that
 * of hails (gossip/hail.h), which may be replayed.
 * sender8 is the first half of the node_id. Any thread, one owner. Keys lie in sodium_malloc
 * memory. Time and randomness never enter: (epoch, counter) never repeats for a sender because the
 * epoch is stored before the first send.
 */
#ifndef CORE_CRYPTO_SEAL_H
#define CORE_CRYPTO_SEAL_H

#include "core/base/err.h"
#include "core/model/name.h"

#define SEAL_KEY_BYTES      32u
#define SEAL_KEYS_MAX       3u
#define SEAL_HEADER_BYTES   25u
#define SEAL_OVERHEAD_BYTES 41u

struct seal_ring; /* up to SEAL_KEYS_MAX group keys, the first one seals */

struct seal_header {
    uint32_t key_id;
    uint8_t sender[NODE_ID_SHORT_BYTES];
    uint64_t epoch;   /* 48 bits */
    uint64_t counter; /* 48 bits */
};

/* BLAKE2b-256 of a group key: what roots name it by; its first 4 bytes are the key id. */
#define SEAL_KEY_HASH_BYTES 32u
void seal_key_hash(const uint8_t key[SEAL_KEY_BYTES], uint8_t hash[SEAL_KEY_HASH_BYTES]);

enum err seal_ring_new(struct seal_ring **out) MUST_USE;
void seal_ring_free(struct seal_ring *r);
/* key_id = first 4 bytes of BLAKE2b-256(key). ERR_FULL, ERR_EXISTS. The first added is the one that
 * seals until seal_ring_use. */
enum err seal_ring_add(struct seal_ring *r, const uint8_t key[SEAL_KEY_BYTES]) MUST_USE;
/* Makes the key number 0. ERR_NOT_FOUND. */
enum err seal_ring_use(struct seal_ring *r, uint32_t key_id) MUST_USE;
/* ERR_NOT_FOUND; ERR_BUSY: it is the one that seals. */
enum err seal_ring_remove(struct seal_ring *r, uint32_t key_id) MUST_USE;
size_t seal_ring_count(const struct seal_ring *r);
/* Key number `i`, borrowed (for storing and for the join reply); NULL past the end. Number 0 is the
 * one that seals. */
const uint8_t *seal_ring_key(const struct seal_ring *r, size_t i, uint32_t *key_id);

#define SEAL_SHARED_BYTES 32u

/* Overwrites a secret so that no compiler leaves it out. */
void seal_wipe(void *secret, size_t len);

/* What a packet is bound to besides its header. All borrowed during the call. */
struct seal_scope {
    const struct seal_ring *ring;
    const struct mesh_id *mesh;
    const struct node_id *sender, *receiver;
    const uint8_t *shared;   /* SEAL_SHARED_BYTES: sign_agree of the two */
    uint64_t receiver_epoch; /* 48 bits: the life it is meant for */
};

/* Seals `plain` into `out` of `cap` bytes, `*len` of them used; the two must not overlap.
 * ERR_TOO_LARGE; ERR_RANGE when epoch or counter does not fit 48 bits; ERR_NOT_FOUND: the ring is
 * empty. h->key_id and h->sender are ignored: the ring's first key seals, and the scope's sender.
 */
enum err seal_packet(const struct seal_scope *scope, const struct seal_header *h, struct span plain,
                     uint8_t *out, size_t cap, size_t *len) MUST_USE;
/* Reads the header without authentication, to find the sender. ERR_INVALID: short, or not
 * version 1. */
enum err seal_peek(struct span packet, struct seal_header *h) MUST_USE;
/* Opens into `out` (cap >= packet.len - SEAL_OVERHEAD_BYTES). ERR_INVALID: as seal_peek;
 * ERR_NOT_FOUND: unknown key id; ERR_TOO_LARGE: over `cap`; ERR_AUTH: also when it names another
 * sender than the scope's. */
enum err seal_open(const struct seal_scope *scope, struct span packet, uint8_t *out, size_t cap,
                   size_t *len) MUST_USE;

/* Replay window of 64 (RFC 4303 3.4.3) for one sender and epoch. */
struct seal_window {
    uint64_t epoch;
    uint64_t top;
    uint64_t bits;
};
/* ERR_OK and marked seen; ERR_REPLAY: seen or too old. A newer epoch restarts the window, and its
 * first packet is the floor: what was sent before it is refused. */
enum err seal_window_check(struct seal_window *w, uint64_t epoch, uint64_t counter) MUST_USE;

#endif
