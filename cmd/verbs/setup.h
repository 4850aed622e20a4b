/* Setup: writes a new identity into a root folder, all of it or none; what init and join share.
 *
 * Main thread of a command. The node's key is the mark that a host has an identity, so it is
 * written last; on a failure before that everything written is removed again. Run as root, files
 * get the owner of the folder they are in (packaging makes it user parley).
 */
#ifndef CMD_VERBS_SETUP_H
#define CMD_VERBS_SETUP_H

#include "cmd/daemon/store.h"
#include "cmd/daemon/store_state.h"
#include "cmd/verb.h"
#include "core/crypto/x509_mint.h"
#include "core/model/addr.h"

struct setup {
    struct name node;
    struct addr addr;
    struct addr peer[4];
    size_t peer_count;
    struct store_mesh mesh;
    struct span ca_der; /* the trust anchor */
    const uint8_t *secret;
    struct span leaf;
    struct span admission;
    const struct sign_key *sign_key;
    const struct seal_ring *ring;
    const uint8_t *ca_secret;      /* NULL: not a signer */
    const struct sign_key *issuer; /* with ca_secret */
    struct span first_root;        /* with ca_secret: the signed first generation of operators */
};

/* The node's name from --node, else the host's name up to its first dot. ERR_INVALID: said in `d`.
 */
enum err setup_node_name(const char *given, struct diag *d, struct name *out) MUST_USE;
/* The address from --addr, else the only global one of this host, with the default port when it
 * names none. ERR_NOT_FOUND: none, or several (listed in `d`); ERR_INVALID. */
enum err setup_addr(const char *given, struct diag *d, struct addr *out) MUST_USE;
/* Refuses when there is an identity already. ERR_EXISTS: said in `d`. */
enum err setup_absent(const struct store *s, struct diag *d) MUST_USE;
/* Writes everything, then the host file unless there is one that says the same node and mesh. */
enum err setup_write(const struct store *s, const struct setup *what, struct diag *d) MUST_USE;

/* Says each finding of `d`, or `err` when there is none; the exit code: `code`, or
 * EXIT_NOT_PERMITTED for ERR_PERM. */
enum verb_exit setup_refuse(enum verb_exit code, enum err err, const struct diag *d);

#endif
