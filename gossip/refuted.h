/* Refuted: which incarnations a member has left so lately that what was measured of it still counts
 * (gossip.md 3.2).
 *
 * To refute says that one is there, not that packets get through. The rumour of a refutation and
 * that of the votes race through the mesh, and where it wins, votes for LOSSY would be void: by
 * this they count for a while after, however often it refutes meanwhile. Two spans, half a length
 * apart at least, so that each refutation leaves the votes before it REFUTED_MS / 2 or more, and
 * none more than REFUTED_MS: who has signed votes of long ago shuns nobody who is well again.
 *
 * Pure; embedded in struct member_care; all zero: none left lately.
 */
#ifndef GOSSIP_REFUTED_H
#define GOSSIP_REFUTED_H

#include <stdbool.h>
#include <stdint.h>

#define REFUTED_MS 10000u

struct refuted {
    struct refuted_span {
        uint64_t end_ms; /* 0: unused */
        uint32_t inc;    /* the first that was left */
    } span[2];           /* the newer first */
};

/* It has left incarnation `inc` for a higher one. */
void refuted_note(struct refuted *r, uint32_t inc, uint64_t now_ms);
/* Whether what was measured of incarnation `inc`, which it has left, still counts. */
bool refuted_counts(const struct refuted *r, uint32_t inc, uint64_t now_ms);
/* From then on nothing does; 0: nothing does. */
uint64_t refuted_end_ms(const struct refuted *r);

#endif
