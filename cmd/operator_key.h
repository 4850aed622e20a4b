/* Operator keys: the Ed25519 keys with which people sign what is in force on the whole mesh
 * (security.md; gossip.md 3.6).
 *
 * Main thread of a command: no daemon ever reads one. A key file is a keyfile (core/io/keyfile) of
 * type "operator" with the 32 bytes of the seed, mode 0600. Its public half travels as text:
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

/* Loads the key of this command. On failure the reason, with every place that was tried, has been
 * said on stderr: EXIT_NOT_PERMITTED (none, or not this user's) or EXIT_FAILED (damaged). The
 * caller frees it with sign_key_free. */
enum verb_exit operator_key_load(const struct verb_ctx *ctx, struct sign_key **out);
/* Writes it to a file that must not be there. ERR_EXISTS, or as keyfile_store: said in `d`. */
enum err operator_key_save(const char *path, const struct sign_key *key, struct diag *d) MUST_USE;
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
