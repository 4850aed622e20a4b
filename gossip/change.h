/* Changes: what the driver is to be told of members, merged over a step, so that a full array of
 * effects delays news but never loses any.
 *
 * Gossip thread.
 */
#ifndef GOSSIP_CHANGE_H
#define GOSSIP_CHANGE_H

#include "gossip/member.h"

struct gossip;

struct change_queue {
    struct member **waits; /* owned: whose changes are not yet reported; NULL: forgotten */
    size_t first, count, cap;
    bool missed; /* one found no room: all are looked through */
};

void change_fini(struct change_queue *q);
/* Its state changed, or it is new. */
void change_state(struct gossip *g, struct member *m);
/* Its address changed. */
void change_moved(struct gossip *g, struct member *m);
/* Its record body changed: the driver's part of it, or only its status. */
void change_record(struct gossip *g, struct member *m);
void change_status(struct gossip *g, struct member *m);
/* Someone else uses its identity; reported at most every 10 s. */
void change_conflict(struct gossip *g, struct member *m);
/* A peer, by the name that it has proven, says that someone else uses our identity or name. One may
 * be wrong or lie: it is reported when a second says so within a minute, or when there is only that
 * one. */
void change_conflict_said(struct gossip *g, const struct name *by);
/* Whether one was reported in the last 10 s. */
bool change_conflict_recent(const struct gossip *g, const struct member *m);
/* A stranger, refused, uses the name of `holder`; reported at most every 10 s. */
void change_name_taken(struct gossip *g, struct member *holder, const struct node_id *stranger);
/* Reports what fits into the effects; false: there is more. */
bool change_flush(struct gossip *g);
/* The member is being forgotten: says that it is gone no more. */
void change_forget(struct gossip *g, struct member *m);

#endif
