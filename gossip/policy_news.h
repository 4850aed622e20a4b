/* News of policy: telling of heads, siblings and confirmations by rumour, and pulling by stream
 * what does not fit (gossip.md 3.3, 3.6).
 *
 * Gossip thread; embedded in struct policy. What is new is forwarded at once, in packets of its
 * own, and goes on in rounds until it was told or heard often enough. Nobody tells what it could
 * not serve whole.
 *
 *   asker                                         who told
 *   POLICY_ASK {root, head, texts lacking} ---->
 *                                          <----  POLICY_HAVE {manifests, confirmations,
 *                                                              texts, more}
 *   ... until nothing lacks, or nothing new comes; the asker closes
 *
 * Answers are rationed in bytes, of all askers together. One that finds no room waits on its
 * stream, behind those that came before; a stream has one ask at a time, and who asks again before
 * the answer is cut off. What waits too long ends with its stream, and the asker tries again.
 */
#ifndef GOSSIP_POLICY_NEWS_H
#define GOSSIP_POLICY_NEWS_H

#include "core/model/manifest.h"
#include "gossip/bucket.h"
#include "gossip/message.h"
#include "gossip/sync_message.h"

enum policy_news_kind { NEWS_ROOT, NEWS_HEAD, NEWS_SIBLING, NEWS_CONFIRM, NEWS_KINDS };

/* What is pushed at once is heard from others before the first round: their copies alone must not
 * end it, or some would never hear (of n nodes that each tell k others once, n / e^k are missed).
 */
#define POLICY_NEWS_SENDS 5u
/* And it ends for who has heard it this often besides. What a node still misses then comes with the
 * question for its vote. */
#define POLICY_NEWS_DUPLICATES 2u

struct policy_rumour {
    bool active;
    uint8_t sends, duplicates;
    struct manifest_ref ref;
};

struct policy_news {
    struct policy_rumour rumour[NEWS_KINDS];
    struct bucket pulls;
    struct bucket answers;             /* bytes */
    uint64_t answer_ms;                /* the next is to be tried then; UINT64_MAX: none waits */
    uint64_t asks;                     /* of others, so far: the order in which they came */
    bool lacking;                      /* something is to be pulled */
    uint8_t from[NODE_ID_SHORT_BYTES]; /* of whom first */
    uint64_t due_ms;                   /* of the pull */
    uint32_t tries;
    uint32_t asked;           /* on that stream */
    uint32_t stream;          /* that pulls; 0: none */
    struct manifest_ref told; /* the newest of its roots that it told us; gen 0: none */
};

struct gossip;
struct member;
struct packet;
struct stream;

void policy_news_init(struct policy_news *n);
/* Tells of `ref` from the beginning. */
void policy_news_tell(struct gossip *g, enum policy_news_kind kind, const struct manifest_ref *ref);
/* Whether a rumour of policy has been told often enough; `limit` sends at most. */
bool policy_news_enough(uint32_t sends, uint32_t duplicates, uint32_t limit);
/* Nothing is told of it any more. */
void policy_news_drop(struct gossip *g, enum policy_news_kind kind);
bool policy_news_active(const struct gossip *g);
/* Whether something has not been told to TUNING_FANOUT members yet. */
bool policy_news_fresh(const struct gossip *g);
/* Adds what fits; `fresh` alone what is. */
void policy_news_fill(struct gossip *g, struct packet *p, bool fresh);
/* Adds the head, however often it was told; false: there is none, or no room. */
bool policy_news_add_head(const struct gossip *g, struct packet *p);
/* A datagram brought POLICY, POLICY_HEAD or POLICY_CONFIRM. */
void policy_news_receive(struct gossip *g, const struct message *m, struct member *from);

/* Someone (`from`; NULL: anyone) has what we lack. Another than the last is asked soon, however
 * often that one was asked in vain; bounded by the ration of pulls. */
void policy_news_lack(struct gossip *g, const struct member *from);
/* Starts the pull that is due, and answers whom there is room for. */
void policy_news_look(struct gossip *g);
uint64_t policy_news_due_ms(const struct gossip *g);
/* Streams: ours has opened; it or any other ended; messages. */
void policy_news_opened(struct gossip *g, struct stream *s);
void policy_news_closed(struct gossip *g, uint32_t stream);
/* Says what heads we have. False: the stream is closed. */
bool policy_news_send_heads(struct gossip *g, struct stream *s);
void policy_news_message(struct gossip *g, struct stream *s, const struct sync_message *m);

#endif
