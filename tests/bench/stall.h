/* Stalls of the machine: when did a core run nothing at all, though something had to run?
 *
 * On a shared host a virtual core stands still for milliseconds, several times a second, and with
 * it whatever a latency is measured of. A witness a core, of a higher real-time priority than
 * anything measured, wakes every millisecond; when it wakes late, no process of ours could run
 * there either. What the kernel does at a stretch, interrupts and the network's work behind them,
 * counts too when it takes so long, for whomever it does it: who compares rigs compares how many
 * requests of each were stalled.
 *
 *   witness   |      |      |      .      .   |         late by more than STALL_LATE_NS
 *   stall                   [=================]======]  and as long again, for what had piled up
 *
 * stalls_start and _stop from one thread, the rest behind _stop.
 */
#ifndef TESTS_BENCH_STALL_H
#define TESTS_BENCH_STALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STALL_LATE_NS UINT64_C(200000)
#define STALL_CORES   64u
#define STALL_MOST    4096u /* of a core; later ones are not kept */

struct stall_core {
    struct stalls *all;
    unsigned cpu;
    size_t count;
    struct {
        uint64_t from_ns, to_ns;
    } stall[STALL_MOST];
};

struct stalls {
    _Atomic bool over; /* relaxed: it orders nothing */
    size_t count;
    unsigned long thread[STALL_CORES];
    struct stall_core core[STALL_CORES];
};

/* `s` is all zero. False: real-time threads are not allowed here; then there are no stalls. Cores
 * behind the first that this process may not use have no witness. */
bool stalls_start(struct stalls *s);
void stalls_stop(struct stalls *s);
/* Whether any core stalled between the two, on the monotonic clock. */
bool stalls_between(const struct stalls *s, uint64_t from_ns, uint64_t to_ns);

#endif
