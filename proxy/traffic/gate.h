/* Gates: how much of a local application's work is let through at once, exactly, by all workers
 * together.
 *
 * One for each service with limits, made by the control thread and shared by the workers for as
 * long as the process lives; a snapshot only points to it, so a reload changes limits and loses no
 * count.
 * Each word is counted by compare-and-swap, relaxed: nothing else is read by way of it. Services
 * without limits have no gate, and their requests do no atomics.
 */
#ifndef PROXY_TRAFFIC_GATE_H
#define PROXY_TRAFFIC_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
    _Atomic uint32_t inside;  /* requests with the application */
    _Atomic uint32_t waiting; /* in the queues of all workers */
    _Atomic uint64_t next_us; /* of the rate: when the next request would be on time (GCRA) */
};

/* One more of at most `most`; 0: any number. False: it is full. */
bool gate_enter(struct gate *g, uint32_t most);
void gate_leave(struct gate *g);
bool gate_queue(struct gate *g, uint32_t most);
void gate_unqueue(struct gate *g);
/* One more at `rate` a second, with bursts of a tenth of a second (ITU-T I.371); 0: any rate. */
bool gate_rate(struct gate *g, uint32_t rate, uint64_t now_us);

#endif
