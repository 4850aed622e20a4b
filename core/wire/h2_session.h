/* nghttp2 sessions as core/wire/h2 wants them: memory from its allocator, limits, first settings.
 *
 * One thread, that of the connection; of core/wire/h2 alone.
 */
#ifndef CORE_WIRE_H2_SESSION_H
#define CORE_WIRE_H2_SESSION_H

#include "core/wire/h2.h"

#include <nghttp2/nghttp2.h>

struct h2;

/* A session with `h` as the user data of its callbacks; settings are queued. The callbacks are
 * the caller's still. ERR_NOMEM. */
enum err h2_session_new(const struct mux_options *o, const nghttp2_session_callbacks *callbacks,
                        struct h2 *h, nghttp2_session **out) MUST_USE;

#endif
