/* Setup of the demo: from three empty folders to a mesh whose services answer, by the same commands
 * that a person would type.
 *
 * Main thread of a command; runs the loop itself until the next step can be taken.
 */
#ifndef CMD_VERBS_DEMO_SETUP_H
#define CMD_VERBS_DEMO_SETUP_H

#include "cmd/verbs/demo.h"

/* True: every node is ready and a request has gone all the way. False: what failed has been said on
 * stderr, or a signal has ended it (`d->ended_by`). What was started is still running. */
bool demo_setup_run(struct demo *d);

#endif
