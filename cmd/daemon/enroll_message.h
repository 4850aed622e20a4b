/* What a joiner and an issuer say to each other on ALPN parley-join/1, and a member and an issuer
 * on an 'I' stream.
 *
 * Any thread, pure. MessagePack arrays (wire/pack); unknown items at the end are left alone. On the
 * join connection each side sends one frame; a request is followed by its MAC under the token's
 * key:
 *
 *   joiner -> issuer   | length u32 BE | request | mac 32 |
 *   issuer -> joiner   | length u32 BE | reply |
 *
 *   join request   [1, token id, node name, ip bin, port, P-256 public, Ed25519 public, wall_s,
 *                   proof by P-256, proof by Ed25519]
 *   join reply     [1, "", mesh name, mesh id, issuer public, [ca der...], leaf der, admission,
 *                   [group key...], [[ip, port]...], ca secret or empty, issuer seed or empty]
 *   issue request  [1, admission, [[spiffe uri, P-256 public, proof]...]]
 *   issue reply    [1, "", [leaf der...], admission or empty]
 *   either reply, refused   [1, word, sentence]
 *
 * A proof signs everything before it, so a key cannot be claimed by who does not hold it.
 */
#ifndef CMD_DAEMON_ENROLL_MESSAGE_H
#define CMD_DAEMON_ENROLL_MESSAGE_H

#include "cmd/daemon/token.h"
#include "core/crypto/seal.h"
#include "core/crypto/sign.h"
#include "core/crypto/x509_mint.h"

#define ENROLL_ALPN       "parley-join/1"
#define ENROLL_FRAME_MAX  65536u
#define ENROLL_PEERS_MAX  16u
#define ENROLL_LEAVES_MAX 64u /* asked for in one issue request */

struct enroll_request {
    uint32_t token_id;
    struct name node;
    struct addr addr;
    uint8_t public_key[P256_PUBLIC_BYTES];
    uint8_t sign_public[SIGN_PUBLIC_BYTES];
    int64_t wall_s;
};
/* Encodes, proves possession of both keys, appends the MAC; `*len` bytes in `out` without the
 * length prefix. ERR_TOO_LARGE. */
struct enroll_proofs {          /* borrowed: what shows that the request is ours */
    const uint8_t *secret;      /* P-256 */
    const struct sign_key *key; /* Ed25519 */
    const uint8_t *token;       /* TOKEN_KEY_BYTES */
};
enum err enroll_message_request(const struct enroll_request *q, const struct enroll_proofs *by,
                                uint8_t *out, size_t cap, size_t *len) MUST_USE;
/* Reads and checks both proofs; `*body` and `*mac` are what the token's key must agree with.
 * ERR_INVALID, ERR_UNSUPPORTED; ERR_AUTH: a proof is wrong. */
enum err enroll_message_request_read(struct span frame, struct enroll_request *q, struct span *body,
                                     const uint8_t **mac) MUST_USE;

/* Spans are borrowed: from the caller when writing, from the frame when reading. */
struct enroll_reply {
    struct span word, text; /* word "" = granted; else why not */
    struct name mesh;
    struct mesh_id mesh_id;
    uint8_t issuer_public[SIGN_PUBLIC_BYTES];
    struct span ca[TRUST_ANCHORS_MAX];
    size_t ca_count;
    struct span leaf, admission;
    struct span group_key[SEAL_KEYS_MAX];
    size_t group_key_count;
    struct addr peer[ENROLL_PEERS_MAX];
    size_t peer_count;
    struct span ca_secret, issuer_seed; /* role signer only */
};
enum err enroll_message_reply(const struct enroll_reply *r, uint8_t *out, size_t cap,
                              size_t *len) MUST_USE;
enum err enroll_message_reply_read(struct span frame, struct enroll_reply *r) MUST_USE;

struct enroll_leaf {
    struct spiffe_id id;
    uint8_t public_key[P256_PUBLIC_BYTES];
};
struct enroll_issue {
    struct span admission; /* the asker's present one */
    size_t count;
    struct enroll_leaf leaf[ENROLL_LEAVES_MAX];
};
/* `secret[i]` proves leaf[i]. */
enum err enroll_message_issue(const struct enroll_issue *q, const uint8_t *const *secret,
                              uint8_t *out, size_t cap, size_t *len) MUST_USE;
enum err enroll_message_issue_read(struct span request, struct enroll_issue *q) MUST_USE;

struct enroll_issued {
    struct span word, text;
    size_t count;
    struct span leaf[ENROLL_LEAVES_MAX]; /* as asked, in order; empty: refused */
    struct span admission;
};
enum err enroll_message_issued(const struct enroll_issued *r, uint8_t *out, size_t cap,
                               size_t *len) MUST_USE;
enum err enroll_message_issued_read(struct span reply, struct enroll_issued *r) MUST_USE;

#endif
