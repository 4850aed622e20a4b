/* Members: one struct for each node that we know a signed record of, and the table of them.
 *
 *   member 80 B -> head, admission, body   immutable, shared (archive.h)
 *               -> contact                 once a datagram came from it, or a probe went to it
 *               -> care                    while something is the matter with it, or to be told
 *
 *   page   | 8 rows | 8 rows | ...         our own, or of an image that many tables begin with,
 *                                          until one of them hands out a row of it to be written
 *
 * A view of 10 000 members is held by each of 10 000 machines in a simulator, so what a member that
 * is well and far away does not need lies in side objects, and what all views share is there once.
 *
 * Gossip thread. The table owns its members; a pointer to one stays good until member_remove. Nodes
 * are found by the first 8 bytes of their id, which is all that a datagram's header carries: a
 * second node with the same 8 is refused, so that one key finds everything.
 */
#ifndef GOSSIP_MEMBER_H
#define GOSSIP_MEMBER_H

#include "core/base/heap.h"
#include "core/base/limits.h"
#include "core/base/list.h"
#include "core/base/slab.h"
#include "gossip/accusation.h"
#include "gossip/coordinate.h"
#include "gossip/archive.h"
#include "gossip/event.h"
#include "gossip/member_index.h"
#include "gossip/refuted.h"
#include "gossip/timer.h"

/* What of a member is being spread; broadcast.h. */
enum rumour_kind { RUMOUR_RECORD, RUMOUR_ACCUSATION, RUMOUR_KINDS };
struct rumour {
    struct list link; /* on a queue of struct broadcast while it is spread */
    uint8_t sends;
    uint8_t duplicates;
    bool with_admission; /* the receiver will lack it */
    bool with_body;
};

/* Of one that we exchange datagrams with. */
struct member_contact {
    struct seal_window window; /* of its datagrams */
    uint64_t summary;          /* its digest's, with its last packet */
    uint64_t heard_ms;         /* last authenticated datagram or stream; 0: never */
    struct tuning_rtt rtt;
    uint32_t rtt_us[2]; /* the last two measured; 0: none */
    bool placed;
    uint8_t by_stream;               /* probes in a row that only a stream answered */
    uint8_t place[COORDINATE_BYTES]; /* where it says to be; coordinate.h */
    uint32_t probes;                 /* results of the last 32, bit 0 the latest; 1: lost */
    uint32_t probe_count;
    uint64_t verify_window_ms; /* signatures checked on its behalf in this second */
    uint32_t verify_count;
};

/* Of one that is accused, dead, quarrelled over, or being told of. Freed when none of it is so. */
struct member_care {
    struct member *member;
    struct timer timer;
    struct rumour rumour[RUMOUR_KINDS];
    struct accusation *accusation;      /* owned by the table's slab; NULL: none */
    uint64_t accused_ms;                /* when the first vote came */
    struct refuted refuted;             /* in this epoch */
    uint64_t accused_print, printed_ms; /* what the digest holds of the accusation, since when */
    uint64_t poked_ms, conflict_ms;     /* last told that it is accused; last reported */
    struct list accused_link, idle_link;
};

struct member {
    const struct head *head;                   /* the newest announcement; verified */
    const struct archive_admission *admission; /* NULL: not yet known */
    /* status.h's envelope; of head->body_hash unless body_missing; NULL: none yet. */
    const struct archive_body *body;
    struct member_contact *contact; /* NULL: see member_contact */
    struct member_care *care;       /* NULL: see member_care */
    uint64_t since_ms;              /* in this state */
    uint64_t digest_print;          /* what the digest holds of it; 0: nothing */
    uint64_t body_version;          /* head->version that `body` came with; 0: none yet */
    uint32_t index;                 /* its place in the pages */
    uint32_t pair;                  /* slot of the secret we share; SEAL_PAIR_NONE: none yet */
    uint8_t state;                  /* enum member_state */
    uint8_t reported_state;
    uint16_t news; /* its news is within its rate then; catalogue.c */
    bool self : 1;
    bool restored : 1;      /* from our store, and not heard since */
    bool vouched : 1;       /* another node has it too */
    bool not_from_here : 1; /* we fail to reach it and others do not */
    bool lossy : 1;         /* unreachable for that: suspicion.h */
    bool admission_missing : 1, body_missing : 1;
    uint8_t last_calls : 2; /* of UNREACHABLE; suspicion.c */
    bool digest_waits : 1;  /* its last change has not settled */
    bool change_waits : 1, reported : 1, moved : 1, record_changed : 1;
    bool status_changed : 1, conflict : 1;
};

