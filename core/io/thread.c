#define _GNU_SOURCE
#include "core/io/thread.h"

#include "core/base/check.h"
#include "core/base/span.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#define THREAD_NAME_BYTES 16u  /* with its NUL: the kernel's TASK_COMM_LEN */
#define CPUS_MAX          8192 /* CONFIG_NR_CPUS of the largest kernels */

static void *enter(void *arg)
{
    struct thread *t = arg;
    t->run(t->arg);
    return NULL;
}

enum err thread_start(struct thread *t, const char *name, void (*run)(void *), void *arg)
{
    char short_name[THREAD_NAME_BYTES];
    pthread_attr_t attr;
    sigset_t all, before;
    struct span full = span_str(name);
    if (full.len >= sizeof(short_name)) full.len = sizeof(short_name) - 1;
    CHECK(span_to_cstr(full, short_name, sizeof(short_name)));
    *t = (struct thread){.run = run, .arg = arg};
    int errnum = pthread_attr_init(&attr);
    if (errnum != 0) return err_from_errno(errnum);
    CHECK(pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES) == 0);
    /* A new thread inherits the mask; none may take a signal before it could block them itself. */
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    errnum = pthread_create(&t->id, &attr, enter, t);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    pthread_attr_destroy(&attr);
    if (errnum != 0) return err_from_errno(errnum);
    /* Only for people who look. */
    (void)pthread_setname_np(t->id, short_name);
    return ERR_OK;
}

void thread_join(struct thread *t)
{
    CHECK(pthread_join(t->id, NULL) == 0);
}

unsigned thread_cpu_count(void)
{
    unsigned count = 0;
    size_t bytes = CPU_ALLOC_SIZE(CPUS_MAX);
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    if (set == NULL) return 1;
    CPU_ZERO_S(bytes, set);
    if (sched_getaffinity(0, bytes, set) == 0) count = (unsigned)CPU_COUNT_S(bytes, set);
    CPU_FREE(set);
    return count > 0 ? count : 1;
}
