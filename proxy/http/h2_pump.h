/* HTTP/2 pump: moves what a codec (wire/mux.h) has to send to its connection, for either end of one
 * (h2_front.h, h2_back.h). Worker thread; holds nothing.
 */
#ifndef PROXY_HTTP_H2_PUMP_H
#define PROXY_HTTP_H2_PUMP_H

#include "core/io/conn.h"
#include "core/wire/mux.h"

/* Moves as much as the connection takes now, and stops above its low-water mark. A codec that
 * fails sets `failed`, and so may its on_write: then it stops too. */
void h2_pump_run(struct mux *mux, struct conn *c, bool *failed);

#endif
