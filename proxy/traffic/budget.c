#include "proxy/traffic/budget.h"

#define SECOND_MS    1000u
#define SECONDS_MOST 100u /* after so many, credit is what the floor alone makes of it */
#define FADE         10

static void pass_seconds(struct budget *b, int64_t floor, uint64_t now_ms)
{
    uint64_t seconds = (now_ms - b->second_ms) / SECOND_MS;
    if (seconds == 0) return;
    b->second_ms += seconds * SECOND_MS;
    for (uint64_t i = 0; i < seconds && i < SECONDS_MOST; i++)
        b->credit += floor - (b->credit > 0 ? b->credit / FADE : 0); /* debt does not fade */
    b->unpaid = floor;
}

void budget_request(struct budget *b, uint32_t percent, uint32_t workers, uint64_t now_ms)
{
    int64_t floor = (int64_t)(BUDGET_FLOOR / (workers > 0 ? workers : 1));
    int64_t share = (int64_t)percent * BUDGET_RETRY / 100;
    if (b->second_ms == 0) {
        /* A worker may repeat its very first request. */
        b->second_ms = now_ms > 0 ? now_ms : 1;
        b->credit = b->unpaid = floor > BUDGET_RETRY ? floor : BUDGET_RETRY;
    }
    pass_seconds(b, floor, now_ms);
    int64_t paid = share < b->unpaid ? share : b->unpaid;
    b->unpaid -= paid;
    b->credit += share - paid;
}

bool budget_take(struct budget *b)
{
    if (b->credit < BUDGET_RETRY) return false;
    b->credit -= BUDGET_RETRY;
    return true;
}

void budget_charge(struct budget *b)
{
    b->credit -= BUDGET_RETRY;
    if (b->credit < BUDGET_DEBT_MOST) b->credit = BUDGET_DEBT_MOST;
}
