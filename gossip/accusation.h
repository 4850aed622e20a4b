/* Accusations: signed statements by distinct members that one member, at one epoch and incarnation,
 * does not answer (gossip.md 3.2). Nobody has to trust who relays them.
 *
 *  0          16       24     28                                    28 + 81 n
 *  +----------+--------+------+------------+-------+---------+-- - -+
 *  | target16 | epoch8 | inc4 | accuser16  | what1 |  sig64  | ...  |  n = 1 to TUNING_ACCUSERS_MAX
 *  +----------+--------+------+------------+-------+---------+-- - -+
 *  big-endian; what = ago << 4 | kind
 *  sig = Ed25519 by the accuser over "parley-accuse-2\0" || target || epoch || inc - ago || kind
 *
 * A kind that is not known is a vote like SILENT. Only LOSSY may be of an incarnation some `ago`,
 * since to refute does not mend it: refuted.h says for how long that counts.
 *
 * Plain data; pure; any thread.
 */
#ifndef GOSSIP_ACCUSATION_H
#define GOSSIP_ACCUSATION_H

#include "gossip/crypto_ops.h"
#include "gossip/tuning.h"

#define ACCUSATION_HEAD_BYTES 28u
#define ACCUSATION_VOTE_BYTES (NODE_ID_BYTES + 1u + SIGN_BYTES)
#define ACCUSATION_AGO_MAX    15u
#define ACCUSATION_BYTES_MAX  (ACCUSATION_HEAD_BYTES + TUNING_ACCUSERS_MAX * ACCUSATION_VOTE_BYTES)

enum accusation_kind {
    ACCUSATION_SILENT,  /* nothing answers */
    ACCUSATION_REFUSED, /* its host answers, and says that nobody listens on the stream port */
    ACCUSATION_LOSSY,   /* it answers now and then: most that it sends or is sent is lost */
};

struct accusation_vote {
    struct node_id accuser;
    uint8_t kind;
    uint8_t ago; /* so many incarnations before that of the accusation */
    uint8_t sig[SIGN_BYTES];
};

struct accusation {
    struct node_id target;
    uint64_t epoch;
    uint32_t inc;
    uint32_t count;
    struct accusation_vote vote[TUNING_ACCUSERS_MAX];
};

/* A vote of the holder of `key`, whose id is `accuser`, in the matter of `a`. */
void accusation_sign(const struct gossip_crypto *crypto, const struct sign_key *key,
                     const struct node_id *accuser, const struct accusation *a,
                     enum accusation_kind kind, struct accusation_vote *out);
bool accusation_verify(const struct gossip_crypto *crypto, const uint8_t pk[SIGN_PUBLIC_BYTES],
                       const struct accusation *a, const struct accusation_vote *v);
bool accusation_has(const struct accusation *a, const struct node_id *accuser);
/* Adds a vote of someone who has none yet. One that says more (REFUSED, then LOSSY, the later the
 * more, then the rest) takes the place of their other, or in a full set of another's. False: it
 * changes nothing. */
bool accusation_add(struct accusation *a, const struct accusation_vote *v);
/* Adds a vote of someone who has none yet, in a full set in place of the one that says least. */
void accusation_add_surely(struct accusation *a, const struct accusation_vote *v);
/* Keeps `count` votes, LOSSY ones last. */
void accusation_shorten(struct accusation *a, uint32_t count);
/* Makes it one of incarnation `inc`: votes that may not be of another are left out. */
void accusation_move(struct accusation *a, uint32_t inc);
/* How many say so; of those that say anything, how many of this very incarnation. */
uint32_t accusation_count(const struct accusation *a, enum accusation_kind kind);
uint32_t accusation_count_now(const struct accusation *a);
/* The bytes written. */
size_t accusation_encode(const struct accusation *a, uint8_t out[ACCUSATION_BYTES_MAX]);
/* ERR_INVALID: no whole number of votes, none, too many, or one of an incarnation that it may not
 * be of. Signatures are not looked at. */
enum err accusation_decode(struct span wire, struct accusation *out) MUST_USE;

#endif
