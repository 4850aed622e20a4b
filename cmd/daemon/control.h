/* Control: what keeps the control thread going: signals, the workers' mailboxes, systemd's notify
 * and watchdog.
 *
 * Control thread. SIGTERM and SIGINT drain, leave and end the process (a second one ends at once);
 * SIGHUP reloads. The watchdog is fed only when every worker's loop has turned since the last time
 * (security.md N51). Nothing here wakes an idle process but the watchdog.
 */
#ifndef CMD_DAEMON_CONTROL_H
#define CMD_DAEMON_CONTROL_H

#include "cmd/daemon/daemon.h"

struct control;

/* The mailbox post exists from here on, for worker_new. */
enum err control_new(struct daemon *d, struct control **out) MUST_USE;
void control_free(struct control *c);
struct loop_post *control_post(struct control *c);

/* Signals, the watchdog; READY=1 follows as soon as every worker uses the first
 * snapshot. */
void control_start(struct control *c);
/* RELOADING=1 .. READY=1 around a reload; STOPPING=1. */
void control_reloading(struct control *c);
void control_reloaded(struct control *c);
void control_stopping(struct control *c);
/* Renews STATUS= when its text has changed. */
void control_status(struct control *c);

#endif
