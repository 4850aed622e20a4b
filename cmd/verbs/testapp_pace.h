/* Pace: an open-loop load. Requests become due at a fixed rate, whether or not the earlier ones
 * were answered; each is measured from the moment it was due, so that a server that stalls cannot
 * hide behind the client that waits for it ("coordinated omission").
 *
 *   due      t0    t0+p    t0+2p    t0+3p ...        p = 1 s / rate
 *   sent     when due, or when a connection is free again
 *   ended    answered, or failed; latency = ended - due
 *
 * Belongs to its loop's thread. A request that was not sent, or not answered, within
 * its time limit counts as timed out.
 */
#ifndef CMD_VERBS_TESTAPP_PACE_H
#define CMD_VERBS_TESTAPP_PACE_H

#include "cmd/verbs/testapp_client.h"
#include "cmd/verbs/testapp_url.h"

#define TESTAPP_PACE_TIMEOUT_MS      5000u
#define TESTAPP_PACE_CONNECTIONS_MAX 1024u
#define TESTAPP_PACE_RATE_MAX        100000u

struct testapp_pace;
struct testapp_pace_options {
    struct loop *loop;
    const struct testapp_url *url; /* http; borrowed */
    const char *method;            /* borrowed */
    uint64_t body_bytes;
    uint64_t rate;       /* a second; 1 to TESTAPP_PACE_RATE_MAX */
    uint64_t for_ms;     /* 0: until testapp_pace_stop */
    size_t connections;  /* 1 to TESTAPP_PACE_CONNECTIONS_MAX */
    uint64_t timeout_ms; /* of a request; 0: TESTAPP_PACE_TIMEOUT_MS */
    /* A request has ended, `latency_us` after it was due. */
    void (*on_result)(void *owner, const struct testapp_client_result *result, uint64_t latency_us);
    /* The last one has. May free the pace. */
    void (*on_done)(void *owner);
    void *owner;
};

/* How many requests are due after `elapsed_us`, the one at 0 included. */
uint64_t testapp_pace_due(uint64_t elapsed_us, uint64_t rate);
/* When request `n`, counted from 0, is due after the start. */
uint64_t testapp_pace_due_us(uint64_t n, uint64_t rate);

/* Starts at once. ERR_NOMEM; ERR_FULL, ERR_IO: no timer descriptor. */
enum err testapp_pace_new(const struct testapp_pace_options *o, struct testapp_pace **out) MUST_USE;
/* No more requests become due; on_done comes when those sent have ended, in this call when none is
 * out. */
void testapp_pace_stop(struct testapp_pace *p);
/* Drops what is in progress without results. NULL is fine. */
void testapp_pace_free(struct testapp_pace *p);

#endif
