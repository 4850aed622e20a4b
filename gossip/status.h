/* The status of a node: what it says of itself beside the driver's part of its record, and the
 * envelope that holds both (gossip.md 3.4, 3.6, 3.7).
 *
 *   a record's body = [ driver's part bin, status bin ]                                msgpack
 *   status          = [ [gen, hash8, state, reason, active_gen, active_hash8],
 *                     [root_gen, root_hash8], [key_id bin4, ...], place bin11 ]
 *                   or empty: it has nothing to say
 *
 * Items behind the known ones are ignored at every level. The owner signs the whole body. Pure; any
 * thread; allocates nothing.
 */
#ifndef GOSSIP_STATUS_H
#define GOSSIP_STATUS_H

#include "core/base/err.h"
#include "core/base/limits.h"
#include "core/base/span.h"
#include "core/model/manifest.h"
#include "gossip/coordinate.h"

#define STATUS_REASON_BYTES_MAX 120u
#define STATUS_HASH_BYTES       8u
#define STATUS_KEYS_MAX         8u
#define STATUS_BYTES_MAX        256u
#define STATUS_ENVELOPE_MAX     (RECORD_BODY_BYTES_MAX - STATUS_BYTES_MAX - 16u) /* driver's part */

/* What a node has done with a generation of policy. REJECTED and ROLLED_BACK are its own verdict,
 * and evidence against the generation; STOPPED and REVERTED follow from others'. */
#define STATUS_STATE_LIST(X)                                                                       \
    X(STATUS_NONE, "none")                                                                         \
    X(STATUS_WAITING, "waiting")         /* has not judged it yet */                               \
    X(STATUS_VALID, "valid")             /* would work here */                                     \
    X(STATUS_APPLIED, "applied")         /* in force, and survived its soak */                     \
    X(STATUS_REJECTED, "rejected")       /* does not work here */                                  \
    X(STATUS_ROLLED_BACK, "rolled_back") /* failed when it was put in force */                     \
    X(STATUS_STOPPED, "stopped")         /* others refused it: the one before is in force */       \
    X(STATUS_REVERTED, "reverted")       /* nobody confirmed it in time */
enum status_state {
#define STATUS_STATE_ENUM(code, word) code,
    STATUS_STATE_LIST(STATUS_STATE_ENUM)
#undef STATUS_STATE_ENUM
        STATUS_STATES
};

struct status {
    uint64_t policy_gen; /* the newest it has judged or judges; 0: none */
    uint8_t policy_hash[STATUS_HASH_BYTES];
    enum status_state state;
    char reason[STATUS_REASON_BYTES_MAX + 1]; /* of REJECTED and so on; printable */
    uint64_t active_gen;                      /* what it has in force; 0: nothing */
    uint8_t active_hash[STATUS_HASH_BYTES];
    uint64_t root_gen;
    uint8_t root_hash[STATUS_HASH_BYTES];
    uint32_t key_count;
    uint8_t key[STATUS_KEYS_MAX][4]; /* ids of the gossip keys it has */
    bool placed;
    uint8_t place[COORDINATE_BYTES]; /* about where it is; coordinate.h */
};

/* Whether what it says of a generation is of that one. */
static inline bool status_is_about(const struct status *s, const struct manifest_ref *ref)
{
    return s->policy_gen == ref->gen &&
           memcmp(s->policy_hash, ref->hash.byte, STATUS_HASH_BYTES) == 0;
}
/* Writes the envelope; `dst` needs driver.len + STATUS_BYTES_MAX + 16 bytes. ERR_TOO_LARGE. */
enum err status_seal(struct span driver, const struct status *s, void *dst, size_t cap,
                     size_t *len) MUST_USE;
/* The two parts of an untrusted body, borrowed from it. ERR_INVALID: no envelope. */
enum err status_open(struct span body, struct span *driver, struct span *status) MUST_USE;
/* Reads the status part. ERR_INVALID, ERR_RANGE, ERR_TOO_LARGE; `*out` is then zero. */
enum err status_decode(struct span status, struct status *out) MUST_USE;
/* valid, applied, ...; static. */
const char *status_word(enum status_state s);
/* Copies `reason`, cut to fit; what is not printable ASCII becomes '?'. */
void status_set_reason(struct status *s, struct span reason);

#endif
