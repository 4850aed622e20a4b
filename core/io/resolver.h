/* Resolver: host names to addresses, by c-ares on the loop. /etc/hosts first, then the servers of
 * /etc/resolv.conf; both are read afresh whenever no query is under way. Nothing of glibc's
 * resolver, which cannot be linked statically.
 *
 * Control thread, one loop. A query is embedded by its owner, zero-initialised, and stays in place
 * until on_done or resolver_cancel. Everything is bounded: RESOLVER_QUERIES_MAX at once,
 * RESOLVER_ADDRS_MAX addresses an answer (the first ones), about 5 s a query.
 */
#ifndef CORE_IO_RESOLVER_H
#define CORE_IO_RESOLVER_H

#include "core/io/loop.h"
#include "core/model/addr.h"

#define RESOLVER_QUERIES_MAX 64u
#define RESOLVER_ADDRS_MAX   8u
#define RESOLVER_HOST_MAX    253u /* RFC 1035 2.3.4, as text */

struct resolver;
struct resolver_job;

struct resolver_query {
    struct resolver_job *job; /* borrowed; NULL: not under way */
    /* Comes once, at a turn's end, never inside a resolver_ call; may start and cancel queries,
     * this one too. ERR_OK: 1 to RESOLVER_ADDRS_MAX addresses, valid during the call.
     * ERR_NOT_FOUND: no such name, or no address; ERR_INVALID: no possible name; ERR_TIMEOUT,
     * ERR_REFUSED, ERR_PROTOCOL, ERR_NOMEM, ERR_IO (the servers fail): keep the last good answer
     * and try later. */
    void (*on_done)(struct resolver_query *q, enum err err, const struct addr *addr, size_t count);
};

struct resolver_options {
    const struct addr *server; /* NULL: resolv.conf's; copied */
    size_t server_count;       /* at most 4 */
    unsigned timeout_ms;       /* the first try of a server, 0: 2000 */
    unsigned tries;            /* a server, 0: 2 */
};

/* `options` NULL: all defaults. ERR_NOMEM. */
enum err resolver_new(struct loop *loop, const struct resolver_options *options,
                      struct resolver **out) MUST_USE;
/* Queries under way end without on_done. NULL is fine. */
void resolver_free(struct resolver *r);

/* Resolves `host` (a name, or an address literal) to addresses with `port`. ERR_FULL: too many
 * under way; ERR_INVALID: no possible name; ERR_NOMEM, ERR_IO: no resolver could be set up. Then
 * on_done does not come. */
enum err resolver_start(struct resolver *r, struct resolver_query *q, struct span host,
                        uint16_t port) MUST_USE;
/* on_done will not come. No effect on a query that is not under way. */
void resolver_cancel(struct resolver_query *q);

#endif
