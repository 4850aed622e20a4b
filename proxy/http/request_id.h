/* Request ids: 26 characters of Crockford's base32, as a ULID: 48 bits of wall-clock milliseconds,
 * 80 random bits.
 *
 *      01JD9CZ3K8 7M3QW0RT5V6XYZAB
 *      |- time -| |--- random ---|      sorts by time, unique without talking to anybody
 *
 * Any thread, pure.
 */
#ifndef PROXY_HTTP_REQUEST_ID_H
#define PROXY_HTTP_REQUEST_ID_H

#include "core/base/rng.h"
#include "core/base/span.h"

#define REQUEST_ID_BYTES 26u

/* Writes an id and a NUL. */
void request_id_make(uint64_t wall_us, struct rng *rng, char out[REQUEST_ID_BYTES + 1]);
/* Has it the form of one? What another parley sent is kept only then. */
bool request_id_valid(struct span s);

#endif
