/* A member table without a machine, for tests of what is computed from it.
 *
 * Fails the test that uses it rather than returning errors.
 */
#ifndef TESTS_UNIT_SUPPORT_MEMBERS_H
#define TESTS_UNIT_SUPPORT_MEMBERS_H

#include "gossip/member.h"

/* Makes `t` of `count` live members with scattered ids; member_table_fini is the caller's. */
void support_members_fill(struct member_table *t, const struct hash_key *key, uint32_t count);

#endif
