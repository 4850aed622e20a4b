/* A siege: the laboratory's machine with an operator, a first root and one generation of policy in
 * place, for tests of what members send it.
 *
 * Everything fails the test that uses it rather than returning errors.
 */
#ifndef TESTS_UNIT_SUPPORT_SIEGE_H
#define TESTS_UNIT_SUPPORT_SIEGE_H

#include "core/crypto/sign_manifest.h"
#include "gossip/gossip_policy.h"
#include "gossip/policy_news.h"
#include "gossip/sync.h"
#include "tests/sim/operators.h"
#include "tests/unit/support_gossip.h"

struct siege {
    struct lab lab;
    struct operators operators;
    struct operators_signed root, first;
};

void support_siege_init(struct siege *s);
void support_siege_fini(struct siege *s);
/* Hands it in as an operator would, with one text (p NULL: none). */
enum err support_siege_intend(struct siege *s, const struct operators_signed *m, struct span text);
/* The order for a child of the first generation, signed by `by`. */
struct operators_order support_siege_order(const struct siege *s, uint32_t by, const char *text);
/* The peer sends it, with the text (NULL: without). */
void support_siege_say(struct siege *s, uint32_t peer, const struct operators_signed *m,
                       const char *text);
struct manifest_ref support_siege_head(const struct siege *s);
/* The first generation is the head still, and `why` was counted so often. */
void support_siege_expect(struct siege *s, enum policy_refusal why, uint64_t times);

#endif
