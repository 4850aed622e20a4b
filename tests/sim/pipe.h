/* Streams of the simulated world: reliable, in order, and after a while reset when the network does
 * not let them through.
 *
 * Both ends are (node, id of the machine's). A dial takes two round trips (TCP, TLS); a crashed
 * host says nothing, a crashed process is refused.
 */
#ifndef TESTS_SIM_PIPE_H
#define TESTS_SIM_PIPE_H

#include "core/base/map.h"
#include "gossip/event.h"

#define PIPE_MAX            65536u
#define PIPE_RESET_US       UINT64_C(10000000)
#define PIPE_OVERHEAD_BYTES 33u /* length and TLS record of one message */

struct world;
struct world_event;

struct pipe_end {
    uint32_t key[2]; /* node, id: of the map */
    bool open;
    bool told;        /* its machine knows of the stream */
    uint64_t last_us; /* arrival of what was sent to it last */
};

struct pipe {
    struct pipe_end end[2]; /* 0 dialled */
    uint32_t in_flight;     /* events that point here */
    bool doomed;            /* reset is under way */
};

struct pipe_table {
    struct map by_end;
    uint32_t count;
};

void pipe_table_init(struct pipe_table *t);
void pipe_table_fini(struct pipe_table *t);
/* The effects STREAM_OPEN, STREAM_SEND, STREAM_CLOSE of node `from`. */
void pipe_dial(struct world *w, uint32_t from, const struct gossip_effect *e);
void pipe_send(struct world *w, uint32_t from, const struct gossip_effect *e);
void pipe_close(struct world *w, uint32_t from, uint32_t id);
/* A WORLD_STREAM event is due; it is freed. */
void pipe_event(struct world *w, struct world_event *e);
/* Frees such an event unseen. */
void pipe_discard(struct world *w, struct world_event *e);
/* The node is gone: its ends close; the others hear of it only if the host still speaks. */
void pipe_crash(struct world *w, uint32_t node, bool refuses);

#endif
