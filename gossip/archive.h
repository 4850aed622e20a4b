/* The archive: the immutable parts of records, each kept once however many members or machines of
 * one process hold it.
 *
 *   head        by its signature             decoded (head.h)
 *   admission   by the hash in heads         the certificate, and what it says
 *   body        by the hash in heads         bytes
 *
 * A daemon's machine has an archive of its own; a simulator gives one to all its machines
 * (gossip_options.archive), which makes a view of 10 000 members small. It holds no verdicts: each
 * machine checks every signature itself before it takes a part up.
 *
 * Gossip thread, one for all machines that share it. Parts are counted: each call that returns one
 * makes a reference, which its archive_drop_* ends.
 */
#ifndef GOSSIP_ARCHIVE_H
#define GOSSIP_ARCHIVE_H

#include "core/base/hash.h"
#include "gossip/head.h"

struct archive;

struct archive_admission {
    uint64_t refs;
    uint32_t name_hash; /* of the name, under the archive's key */
    uint8_t hash[CRYPTO_OPS_HASH_BYTES];
    struct name name;
    uint8_t public_key[SIGN_PUBLIC_BYTES];
    uint8_t spki_sha256[32];
    uint32_t roles;
    int64_t not_after_s;
    size_t len;
    char bytes[]; /* the certificate */
};

struct archive_body {
    uint64_t refs;
    uint8_t hash[CRYPTO_OPS_HASH_BYTES];
    size_t len;
    char bytes[];
};

/* One reference is the caller's. ERR_NOMEM. */
enum err archive_new(const struct hash_key *key, struct archive **out) MUST_USE;
struct archive *archive_ref(struct archive *a);
/* The last one frees it; no part may be referenced any more. */
void archive_unref(struct archive *a);

/* The kept copy, made if there is none. NULL: no memory. */
const struct head *archive_head(struct archive *a, const struct head *h);
const struct archive_admission *archive_admission(struct archive *a,
                                                  const uint8_t hash[CRYPTO_OPS_HASH_BYTES],
                                                  struct span bytes,
                                                  const struct sign_admission *says);
const struct archive_body *
archive_body(struct archive *a, const uint8_t hash[CRYPTO_OPS_HASH_BYTES], struct span bytes);
/* So many references more, or fewer; NULL does nothing. */
void archive_keep_head(const struct head *h, uint64_t refs);
void archive_keep_admission(const struct archive_admission *p, uint64_t refs);
void archive_keep_body(const struct archive_body *p, uint64_t refs);
void archive_drop_head(struct archive *a, const struct head *h, uint64_t refs);
void archive_drop_admission(struct archive *a, const struct archive_admission *p, uint64_t refs);
void archive_drop_body(struct archive *a, const struct archive_body *p, uint64_t refs);

/* Under the archive's key; of a short id and of a name. */
uint32_t archive_hash(const struct archive *a, const void *p, size_t len);
/* The same of the kept head's short id, which was computed once. */
uint32_t archive_id_hash(const struct head *h);

#endif
