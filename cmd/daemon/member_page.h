/* A page of members, by name: for requests that do something with each, some at a time.
 *
 * Control thread. Those who have left or are banned, whose name is not known yet, and we ourselves
 * are on no page. The page after NAME is the same wherever it is asked from, but for who comes and
 * goes meanwhile.
 */
#ifndef CMD_DAEMON_MEMBER_PAGE_H
#define CMD_DAEMON_MEMBER_PAGE_H

#include "gossip/gossip.h"

/* The first `cap` (at least 1) whose names come after `after` (empty: all), in `out`; how many.
 * `*left`: more than those come after it. */
size_t member_page_take(const struct gossip *g, struct span after, struct gossip_member *out,
                        size_t cap, size_t *left);

#endif
