/* Admin roles: what a caller of the unix socket may do, from its kernel-given credentials
 * (interface.md 5, Auth).
 *
 * Control thread. Group names are looked up in /etc/group itself: a static binary has no NSS.
 */
#ifndef CMD_DAEMON_ADMIN_ROLE_H
#define CMD_DAEMON_ADMIN_ROLE_H

#include "cmd/daemon/admin_route.h"

/* root and the daemon's own uid: admin; members of parley-admin: admin; of parley-view: view;
 * others, or on any doubt: open. */
enum admin_role admin_role_of(int fd);
/* The gid of `name` in text of /etc/group's form (group(5)); false: not there. */
bool admin_role_group(struct span text, const char *name, uint32_t *gid);

#endif
