/* Our own record: signing and publishing it, refuting what is said against us, saying good-bye.
 *
 * Gossip thread. The only place where a head is signed, and so the only one that raises our
 * incarnation or version.
 */
#ifndef GOSSIP_SELF_H
#define GOSSIP_SELF_H

#include "core/model/addr.h"
#include "gossip/gossip.h"
#include "gossip/member.h"
#include "gossip/status.h"

/* New records of one member: a second, and saved up while it had no news. */
#define SELF_NEWS_RATE  4u
#define SELF_NEWS_BURST 18u

struct gossip;

/* Makes our member from the options. ERR_INVALID: the admission certificate is not for this key;
 * what sign_admission_open returns; ERR_NOMEM. */
enum err self_init(struct gossip *g, const struct gossip_options *o) MUST_USE;
void self_fini(struct gossip *g);
/* A new body; over the rate of one a second, burst 5, the last one waits. ERR_TOO_LARGE: over
 * STATUS_ENVELOPE_MAX. ERR_NOMEM. */
enum err self_upsert(struct gossip *g, struct span body) MUST_USE;
/* What we now say of ourselves; spread in `delay_ms`, with anything else that is published before.
 * Over the rate of two a second, burst 8, the last one waits. */
void self_status(struct gossip *g, const struct status *s, uint64_t delay_ms);
/* The timer: publishes what waited. */
void self_timer(struct gossip *g);
/* A renewed admission certificate, of the same key and name. ERR_INVALID, or what
 * sign_admission_open returns; then the old one stays. */
enum err self_admission(struct gossip *g, struct span cert) MUST_USE;
/* Someone accuses us, as we were at (epoch, inc). If that is still what we are, we raise our
 * incarnation, and if `several` say so, think less of our health; in any case `from` (may be NULL)
 * is told what we are. */
void self_refute(struct gossip *g, uint64_t epoch, uint32_t inc, struct member *from, bool several);
/* Where we are, said to all when that has changed much: each time costs every node a rumour. Not in
 * the first half minute, in which we only learn it; then after two minutes, four, eight, up to an
 * hour. To be called now and then. */
void self_place(struct gossip *g);
void self_leave(struct gossip *g);

#endif
