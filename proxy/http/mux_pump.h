/* Pump: moves what a codec (wire/mux.h) has to send to its connection, for either end of one
 * (mux_front.h, mux_back.h). Worker thread; holds nothing.
 */
#ifndef PROXY_HTTP_MUX_PUMP_H
#define PROXY_HTTP_MUX_PUMP_H

#include "core/io/conn.h"
#include "core/wire/mux.h"

/* Moves as much as the connection takes now, and stops above its low-water mark. A codec that
 * fails sets `failed`, and so may its on_write: then it stops too. */
void mux_pump_run(struct mux *mux, struct conn *c, bool *failed);

#endif
