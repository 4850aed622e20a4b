/* The steps of an exchange, in the order of the table in exchange.h; called by exchange_run alone.
 *
 * Worker thread. Each leaves ex->step at the step that comes next: MORE runs it now, WAIT when an
 * event has come, DONE frees the exchange at the turn's end.
 */
#ifndef PROXY_HTTP_EXCHANGE_STEPS_H
#define PROXY_HTTP_EXCHANGE_STEPS_H

#include "proxy/http/exchange.h"

#define EXCHANGE_STEP_PROTOTYPE(step, function)                                                    \
    enum exchange_verdict exchange_steps_##function(struct exchange *ex);
EXCHANGE_STEPS(EXCHANGE_STEP_PROTOTYPE)
#undef EXCHANGE_STEP_PROTOTYPE

#endif
