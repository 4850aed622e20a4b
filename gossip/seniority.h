/* Seniority: which of two chains of roots the more senior operators signed (gossip.md 3.6).
 *
 * Pure; any thread. The issuer is 0; each operator gets the next number where it first appears, in
 * the order of that root's list, and keeps it until it is removed. Numbers are never given twice:
 * nobody becomes more senior by reordering the list, or by removing those before.
 *
 *   root     1: ada bob     2: ada bob eve     3: bob eve     4: bob eve ada
 *   numbers     1   2          1   2   3          2   3          2   3   4
 */
#ifndef GOSSIP_SENIORITY_H
#define GOSSIP_SENIORITY_H

#include "gossip/authority.h"

struct seniority {
    uint32_t given; /* numbers, so far on this chain */
    uint32_t of[MANIFEST_OPERATORS_MAX];
};

/* Those of `m`, which follows `parent`, of which `before` are; NULL and ignored: it is the first.
 */
void seniority_follow(const struct manifest *parent, const struct seniority *before,
                      const struct manifest *m, struct seniority *out);
/* The least number of who signed `m` on top of a->root, of which `before` are. AUTHORITY_NOBODY. */
uint32_t seniority_signer(const struct authority *a, const struct seniority *before,
                          const struct manifest *m);

#endif
