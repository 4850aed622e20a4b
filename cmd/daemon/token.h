/* Join tokens: the one line that lets a new host into the mesh (gossip.md 3.5), as text.
 *
 * Any thread, pure. The text is "pj1_" and lower-case base32 (Crockford's alphabet) in groups of 24
 * with a dash between:
 *
 *   0     1       5          21        37         41      42                      n-4      n
 *   +-----+-------+----------+---------+----------+-------+-----------------------+--------+
 *   | len | id 4  | secret16 | pin 16  | expiry 4 | seeds | seed: family, ip, port | sum 4  |
 *   +-----+-------+----------+---------+----------+-------+-----------------------+--------+
 *
 * len counts all bytes, so a cut token is told from a wrong one; sum is the start of BLAKE2b over
 * what is before it. expiry is Unix minutes. Secrets: the caller wipes `struct token` and the text.
 */
#ifndef CMD_DAEMON_TOKEN_H
#define CMD_DAEMON_TOKEN_H

#include "core/base/err.h"
#include "core/crypto/tls_engine.h"
#include "core/model/addr.h"

#define TOKEN_SECRET_BYTES 16u
#define TOKEN_SEEDS_MAX    3u
#define TOKEN_TEXT_MAX     256u

struct token {
    uint32_t id;
    uint8_t secret[TOKEN_SECRET_BYTES];
    uint8_t ca_pin[TLS_CA_PIN_BYTES];
    int64_t expires_s; /* whole minutes */
    size_t seed_count; /* 1..TOKEN_SEEDS_MAX */
    struct addr seed[TOKEN_SEEDS_MAX];
};

/* Writes the text, NUL-terminated. ERR_RANGE: no seed, or a time that does not fit. */
enum err token_format(const struct token *t, char out[TOKEN_TEXT_MAX]) MUST_USE;
/* Reads it back; white space around it and dashes anywhere are ignored. ERR_MORE: cut; ERR_INVALID:
 * no token, or a character is wrong; ERR_CORRUPT: the checksum disagrees; ERR_UNSUPPORTED: a token
 * of a later version. Time is not judged. */
enum err token_parse(struct span text, struct token *out) MUST_USE;
/* "tk_1f2e3d4c": how lists and logs call a token. */
#define TOKEN_ID_TEXT_MAX 12u
const char *token_id_format(uint32_t id, char out[TOKEN_ID_TEXT_MAX]);
enum err token_id_parse(struct span text, uint32_t *out) MUST_USE;
/* The key that both ends derive from the secret; what an issuer keeps instead of it. */
#define TOKEN_KEY_BYTES 32u
void token_key(const uint8_t secret[TOKEN_SECRET_BYTES], uint8_t key[TOKEN_KEY_BYTES]);
/* MAC of a join request under that key (HMAC-SHA-512-256, RFC 4868 form by libsodium's
 * crypto_auth). */
#define TOKEN_MAC_BYTES 32u
void token_mac(const uint8_t key[TOKEN_KEY_BYTES], struct span request,
               uint8_t mac[TOKEN_MAC_BYTES]);
/* In constant time. */
bool token_mac_verify(const uint8_t key[TOKEN_KEY_BYTES], struct span request,
                      const uint8_t mac[TOKEN_MAC_BYTES]);

#endif
