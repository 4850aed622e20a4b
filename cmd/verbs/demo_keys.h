/* Keys: single keys from the terminal, without their echo, for as long as the demo runs.
 *
 * Main thread of a command. Owns the terminal's mode between start and stop; signals from the
 * keyboard stay as they are. Without a terminal there are no keys.
 */
#ifndef CMD_VERBS_DEMO_KEYS_H
#define CMD_VERBS_DEMO_KEYS_H

#include <termios.h>

#include "core/io/loop.h"

struct demo_keys {
    struct loop *loop; /* borrowed; NULL: not started */
    struct loop_io io;
    struct termios before;
    void (*on_key)(struct demo_keys *k, char key);
};

/* Starts when both ends are a terminal; `on_key` is set by the caller. */
void demo_keys_start(struct demo_keys *k, struct loop *l);
/* Gives the terminal back as it was. */
void demo_keys_stop(struct demo_keys *k);

#endif
