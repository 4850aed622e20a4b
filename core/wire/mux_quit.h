/* Streams that a client has given up, until their peer may be told so: its flood budget
 * (mux_flood.h) takes a reset right behind a request for an attack, and others' requests are on the
 * same connection.
 *
 *      given up -> PING, behind the request -> PONG: the peer has it -> MUX_QUIT_WAIT_MS -> reset
 *
 * That holds however long bytes take and whenever either side stalls. One PING is under way at a
 * time, for all that were given up before it; what comes later goes with the next. So PINGs are
 * rarer than the budget grows.
 *
 * Those that the peer ends meanwhile are not reset at all. No time is lost where it is known anyway
 * that the peer has had the request for so long: its answer came a while ago.
 *
 * One thread, that of the connection; no clock; of core/wire/mux and its codecs. Memory: a KiB of
 * the codec's allocator, while there are any.
 */
#ifndef CORE_WIRE_MUX_QUIT_H
#define CORE_WIRE_MUX_QUIT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/wire/mux_alloc.h"

/* What a parley lets its peer open; more are not waited for. */
#define MUX_QUIT_MAX 256u
/* Twice MUX_FLOOD_RAPID_MS: the clocks of both sides stand still for the length of a loop turn. */
#define MUX_QUIT_WAIT_MS 40u

struct mux_quit {
    struct mux_alloc *alloc; /* borrowed */
    int32_t *id;             /* owned, in the order given up; NULL: none */
    uint32_t count, asked;   /* streams; the first of them, for which a PING is under way */
    uint32_t pings, pongs;   /* ever, whoever asked; answers come in order */
    uint32_t ping;           /* the last PING that was ours, as counted by `pings` */
    uint64_t due_ms;         /* of those asked for; UINT64_MAX: not answered */
};

void mux_quit_init(struct mux_quit *q, struct mux_alloc *alloc);
void mux_quit_fini(struct mux_quit *q);
/* False: no room, or no memory. */
bool mux_quit_add(struct mux_quit *q, int32_t id);
bool mux_quit_has(const struct mux_quit *q, int32_t id);
/* The PING just made is for all that there are. */
void mux_quit_asked(struct mux_quit *q);
/* An answer came. False: nobody has asked. */
bool mux_quit_ponged(struct mux_quit *q, uint64_t now_ms);
/* Those asked for have been reset. */
void mux_quit_told(struct mux_quit *q);

#endif
