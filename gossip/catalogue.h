/* The catalogue: which records are accepted, and what follows from them (gossip.md 3.1, 3.4, 3.6;
 * security.md M09 to M12).
 *
 * A record counts when its owner signed it and the mesh issuer admitted its owner. The newest
 * (epoch, inc, version) wins; LEFT is final for its epoch; a name belongs to who holds it while it
 * lives. Whatever is refused is counted and changes nothing.
 *
 * Gossip thread.
 */
#ifndef GOSSIP_CATALOGUE_H
#define GOSSIP_CATALOGUE_H

#include "gossip/member.h"
#include "gossip/offer.h"

struct gossip;

enum catalogue_source {
    CATALOGUE_GOSSIP,  /* a datagram: spread further, signature checks rationed */
    CATALOGUE_HELLO,   /* from its owner over a stream: spread further */
    CATALOGUE_SYNC,    /* anti-entropy: spread further */
    CATALOGUE_JOINING, /* the mesh tells a newcomer what all others know */
    CATALOGUE_RESTORED /* our own store */
};

enum catalogue_verdict {
    CATALOGUE_NEW,     /* accepted; a part of it may yet be lacking and is asked for */
    CATALOGUE_SAME,    /* known; a part that was lacking may have come */
    CATALOGUE_STALE,   /* something newer is known */
    CATALOGUE_LACKING, /* a stranger without admission certificate: asked for */
    CATALOGUE_CONFLICT,
    CATALOGUE_REFUSED
};

/* `from`: who relayed it, NULL when unknown. Its accusation is not looked at. */
enum catalogue_verdict catalogue_take(struct gossip *g, const struct offer *o, struct member *from,
                                      enum catalogue_source source);
/* The offer of what we hold; parts that we lack or that are not asked for stay out. Borrowed from
 * the member. */
void catalogue_offer(const struct member *m, bool admission, bool body, struct offer *out);
/* Whether a part of a live member's record is lacking. */
bool catalogue_has_gap(const struct member *m);
/* Sends `to` the head of `m`, directly; CATALOGUE_TELLS_MAX times a step at most, so that one
 * packet of many questions does not buy as many answers (security.md M16). */
#define CATALOGUE_TELLS_MAX 4u
void catalogue_tell(struct gossip *g, struct member *m, struct member *to);
/* Whether one more signature may be checked for what `from` sent. */
bool catalogue_may_verify(struct gossip *g, struct member *from);
/* The same for a record that `from` sent that way: streams bring many. */
bool catalogue_may_take(struct gossip *g, struct member *from, enum catalogue_source source);

#endif
