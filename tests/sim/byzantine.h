/* The byzantine node: a member with valid keys that does what it likes (gossip.md 4.1, S15).
 *
 * Its machine goes on as an honest one would; besides, at a rate, the attacker sends packets of its
 * own making with the node's keys: signed by no one else, because it cannot.
 *
 *   FORGE   records, refutations and accusations in the names of others, signed with its own key
 *   REPLAY  datagrams seen on the wire of anyone, to whom they were for and to others
 *   ACCUSE  its own votes against everyone, and requests to confirm them
 *   FLOOD   pings, requests and its own ever newer record, 500 packets a second
 *   FUTURE  its own record with epochs just below and far above what a clock may be ahead
 *   STALE   old records of others as they once were, and old accusations
 *   LIE     REACHED for everyone, ACCUSED to everyone, answers to questions nobody asked
 *   ALL     all of these in turn
 *
 * One world, one thread.
 */
#ifndef TESTS_SIM_BYZANTINE_H
#define TESTS_SIM_BYZANTINE_H

#include "core/base/rng.h"
#include "core/base/span.h"
#include "core/model/addr.h"

#include <stdbool.h>

struct world;

enum byzantine_kind {
    BYZANTINE_FORGE,
    BYZANTINE_REPLAY,
    BYZANTINE_ACCUSE,
    BYZANTINE_FLOOD,
    BYZANTINE_FUTURE,
    BYZANTINE_STALE,
    BYZANTINE_LIE,
    BYZANTINE_ALL,
    BYZANTINE_KINDS
};

#define BYZANTINE_TAPES      64u
#define BYZANTINE_TAPE_BYTES 1472u

struct byzantine_tape {
    struct addr from;
    uint32_t to;
    size_t len;
    char data[BYZANTINE_TAPE_BYTES];
};

struct byzantine {
    struct world *world; /* borrowed */
    struct rng rng;
    bool active;
    uint32_t node;
    enum byzantine_kind kind;
    uint64_t due_us;
    uint64_t sent, turn;
    struct byzantine_tape *tape; /* owned: BYZANTINE_TAPES, the oldest is overwritten */
    uint64_t taped;
    struct old_record *old; /* owned: what the node knew of others when it turned bad */
    size_t old_count;
};

/* False: no memory. The world shows it every datagram from now on. */
bool byzantine_init(struct byzantine *b, struct world *w);
void byzantine_fini(struct byzantine *b);
/* Node `i` turns bad; only one at a time is. Anything from BYZANTINE_KINDS up means ALL. */
void byzantine_begin(struct byzantine *b, uint32_t i, enum byzantine_kind kind);
void byzantine_end(struct byzantine *b, uint32_t i);
/* UINT64_MAX: never. */
uint64_t byzantine_due_us(const struct byzantine *b);
/* Sends what is due. */
void byzantine_act(struct byzantine *b);
/* A datagram that arrives at `to`. */
void byzantine_see(struct byzantine *b, const struct addr *from, uint32_t to, struct span data);
/* The word of a kind; NULL past the last. */
const char *byzantine_word(enum byzantine_kind kind);

#endif
