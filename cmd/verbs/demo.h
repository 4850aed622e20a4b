/* The demo: three nodes and three services on this machine, a load that runs, and a node that dies
 * (interface.md 4).
 *
 *   load -> web (n1) -> [n1 => n2 or n3] -> api -> [n2 or n3 => n1] -> db      => mutual TLS
 *
 * Main thread of a command, one loop. demo.c takes and gives back what the demo needs, demo_setup
 * brings the mesh up, demo_play runs the load and the keys, demo_report says what came of it.
 */
#ifndef CMD_VERBS_DEMO_H
#define CMD_VERBS_DEMO_H

#include "cmd/verb.h"
#include "cmd/verbs/demo_keys.h"
#include "cmd/verbs/demo_node.h"
#include "cmd/verbs/demo_watch.h"
#include "cmd/verbs/testapp_pace.h"
#include "cmd/verbs/testapp_tally.h"

#define DEMO_VICTIM 2u /* the node that is killed */

enum demo_signal { DEMO_INT, DEMO_TERM, DEMO_HUP, DEMO_CHLD, DEMO_SIGNALS };
struct demo;
struct demo_signal_watch {
    struct loop_signal signal;
    struct demo *demo;
};

struct demo_kill {
    bool done;
    bool ejected;           /* no survivor lists it as up any more */
    uint64_t at_ms;         /* since the load began */
    uint64_t ejected_ms;    /* since the kill */
    uint64_t failed_before; /* requests that had failed by then */
    uint64_t retried_before;
};

struct demo {
    const struct verb_ctx *ctx; /* borrowed */
    uint64_t for_ms;            /* 0: until told to end */
    uint64_t kill_at_ms;        /* UINT64_MAX: never by itself */
    uint64_t rate;

    struct demo_folder folder;
    struct loop *loop;
    struct demo_signal_watch signal[DEMO_SIGNALS];
    struct demo_node node[DEMO_NODE_COUNT];
    unsigned node_count;                        /* made so far */
    struct demo_child command[DEMO_NODE_COUNT]; /* init, token create, join */
    struct demo_watch watch[DEMO_NODE_COUNT];

    struct testapp_url url;
    struct testapp_pace *pace;
    struct testapp_tally *all, *second; /* the whole run; since the last status line */
    struct demo_keys keys;
    struct loop_timer second_timer, kill_timer, last_timer;
    uint64_t load_ms; /* monotonic: the load began */
    struct demo_kill kill;

    int ended_by; /* signal; 0: none */
    bool ending;  /* no more requests; the last ones, and what is to be seen of a kill, come in */
    bool broken;  /* something that should run does not; it has been said */
};

#endif
