/* Mesh, questions: pings that `parley ping` and `parley netcheck` wait for, by gossip's events.
 *
 * Control thread. A question is known by its token until its answer has been taken; one that nobody
 * takes gives its place to a later one.
 */
#ifndef CMD_DAEMON_MESH_ASK_H
#define CMD_DAEMON_MESH_ASK_H

#include "gossip/event.h"

#define MESH_ASK_SLOTS 64u

struct mesh;

struct mesh_ask {
    uint32_t token; /* 0: free */
    bool answered;
    enum err err;
    uint32_t rtt_us, connect_us;
    bool has_skew;
    int64_t skew_ms;
};

struct mesh_ask_table {
    uint32_t token_next;
    size_t next; /* to be given away */
    struct mesh_ask slot[MESH_ASK_SLOTS];
};

struct mesh_ask_options {
    struct node_id node;
    bool by_stream;
    uint32_t bytes; /* of a datagram; 0: the shortest */
};

/* The event for a question, and its place. */
struct gossip_event mesh_ask_event(struct mesh_ask_table *t, const struct mesh_ask_options *o);
/* The effect. */
void mesh_ask_pong(struct mesh_ask_table *t, const struct gossip_effect *fx);
/* It did not even start. */
void mesh_ask_failed(struct mesh_ask_table *t, uint32_t token, enum err err);
/* The answer, which is forgotten with that; false: not yet, or the token is of no question. */
bool mesh_ask_take(struct mesh_ask_table *t, uint32_t token, struct mesh_ask *out);

#endif
