/* The service manager's side channels, by hand (sd_notify(3), sd_watchdog_enabled(3)), without
 * libsystemd. The environment is read by the caller and given as arguments (NULL: not set).
 *
 * Any thread. Owns nothing.
 */
#ifndef CORE_IO_NOTIFY_H
#define CORE_IO_NOTIFY_H

#include <sys/types.h>

#include "core/base/err.h"
#include "core/base/span.h"

/* Sends `state` ("READY=1", "STOPPING=1", "STATUS=...", "WATCHDOG=1", lines) to the socket that
 * NOTIFY_SOCKET names: a path, or '@' and an abstract name. Never waits. `socket` NULL or empty:
 * ERR_OK, nobody asked. ERR_INVALID: no such kind of name; ERR_NOT_FOUND, ERR_REFUSED, ERR_PERM;
 * ERR_AGAIN: the manager does not read. */
enum err notify_send(const char *socket, struct span state) MUST_USE;
/* RELOADING=1 with MONOTONIC_USEC, without which systemd 253 and later fail the reload. `mono_us`:
 * clock_mono_us at its begin. */
enum err notify_reloading(const char *socket, uint64_t mono_us) MUST_USE;

#define NOTIFY_FDS_MAX 64u /* of one name */
/* FDSTORE=1: the manager holds copies of these descriptors and gives them to the next process of
 * the service. `name`: printable, without ':'. ERR_TOO_LARGE: more than NOTIFY_FDS_MAX; else as
 * notify_send. */
enum err notify_store(const char *socket, const char *name, const int *fd, unsigned count) MUST_USE;
/* FDSTOREREMOVE=1: it lets go of all with that name. */
enum err notify_unstore(const char *socket, const char *name) MUST_USE;
/* How many descriptors, from 3 on, LISTEN_FDS says the manager has given to process `self`; 0 when
 * LISTEN_PID is another's. */
unsigned notify_listen_fds(const char *listen_fds, const char *listen_pid, pid_t self);

/* WATCHDOG_USEC in milliseconds when it is meant for process `self` (WATCHDOG_PID missing or
 * equal); 0: no watchdog. Feed it at half of that. */
uint64_t notify_watchdog_ms(const char *watchdog_usec, const char *watchdog_pid, pid_t self);

#endif
