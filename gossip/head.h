/* Heads: what a node signs about itself, short enough to travel with every rumour (gossip.md 3.1,
 * 3.6). A head names, by hash, the admission certificate and the record body that belong to it.
 *
 *  0    1       17      25    29       37      41   42     44   60     76      92
 *  +----+-------+-------+-----+--------+-------+----+------+----+------+-------+------+
 *  |ver1|owner16| epoch8| inc4|version8| flags4|fam1| port2|ip16| adm16| body16| sig64|
 *  +----+-------+-------+-----+--------+-------+----+------+----+------+-------+------+
 *  big-endian; sig = Ed25519 over "parley-head-1\0" || the first 92 bytes
 *
 * Pure. Any thread. The fixed layout means that the bytes on the wire are the bytes signed.
 */
#ifndef GOSSIP_HEAD_H
#define GOSSIP_HEAD_H

#include "core/model/addr.h"
#include "gossip/crypto_ops.h"

#define HEAD_BYTES (92u + SIGN_BYTES)
#define HEAD_LEFT  1u /* flag: the owner said good-bye; final for the epoch */

struct head {
    struct node_id owner;
    uint64_t epoch;
    uint64_t version; /* of the announcement: raised by the owner when anything but inc changes */
    uint32_t inc;     /* incarnation: raised by the owner to refute */
    uint32_t flags;
    struct addr addr;
    uint8_t admission_hash[CRYPTO_OPS_HASH_BYTES];
    uint8_t body_hash[CRYPTO_OPS_HASH_BYTES];
    uint8_t sig[SIGN_BYTES];
};

/* The first bytes of its owner's id: whether these are they; copies them. */
static inline bool head_is(const struct head *h, const uint8_t id8[NODE_ID_SHORT_BYTES])
{
    return memcmp(h->owner.byte, id8, NODE_ID_SHORT_BYTES) == 0;
}
static inline void head_short_id(const struct head *h, uint8_t id8[NODE_ID_SHORT_BYTES])
{
    memcpy(id8, h->owner.byte, NODE_ID_SHORT_BYTES);
}
/* Order of announcements of one owner: (epoch, inc, version), as memcmp would say. */
int head_cmp(const struct head *a, const struct head *b);
/* Fills h->sig. */
void head_sign(const struct gossip_crypto *crypto, const struct sign_key *key, struct head *h);
bool head_verify(const struct gossip_crypto *crypto, const uint8_t pk[SIGN_PUBLIC_BYTES],
                 const struct head *h);
void head_encode(const struct head *h, uint8_t out[HEAD_BYTES]);
/* ERR_INVALID: other length or version byte, or an address of no family. The signature is not
 * looked at. */
enum err head_decode(struct span wire, struct head *out) MUST_USE;

/* Big-endian integers of fixed layouts, here and in accusations. `out` has room for them. */
void head_put_u32(uint8_t *out, uint32_t v);
void head_put_u64(uint8_t *out, uint64_t v);
uint32_t head_get_u32(const uint8_t *p);
uint64_t head_get_u64(const uint8_t *p);

#endif
