/* Rollout: putting the head in force without a leader (gossip.md 3.7). All decisions are local and
 * follow from what members sign about themselves.
 *
 *   new head --> VALIDATING --ok--> VALID --gates hold--> ACTIVATING --ok--> SOAKING --> APPLIED
 *                    |                |                       |                 |           |
 *                    no               |                       no                |           |
 *                    v                v                       v                 v           v
 *                REJECTED <-----   STOPPED <--- evidence of more than max_rejected nodes ---+
 *                (own verdict)     (others')     ROLLED_BACK (own failure)       REVERTED
 *                                                                                (not confirmed)
 *
 * Voters are all members that are live when the head comes, of large meshes those with the lowest
 * hash of (manifest, node) in each wave, VOTERS_MAX in all. Gates: all voters VALID but for
 * max_rejected; all voters of earlier waves APPLIED, which they say after their own soak, and still
 * there; half of the known members in sight. An immediate plan has one wave, of all. A voter of an
 * earlier wave that vanishes holds the rollout up until it returns and speaks, or a new generation
 * comes: it may have died of this one.
 *
 * Who is there and says nothing for ROLLOUT_MUTE_MS counts as failed until it speaks. So many may:
 * max_rejected, or a tenth of the voters where that is more, always fewer than half. A canary that
 * refused it, or never said that it is VALID, is followed by the next in order; one that did and
 * then fell silent may be ill of it, and is followed only where max_rejected allows for it.
 *
 * Evidence only grows, and counts until the rollout is complete here: all voters have applied it,
 * or this node has, and ROLLOUT_SETTLE_MS and the soaks of later waves are over since. That is
 * stored with the generation: what a member says afterwards changes nothing, also where a node
 * starts again.
 * Gossip thread; embedded in struct policy.
 */
#ifndef GOSSIP_ROLLOUT_H
#define GOSSIP_ROLLOUT_H

#include "core/model/manifest.h"
#include "gossip/ballot.h"
#include "gossip/bucket.h"
#include "gossip/status.h"

#define ROLLOUT_VOTERS_MAX   64u
#define ROLLOUT_EVIDENCE_MAX 64u
#define ROLLOUT_EARLY_MAX    16u
#define ROLLOUT_LOOK_MS      10u    /* evaluations are at least so far apart */
#define ROLLOUT_ASK_MS       100u   /* a voter's status that has not come by then is asked for */
#define ROLLOUT_ASKS         4u     /* voters asked at a time */
#define ROLLOUT_SETTLE_MS    60000u /* applied so long, it is complete whoever is silent */
#define ROLLOUT_MUTE_MS      8000u  /* in sight and silent so long, a voter counts as failed */
#define ROLLOUT_MUTE_SHARE   10u    /* one of so many may be silent */

#define ROLLOUT_AWAY UINT64_MAX

enum rollout_stage {
    ROLLOUT_IDLE,
    ROLLOUT_VALIDATING,
    ROLLOUT_VALID,
    ROLLOUT_ACTIVATING,
    ROLLOUT_SOAKING,
    ROLLOUT_APPLIED,
    ROLLOUT_ENDED /* rejected, failed, stopped or reverted: the status says which */
};

struct rollout_voter {
    uint8_t id[NODE_ID_SHORT_BYTES];
    uint8_t wave;
    uint8_t state; /* enum status_state of the target, by ballot or record */
    uint8_t cast;  /* the same, by ballot.h alone; it is what is told */
    bool telling;
    bool mute;         /* counts as failed until it speaks */
    uint64_t since_ms; /* it has been in sight; ROLLOUT_AWAY: it is not */
    uint8_t sends, duplicates;
    uint8_t signature[SIGN_BYTES];
};

struct rollout_early {
    uint8_t id[NODE_ID_SHORT_BYTES];
    uint8_t hash[STATUS_HASH_BYTES];
};

struct rollout {
    struct manifest_ref target;   /* what is being rolled out; gen 0: nothing */
    struct manifest_ref running;  /* what the driver was told to put in force */
    struct manifest_ref in_force; /* what it has */
    enum rollout_stage stage;
    struct manifest_plan plan;
    uint32_t own_wave;
    bool voter;    /* we are one */
    bool complete; /* evidence counts no more; as the item's `settled` */
    bool look_due, validate_due, activate_due;
    uint64_t look_ms;   /* last, or next when due */
    uint64_t soak_ms;   /* until then */
    uint64_t settle_ms; /* complete then at the latest; 0: not applied yet */
    uint64_t spoke_ms;  /* a voter did, last */
    uint64_t ask_ms;    /* whoever has not spoken is asked then */
    uint32_t asks;      /* how often so far */
    struct bucket answers;
    uint32_t next_told; /* voter whose ballot goes first */
    uint32_t voter_count;
    struct rollout_voter voter_of[ROLLOUT_VOTERS_MAX];
    uint32_t evidence_count;
    uint8_t evidence[ROLLOUT_EVIDENCE_MAX][NODE_ID_SHORT_BYTES];
    uint32_t early_at; /* ring: said of what was not yet our target */
    struct rollout_early early[ROLLOUT_EARLY_MAX];
    char waits[STATUS_REASON_BYTES_MAX + 1];
};

struct gossip;
struct gossip_event;
struct member;
struct policy_item;

void rollout_init(struct rollout *r);
/* The head, validity or a confirmation has changed. */
void rollout_retarget(struct gossip *g);
/* A member's body has changed. */
void rollout_heard(struct gossip *g, const struct member *m, const struct status *s);
/* A member has cast a ballot about the target. */
void rollout_cast(struct gossip *g, const struct member *m, enum status_state state);
/* `from` waits for our status, and is told; rationed. */
void rollout_asked(struct gossip *g, struct member *from);
/* A member came, went or changed its state. */
void rollout_moved(struct gossip *g);
/* The driver's answers. */
void rollout_verdict(struct gossip *g, const struct gossip_event *e);
void rollout_answer(struct gossip *g, const struct gossip_event *e);
/* Time has passed: soaks, trials, gates. */
void rollout_look(struct gossip *g);
uint64_t rollout_due_ms(const struct gossip *g);
/* Pushes VALIDATE and ACTIVATE; false: no room. */
bool rollout_flush(struct gossip *g);
/* What the store says was in force. */
void rollout_restore(struct gossip *g);
/* Wall time at which `i` is reverted unless confirmed; 0: never. */
uint64_t rollout_confirm_by_ms(const struct policy_item *i);

#endif
