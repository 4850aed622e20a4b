/* The key ring: which group keys this node is to have, which one seals, and which it gives up
 * (gossip.md 3.4).
 *
 *   the root lists a new key    who lacks it asks a member that has it over a stream, by its hash:
 *                               KEY_WANT, KEY; datagrams never carry a key
 *   stored, then announced      every node's status names the keys that it has
 *   99 % of the live have it,   for KEYRING_SETTLE_MS, and half of all known nodes are in sight:
 *                               we seal with it. A key that the root lists as USE, at once
 *   the hold is over            (from the root's time) what is older than what seals is dropped;
 *                               what no root lists, after KEYRING_UNLISTED_MS
 *
 * Every node decides for itself from what others signed, so no leader is needed, and who was away
 * catches up by the same steps: streams need no group key. The ring itself is the driver's: the
 * machine says what to store, use and drop, and looks again. Gossip thread; embedded in the
 * machine. keyring_decide is pure.
 */
#ifndef GOSSIP_KEYRING_H
#define GOSSIP_KEYRING_H

#include "core/crypto/seal.h"
#include "core/model/manifest.h"

#define KEYRING_SETTLE_MS   3000u
#define KEYRING_UNLISTED_MS 300000u            /* a key that was just made waits for its root */
#define KEYRING_ASK_MS      2000u              /* between two questions for one key */
#define KEYRING_HOLD_MS     UINT64_C(86400000) /* two renewals of a certificate of 24 h */

struct gossip;
struct member;
struct stream;
struct sync_message;

struct keyring_listed {
    uint32_t id;
    bool in_use;    /* listed as USE */
    bool held;      /* in our ring */
    bool available; /* a live member says that it has it */
};

/* What a decision follows from. */
struct keyring_view {
    uint32_t listed_count; /* oldest first; 0: no root says anything */
    struct keyring_listed listed[MANIFEST_KEYS_MAX];
    uint32_t ring_count;
    uint32_t ring[SEAL_KEYS_MAX]; /* ids; the first seals */
    uint64_t enough_ms;           /* the newest listed key has had enough holders for so long */
    uint64_t unlisted_ms;         /* a key of the ring has been on no list for so long */
    uint64_t age_ms;              /* of the root */
    uint64_t hold_ms;
};

enum keyring_act { KEYRING_WAIT, KEYRING_ASK, KEYRING_USE, KEYRING_DROP };
struct keyring_decision {
    enum keyring_act act;
    uint32_t id; /* of the key; 0: WAIT */
};
struct keyring_decision keyring_decide(const struct keyring_view *v);
/* Whether so many of the live have a key, and so many of the known live, that it may seal. */
bool keyring_enough(uint32_t holders, uint32_t alive, uint32_t known);

struct keyring {
    struct manifest_ref root; /* that the list is of; gen 0: none yet */
    uint64_t root_ms;         /* wall */
    uint32_t count;
    struct manifest_key key[MANIFEST_KEYS_MAX];  /* oldest first */
    uint64_t enough_since_ms, unlisted_since_ms; /* monotonic; 0: not */
    uint64_t ask_ms;                             /* not before then */
    uint64_t hold_ms;
    struct manifest_hash asked;
};

/* Before the machine's own record is made, which is to name the keys of the ring from the first. */
void keyring_init(struct gossip *g, uint64_t hold_ms);
/* The root `m` is the newest: its list holds from now on. */
void keyring_root(struct gossip *g, const struct manifest *m, const struct manifest_ref *ref);
/* About once a second: one step of what is due. */
void keyring_look(struct gossip *g);
/* A datagram of `from` was sealed with a key that we lack: maybe there is a newer root. */
void keyring_missed(struct gossip *g, struct member *from);

/* The ids of our ring, the one that seals first; how many. */
uint32_t keyring_ids(const struct gossip *g, uint32_t ids[SEAL_KEYS_MAX]);
/* Whether the member, self included, has announced that it has the key. */
bool keyring_announced(const struct gossip *g, const struct member *m, uint32_t id);

/* A stream of ours that is to bring a key has opened; KEY_WANT or KEY came. False: it is to be
 * closed. */
bool keyring_opened(struct gossip *g, struct stream *s);
bool keyring_wanted(struct gossip *g, struct stream *s, const struct sync_message *m);
bool keyring_brought(struct gossip *g, struct stream *s, const struct sync_message *m);

#endif
