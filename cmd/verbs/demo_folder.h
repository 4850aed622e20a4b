/* The demo's folder: the one place it writes to, TMPDIR (or /tmp)/parley-demo-UID, and the lock
 * that keeps it to one demo at a time.
 *
 * Main thread of a command. The lock is on the folder itself, so a demo that was killed leaves no
 * stale one; what such a demo has left behind is removed by the next. Symbolic links are never
 * followed.
 */
#ifndef CMD_VERBS_DEMO_FOLDER_H
#define CMD_VERBS_DEMO_FOLDER_H

#include <stddef.h>

#include "core/base/err.h"

/* A unix socket's path has 107 bytes; the longest below the folder is n1/run/parley/parley.sock. */
#define DEMO_FOLDER_PATH_MAX 80u

struct demo_folder {
    char path[DEMO_FOLDER_PATH_MAX];
    int fd; /* owned; holds the lock */
};

/* Makes the folder, or takes over what a killed demo left, and empties it. ERR_BUSY: a demo of this
 * user runs. ERR_PERM: something of another user is there, or it cannot be made; ERR_TOO_LARGE: the
 * path is too long for sockets; ERR_IO. `path` is set in any case. */
enum err demo_folder_take(struct demo_folder *f) MUST_USE;
/* Removes the folder with all that is in it, then gives the lock back. */
void demo_folder_drop(struct demo_folder *f);

#endif
