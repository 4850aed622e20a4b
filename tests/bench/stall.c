#define _GNU_SOURCE
#include "tests/bench/stall.h"

#include "core/base/check.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS UINT64_C(1000000)
#define SECOND_NS UINT64_C(1000000000)
#define PRIORITY  10 /* what is measured has the least */

static uint64_t now_ns(void)
{
    struct timespec at;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
    return (uint64_t)at.tv_sec * SECOND_NS + (uint64_t)at.tv_nsec;
}

static void *witness(void *arg)
{
    struct stall_core *c = arg;
    (void)!prctl(PR_SET_TIMERSLACK, 1ul);
    uint64_t woke = now_ns();
    while (!atomic_load_explicit(&c->all->over, memory_order_relaxed)) {
        uint64_t before = woke, due = woke + PERIOD_NS;
        struct timespec at = {.tv_sec = (time_t)(due / SECOND_NS),
                              .tv_nsec = (long)(due % SECOND_NS)};
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        woke = now_ns();
        if (woke - due < STALL_LATE_NS || c->count == STALL_MOST) continue;
        c->stall[c->count].from_ns = before;
        c->stall[c->count++].to_ns = woke + (woke - before);
    }
    return NULL;
}

static bool start(struct stall_core *c, pthread_t *thread)
{
    struct sched_param param = {.sched_priority = PRIORITY};
    pthread_attr_t how;
    cpu_set_t on;
    CPU_ZERO(&on);
    CPU_SET(c->cpu, &on);
    CHECK(pthread_attr_init(&how) == 0);
    CHECK(pthread_attr_setinheritsched(&how, PTHREAD_EXPLICIT_SCHED) == 0);
    CHECK(pthread_attr_setschedpolicy(&how, SCHED_FIFO) == 0);
    CHECK(pthread_attr_setschedparam(&how, &param) == 0);
    CHECK(pthread_attr_setaffinity_np(&how, sizeof(on), &on) == 0);
    bool fine = pthread_create(thread, &how, witness, c) == 0;
    pthread_attr_destroy(&how);
    return fine;
}

bool stalls_start(struct stalls *s)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    for (unsigned i = 0; i < STALL_CORES && i < cores; i++) {
        pthread_t thread;
        s->core[i].all = s;
        s->core[i].cpu = i;
        if (!start(&s->core[i], &thread)) break;
        s->thread[s->count++] = thread;
    }
    return s->count > 0;
}

void stalls_stop(struct stalls *s)
{
    atomic_store_explicit(&s->over, true, memory_order_relaxed);
    for (size_t i = 0; i < s->count; i++)
        pthread_join(s->thread[i], NULL);
}

bool stalls_between(const struct stalls *s, uint64_t from_ns, uint64_t to_ns)
{
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->core[i].count; k++)
            if (s->core[i].stall[k].from_ns < to_ns && from_ns < s->core[i].stall[k].to_ns)
                return true;
    return false;
}
