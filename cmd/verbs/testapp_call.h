/* Calls: what the sample application asks of another one before it answers (--call).
 *
 * Belongs to its loop's thread. HTTP calls go over kept-alive connections, a TCP call is a
 * connection of its own: one line goes out and must come back.
 */
#ifndef CMD_VERBS_TESTAPP_CALL_H
#define CMD_VERBS_TESTAPP_CALL_H

#include "cmd/verbs/testapp_url.h"
#include "core/base/list.h"
#include "core/io/loop.h"

#define TESTAPP_CALL_TIMEOUT_MS   4000u /* less than a load waits for the whole */
#define TESTAPP_CALL_AT_ONCE_MAX  256u
#define TESTAPP_CALL_REASON_BYTES 64u

struct testapp_call_pool;
struct testapp_call_line;

struct testapp_call_end {
    bool failed;
    const char *how;    /* a word of testapp_client_word; "status" when the answer was no 2xx */
    struct span reason; /* the mesh's, "" when it was not the mesh; borrowed during the call */
};

/* One call, embedded by whoever waits for it; zero-initialise and set `on_done`. */
struct testapp_call {
    struct testapp_call_line *line; /* NULL: none in progress */
    /* Comes last. */
    void (*on_done)(struct testapp_call *call, const struct testapp_call_end *end);
};

/* ERR_NOMEM. `url` is borrowed. */
enum err testapp_call_pool_new(struct loop *l, const struct testapp_url *url,
                               struct testapp_call_pool **out) MUST_USE;
/* There must be no call in progress. NULL is fine. */
void testapp_call_pool_free(struct testapp_call_pool *pool);
/* Starts a call; on_done comes later, never in this call. ERR_FULL: TESTAPP_CALL_AT_ONCE_MAX are in
 * progress; ERR_NOMEM. */
enum err testapp_call_start(struct testapp_call_pool *pool, struct testapp_call *call) MUST_USE;
/* on_done does not come. No effect when none is in progress. */
void testapp_call_cancel(struct testapp_call *call);

#endif
