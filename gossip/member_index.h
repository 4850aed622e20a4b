/* Member index: from a 32-bit hash to the indices of members that may have it, four bytes an entry.
 *
 *   slot, 32 bits:  | low 17 bits of the hash | index + 1, 15 bits |     0: empty
 *
 * Open addressing, linear probing, at most 3/4 full; removal shifts back, so there are no
 * tombstones. The caller compares keys: a hash that agrees in 17 bits is only a candidate.
 *
 * Gossip thread; embedded in the table of members.
 */
#ifndef GOSSIP_MEMBER_INDEX_H
#define GOSSIP_MEMBER_INDEX_H

#include "core/base/err.h"
#include "core/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct member_index {
    uint32_t *slot; /* owned, unless borrowed; NULL: empty */
    size_t cap;     /* power of two */
    size_t count;
    bool borrowed; /* the slots are another's, until this one changes */
};

#define MEMBER_INDEX_NONE UINT32_MAX

void member_index_fini(struct member_index *x);
/* Room for `count` entries. ERR_NOMEM: unchanged. */
enum err member_index_reserve(struct member_index *x, size_t count) MUST_USE;
/* ERR_NOMEM: unchanged. */
enum err member_index_put(struct member_index *x, uint32_t hash, uint32_t index) MUST_USE;
/* What `from` has, which outlives `x` and does not change; what `x` had is freed. Nothing is copied
 * before `x` changes: then it is, and there must be memory for it. */
void member_index_borrow(struct member_index *x, const struct member_index *from);
/* No effect when it is not in. */
void member_index_del(struct member_index *x, uint32_t hash, uint32_t index);
/* The next candidate: start with *at = 0; MEMBER_INDEX_NONE: no more. */
uint32_t member_index_next(const struct member_index *x, uint32_t hash, size_t *at);

#endif
