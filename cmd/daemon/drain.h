/* Drain: takes this host out of the traffic without failing a request, and leaves the mesh.
 *
 *          drain_start             in flight 0 or timeout
 *   SERVING ----------> DRAINING -------------------------> DRAINED --drain_undo--> SERVING
 *      ^ drain_undo ------'  |                                 |
 *      '---------------------'      `leave` or SIGTERM: then LEFT is gossiped and the process ends
 *
 * Whose sockets wait with the service manager (fd_store.h) is drained when all is over that began
 * before, since its own callers come anew all the time; it stops accepting behind LEFT, and ends
 * when what it had accepted is done: callers that come meanwhile queue for the next process.
 *
 * Control thread. Draining marks our record, waits until peers have had time to hear it, and
 * publishes a draining snapshot (workers ask long connections to close). SIGTERM drains, leaves and
 * exits 0; a second one ends at once.
 */
#ifndef CMD_DAEMON_DRAIN_H
#define CMD_DAEMON_DRAIN_H

#include "cmd/daemon/daemon.h"

#define DRAIN_TIMEOUT_DEFAULT_MS 25000u

enum drain_state { DRAIN_SERVING, DRAIN_DRAINING, DRAIN_DRAINED, DRAIN_LEAVING };

struct drain_status {
    enum drain_state state;
    bool leaving;       /* ends with LEFT and the process's end */
    bool timed_out;     /* DRAINED with exchanges still running */
    uint64_t in_flight; /* now, over all workers */
    uint64_t since_ms;  /* monotonic: drain began */
    uint64_t deadline_ms;
    uint64_t drained_ms; /* monotonic: DRAINED was reached, or 0 */
};

enum err drain_new(struct daemon *d, struct drain **out) MUST_USE;
void drain_free(struct drain *dr);

/* Begins draining; already draining: only the deadline moves. */
void drain_start(struct drain *dr, uint32_t timeout_ms);
/* Serves again. ERR_BUSY: leaving cannot be undone. */
enum err drain_undo(struct drain *dr) MUST_USE;
/* Drains, gossips LEFT, ends the process with 0. */
void drain_leave(struct drain *dr, uint32_t timeout_ms);
void drain_status(const struct drain *dr, struct drain_status *out);
/* serving, draining, drained, leaving; static. */
const char *drain_word(enum drain_state s);
/* True from drain_start on, until undone. */
bool drain_active(const struct drain *dr);
/* True once peers have heard of it: long connections are to be asked to close. */
bool drain_closing(const struct drain *dr);
/* True at the very end, when the next process will have our listening sockets: nothing new is
 * accepted. */
bool drain_deaf(const struct drain *dr);

#endif
