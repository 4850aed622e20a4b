/* Pair secrets: what this node shares with each peer (sign_agree), kept in locked memory, found by
 * a slot number that the peer's own record holds.
 *
 * One thread, one owner. Slots are handed out in chunks of a page of secrets; a chunk is never
 * given back before the table.
 *
 *   slot s, from 1:   chunk[(s - 1) / SEAL_PAIR_CHUNK] -> 32 bytes each; a free one begins with the
 *                     number of the next free slot
 */
#ifndef CORE_CRYPTO_SEAL_PAIR_H
#define CORE_CRYPTO_SEAL_PAIR_H

#include "core/base/limits.h"
#include "core/crypto/seal.h"

#define SEAL_PAIR_NONE  0u
#define SEAL_PAIR_CHUNK 128u

struct seal_pair_table;

/* ERR_NOMEM. */
enum err seal_pair_table_new(struct seal_pair_table **out) MUST_USE;
/* Wipes all; NULL is fine. */
void seal_pair_table_free(struct seal_pair_table *t);
/* Keeps a copy of `shared`; its slot, which seal_pair_drop takes. ERR_NOMEM; ERR_FULL: over
 * MEMBERS_MAX. */
enum err seal_pair_put(struct seal_pair_table *t, const uint8_t shared[SEAL_SHARED_BYTES],
                       uint32_t *slot) MUST_USE;
/* SEAL_SHARED_BYTES, borrowed until the slot is dropped. */
const uint8_t *seal_pair_get(const struct seal_pair_table *t, uint32_t slot);
/* Wipes the secret; SEAL_PAIR_NONE is fine. */
void seal_pair_drop(struct seal_pair_table *t, uint32_t slot);

#endif
