/* Session of the sample application: one accepted connection and what it answers.
 *
 * Belongs to its loop's thread. HTTP: one request after the other, each perhaps after a call and a
 * delay; TCP: bytes come back as they are, to the end of both halves.
 *
 *   HEAD -> [CALL] -> [DELAY] -> BODY -> [STREAM] -> HEAD ...
 *                       `-> TUNNEL (upgrade, or --tcp from the start)
 */
#ifndef CMD_VERBS_TESTAPP_SESSION_H
#define CMD_VERBS_TESTAPP_SESSION_H

#include "cmd/verbs/testapp_call.h"

struct testapp_session_list {
    struct loop *loop;              /* borrowed, as all below */
    const char *name;               /* "served_by" */
    bool tcp;                       /* echo bytes */
    struct testapp_call_pool *call; /* NULL: answers by itself */
    struct list sessions;
    size_t count;
    bool ending; /* idle sessions are closed, others after their answer */
    void (*on_empty)(struct testapp_session_list *list); /* the last one went; may be NULL */
};

/* Takes an accepted descriptor, also on failure. ERR_NOMEM, ERR_FULL. */
enum err testapp_session_new(struct testapp_session_list *list, int take_fd) MUST_USE;
/* Sets `ending` and closes what is idle. */
void testapp_session_end_idle(struct testapp_session_list *list);
/* Aborts all of them. */
void testapp_session_abort_all(struct testapp_session_list *list);

#endif
