/* Operator keys: the Ed25519 keys with which people sign what is in force on the whole mesh
 * (security.md; gossip.md 3.6).
 *
 * Main thread of a command: no daemon ever reads one. A key file is a keyfile (core/io/keyfile) of
 * type "operator", mode 0600, of the 32 bytes of the seed and, once it is known, the id of the mesh
 * that it signs for: whatever an agent says, it signs for no other. A key that was made before it
 * was an operator's anywhere is bound where it is first used. Its public half travels as text:
 *
 *   po1_ HEX64 _ SUM8      SUM8: first 4 bytes of BLAKE2b-256 of the 32 bytes, in hex
 *
 * The key of a command is --key FILE, else $PARLEY_OPERATOR_KEY, else etc/parley/operator.key of
 * the agent that is asked, where `init` puts the first one, else ~/.config/parley/operator.key.
 */
#ifndef CMD_OPERATOR_KEY_H
#define CMD_OPERATOR_KEY_H

#include "cmd/verb.h"
#include "core/base/diag.h"
#include "core/crypto/sign.h"

#define OPERATOR_KEY_TEXT_MAX (4u + 64u + 1u + 8u + 1u) /* with its NUL */

#define OPERATOR_KEY_PATH_MAX 512u

struct operator_key {
    struct sign_key *key; /* owned; NULL: none */
    bool bound;
    struct mesh_id mesh; /* it is bound to */
    char path[OPERATOR_KEY_PATH_MAX];
};

/* Loads the key of this command. On failure the reason, with every place that was tried, has been
 * said on stderr: EXIT_NOT_PERMITTED (none, or not this user's) or EXIT_FAILED (damaged). The
 * caller ends it with operator_key_fini in any case. */
enum verb_exit operator_key_load(const struct verb_ctx *ctx, struct operator_key *out);
/* The same from this file. */
enum verb_exit operator_key_open(const char *path, struct operator_key *out);
void operator_key_fini(struct operator_key *k);
/* Whether it may sign for the mesh that an agent speaks of: EXIT_NOT_PERMITTED, said, when it is
 * bound to another one. One that is bound to none is bound to this one from now on, which is said;
 * where its file cannot be written, or is another user's, it stays as it is. */
enum verb_exit operator_key_bind(struct operator_key *k, const struct mesh_id *mesh);
/* Writes it to a file that must not be there, bound to `mesh` (NULL: to none). ERR_EXISTS, or as
 * keyfile_store: said in `d`. */
enum err operator_key_save(const char *path, const struct sign_key *key, const struct mesh_id *mesh,
                           struct diag *d) MUST_USE;
/* The public half as text; returns `dst`. */
const char *operator_key_format(const uint8_t public_key[SIGN_PUBLIC_BYTES],
                                char dst[OPERATOR_KEY_TEXT_MAX]);
/* ERR_INVALID: not such a text; ERR_TOO_LARGE, ERR_MORE: the wrong length, so a piece of it was
 * lost; ERR_CORRUPT: its checksum is wrong. */
enum err operator_key_parse(struct span text, uint8_t public_key[SIGN_PUBLIC_BYTES]) MUST_USE;
/* Who runs the command, as a name: $SUDO_USER under sudo, $LOGNAME, $USER; "admin" when none of
 * them is a name. */
struct name operator_key_login(void);

#endif
