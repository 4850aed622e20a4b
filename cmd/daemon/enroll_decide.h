/* Enroll, the decisions: may this host join, may this member have these leaves, and the answers.
 *
 * Control thread; no I/O but the token book's. Nothing a requester wrote goes into a certificate
 * unchecked (security.md X08): names are names, the node's leaf is for the name its token allows,
 * service leaves for services its admission grants.
 */
#ifndef CMD_DAEMON_ENROLL_DECIDE_H
#define CMD_DAEMON_ENROLL_DECIDE_H

#include "cmd/daemon/enroll_message.h"
#include "cmd/daemon/signer.h"
#include "cmd/daemon/token_book.h"
#include "core/crypto/x509_check.h"
#include "gossip/gossip.h"

/* Names given out so recently that gossip may not have heard of their hosts yet: two hosts that ask
 * at once cannot both get one. A slot is reused when its time is over; with all in use the oldest
 * goes. */
#define ENROLL_RECENT_MAX 64u
#define ENROLL_RECENT_S   120
struct enroll_recent {
    struct {
        struct name name;
        int64_t until_s;
    } row[ENROLL_RECENT_MAX];
};

/* What the decisions look at; all borrowed. */
struct enroll_world {
    const struct signer *signer; /* NULL: refuse with not_signer */
    struct token_book *book;
    struct enroll_recent *recent;
    const struct gossip *gossip;
    const struct seal_ring *ring;
    struct name mesh;
    struct mesh_id mesh_id;
    struct addr addr; /* ours */
    int64_t now_s;
};

/* Answers a join frame (request and MAC). `reply` and what it points to live in `scratch`. True:
 * granted; `q` is filled either way. A use of the token is taken, and stored, only when granted. */
struct enroll_scratch {
    struct x509_der leaf;
    uint8_t admission[ADMISSION_BYTES_MAX];
};
bool enroll_decide_join(const struct enroll_world *w, struct span frame, struct enroll_request *q,
                        struct enroll_reply *reply, struct enroll_scratch *scratch);

/* Signs leaves for `node` (its leaf's name and key, proven by TLS) that its admission grants;
 * `issued` leaves are DER in `arena`. True: granted (single leaves may still be empty). */
bool enroll_decide_issue(const struct enroll_world *w, const struct x509_leaf *peer,
                         const struct enroll_issue *q, struct arena *arena,
                         struct enroll_issued *issued);

#endif
