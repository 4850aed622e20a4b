/* The daemon: one process's whole state and the order in which its parts start and stop.
 *
 * Control thread. `struct daemon` owns everything below it; parts are reached through it and know
 * no globals. Stop is the reverse of start, workers first:
 *
 *   store, configuration, loop -> identities -> workers (idle) -> listeners, mesh, health, drain,
 *   sink, compile (made) -> sockets bound, workers run, first snapshot -> UDP and peers -> enroll,
 *   admin -> signals -> READY=1 when every worker has the snapshot
 *
 * What other parts of cmd/daemon call: reload.h (reload_run), drain.h (drain_start, drain_undo,
 * drain_leave), mesh.h (members, records, forget), compile.h (compile_request, endpoints),
 * identities.h (identities_put after issuing), mesh_stream.h (certificate requests of peers).
 */
#ifndef CMD_DAEMON_DAEMON_H
#define CMD_DAEMON_DAEMON_H

#include "cmd/daemon/store.h"
#include "core/base/hash.h"
#include "core/base/byte_ring.h"
#include "core/base/rng.h"
#include "core/io/log.h"
#include "core/io/loop.h"
#include "core/model/config.h"

struct access_sink;
struct admin;
struct compile;
struct control;
struct drain;
struct enroll;
struct fd_store;
struct health_run;
struct identities;
struct learn;
struct listeners;
struct mesh;
struct metrics_shard;
struct policy_run;
struct tls_profile;
struct worker;

struct daemon_options {
    const char *root;          /* NULL, "" or "/": the system's folders */
    const char *config_path;   /* NULL: ROOT/etc/parley/parley.toml */
    bool strict;               /* refuse to start from last-good.toml */
    const char *program;       /* this one, for trials of policy; NULL: they are left out */
    const char *notify_socket; /* NOTIFY_SOCKET's value, or NULL */
    uint64_t watchdog_ms;      /* how long the manager waits for WATCHDOG=1; 0: for ever */
    unsigned listen_fds;       /* descriptors from 3 on that the manager kept for us */
    bool journal;              /* descriptor 2 is the journal (JOURNAL_STREAM): write priorities */
};

struct daemon_worker {
    struct worker *worker;
    struct metrics_shard *metrics;
    struct byte_ring access;
    bool started;
    uint64_t ticks_seen; /* by the last watchdog round */
};

/* Who takes connections that a worker accepted with ALPN parley-join/1; registered by the enroll
 * code. Without it they are closed. */
struct daemon_join {
    void (*on_handoff)(void *owner, int take_fd, const struct addr *from, struct span seen);
    void *owner;
};

struct daemon {
    uint32_t magic;
    struct daemon_options options; /* texts borrowed from the caller */
    struct loop *loop;
    struct log log;
    struct rng rng;           /* jitter; seeded from the system once */
    struct hash_key hash_key; /* secret, for tables */
    uint64_t started_ms;      /* monotonic */
    int64_t started_wall_s;

    struct store store;
    struct config *config;     /* running; replaced by reload */
    bool config_last_good;     /* the file was bad: running from last-good.toml */
    uint64_t reload_wall_s;    /* of the last reload that was applied */
    uint64_t reloads_refused;  /* since the last one that was applied */
    char reload_refusal[1024]; /* what the last of them said first */

    struct tls_profile *profile;
    struct identities *identities;
    struct mesh *mesh;
    struct policy_run *policy;
    struct daemon_worker *worker; /* worker_count of them */
    unsigned worker_count;
    struct fd_store *fd_store;
    struct lineage *lineage; /* shared by the workers */
    struct clients *clients; /* shared by the workers */
    uint64_t memory_bytes;   /* what the data plane may have where [limits] does not say */
    struct listeners *listeners;
    struct compile *compile;
    struct health_run *health;
    struct learn *learn;
    struct drain *drain;
    struct access_sink *sink;
    struct enroll *enroll;
    struct daemon_join join;
    struct admin *admin;
    struct control *control; /* signals, mailboxes, notify and watchdog */

    bool ready;    /* READY=1 was sent: listeners bound, first snapshot in every worker */
    int exit_code; /* of the process, once the loop ends */
};

/* The verb `up`: runs until a signal or `leave` ends it; `*exit_code` is the process's. Start-up
 * errors are said in `d` and returned: ERR_INVALID (configuration: exit 3), ERR_NOT_FOUND (no
 * identity: run init or join), ERR_BUSY (another parley on this root), ERR_CORRUPT, ERR_IN_USE (a
 * port), ERR_PERM, ERR_NOMEM. */
enum err daemon_run(const struct daemon_options *o, struct diag *d, int *exit_code) MUST_USE;

/* The parts, assembled without running the loop, for daemon_run and for tests that drive the loop
 * themselves. Errors as daemon_run. */
enum err daemon_new(const struct daemon_options *o, struct diag *d, struct daemon **out) MUST_USE;
/* Stops and frees every part. NULL is fine. */
void daemon_free(struct daemon *d);
/* Ends the loop with this exit code. */
void daemon_quit(struct daemon *d, int exit_code);

#endif
