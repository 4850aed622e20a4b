/* What the driver asks of the key ring: which keys there are, how far each is, who lacks one
 * (gossip.md 3.4; the machine itself is keyring.h).
 *
 * Gossip thread.
 */
#ifndef GOSSIP_GOSSIP_KEYRING_H
#define GOSSIP_GOSSIP_KEYRING_H

#include "gossip/gossip.h"

/* How far a key is, as this node sees it. */
#define GOSSIP_KEYRING_PHASE_LIST(X)                                                               \
    X(GOSSIP_KEYRING_UNLISTED, "unlisted") /* here, and in no root: dropped unless one comes */    \
    X(GOSSIP_KEYRING_LACKING, "lacking")   /* listed, and not here yet */                          \
    X(GOSSIP_KEYRING_SPREADS, "spreads")   /* here, and waits until enough others have it */       \
    X(GOSSIP_KEYRING_SEALS, "seals")                                                               \
    X(GOSSIP_KEYRING_RETIRES, "retires") /* older than what seals: opens, until the hold ends */   \
    X(GOSSIP_KEYRING_RETIRED, "retired") /* and is not here any more */
enum gossip_keyring_phase {
#define GOSSIP_KEYRING_PHASE_ENUM(code, word) code,
    GOSSIP_KEYRING_PHASE_LIST(GOSSIP_KEYRING_PHASE_ENUM)
#undef GOSSIP_KEYRING_PHASE_ENUM
        GOSSIP_KEYRING_PHASES
};

struct gossip_keyring_entry {
    uint32_t id;
    struct manifest_hash hash;
    enum gossip_keyring_phase phase;
    bool in_use;             /* its root says that it need not wait */
    uint32_t holders, alive; /* live members that have it, of so many; self included */
    uint32_t known;          /* members that have not left */
    int64_t until_s;         /* wall: RETIRES: dropped then; else 0 */
};

/* Walks all keys, newest first, unlisted ones behind: start with *pos = 0; false at the end. */
bool gossip_keyring_next(const struct gossip *g, size_t *pos, struct gossip_keyring_entry *out);
/* Whether the member has announced the key. */
bool gossip_keyring_holds(const struct gossip *g, const struct node_id *node, uint32_t key_id);
/* The generation of the root that lists the keys; 0: none. */
uint64_t gossip_keyring_root(const struct gossip *g);
/* spreads, seals, ...; static. */
const char *gossip_keyring_word(enum gossip_keyring_phase p);

#endif
