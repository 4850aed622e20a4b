/* Privileges: what the process gives up before it does anything else (security.md 5), and what it
 * needs from the kernel.
 *
 * Control thread, once at start, before any other thread. The only file of cmd that sees Linux's
 * own calls.
 */
#ifndef CMD_DAEMON_PRIVS_H
#define CMD_DAEMON_PRIVS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

/* umask 077, no core dumps, not dumpable, no new privileges, no capabilities for programs that we
 * start, SIGPIPE ignored, descriptors up to the hard limit. What the kernel refuses is left as it
 * is. */
void privs_harden(void);
/* Fills from the kernel's generator: seeds for jitter and hash keys. ERR_IO: there is none. */
enum err privs_random(void *p, size_t len) MUST_USE;

#endif
