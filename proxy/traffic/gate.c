#include "proxy/traffic/gate.h"

#include "core/base/bounded.h"

#define SECOND_US 1000000u
#define BURST_US  100000u

bool gate_enter(struct gate *g, uint32_t most)
{
    return bounded_add(&g->inside, most > 0 ? most : UINT32_MAX);
}

void gate_leave(struct gate *g)
{
    bounded_subtract(&g->inside);
}

bool gate_queue(struct gate *g, uint32_t most)
{
    return bounded_add(&g->waiting, most);
}

void gate_unqueue(struct gate *g)
{
    bounded_subtract(&g->waiting);
}

bool gate_rate(struct gate *g, uint32_t rate, uint64_t now_us)
{
    if (rate == 0) return true;
    uint64_t step_us = SECOND_US / rate, next_us, then_us;
    uint64_t burst_us = step_us > BURST_US ? step_us : BURST_US;
    next_us = atomic_load_explicit(&g->next_us, memory_order_relaxed);
    do {
        then_us = (next_us > now_us ? next_us : now_us) + step_us;
        if (then_us > now_us + burst_us) return false;
    } while (!atomic_compare_exchange_weak_explicit(&g->next_us, &next_us, then_us,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}
