#include "gossip/member_index.h"

#include "core/base/check.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_BITS  15u
#define INDEX_MASK  ((UINT32_C(1) << INDEX_BITS) - 1)
#define FIRST_SLOTS 16u
#define SLOTS_MAX   (UINT32_C(1) << (32 - INDEX_BITS)) /* homes must be known from the tag */

static_assert(MEMBERS_MAX < INDEX_MASK, "an index fits");
static_assert(MEMBERS_MAX * 4 / 3 < SLOTS_MAX, "a full table fits");

void member_index_fini(struct member_index *x)
{
    if (!x->borrowed) free(x->slot);
    *x = (struct member_index){0};
}

static uint32_t entry_of(uint32_t hash, uint32_t index)
{
    return hash << INDEX_BITS | (index + 1);
}

static size_t home_of(const struct member_index *x, uint32_t entry)
{
    return (size_t)(entry >> INDEX_BITS) & (x->cap - 1);
}

static void insert(struct member_index *x, uint32_t entry)
{
    size_t at = home_of(x, entry);
    while (x->slot[at] != 0)
        at = (at + 1) & (x->cap - 1);
    x->slot[at] = entry;
}

enum err member_index_reserve(struct member_index *x, size_t count)
{
    struct member_index bigger = {.cap = x->cap > 0 ? x->cap : FIRST_SLOTS, .count = x->count};
    while (count > bigger.cap - bigger.cap / 4)
        bigger.cap *= 2;
    CHECK(bigger.cap <= SLOTS_MAX);
    if (bigger.cap == x->cap) return ERR_OK;
    bigger.slot = calloc(bigger.cap, sizeof(bigger.slot[0]));
    if (bigger.slot == NULL) return ERR_NOMEM;
    for (size_t i = 0; i < x->cap; i++)
        if (x->slot[i] != 0) insert(&bigger, x->slot[i]);
    member_index_fini(x);
    *x = bigger;
    return ERR_OK;
}

/* Only simulators lend indices. */
static void own(struct member_index *x)
{
    if (!x->borrowed) return;
    uint32_t *copy = malloc(x->cap * sizeof(copy[0]));
    CHECK(copy != NULL);
    memcpy(copy, x->slot, x->cap * sizeof(copy[0]));
    x->slot = copy;
    x->borrowed = false;
}

enum err member_index_put(struct member_index *x, uint32_t hash, uint32_t index)
{
    own(x);
    enum err err = member_index_reserve(x, x->count + 1);
    if (err != ERR_OK) return err;
    insert(x, entry_of(hash, index));
    x->count++;
    return ERR_OK;
}

void member_index_borrow(struct member_index *x, const struct member_index *from)
{
    member_index_fini(x);
    *x = *from;
    x->borrowed = true;
}

/* The slot of an entry; `cap`: it is not in. */
static size_t slot_of(const struct member_index *x, uint32_t entry)
{
    if (x->count == 0) return x->cap;
    for (size_t at = home_of(x, entry); x->slot[at] != 0; at = (at + 1) & (x->cap - 1))
        if (x->slot[at] == entry) return at;
    return x->cap;
}

void member_index_del(struct member_index *x, uint32_t hash, uint32_t index)
{
    size_t hole = slot_of(x, entry_of(hash, index));
    if (hole == x->cap) return;
    own(x);
    for (size_t at = (hole + 1) & (x->cap - 1); x->slot[at] != 0; at = (at + 1) & (x->cap - 1)) {
        /* An entry may not move in front of its home. */
        size_t from_home = (at - home_of(x, x->slot[at])) & (x->cap - 1);
        if (from_home < ((at - hole) & (x->cap - 1))) continue;
        x->slot[hole] = x->slot[at];
        hole = at;
    }
    x->slot[hole] = 0;
    x->count--;
}

uint32_t member_index_next(const struct member_index *x, uint32_t hash, size_t *at)
{
    if (x->count == 0) return MEMBER_INDEX_NONE;
    uint32_t tag = hash << INDEX_BITS;
    for (;;) {
        uint32_t entry = x->slot[(home_of(x, tag) + *at) & (x->cap - 1)];
        if (entry == 0) return MEMBER_INDEX_NONE;
        (*at)++;
        if ((entry & ~INDEX_MASK) == tag) return (entry & INDEX_MASK) - 1;
    }
}
