/* Memory limit: how much memory this process may have, by its control groups, and the part of it
 * that the data plane may use where [limits] does not say ([limits] memory = "auto").
 *
 * Control thread, at start. Reads /proc/self/cgroup and, for the group named there and each above
 * it, memory.max (version 2) or memory.limit_in_bytes (version 1); cgroups(7).
 */
#ifndef CMD_DAEMON_MEMORY_LIMIT_H
#define CMD_DAEMON_MEMORY_LIMIT_H

#include <stdint.h>

/* The least limit found under `root` ("" for the host's own files); 0: none. */
uint64_t memory_limit_of_group(const char *root);
/* What the data plane may use when its group has this limit (0: none) and the host so much memory.
 */
uint64_t memory_limit_budget(uint64_t group_bytes, uint64_t host_bytes);
/* Of this process on this host. */
uint64_t memory_limit_auto(void);

#endif
