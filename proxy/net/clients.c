#include "proxy/net/clients.h"

#include "core/base/bounded.h"

#define OWN_CELL          0
#define IP6_NETWORK_BYTES 8u /* RFC 4291 2.5.4: a host has all of a /64 */

void clients_init(struct clients *c, const struct hash_key *key)
{
    c->key = *key;
}

static bool is_of_this_host(const struct addr *a)
{
    return a->family == ADDR_NONE || addr_is_loopback(a);
}

static struct clients_cell *cell_of(struct clients *c, const struct addr *from)
{
    size_t len = from->family == ADDR_IP6 ? IP6_NETWORK_BYTES : 4;
    if (is_of_this_host(from)) return &c->cell[OWN_CELL];
    return &c->cell[1 + hash_bytes(&c->key, from->ip, len) % (CLIENTS_CELLS - 1)];
}

struct clients_cell *clients_enter(struct clients *c, const struct addr *from, uint32_t most,
                                   uint32_t most_each)
{
    struct clients_cell *cell = cell_of(c, from);
    bool limited = most_each > 0 && !is_of_this_host(from);
    if (!bounded_add(&c->open, most)) return NULL;
    if (bounded_add(&cell->open, limited ? most_each : UINT32_MAX)) return cell;
    bounded_subtract(&c->open);
    return NULL;
}

void clients_leave(struct clients *c, struct clients_cell *cell)
{
    bounded_subtract(&cell->open);
    bounded_subtract(&c->open);
}

_Atomic uint64_t *clients_floods(struct clients *c, struct clients_cell *cell)
{
    return cell == NULL || cell == &c->cell[OWN_CELL] ? NULL : &cell->floods_ms;
}

_Atomic uint32_t *clients_steps(struct clients *c, struct clients_cell *cell)
{
    return cell == NULL || cell == &c->cell[OWN_CELL] ? NULL : &cell->steps;
}

_Atomic uint32_t *clients_peer_steps(struct clients *c, const struct addr *peer)
{
    return c == NULL ? NULL : clients_steps(c, cell_of(c, peer));
}

uint32_t clients_room(const struct clients *c, uint32_t most)
{
    uint32_t open = atomic_load_explicit(&c->open, memory_order_relaxed);
    return open < most ? most - open : 0;
}
