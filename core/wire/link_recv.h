/* Frames into a link. One thread, that of the connection; of core/wire/link* alone. */
#ifndef CORE_WIRE_LINK_RECV_H
#define CORE_WIRE_LINK_RECV_H

#include "core/wire/link_impl.h"

/* As mux.h has it. */
enum err link_recv_feed(struct mux *m, struct span in, uint64_t now_ms) MUST_USE;

#endif
