/* Knobs: what a request asks of the sample application, by its path.
 *
 * Any thread, pure. Segments are read from the left, in pairs where they take a number, and may be
 * combined: /delay/100/status/503.
 *
 *   /status/503    answer with this status, 200 to 599
 *   /delay/100     wait 100 ms first, at most a minute
 *   /bytes/65536   a body of so many bytes
 *   /echo          the request's body and trailers as they come
 *   /upgrade       101 to a request that asks for an upgrade, then its bytes
 *
 * Any other path is answered with a small JSON document.
 */
#ifndef CMD_VERBS_TESTAPP_KNOBS_H
#define CMD_VERBS_TESTAPP_KNOBS_H

#include "core/base/err.h"
#include "core/base/span.h"

#define TESTAPP_KNOBS_DELAY_MS_MAX 60000u
#define TESTAPP_KNOBS_BYTES_MAX    (UINT64_C(1) << 40)

struct testapp_knobs {
    unsigned status;
    uint64_t delay_ms;
    uint64_t bytes;
    bool stream; /* /bytes was given */
    bool echo;
    bool upgrade;
};

/* Reads the path of `target`; its query is ignored. ERR_INVALID: a number is missing or out of
 * range; `*out` is untouched. */
enum err testapp_knobs_read(struct span target, struct testapp_knobs *out) MUST_USE;

#endif
