/* Every number of the failure detector and of dissemination, and the formulas between them
 * (gossip.md 3.2, 3.3; Lifeguard, arXiv 1707.00788, section IV).
 *
 * Pure functions of a small struct; any thread. All times are milliseconds unless the name says
 * otherwise. `members` is the count of members that are not dead or gone, self included.
 */
#ifndef GOSSIP_TUNING_H
#define GOSSIP_TUNING_H

#include <stdbool.h>
#include <stdint.h>

#define TUNING_ACCUSERS_MAX 3u /* K: accusers that make a verdict */
/* L: of them, so many are believed; the accused need be shown no more (gossip.md 3.2). */
#define TUNING_ACCUSED_VOTES   2u
#define TUNING_PINGS_MIN       2u
#define TUNING_PINGS_MAX       16u
#define TUNING_FANOUT          3u  /* targets of one gossip round */
#define TUNING_HELPERS         3u  /* indirect probes */
#define TUNING_CONFIRMERS      5u  /* peers asked to confirm a failed probe */
#define TUNING_DUPLICATES      3u  /* heard that often, a rumour needs us no more */
#define TUNING_PACKETS_A_ROUND 15u /* at most, over all targets of a gossip round */
#define TUNING_LEAVE_FANOUT    (2 * TUNING_FANOUT)
#define TUNING_RATE_BYTES      65536u  /* datagram bytes a second */
#define TUNING_BURST_BYTES     262144u /* and at once */
#define TUNING_RESERVE_BYTES   32768u  /* of the burst, for probes and refutations only */

struct tuning {
    uint32_t period_ms; /* T */
    uint32_t gossip_ms; /* g */
    uint32_t rto_min_ms, rto_max_ms, rto_first_ms;
    uint32_t rto_floor_us; /* what rto_min_ms is rounded from: see tuning_rto_adapt */
    uint32_t dead_hold_ms; /* unreachable for that long without refutation: dead */
    uint32_t reap_ms;      /* dead or left for that long: forgotten */
    uint32_t persist_ms;
    uint32_t safety_sync_ms; /* one unconditional digest exchange */
    uint32_t pause_ms;       /* a step this much late means that we were stopped */
};

/* The LAN profile for a probe period of `period_ms`. */
struct tuning tuning_lan(uint32_t period_ms);

/* ceil(log2(v)); 0 for v <= 1. */
uint32_t tuning_log2_ceil(uint32_t v);
/* D(N): how long a rumour takes to nearly everyone. */
uint32_t tuning_spread_ms(const struct tuning *t, uint32_t members);
/* L: how often one node sends one rumour. */
uint32_t tuning_retransmits(uint32_t members);
/* K: distinct accusers that make a verdict, of so many members alive; two nodes can judge each
 * other. */
uint32_t tuning_accusers_needed(uint32_t members);
/* A round-trip time, smoothed; both 0: never measured. */
struct tuning_rtt {
    uint32_t srtt_us, rttvar_us;
};
/* One more measurement (RFC 6298 section 2). */
void tuning_rtt_sample(struct tuning_rtt *rtt, uint32_t us);
/* Of `us` and the two before it, 0: none; one slow answer moves nobody (serf's latency filter). */
uint32_t tuning_median_us(const uint32_t last[2], uint32_t us);
/* Retransmission timeout of a peer. Of one never measured: what most of all peers, `others`, would
 * keep, and 20 ms. */
uint32_t tuning_rto_ms(const struct tuning *t, const struct tuning_rtt *peer,
                       const struct tuning_rtt *others);
/* A first ping was answered, `late` or within its RTO: the least RTO grows by half or shrinks by
 * 1/256, within TUNING_FLOOR_MIN_US and TUNING_FLOOR_MAX_US. So one answer in a hundred is late,
 * however busy machines are: each late one costs packets, and its sender is well. */
#define TUNING_FLOOR_MIN_US 20000u
#define TUNING_FLOOR_MAX_US 150000u
void tuning_rto_adapt(struct tuning *t, bool late);
/* The same of a peer never measured, to which coordinates say it takes so long. */
uint32_t tuning_rto_estimated_ms(const struct tuning *t, uint32_t estimate_us);
/* How many pings silence must outlast to mean something, when `lost` of 1 are unanswered: so many
 * that all of them are lost once in 10 000 times, but TUNING_PINGS_MIN to TUNING_PINGS_MAX. */
uint32_t tuning_pings(double lost);
/* From the first ping to the verdict: room for `pings`, an RTO apart, an RTO after them and 50 ms;
 * at most a period. `health` is the local health multiplier, 0 when well. */
uint32_t tuning_verdict_ms(const struct tuning *t, uint32_t rto_ms, uint32_t pings,
                           uint32_t health);
/* How long a suspicion by `accusers` >= 1 distinct members of `needed` lasts before the suspect is
 * unreachable. */
uint32_t tuning_suspicion_ms(const struct tuning *t, uint32_t members, uint32_t accusers,
                             uint32_t needed, uint32_t health);

#endif
