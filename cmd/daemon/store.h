/* Store: every path and file under the root folder, and the lock that makes one process its owner.
 *
 * Control thread and offline verbs (init, join). Owns only the lock's descriptor. Files are
 * replaced atomically (core/io/file: write, fsync, rename, fsync of the folder), so a kill at any
 * moment leaves the old or the new content. A file that is there and damaged is ERR_CORRUPT with a
 * message that names it and says what to do (security.md N09); a missing one is ERR_NOT_FOUND
 * without a message. Typed contents: store_identity.h (keys, certificates), store_state.h (mesh,
 * epoch, peers, key ring).
 *
 *   ROOT/etc/parley/parley.toml     0640  host file         etc/parley/conf.d/   0750
 *   ROOT/etc/parley/operator.key    0600  the first operator's key: to be moved off the host
 *   ROOT/var/lib/parley/            0700
 *       node.key   0600 P-256 secret, keyfile      node.crt      PEM leaf
 *       gossip.key 0600 Ed25519 seed, keyfile      admission     admission certificate, PEM
 *       mesh       name, mesh id, issuer key       ca.crt        PEM, one or more trust anchors
 *       keyring    0600 group keys                 epoch, peers  checked blobs
 *       services/NAME.key, NAME.crt                last-good.toml
 *       ca/ca.key, ca/issuer.key  0600, signers only             tokens  signers only
 *       first-root  the first generation of who may sign, from init
 *       policy, policy-trying     mesh policy, and the generation that is on trial
 *       lock       flock held by the process that runs on this root
 *   ROOT/run/parley/parley.sock     0666  admin socket
 */
#ifndef CMD_DAEMON_STORE_H
#define CMD_DAEMON_STORE_H

#include "core/base/diag.h"
#include "core/model/name.h"

#include <sys/types.h>

#define STORE_PATH_MAX 512u

/* constant, path under the root, mode */
#define STORE_FILE_LIST(X)                                                                         \
    X(STORE_ETC, "etc/parley", 0750)                                                               \
    X(STORE_CONFIG, "etc/parley/parley.toml", 0640)                                                \
    X(STORE_CONF_D, "etc/parley/conf.d", 0750)                                                     \
    X(STORE_OPERATOR_KEY, "etc/parley/operator.key", 0600)                                         \
    X(STORE_STATE, "var/lib/parley", 0700)                                                         \
    X(STORE_SERVICES, "var/lib/parley/services", 0700)                                             \
    X(STORE_CA, "var/lib/parley/ca", 0700)                                                         \
    X(STORE_NODE_KEY, "var/lib/parley/node.key", 0600)                                             \
    X(STORE_NODE_CRT, "var/lib/parley/node.crt", 0644)                                             \
    X(STORE_GOSSIP_KEY, "var/lib/parley/gossip.key", 0600)                                         \
    X(STORE_ADMISSION, "var/lib/parley/admission", 0644)                                           \
    X(STORE_MESH, "var/lib/parley/mesh", 0644)                                                     \
    X(STORE_CA_CRT, "var/lib/parley/ca.crt", 0644)                                                 \
    X(STORE_KEYRING, "var/lib/parley/keyring", 0600)                                               \
    X(STORE_EPOCH, "var/lib/parley/epoch", 0600)                                                   \
    X(STORE_PEERS, "var/lib/parley/peers", 0600)                                                   \
    X(STORE_LAST_GOOD, "var/lib/parley/last-good.toml", 0600)                                      \
    X(STORE_CA_KEY, "var/lib/parley/ca/ca.key", 0600)                                              \
    X(STORE_ISSUER_KEY, "var/lib/parley/ca/issuer.key", 0600)                                      \
    X(STORE_FIRST_ROOT, "var/lib/parley/first-root", 0644)                                         \
    X(STORE_POLICY, "var/lib/parley/policy", 0600)                                                 \
    X(STORE_POLICY_TRYING, "var/lib/parley/policy-trying", 0600)                                   \
    X(STORE_TOKENS, "var/lib/parley/tokens", 0600)                                                 \
    X(STORE_LOCK, "var/lib/parley/lock", 0600)                                                     \
    X(STORE_RUN, "run/parley", 0755)                                                               \
    X(STORE_SOCKET, "run/parley/parley.sock", 0666)

#define STORE_FILE_ENUM(code, path, mode) code,
enum store_file { STORE_FILE_LIST(STORE_FILE_ENUM) STORE_FILES };
#undef STORE_FILE_ENUM

struct store {
    uint32_t magic;
    char root[STORE_PATH_MAX - 128u]; /* "" means "/" */
    char config_path[STORE_PATH_MAX]; /* --config, or "" */
    int lock_fd;                      /* -1: not held */
};

/* `root` NULL, "" or "/": the system's folders. `config_path` NULL: the root's own parley.toml.
 * Touches no disk. ERR_TOO_LARGE: too long a path. */
enum err store_open(const char *root, const char *config_path, struct store *out) MUST_USE;
/* Gives the lock back. */
void store_close(struct store *s);

/* Writes the path, NUL-terminated; returns `dst`. */
const char *store_path(const struct store *s, enum store_file f, char dst[STORE_PATH_MAX]);
/* services/NAME.key or services/NAME.crt (`ext` without dot). */
const char *store_service_path(const struct store *s, const struct name *service, const char *ext,
                               char dst[STORE_PATH_MAX]);

/* Makes every folder that is missing (etc, conf.d, state, services, run; `signer`: ca too).
 * ERR_PERM, ERR_IO: said in `d`. */
enum err store_prepare(const struct store *s, bool signer, struct diag *d) MUST_USE;
/* The same without etc, which a running daemon only reads: state, services, run. */
enum err store_prepare_run(const struct store *s, struct diag *d) MUST_USE;
/* Takes the lock for the process's life. ERR_BUSY: another parley runs on this root (said in `d`).
 */
enum err store_lock(struct store *s, struct diag *d) MUST_USE;
/* Whether the file or folder is there. */
bool store_exists(const struct store *s, enum store_file f);

/* Whole file into `out` (appended; bounded by the buffer's own max: ERR_TOO_LARGE). ERR_NOT_FOUND
 * silently; ERR_PERM, ERR_IO said in `d`. */
enum err store_read(const struct store *s, enum store_file f, struct diag *d,
                    struct strbuf *out) MUST_USE;
/* Replaces the file with the mode of the list. ERR_PERM, ERR_IO: said in `d`, the old file stays.
 */
enum err store_write(const struct store *s, enum store_file f, struct span data,
                     struct diag *d) MUST_USE;
/* The same for a path that is not in the list. */
enum err store_read_path(const char *path, struct diag *d, struct strbuf *out) MUST_USE;
enum err store_write_path(const char *path, mode_t mode, struct span data, struct diag *d) MUST_USE;
/* The same behind a first line "parley-state 1 LENGTH CHECKSUM": truncation and flipped bits are
 * ERR_CORRUPT, and `advice` ("delete it to ...") ends the message. */
enum err store_read_checked(const struct store *s, enum store_file f, const char *advice,
                            struct diag *d, struct strbuf *out) MUST_USE;
enum err store_write_checked(const struct store *s, enum store_file f, struct span data,
                             struct diag *d) MUST_USE;
/* Removes the file; a missing one is ERR_OK. */
enum err store_remove(const struct store *s, enum store_file f, struct diag *d) MUST_USE;

#endif
