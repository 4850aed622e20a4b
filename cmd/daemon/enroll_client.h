/* Enroll client: a host's side of parley-join/1 (gossip.md 3.5): dial the token's seeds, pin the
 * CA, ask, check the answer.
 *
 * The verb join, on a loop of its own; blocking, with a deadline. Nothing is written here: what was
 * granted is given back checked.
 */
#ifndef CMD_DAEMON_ENROLL_CLIENT_H
#define CMD_DAEMON_ENROLL_CLIENT_H

#include "cmd/daemon/enroll_message.h"
#include "core/base/diag.h"

struct enroll_client_options {
    const struct token *token;
    struct name node;
    struct addr addr; /* family NONE: the one that reaches the seed, with `port` */
    uint16_t port;
    uint64_t timeout_ms;
};

/* What a grant holds; owned, ended by enroll_client_fini, which wipes it. */
struct enroll_client_result {
    uint8_t *frame; /* the reply's bytes */
    size_t frame_len;
    struct enroll_reply reply; /* spans into `frame` */
    struct addr addr;          /* as announced */
    struct addr seed;          /* who answered */
    uint64_t connect_us;
    uint8_t secret[P256_SECRET_BYTES];
    struct sign_key *sign_key; /* owned */
};

/* Tries each seed in turn. ERR_OK: granted and checked (CA pin, leaf for our name and key,
 * admission by the mesh's issuer). Errors are said in `d`: ERR_DENIED (the issuer's word and
 * sentence), ERR_TIMEOUT, ERR_REFUSED, ERR_UNTRUSTED (pin), ERR_PROTOCOL. */
enum err enroll_client_run(const struct enroll_client_options *o, struct diag *d,
                           struct enroll_client_result *out) MUST_USE;
void enroll_client_fini(struct enroll_client_result *r);

#endif
