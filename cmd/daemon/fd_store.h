/* FD store: listening sockets that wait with the service manager while this process is replaced
 * (sd_notify(3), FileDescriptorStoreMax=), so that callers queue in the kernel instead of being
 * refused.
 *
 *      start:  LISTEN_FDS descriptors from 3 on  -> fd_store_take by address
 *      run:    fd_store_keep  FDSTORE=1, FDNAME=127.0.0.1_9001, the descriptors
 *              fd_store_drop  FDSTOREREMOVE=1, FDNAME=127.0.0.1_9001
 *
 * Control thread. The manager holds sockets of its own, so nothing here may be closed by dropping
 * the store: what is kept at the end stays for the next process. A manager that does not listen is
 * logged, once in a while; the sockets then simply end with us.
 */
#ifndef CMD_DAEMON_FD_STORE_H
#define CMD_DAEMON_FD_STORE_H

#include "core/io/log.h"
#include "core/model/addr.h"

#define FD_STORE_FIRST     3 /* SD_LISTEN_FDS_START */
#define FD_STORE_TAKEN_MAX 1024u

struct fd_store;

/* Takes the `inherited` descriptors from FD_STORE_FIRST on; what is no listening stream socket is
 * closed. `notify_socket` NULL: keeps nothing. ERR_NOMEM. */
enum err fd_store_new(const char *notify_socket, unsigned inherited, struct log *log,
                      struct fd_store **out) MUST_USE;
/* Closes what nobody took. NULL is fine. */
void fd_store_free(struct fd_store *s);

/* One inherited socket that listens there, the caller's now; -1: none (left). */
int fd_store_take(struct fd_store *s, const struct target *at);
/* Closes the inherited ones that nobody took, and has the manager forget their names. Before the
 * first fd_store_keep. */
void fd_store_settle(struct fd_store *s);
/* Has the manager hold these, beside what it has of that address. */
void fd_store_keep(struct fd_store *s, const struct target *at, const int *fd, unsigned count);
/* Has it forget all of that address. */
void fd_store_drop(struct fd_store *s, const struct target *at);
/* Whether anything is kept. */
bool fd_store_keeps(const struct fd_store *s);

#endif
