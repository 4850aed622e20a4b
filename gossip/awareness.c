#include "gossip/awareness.h"

void awareness_good(struct awareness *a)
{
    if (a->score > 0) a->score--;
}

void awareness_bad(struct awareness *a)
{
    if (a->score < AWARENESS_SCORE_MAX) a->score++;
}

void awareness_paused(struct awareness *a, uint64_t now_ms, uint64_t quiet_ms)
{
    awareness_bad(a);
    a->quiet_until_ms = now_ms + quiet_ms;
}

bool awareness_quiet(const struct awareness *a, uint64_t now_ms)
{
    return now_ms < a->quiet_until_ms;
}
