/* Drain: what a new view means for what is in progress.
 *
 * Worker thread. Sessions hear of it (a draining host ends its mesh links gracefully and says
 * `connection: close` to applications), links of replaced identities drain, and tunnels (TCP
 * sessions, upgrades), which are judged once, are judged again: one that is denied now ends with
 * policy_changed. Other HTTP needs none of that: every request is judged by the newest view.
 */
#ifndef PROXY_NET_DRAIN_H
#define PROXY_NET_DRAIN_H

#include "proxy/net/context.h"

void drain_refresh(struct context *ctx);
/* Cuts the tunnels whose link has gone before them. For the worker's end. */
void drain_cut_tunnels(struct context *ctx);

#endif
