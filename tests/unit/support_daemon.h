/* A mesh on disk: root folders with identities made by one CA, and daemons forked over them, whose
 * sd_notify messages the test reads.
 *
 * One thread. Folders lie under one temporary folder and go with support_daemon_close, which also
 * ends every daemon still running. Waits end by a deadline, never by a sleep.
 */
#ifndef TESTS_UNIT_SUPPORT_DAEMON_H
#define TESTS_UNIT_SUPPORT_DAEMON_H

#include <sys/types.h>

#include "cmd/daemon/store.h"
#include "core/crypto/sign.h"
#include "core/crypto/x509_mint.h"

#define SUPPORT_DAEMON_NODES 4u

struct daemon;

struct support_node {
    char name[8]; /* "h1" */
    char addr[32];
    char root[96];
    char notify_path[104];
    int notify; /* datagram socket */
    uint64_t watchdog_ms;
    pid_t pid; /* 0: not running */
    char log_path[104];
};

struct support_daemon {
    char folder[64];
    struct name name;
    struct mesh_id id;
    uint8_t group_key[32];
    uint8_t ca_secret[P256_SECRET_BYTES];
    struct x509_der ca;
    struct sign_key *issuer;
    int64_t leaf_age_s; /* of the leaves and admissions made from now on; 0 at first */
    uint32_t roles;     /* of nodes made from now on; 0 at first */
    struct support_node node[SUPPORT_DAEMON_NODES];
    size_t count;
};

void support_daemon_open(struct support_daemon *m);
void support_daemon_close(struct support_daemon *m);
/* A node "hN" on a loopback address of this process's own, so that tests may run beside each other,
 * with an identity and, for each of `service` (NULL-terminated), a leaf. "@" in `toml` is its
 * address. `toml` is appended to a [node] section whose peers are all nodes made before. */
struct support_node *support_daemon_node(struct support_daemon *m, const char *const *service,
                                         const char *toml);
/* Gives the node the CA's and the issuer's key, so that it signs for others. */
void support_daemon_signer(struct support_daemon *m, const struct support_node *n);
/* Rewrites the host file: the [node] section and `toml`. */
void support_daemon_config(struct support_daemon *m, struct support_node *n, const char *toml);
/* Forks daemon_run over the node's root. Its exit status: daemon_run's exit code, or 100 + the err.
 */
void support_daemon_up(struct support_node *n, bool strict);
/* daemon_new over the node's root in this process; the test runs its loop. */
struct daemon *support_daemon_here(struct support_node *n);
/* Runs its loop until `done` says so, at most `limit_ms`; whether it did. */
bool support_daemon_until(struct daemon *d, bool (*done)(struct daemon *d), unsigned limit_ms);
/* Whether a notify message that holds `text` comes within `limit_ms`. */
bool support_daemon_hears(struct support_node *n, const char *text, unsigned limit_ms);
/* Waits for the end, at most `limit_ms`; the exit status, -1 when killed by a signal, -2 when it
 * still runs. */
int support_daemon_wait(struct support_node *n, unsigned limit_ms);
/* Whether the node's log has `text`. */
bool support_daemon_logged(const struct support_node *n, const char *text);

#endif
