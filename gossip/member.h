/* Members: one struct for each node that we know a signed record of, and the table of them.
 *
 * Gossip thread. The table owns its members; a pointer to one stays good until member_remove. Nodes
 * are found by the first 8 bytes of their id, which is all that a datagram's header carries: a
 * second node with the same 8 is refused, so that one key finds everything.
 */
#ifndef GOSSIP_MEMBER_H
#define GOSSIP_MEMBER_H

#include "core/base/limits.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/slab.h"
#include "gossip/accusation.h"
#include "gossip/event.h"
#include "gossip/head.h"
#include "gossip/timer.h"

/* What of a member is being spread; broadcast.h. */
enum rumour_kind { RUMOUR_RECORD, RUMOUR_ACCUSATION, RUMOUR_KINDS };
struct rumour {
    struct list link; /* on a queue of struct broadcast while it is spread */
    uint8_t urgency;
    uint8_t sends;
    uint8_t duplicates;
    bool with_admission; /* the receiver will lack it */
    bool with_body;
};

struct member {
    /* What every datagram touches stands together. */
    enum member_state state;
    bool self;
    bool unreachable_from_me; /* we fail to reach it and others do not */
    bool admission_missing, body_missing;
    struct accusation *accusation; /* owned by the table's slab; NULL: none */
    uint32_t pair;                 /* slot of the secret we share; SEAL_PAIR_NONE: none yet */
    struct seal_window window;     /* of its datagrams */
    uint64_t summary;              /* its digest's, with its last packet */
    uint64_t heard_ms;             /* last authenticated datagram or stream; 0: never */
    uint64_t poked_ms;             /* last told that it is accused */
    struct tuning_rtt rtt;
    uint32_t probes; /* results of the last 32, bit 0 the latest; 1: lost */
    uint32_t probe_count;
    struct head head; /* the newest announcement; verified */

    struct name name;
    uint8_t public_key[SIGN_PUBLIC_BYTES];
    uint8_t spki_sha256[32];
    uint32_t roles;
    int64_t not_after_s;
    char *admission; /* owned */
    size_t admission_len;
    char *body; /* owned; status.h's envelope; of head.body_hash unless body_missing */
    size_t body_len;
    uint64_t body_version; /* head.version that `body` came with; 0: none yet */

    uint64_t since_ms;   /* in this state */
    uint64_t accused_ms; /* when the first vote came */
    struct timer timer;
    struct rumour rumour[RUMOUR_KINDS];
    uint64_t verify_window_ms; /* signatures checked on its behalf in this second */
    uint32_t verify_count;

    struct list digest_link; /* waits to settle */
    uint64_t digest_ms;
    uint64_t digest_print; /* what the digest holds of it; 0: nothing */
    struct list accused_link;
    uint64_t accused_print; /* the same, of the accusation */

    struct list change_link; /* waits to be reported */
    enum member_state reported_state;
    bool reported, moved, record_changed, status_changed, conflict;
    uint64_t conflict_ms; /* last reported */
};

struct member_table {
    struct map by_id;      /* first 8 bytes of the id */
    struct map by_name;    /* only who holds the name */
    struct member **order; /* owned array: by id */
    size_t count, cap;
    uint32_t live; /* alive, suspect or unreachable; self included */
    uint32_t dead;
    struct slab members;
    struct slab accusations;
};

void member_table_init(struct member_table *t, const struct hash_key *key);
void member_table_fini(struct member_table *t);
/* A member with `id`, all else zero, on no list. ERR_EXISTS: the first 8 bytes of the id are taken.
 * ERR_FULL: MEMBERS_MAX. ERR_NOMEM. */
enum err member_add(struct member_table *t, const struct node_id *id, struct member **out) MUST_USE;
/* Frees it and what it owns. It must be on no list and no heap. */
void member_remove(struct member_table *t, struct member *m);

/* NULL: not known. */
struct member *member_find(const struct member_table *t, const struct node_id *id);
struct member *member_find_short(const struct member_table *t, const uint8_t id8[8]);
struct member *member_find_name(const struct member_table *t, const struct name *name);
/* The place in `order` of the first member whose id is >= `id`. */
size_t member_lower_bound(const struct member_table *t, const struct node_id *id);
/* Gives the member its name in the table; it must be free. ERR_NOMEM. */
enum err member_take_name(struct member_table *t, struct member *m,
                          const struct name *name) MUST_USE;
void member_drop_name(struct member_table *t, struct member *m);

/* Replaces the owned copy; ERR_NOMEM leaves the old one. */
enum err member_set_admission(struct member *m, struct span bytes) MUST_USE;
enum err member_set_body(struct member *m, struct span bytes) MUST_USE;
/* The driver's part of its body, and its status; empty when there is none. Borrowed. */
struct span member_announced(const struct member *m);
struct span member_status(const struct member *m);
/* The set of votes against it, made if there is none; NULL: no memory. */
struct accusation *member_accuse(struct member_table *t, struct member *m);
void member_acquit(struct member_table *t, struct member *m);

/* Alive, suspect or unreachable. */
static inline bool member_is_live(const struct member *m)
{
    return m->state <= MEMBER_UNREACHABLE;
}

#endif
