#include "gossip/tuning.h"

#include <math.h>

#define MIN_OF_SPREAD 2u /* Min = 2 D: out and back once */
#define MAX_OF_MIN    6u
#define FALSE_SILENCE 1e-4
#define FLOOR_SHRINKS 256u

struct tuning tuning_lan(uint32_t period_ms)
{
    return (struct tuning){
        .period_ms = period_ms,
        .gossip_ms = 100,
        .rto_min_ms = TUNING_FLOOR_MIN_US / 1000,
        .rto_floor_us = TUNING_FLOOR_MIN_US,
        .rto_max_ms = 500,
        .rto_first_ms = 200,
        .dead_hold_ms = 8000,
        .reap_ms = 24u * 3600 * 1000,
        .persist_ms = 60000,
        .safety_sync_ms = 300000,
        .pause_ms = 250,
    };
}

uint32_t tuning_log2_ceil(uint32_t v)
{
    uint32_t bits = 0;
    while (bits < 32 && (UINT64_C(1) << bits) < v)
        bits++;
    return bits;
}

uint32_t tuning_spread_ms(const struct tuning *t, uint32_t members)
{
    double n = members > 1 ? (double)members : 1.0;
    return (uint32_t)((double)t->gossip_ms * (log2(n) / 2.0 + 3.0));
}

uint32_t tuning_retransmits(uint32_t members)
{
    return tuning_log2_ceil(members) + 4;
}

uint32_t tuning_accusers_needed(uint32_t members)
{
    uint32_t others = members > 3 ? members - 2 : 1;
    return others < TUNING_ACCUSERS_MAX ? others : TUNING_ACCUSERS_MAX;
}

void tuning_rtt_sample(struct tuning_rtt *rtt, uint32_t us)
{
    if (rtt->srtt_us == 0) {
        rtt->srtt_us = us;
        rtt->rttvar_us = us / 2;
        return;
    }
    uint32_t off = us > rtt->srtt_us ? us - rtt->srtt_us : rtt->srtt_us - us;
    rtt->rttvar_us = rtt->rttvar_us - rtt->rttvar_us / 4 + off / 4;
    rtt->srtt_us = rtt->srtt_us - rtt->srtt_us / 8 + us / 8;
}

uint32_t tuning_median_us(const uint32_t last[2], uint32_t us)
{
    if (last[1] == 0) return us;
    uint32_t low = last[0] < last[1] ? last[0] : last[1];
    uint32_t high = last[0] < last[1] ? last[1] : last[0];
    if (us < low) return low;
    return us > high ? high : us;
}

uint32_t tuning_rto_ms(const struct tuning *t, const struct tuning_rtt *peer,
                       const struct tuning_rtt *others)
{
    const struct tuning_rtt *rtt = peer->srtt_us > 0 ? peer : others;
    if (rtt->srtt_us == 0) return t->rto_first_ms;
    uint64_t ms = ((uint64_t)rtt->srtt_us + 4 * (uint64_t)rtt->rttvar_us) / 1000 + 1;
    if (rtt == others) ms += t->rto_min_ms;
    if (ms < t->rto_min_ms) return t->rto_min_ms;
    return ms > t->rto_max_ms ? t->rto_max_ms : (uint32_t)ms;
}

void tuning_rto_adapt(struct tuning *t, bool late)
{
    uint32_t us = late ? t->rto_floor_us + t->rto_floor_us / 2
                       : t->rto_floor_us - t->rto_floor_us / FLOOR_SHRINKS;
    if (us < TUNING_FLOOR_MIN_US) us = TUNING_FLOOR_MIN_US;
    if (us > TUNING_FLOOR_MAX_US) us = TUNING_FLOOR_MAX_US;
    t->rto_floor_us = us;
    t->rto_min_ms = us / 1000;
}

uint32_t tuning_rto_estimated_ms(const struct tuning *t, uint32_t estimate_us)
{
    uint64_t ms = 2 * (uint64_t)estimate_us / 1000 + t->rto_min_ms;
    return ms < t->rto_max_ms ? (uint32_t)ms : t->rto_max_ms;
}

uint32_t tuning_pings(double lost)
{
    uint32_t pings = TUNING_PINGS_MIN;
    double all_lost = lost * lost;
    for (; all_lost > FALSE_SILENCE && pings < TUNING_PINGS_MAX; pings++)
        all_lost *= lost;
    return pings;
}

uint32_t tuning_verdict_ms(const struct tuning *t, uint32_t rto_ms, uint32_t pings, uint32_t health)
{
    uint32_t ms = (pings + 1) * rto_ms + 50;
    if (ms > t->period_ms) ms = t->period_ms;
    return ms * (health + 1);
}

uint32_t tuning_suspicion_ms(const struct tuning *t, uint32_t members, uint32_t accusers,
                             uint32_t needed, uint32_t health)
{
    double min = MIN_OF_SPREAD * (double)tuning_spread_ms(t, members);
    double max = min * MAX_OF_MIN * (double)(health + 1);
    if (accusers >= needed) return (uint32_t)min;
    double share = log((double)accusers + 1.0) / log((double)needed + 1.0);
    double ms = max - (max - min) * share;
    return (uint32_t)(ms > min ? ms : min);
}
