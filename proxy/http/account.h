/* Accounting: what an exchange leaves behind: gauges while it runs, then counts, histograms and one
 * access-log line.
 *
 * Worker thread. Never waits and never fails: a full log ring drops the line and counts it.
 */
#ifndef PROXY_HTTP_ACCOUNT_H
#define PROXY_HTTP_ACCOUNT_H

#include "proxy/http/exchange.h"

/* The service is known: the exchange is in flight. */
void account_begin(struct exchange *ex);
/* It waits for a place at its application, +1, or no longer, -1. */
void account_queued(struct exchange *ex, int delta);
/* It is over. Before the view is unpinned. */
void account_end(struct exchange *ex);

#endif
