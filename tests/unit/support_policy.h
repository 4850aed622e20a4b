/* A simulated mesh with operators, for tests of policy: a world of a few nodes that know each
 * other, drivers that answer, and someone who signs.
 *
 * Everything fails the test that uses it rather than returning errors. Node 0 has the first root,
 * signed by the issuer, and has told it to all.
 */
#ifndef TESTS_UNIT_SUPPORT_POLICY_H
#define TESTS_UNIT_SUPPORT_POLICY_H

#include "gossip/gossip_policy.h"
#include "gossip/state.h"
#include "tests/sim/drivers.h"
#include "tests/sim/measure.h"
#include "tests/sim/operators.h"
#include "tests/sim/oracle.h"

struct crowd {
    struct world world;
    struct oracle oracle;
    struct measure measure;
    struct operators operators;
    struct drivers drivers;
    struct operators_signed root;   /* the newest */
    struct operators_signed policy; /* the newest */
    char text[64];
};

void crowd_init(struct crowd *c, uint32_t nodes, bool real_crypto);
void crowd_fini(struct crowd *c);
void crowd_run(struct crowd *c, uint64_t ms);
struct gossip *crowd_gossip(struct crowd *c, uint32_t i);
int64_t crowd_wall_ms(const struct crowd *c);
/* What would come after c->policy, signed by that operator. */
struct operators_order crowd_order(const struct crowd *c, uint32_t by);
/* Signs it and gives it to node i; what the machine says. On ERR_OK it is c->policy. */
enum err crowd_apply(struct crowd *c, uint32_t i, const struct operators_order *order);
/* The usual one, by operator 0; must be taken. */
void crowd_apply_next(struct crowd *c, uint32_t i);
/* A root after c->root. */
struct operators_order crowd_root_order(const struct crowd *c, uint32_t by);
enum err crowd_apply_root(struct crowd *c, uint32_t i, const struct operators_order *order);
/* What node i says of the newest generation, of itself. */
struct status crowd_status(struct crowd *c, uint32_t i);
/* All nodes have `ref` in force. */
bool crowd_all_have(struct crowd *c, const struct manifest_ref *ref);

#endif
