/* Threads: started with a name and with every signal blocked, so that signals reach the control
 * thread's loop only.
 *
 * The thread that starts one joins it. Owns nothing.
 */
#ifndef CORE_IO_THREAD_H
#define CORE_IO_THREAD_H

#include <pthread.h>

#include "core/base/err.h"

#define THREAD_STACK_BYTES (1024u * 1024) /* untouched pages cost nothing; the default is 8 MiB */

struct thread {
    pthread_t id;
    void (*run)(void *arg);
    void *arg; /* borrowed */
};

/* Runs `run(arg)` in a new thread; `t` must stay in place until thread_join. `name`: up to 15
 * characters are shown by ps. ERR_AGAIN, ERR_FULL or ERR_NOMEM: no thread. */
enum err thread_start(struct thread *t, const char *name, void (*run)(void *), void *arg) MUST_USE;
/* Waits for its end. */
void thread_join(struct thread *t);
/* Processors this process may run on (sched_getaffinity), at least 1. */
unsigned thread_cpu_count(void);

#endif
