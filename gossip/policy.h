/* Mesh policy: the two chains of signed generations, and which of them counts (gossip.md 3.6).
 *
 * Gossip thread; embedded in the machine. What is kept:
 *
 *   root      gen 1 .. n, the whole chain; of two the one by the more senior signers stays
 *             (policy_root.h), and what was built on the other goes
 *   held      generations of policy, newest first by (gen, hlc, hash): POLICY_HISTORY of the chain
 *             that ends in the head, and the latest that lost against one of them (siblings)
 *   texts     what they name, by hash
 *   pending   what cannot be judged yet: signed under a root that we lack, or ahead of our clock;
 *             one for each sender, at most POLICY_PENDING_MAX, for a while
 *
 * The head is the newest that is valid (who signed it may, under the newest root; or the root pins
 * it, or something that came of it), connected (its parents are held down to what was already
 * connected) and complete (all its texts are here). Whatever is refused is counted and changes
 * nothing.
 */
#ifndef GOSSIP_POLICY_H
#define GOSSIP_POLICY_H

#include "core/wire/pack_manifest.h"
#include "gossip/gossip_policy.h"
#include "gossip/policy_news.h"
#include "gossip/policy_text.h"
#include "gossip/rollout.h"
#include "gossip/seniority.h"
#include "gossip/timer.h"

#define POLICY_ROOTS_MAX        1024u
#define POLICY_HISTORY          32u
#define POLICY_SIBLINGS         8u
#define POLICY_HELD_MAX         (POLICY_HISTORY + POLICY_SIBLINGS)
#define POLICY_PENDING_MAX      8u
#define POLICY_PENDING_LIFE_MS  300000u
#define POLICY_AHEAD_MS         60000  /* a signer's clock may be ahead that far */
#define POLICY_CONFIRM_SLACK_MS 60000u /* a rollout takes time before the trial begins */

struct policy_item {
    struct manifest_ref ref;
    struct manifest_hash parent;
    uint64_t hlc;
    uint32_t signer_count;
    struct manifest_key_id signer[MANIFEST_SIGNERS_MAX];
    uint32_t confirm_within_ms;
    uint8_t *bytes; /* owned: as signed */
    size_t len;
    bool valid, connected, complete, main, told;
    uint32_t rank;              /* ROOT: number of its most senior signer */
    struct seniority seniority; /* ROOT: of its operators */
    /* What became of it here; rollout.h. */
    bool applied;         /* was in force and survived its soak */
    bool rejected;        /* does not work here, or failed when it was put in force */
    bool stopped;         /* too many said so of themselves */
    bool reverted;        /* not confirmed in time */
    bool settled;         /* its rollout is complete: others' failures do not stop it any more */
    int64_t activated_ms; /* wall; 0: never */
    uint64_t trial_ms;    /* reverted then, unless confirmed; 0: not yet known */
    bool confirmed;
    uint8_t confirm[PACK_MANIFEST_CONFIRM_BYTES];
};

struct policy_pending {
    uint8_t *bytes; /* owned; NULL: free */
    size_t len;
    uint8_t from[NODE_ID_SHORT_BYTES];
    uint64_t since_ms;
    bool future; /* waits for our clock, else for a root */
};

/* A branch of roots that has not won against ours (policy_root.h). */
struct policy_fork {
    uint8_t from[NODE_ID_SHORT_BYTES];
    struct policy_item *root; /* owned array; contiguous, the first built on one of ours */
    size_t count, cap;
};

struct policy {
    bool changed; /* something of what follows; heads are to be chosen again */
    bool report_due, store_due;
    struct policy_item *root; /* owned array; root[i].ref.gen == i + 1 */
    size_t root_count, root_cap;
    struct policy_fork fork;
    struct manifest *authority;                /* owned: the newest root, decoded; NULL: none */
    struct policy_item *held[POLICY_HELD_MAX]; /* owned each */
    size_t held_count;
    const struct policy_item *head; /* of held; NULL: none */
    struct policy_text_store texts;
    struct policy_pending pending[POLICY_PENDING_MAX];
    uint64_t refusals[POLICY_REFUSALS];
    enum policy_refusal intent;
    uint64_t report_refused_ms; /* not before then */
    struct timer timer;
    struct policy_news news;
    struct rollout rollout;
};

struct gossip;
struct member;

void policy_init(struct gossip *g);
void policy_fini(struct gossip *g);

/* Takes a manifest that `from` sent; NULL: our own operator, of whom no less than the whole is
 * taken. What is refused is counted. */
enum policy_refusal policy_take(struct gossip *g, struct span wire, struct member *from);
enum policy_refusal policy_take_confirm(struct gossip *g, struct span wire, struct member *from);
/* Takes a text if something held names it and it is not here. */
enum policy_refusal policy_take_text(struct gossip *g, struct span bytes);
/* GOSSIP_INTENT. */
enum err policy_intent(struct gossip *g, const struct gossip_event *e);
/* Chooses the head again, if something has changed, and tells what follows. */
void policy_settle(struct gossip *g);
/* Reports what fits into the effects; false: there is more. */
bool policy_flush(struct gossip *g);
/* The timer, and when it is next needed: whatever of news, pending or rollout is due first. */
void policy_timer(struct gossip *g);
void policy_arm(struct gossip *g, uint64_t at_ms);
/* Something is to be stored. */
void policy_store_soon(struct gossip *g);

/* NULL: not held. */
struct policy_item *policy_find(const struct policy *p, const struct manifest_hash *hash);
struct policy_item *policy_parent(const struct policy *p, const struct policy_item *i);
/* The newest root; gen 0: none. */
struct manifest_ref policy_root_ref(const struct policy *p);
struct manifest_ref policy_head_ref(const struct policy *p);
/* The texts it names that are not here: fills at most `max` of them; how many. */
size_t policy_missing(const struct policy *p, const struct policy_item *i,
                      struct manifest_hash *out, size_t max);
/* Restoring: what we stored ourselves, already judged then. False: damaged or full. */
bool policy_restore_root(struct gossip *g, struct span wire);
struct policy_item *policy_restore_item(struct gossip *g, struct span wire);

#endif
