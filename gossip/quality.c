#include "gossip/quality.h"

bool quality_startles(double lost, uint32_t missed)
{
    return (lost < QUALITY_OWN_FEW && missed >= 1) || (lost < QUALITY_OWN_SOME && missed >= 2);
}

bool quality_is_well(uint32_t pings, uint32_t answered)
{
    return pings == QUALITY_WELL && answered == (1u << QUALITY_WELL) - 1;
}

bool quality_is_lossy(uint32_t answered)
{
    uint32_t upto = 0, got = 0;
    for (uint32_t i = 0; i < QUALITY_PINGS; i++) {
        if ((answered >> i & 1u) == 0) continue;
        got++;
        upto = i + 1;
    }
    uint32_t lost = upto - got;
    return lost >= QUALITY_LOST_MIN && 5 * lost >= 3 * upto;
}
