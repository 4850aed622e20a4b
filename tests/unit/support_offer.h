/* What a gossip machine says of itself when it binds a stream, for tests that send it in its place.
 * Apart from them, since the machine's own struct policy is not that of the rules.
 */
#ifndef TESTS_UNIT_SUPPORT_OFFER_H
#define TESTS_UNIT_SUPPORT_OFFER_H

#include "gossip/gossip.h"
#include "gossip/offer.h"

/* Head, admission and body; borrowed from the machine until its next step. */
void support_offer_self(const struct gossip *g, struct offer *out);

#endif
