/* Keep-alive: how long an idle connection to an application may be used again.
 *
 * One worker's thread, a part of the application's endpoint_state; no clock. Whoever uses a
 * connection that its server is about to close loses a race, and only a request that may be
 * repeated survives that (RFC 9112 9.3.1). Two things are known of when the server closes:
 *
 *   what it says     Keep-Alive: timeout=N, on a response (RFC 2068 19.7.1.1) of the last minute
 *   what it did      the shortest rest after which it closed a connection; doubles each minute, so
 *                    that a restart, which closes all of them, is forgotten
 *
 * Of the shorter of the two a request that may be repeated uses three quarters, another one half;
 * where nothing is known, 4 s (Node closes after 5) and 1 s.
 */
#ifndef PROXY_TRAFFIC_KEEPALIVE_H
#define PROXY_TRAFFIC_KEEPALIVE_H

#include "core/base/span.h"

#define KEEPALIVE_UNKNOWN_MS 4000u
#define KEEPALIVE_RISKY_MS   1000u
#define KEEPALIVE_LEAST_MS   250u   /* who closes sooner ends, or is full: it says nothing */
#define KEEPALIVE_MOST_MS    60000u /* not longer, whatever is said */
#define KEEPALIVE_FADE_MS    60000u

struct keepalive {        /* zero-initialised: nothing is known */
    uint32_t said_ms;     /* 0: nothing */
    uint32_t closed_ms;   /* 0: never */
    uint64_t heard_ms;    /* when said_ms was */
    uint64_t observed_ms; /* when closed_ms was */
};

/* A response's Keep-Alive field; what is not understood changes nothing. */
void keepalive_said(struct keepalive *k, struct span field, uint64_t now_ms);
/* It closed a connection after a rest of so long. */
void keepalive_closed(struct keepalive *k, uint64_t rest_ms, uint64_t now_ms);
/* How long a connection may have rested for a request that may be repeated, or not. */
uint64_t keepalive_limit_ms(const struct keepalive *k, bool repeatable, uint64_t now_ms);

#endif
