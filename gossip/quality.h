/* Quality: whether a member that answers now and then is lossy, from a row of pings of which each
 * has its own answer (gossip.md 3.2; Rapid, ATC 2018, section 7: 80 % loss at 1 % of the nodes).
 *
 *   ping      1 2 3 4 5 6 7 8 9 ... 16
 *   answer    - + - - - - + - -     -      2 of the 7 up to the last answered one: 5 lost
 *
 * Only losses before an answer count: one that is stopped answers all it finds when it wakes, and
 * one that has just died answers nothing any more. Pure; any thread.
 */
#ifndef GOSSIP_QUALITY_H
#define GOSSIP_QUALITY_H

#include <stdbool.h>
#include <stdint.h>

#define QUALITY_PINGS    16u
#define QUALITY_EVERY_MS 60u
#define QUALITY_WELL     4u   /* answered without a gap, they are enough */
#define QUALITY_LOST_MIN 6u   /* of those up to the last answer, and three in five */
#define QUALITY_OWN_MAX  0.1  /* who loses more with everyone else judges nobody */
#define QUALITY_OWN_FEW  0.03 /* who loses so little is startled by one lost ping */
#define QUALITY_OWN_SOME 0.06 /* and who loses so little, by two in a row */

/* Whether a probe that was answered gives reason to measure: `lost` is our share of lost pings with
 * everyone, `missed` how many its target did not answer before. */
bool quality_startles(double lost, uint32_t missed);
/* Of the first pings that were sent, so many were answered that the rest can be spared: who loses
 * three in five is let off like that once in 40 times, and measured again with the next loss. */
bool quality_is_well(uint32_t pings, uint32_t answered);
/* Bit i of `answered`: ping i was. */
bool quality_is_lossy(uint32_t answered);

#endif
