/* What 1 000 known members cost a node: processor time when nothing happens, and memory. With the
 * real crypto; the time has the simulated network's in it, so it is an upper bound. No system calls
 * are in it: those of a daemon are two a datagram.
 */
#include "gossip/catalogue.h"
#include "gossip/state.h"
#include "tests/sim/measure.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NODES     1000u
#define SETTLE_S  10u
#define MEASURE_S 30u
#define SECOND_US UINT64_C(1000000)

static double cpu_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static double bytes_sent(const struct world *w)
{
    double sum = 0;
    for (uint32_t i = 0; i < NODES; i++) {
        struct gossip_counters c = world_counters(w, i);
        sum += (double)c.bytes_sent + 28.0 * (double)c.datagrams_sent +
               (double)w->node[i].stream_bytes;
    }
    return sum;
}

static bool idle(struct world *w)
{
    if (!world_run(w, SETTLE_S * SECOND_US)) return false;
    double ms = cpu_ms(), bytes = bytes_sent(w);
    if (!world_run(w, (SETTLE_S + MEASURE_S) * SECOND_US)) return false;
    double seconds = (double)NODES * MEASURE_S;
    printf("idle, %u known: %.3f ms of processor time a second, %.0f bytes a second\n", NODES,
           (cpu_ms() - ms) / seconds, (bytes_sent(w) - bytes) / seconds);
    return true;
}

/* A machine with an archive of its own, as a daemon has it. */
static bool memory(const struct world *w)
{
    const struct member_table *known = &w->node[0].gossip->members;
    const struct persona *me = &w->node[0].persona;
    struct gossip_options o = {.mesh = w->issuer.mesh,
                               .key = persona_key(me),
                               .admission = span_of(me->admission, me->admission_len),
                               .addr = w->node[0].addr,
                               .epoch = w->node[0].epoch,
                               .period_ms = 1000,
                               .datagram_bytes = DATAGRAM_BYTES_MAX,
                               .ring = w->issuer.ring};
    struct gossip *g;
    memcpy(o.issuer_pk, w->issuer.public_key, sizeof(o.issuer_pk));
    size_t none = heap_bytes();
    if (gossip_new(&o, &g) != ERR_OK) return false;
    size_t empty = heap_bytes();
    double ms = cpu_ms();
    for (size_t i = 0; i < known->count; i++) {
        struct offer offer;
        if (member_at(known, i)->self) continue;
        catalogue_offer(member_at(known, i), true, true, &offer);
        if (catalogue_take(g, &offer, NULL, CATALOGUE_RESTORED) != CATALOGUE_NEW) return false;
    }
    ms = cpu_ms() - ms;
    printf("restored %zu records in %.0f ms; the machine has %zu KiB, its members %zu KiB\n",
           g->members.count - 1, ms, (empty - none) / 1024, (heap_bytes() - empty) / 1024);
    gossip_free(g);
    return true;
}

int main(void)
{
    struct world w;
    struct oracle oracle;
    struct measure measure;
    struct world_options o = {.nodes = NODES,
                              .seed = 1,
                              .period_ms = 1000,
                              .preload = true,
                              .real_crypto = true,
                              .algorithm = algorithm_parley()};
    if (!measure_init(&measure, NODES) || !oracle_init(&oracle, NODES)) return 1;
    if (world_init(&w, &o, &oracle, &measure) != ERR_OK) return 1;
    bool ok = idle(&w) && memory(&w);
    if (!ok) printf("failed: %s\n", oracle.message);
    world_fini(&w);
    oracle_fini(&oracle);
    measure_fini(&measure);
    return ok ? 0 : 1;
}
