/* Authorization: a service's policy in matching form, judged on the inbound side (interface.md 2.4,
 * 3; security.md G).
 *
 * Compiled on the control thread into the snapshot's arena, judged by workers; allocates only when
 * a deny rule meets a path with escapes or parameters (the exchange's arena). Rules are ordered
 * deny first. A caller looks up once which rules name it; with those that name nobody they are
 * walked in order, so the first match is the verdict:
 *
 *   caller table, sorted      rules: | deny 0 | deny 1 | allow 2 | allow 3 | ...
 *   service web  -> {1, 3}    anyone: {0, 2}      web walks 0 1 2 3, others 0 2
 *
 * What is judged is the canonical path (wire/uri), the same bytes that are forwarded. An allow rule
 * needs an exact byte match. A deny rule also matches any reading of the path that servers are
 * known to make of it: escapes decoded, ";parameters" cut, a slash at the end added or lost (G01).
 *
 * No rule matched: the policy's default. AUDIT lets it pass as verdict "audit". A caller without an
 * identity is always denied. A session (TCP) is judged by its caller alone: a rule with a method or
 * a path never matches one.
 */
#ifndef PROXY_FILTERS_AUTHZ_H
#define PROXY_FILTERS_AUTHZ_H

#include "proxy/filters/filter.h"

/* compile: ERR_INVALID for a path that is not canonical, which no request could match (said in the
 * diag, with file and line); ERR_NOMEM. request: NEXT, or REPLY with REASON_DENIED_RULE,
 * REASON_DENIED_DEFAULT or REASON_INTERNAL. session: NEXT, or ABORT with the same. */
extern const struct filter_ops authz_filter;

#endif
