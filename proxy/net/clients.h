/* Clients: who connects to this process, by address: how many connections each has, and what is
 * left of its flood budget, which a new connection does not renew, and what they hold for their
 * streams (security.md O, D02, D03).
 *
 *   cell   | open | floods_ms | steps |      at the keyed hash of an IPv4 address or an IPv6 /64
 *
 * One for all workers of a process, every word an atomic of its own, relaxed: nothing else is read
 * by way of it. Two clients in one cell share its limits. Clients of this host itself (loopback,
 * unix sockets) share a cell too and are counted, but have no limit of their own, and no budget:
 * one of them would use up that of all others.
 */
#ifndef PROXY_NET_CLIENTS_H
#define PROXY_NET_CLIENTS_H

#include <stdatomic.h>

#include "core/base/hash.h"
#include "core/model/addr.h"

#define CLIENTS_CELLS 4096u

struct clients_cell {
    _Atomic uint32_t open;
    _Atomic uint64_t floods_ms; /* of core/wire/mux_flood */
    _Atomic uint32_t steps;     /* of core/wire/mux_purse */
};

struct clients {
    struct hash_key key;
    _Atomic uint32_t open; /* in all */
    struct clients_cell cell[CLIENTS_CELLS];
};

/* Of all-zero storage; the key is any secret. */
void clients_init(struct clients *c, const struct hash_key *key);
/* One more connection of `from`: its cell, or NULL when there are `most` of all or `most_each`
 * (0: no limit) of it. */
struct clients_cell *clients_enter(struct clients *c, const struct addr *from, uint32_t most,
                                   uint32_t most_each);
void clients_leave(struct clients *c, struct clients_cell *cell);
/* What the floods of a client run down together (core/wire/mux_flood.h); NULL: nothing, or
 * `cell` is NULL. */
_Atomic uint64_t *clients_floods(struct clients *c, struct clients_cell *cell);
/* What its connections hold together (core/wire/mux_purse.h); NULL as above. */
_Atomic uint32_t *clients_steps(struct clients *c, struct clients_cell *cell);
/* The same of a peer that we connect to, one count with its own connections; `c` may be NULL. */
_Atomic uint32_t *clients_peer_steps(struct clients *c, const struct addr *peer);
/* How many more of all there may be. */
uint32_t clients_room(const struct clients *c, uint32_t most);

#endif
