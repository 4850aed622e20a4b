/* Pacing: ends the exchange of a client that sends its request's body, or takes its response,
 * slower than [limits] min_rate (security.md O02, O03).
 *
 * A request's body of no announced length may be sparser, as events are, as long as some of it
 * comes in each window, memory is not short and half of [limits] connections is left.
 *
 * Worker thread. Looked at when the exchange's timer is due, so that a body which comes at once
 * costs nothing. Exempt is who has reason to be silent: TCP sessions, upgraded connections, gRPC
 * streams, a client that waits for 100 (Continue), and whoever we do not read from or have nothing
 * for.
 */
#ifndef PROXY_HTTP_PACING_H
#define PROXY_HTTP_PACING_H

#include "proxy/http/exchange.h"

/* Bytes of a body arrive as they are sent; */
#define PACING_REQUEST_MS 10000u
/* they leave in pieces of what the client's socket and ours have room for. */
#define PACING_RESPONSE_MS 60000u

/* When to look next; 0: nothing is waited for. */
uint64_t pacing_look_ms(const struct exchange *ex);
/* True: the client was too slow for a whole window. Else one goes on, or begins. */
bool pacing_slow(struct exchange *ex);

#endif
