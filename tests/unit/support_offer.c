#include "tests/unit/support_offer.h"

#include "gossip/catalogue.h"
#include "gossip/state.h"

void support_offer_self(const struct gossip *g, struct offer *out)
{
    catalogue_offer(g->self.member, true, true, out);
}
