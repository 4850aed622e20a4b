/* Play: the load, the status line a second, the kill and the keys.
 *
 * Main thread of a command; runs the loop until the demo's time is over, a key or a signal ends it,
 * or something that should run has ended.
 */
#ifndef CMD_VERBS_DEMO_PLAY_H
#define CMD_VERBS_DEMO_PLAY_H

#include "cmd/verbs/demo.h"

/* Ends with `d->ended_by`, `d->broken` or nothing of both set. */
void demo_play_run(struct demo *d);
/* A child has ended: takes note, and ends the demo when that was not asked for. Also during the
 * setup. */
void demo_play_reap(struct demo *d);
/* No more requests; the second time does not wait for the answers to the last ones. */
void demo_play_end(struct demo *d);

#endif
