/* Pairing: the secrets that we share with each member for its datagrams (gossip.md 3.4), made at
 * the first packet to or from it.
 *
 * Gossip thread; embedded in the machine. Only keys that the issuer admitted are ever computed
 * with, each once, and at most PAIRING_RATE a second: a newcomer that meets a thousand members, or
 * someone who sends rubbish in their names, holds the loop up by PAIRING_BURST computations at most
 * (about 90 us each). A packet over the rate is lost, as any datagram may be.
 */
#ifndef GOSSIP_PAIRING_H
#define GOSSIP_PAIRING_H

#include "core/crypto/seal_pair.h"
#include "gossip/bucket.h"

#define PAIRING_RATE  256u
#define PAIRING_BURST 64u
#define PAIRING_NEVER UINT32_MAX /* slot of a member whose key is no point of the curve */

struct gossip;
struct member;

struct pairing {
    struct seal_pair_table *table; /* owned; NULL: the crypto in use needs no secrets */
    struct bucket fresh;           /* first contacts */
};

/* ERR_NOMEM. */
enum err pairing_init(struct gossip *g) MUST_USE;
void pairing_fini(struct gossip *g);
/* Sets `*shared` to what seal and open of packets with `m` need: SEAL_SHARED_BYTES borrowed until
 * it is forgotten, or NULL where the crypto needs none. False: not now (counted). */
bool pairing_secret(struct gossip *g, struct member *m, const uint8_t **shared);
void pairing_forget(struct gossip *g, struct member *m);

#endif
