/* Watch: where an agent would send a request for a service, asked over and over.
 *
 * Belongs to its loop's thread. Asks GET /v1/endpoints/SERVICE on the agent's admin socket, again
 * DEMO_WATCH_PERIOD_MS after each answer, without ever blocking the loop that the load runs on.
 */
#ifndef CMD_VERBS_DEMO_WATCH_H
#define CMD_VERBS_DEMO_WATCH_H

#include "cmd/verbs/testapp_client.h"

#define DEMO_WATCH_PERIOD_MS 20u

struct demo_watch {
    struct loop *loop;
    struct testapp_client *client; /* owned; NULL: never started */
    struct loop_timer again;
    bool running;
    bool answered;                  /* since it was started */
    unsigned up;                    /* bit N: node N is listed as up */
    void (*on_answer)(void *owner); /* may stop the watch */
    void *owner;
};

/* Starts asking the agent at `socket_path` for the service "api". `on_answer` and `owner` are set
 * by the caller. ERR_NOMEM, ERR_TOO_LARGE. */
enum err demo_watch_start(struct demo_watch *w, struct loop *l, const char *socket_path) MUST_USE;
void demo_watch_stop(struct demo_watch *w);

/* The `up` bits of an agent's document; false: it is none. */
bool demo_watch_read(struct span document, unsigned *up);

#endif
