/* Nodes of the demo: each a parley under a root folder of its own, and the applications beside it.
 *
 *   n1 127.0.0.11   web :8080 (calls :9001)   db :5433 (tcp)   upstream api :9001
 *   n2 127.0.0.12   api :8081 (calls :5432)                    upstream db  :5432
 *   n3 127.0.0.13   api :8081 (calls :5432)                    upstream db  :5432
 *
 * Main thread of a command, on its loop. A node owns its processes and the socket on which its
 * parley says that it is ready (sd_notify).
 */
#ifndef CMD_VERBS_DEMO_NODE_H
#define CMD_VERBS_DEMO_NODE_H

#include "cmd/verbs/demo_child.h"
#include "cmd/verbs/demo_folder.h"
#include "cmd/verbs/demo_trace.h"
#include "core/io/loop.h"

#define DEMO_NODE_COUNT    3u
#define DEMO_NODE_APPS_MAX 2u
#define DEMO_NODE_PATH_MAX (DEMO_FOLDER_PATH_MAX + 48u)
#define DEMO_NODE_WEB_URL  "http://127.0.0.11:8080/" /* what the load asks for */

struct demo_node {
    unsigned number; /* from 1 */
    struct loop *loop;
    char root[DEMO_NODE_PATH_MAX];
    struct demo_child up;
    struct demo_child app[DEMO_NODE_APPS_MAX];
    int notify_fd; /* -1: none */
    struct loop_io notify_io;
    bool ready;
    uint64_t ready_us_max; /* slowest start so far */
    uint64_t rss_kib_max;
    struct demo_trace trace;
};

/* "n1" and "127.0.0.11", static. */
const char *demo_node_name(unsigned number);
const char *demo_node_addr(unsigned number);
/* ERR_IN_USE: something else has an address of the node, written to `taken` with its protocol. */
enum err demo_node_ports_free(unsigned number, char *taken, size_t cap) MUST_USE;

/* Makes the root folder. ERR_IO and others of the system. After a failure demo_node_fini. */
enum err demo_node_init(struct demo_node *n, struct loop *l, unsigned number,
                        const char *folder) MUST_USE;
/* Its processes must have ended. */
void demo_node_fini(struct demo_node *n);
/* Writes `path` under the root into `out` (DEMO_NODE_PATH_MAX); returns it. */
const char *demo_node_path(const struct demo_node *n, const char *path,
                           char out[DEMO_NODE_PATH_MAX]);
/* Writes what runs on this node, beside the [node] table that init or join wrote. */
enum err demo_node_configure(const struct demo_node *n) MUST_USE;

/* Starts what is not running; `ready` follows. */
enum err demo_node_start_apps(struct demo_node *n) MUST_USE;
enum err demo_node_start_agent(struct demo_node *n) MUST_USE;
/* Do the applications listen? */
bool demo_node_apps_listen(const struct demo_node *n);
/* Sends a signal to all of its processes. */
void demo_node_kill(struct demo_node *n, int signum);
/* Takes note of those that have ended; true when none runs. */
bool demo_node_reap(struct demo_node *n);
/* What has ended as it should not (demo_child_in_order); NULL: nothing. */
const struct demo_child *demo_node_lost(const struct demo_node *n);
/* Looks at resident memory and the access log. */
void demo_node_sample(struct demo_node *n);

#endif
