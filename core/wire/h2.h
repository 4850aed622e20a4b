/* HTTP/2 as a codec of mux.h: a thin shape over nghttp2 (RFC 9113, RFC 8441; security.md D, E).
 *
 * One thread. What the codec does is what mux.h says; GOAWAY(ENHANCE_YOUR_CALM) ends a flood, and
 * nghttp2's own limits stand behind ours.
 */
#ifndef CORE_WIRE_H2_H
#define CORE_WIRE_H2_H

#include "core/wire/mux.h"

/* Settings are queued. Owned by the caller, for mux_free. ERR_NOMEM. */
enum err h2_new(const struct mux_options *o, struct mux **out) MUST_USE;

#endif
