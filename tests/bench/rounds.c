#include "tests/bench/rounds.h"

#include "core/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define ROUNDS 5u

static uint64_t now_ns(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void rounds_report(const char *what, struct bench *b, void (*call)(struct bench *b), unsigned calls)
{
    uint64_t best = UINT64_MAX;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t begin = now_ns();
        for (unsigned i = 0; i < calls; i++)
            call(b);
        uint64_t took = now_ns() - begin;
        if (took < best) best = took;
    }
    printf("%-44s %10" PRIu64 " ns\n", what, best / calls);
}
