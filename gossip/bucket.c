#include "gossip/bucket.h"

void bucket_init(struct bucket *b, uint64_t rate, uint64_t burst, uint64_t now_ms)
{
    *b =
        (struct bucket){.rate = rate, .burst = burst, .level_milli = burst * 1000, .at_ms = now_ms};
}

static void refill(struct bucket *b, uint64_t now_ms)
{
    if (now_ms <= b->at_ms) return;
    uint64_t passed = now_ms - b->at_ms;
    b->at_ms = now_ms;
    uint64_t room = b->burst * 1000 - b->level_milli;
    /* Compared by division: after a long sleep the product could overflow. */
    if (passed >= room / b->rate + 1)
        b->level_milli = b->burst * 1000;
    else
        b->level_milli += passed * b->rate;
}

bool bucket_take(struct bucket *b, uint64_t now_ms, uint64_t tokens, uint64_t reserve)
{
    refill(b, now_ms);
    if (b->level_milli < (tokens + reserve) * 1000) return false;
    b->level_milli -= tokens * 1000;
    return true;
}

uint64_t bucket_ready_ms(struct bucket *b, uint64_t now_ms, uint64_t tokens)
{
    refill(b, now_ms);
    if (b->level_milli >= tokens * 1000) return now_ms;
    return now_ms + (tokens * 1000 - b->level_milli) / b->rate + 1;
}
