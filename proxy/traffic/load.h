/* Load stamps: how the receiving side tells the calling side how busy its application is.
 *
 * Any thread, no allocation. `parley-load: N` on every response of a mesh link: the requests that
 * wait for the application on that host, rounded down to one of few steps:
 *
 *   0 1 2 .. 15 | 16 20 24 28 | 32 40 48 56 | 64 80 .. | .. 65536
 *
 * so that the text is static and HPACK soon has each of them in its table: a byte a response. A
 * step is at most a quarter, less than two draws can tell apart.
 */
#ifndef PROXY_TRAFFIC_LOAD_H
#define PROXY_TRAFFIC_LOAD_H

#include "core/base/span.h"

#define LOAD_MAX 65536u

/* The text for `waiting`; static. */
struct span load_stamp(uint64_t waiting);
/* False: not a number of at most LOAD_MAX. */
bool load_parse(struct span text, uint32_t *waiting);

#endif