struct member_table {
    struct archive *archive;  /* one reference is ours */
    struct heap *timers;      /* borrowed */
    const struct member *row; /* borrowed: the image's; NULL: none */
    size_t rows;
    struct member **page; /* owned array; pages are owned, but for those of the image */
    size_t pages, made;
    uint32_t free;             /* index + 1 of one put back; they are linked by since_ms */
    struct member_index ids;   /* by the first 8 bytes of the id */
    struct member_index names; /* only who holds the name */
    uint32_t *order;           /* owned: the index of each, by id; NULL: 0, 1, ... */
    size_t count, cap;
    uint32_t live; /* alive, suspect or unreachable; self included */
    uint32_t dead;
    struct slab contacts, cares, accusations;
    struct list idle; /* cares */
};

/* Takes a reference of `archive`; timers of members are armed on `timers`. */
void member_table_init(struct member_table *t, struct archive *archive, struct heap *timers);
void member_table_fini(struct member_table *t);
/* A member with a copy of `head`, all else zero, on no list. ERR_EXISTS: the first 8 bytes of the
 * id are taken. ERR_FULL: MEMBERS_MAX. ERR_NOMEM. */
enum err member_add(struct member_table *t, const struct head *head, struct member **out) MUST_USE;
/* What tables can begin with: members that are alive, complete and vouched for. It outlives them
 * and does not change. What a table still has in common with it counts as its references. */
struct member_image {
    struct member *row; /* by id; row[i] has index i; room for whole pages */
    size_t count;
    struct member_index ids, names;
};
size_t member_image_room(size_t count); /* in rows */
/* Fills a table that holds its own node alone with the others of the image; that node becomes
 * number `own`, which is its row in the image: `*self`, it, is elsewhere then. ERR_NOMEM:
 * unchanged. */
enum err member_table_fill(struct member_table *t, const struct member_image *image, uint32_t own,
                           struct member **self) MUST_USE;
/* Frees it and what it owns. It must be on no list and no heap. */
void member_remove(struct member_table *t, struct member *m);
/* NULL: not known. `id8`: NODE_ID_SHORT_BYTES. */
struct member *member_find(const struct member_table *t, const struct node_id *id);
struct member *member_find_short(const struct member_table *t, const uint8_t *id8);
struct member *member_find_name(const struct member_table *t, const struct name *name);
/* The one at place `i` < count by id. */
struct member *member_at(const struct member_table *t, size_t i);
/* The same to look at, which costs less: it is neither kept nor compared with another pointer. */
const struct member *member_peek(const struct member_table *t, size_t i);
/* The next place from `i` on, past some that are as in the image; the count: none. */
size_t member_next_own(const struct member_table *t, size_t i);
/* The place by id of the first member whose id is >= `id`. */
size_t member_lower_bound(const struct member_table *t, const struct node_id *id);
/* Gives the member the name of its admission in the table; it must be free. ERR_NOMEM. */
enum err member_take_name(struct member_table *t, struct member *m) MUST_USE;
void member_drop_name(struct member_table *t, struct member *m);

/* The driver's part of its body, and its status; empty when there is none. Borrowed. */
struct span member_announced(const struct member *m);
struct span member_status(const struct member *m);
/* Replace what is held by a kept copy; ERR_NOMEM leaves the old one. The head is of the same owner.
 * The admission's old name must have been dropped when the new one is another. */
enum err member_set_head(struct member_table *t, struct member *m, const struct head *h) MUST_USE;
enum err member_set_admission(struct member_table *t, struct member *m,
                              const uint8_t hash[CRYPTO_OPS_HASH_BYTES], struct span bytes,
                              const struct sign_admission *says) MUST_USE;
enum err member_set_body(struct member_table *t, struct member *m,
                         const uint8_t hash[CRYPTO_OPS_HASH_BYTES], struct span bytes) MUST_USE;
/* The side objects, made if there is none; NULL: no memory. */
struct member_contact *member_contact(struct member_table *t, struct member *m);
struct member_care *member_care(struct member_table *t, struct member *m);
/* What it was cared for may be over: its care is freed by the next member_sweep if so. */
void member_settle(struct member_table *t, struct member *m);
void member_sweep(struct member_table *t);
/* The set of votes against it, made if there is none; NULL: no memory. */
struct accusation *member_accuse(struct member_table *t, struct member *m);
void member_acquit(struct member_table *t, struct member *m);

/* Lacking parts give "", an empty span, zero. */
const struct name *member_name(const struct member *m);
struct span member_body(const struct member *m);
struct span member_admission(const struct member *m);
const struct tuning_rtt *member_rtt(const struct member *m);
/* The votes against it; NULL: none. */
static inline struct accusation *member_votes(const struct member *m)
{
    return m->care != NULL ? m->care->accusation : NULL;
}
/* Its timer. Without memory for it, arming does nothing. */
void member_arm(struct member_table *t, struct member *m, uint64_t at_ms);
void member_disarm(struct member_table *t, struct member *m);
static inline bool member_timer_armed(const struct member *m)
{
    return m->care != NULL && timer_armed(&m->care->timer);
}
/* Alive, suspect or unreachable. */
static inline bool member_is_live(const struct member *m)
{
    return m->state <= MEMBER_UNREACHABLE;
}

#endif
