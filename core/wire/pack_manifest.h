/* Manifests and confirmations on the wire.
 *
 * Any thread. Allocates nothing. Strict: names valid and unique, the message printable UTF-8,
 * shares ascending, counts within manifest.h; items behind the known ones are ignored at every
 * level, so that version N and N-1 understand each other.
 *
 *   manifest   0    1         2          2+64n
 *              +----+---------+----------+- - - - - - -+
 *              |ver1| n = 1,2 | sig64 *n | body        |   hash = BLAKE2b-256 of all of it
 *              +----+---------+----------+- - - - - - -+
 *   A fixed heading and a signed body: nobody but the signers can spell the same another way.
 *
 *   body, msgpack, what each signature covers, behind the id of the mesh:
 *     [ scope, gen, parent bin32, hlc, root_gen, author, [signer bin16 *n], message,
 *       confirm_within_ms, plan, content ]
 *     plan:     [ flags, [wave...], soak_ms, max_rejected, min_ok ]   flags: 1 immediate, 2 force
 *     content:  POLICY [ [[name, hash bin32, bytes]...] ]
 *               ROOT   [ [[name, public bin32, role]...], [[id bin4, hash bin32, stage]...],
 *                        pinned_gen, pinned bin32 ]
 *
 *   confirm    0    1       2     10       42    50         66
 *              +----+-------+-----+--------+-----+----------+-------+
 *              |ver1| scope1| gen8| hash32 | hlc8| signer16 | sig64 |      big-endian
 *              +----+-------+-----+--------+-----+----------+-------+
 *   The signature covers the id of the mesh and the first 66 bytes.
 */
#ifndef CORE_WIRE_PACK_MANIFEST_H
#define CORE_WIRE_PACK_MANIFEST_H

#include "core/model/manifest.h"

#define PACK_MANIFEST_HEADING_MAX   (2u + MANIFEST_SIGNERS_MAX * MANIFEST_SIGNATURE_BYTES)
#define PACK_MANIFEST_BODY_MAX      (MANIFEST_BYTES_MAX - PACK_MANIFEST_HEADING_MAX)
#define PACK_MANIFEST_CONFIRM_TEXT  66u
#define PACK_MANIFEST_CONFIRM_BYTES (PACK_MANIFEST_CONFIRM_TEXT + MANIFEST_SIGNATURE_BYTES)

/* The body that is to be signed; its length in `*len`. ERR_INVALID: not a manifest (what
 * pack_manifest_decode would refuse); ERR_TOO_LARGE: over `cap`. */
enum err pack_manifest_body(const struct manifest *m, uint8_t *dst, size_t cap,
                            size_t *len) MUST_USE;

/* The parts of a manifest; borrowed from it. ERR_INVALID, ERR_TOO_LARGE: over MANIFEST_BYTES_MAX;
 * ERR_UNSUPPORTED: of another version. */
struct pack_manifest_parts {
    struct span body;
    uint32_t signature_count;
    const uint8_t *signature; /* of 64 bytes each */
};
enum err pack_manifest_split(struct span wire, struct pack_manifest_parts *out) MUST_USE;
/* Writes the heading in front of `body`: `count` signatures of 64 bytes. ERR_TOO_LARGE: over
 * `cap`. */
enum err pack_manifest_join(struct span body, const uint8_t *signatures, uint32_t count,
                            uint8_t *dst, size_t cap, size_t *len) MUST_USE;

/* Reads an untrusted manifest; signatures are not looked at, but there is one for each signer.
 * ERR_INVALID, ERR_TOO_LARGE, ERR_RANGE, ERR_UNSUPPORTED; `*out` is then unspecified. */
enum err pack_manifest_decode(struct span wire, struct manifest *out) MUST_USE;

/* The first PACK_MANIFEST_CONFIRM_TEXT bytes: what is to be signed. */
void pack_manifest_confirm_text(const struct manifest_confirm *c,
                                uint8_t out[PACK_MANIFEST_CONFIRM_TEXT]);
/* The signature is not looked at: it is the last 64 bytes. ERR_INVALID, ERR_UNSUPPORTED. */
enum err pack_manifest_confirm_decode(struct span wire, struct manifest_confirm *out) MUST_USE;

#endif
