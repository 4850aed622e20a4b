/* Chain: runs the filters of one exchange or session in order, and in reverse on the way back.
 *
 * Worker thread. Lives in the exchange; slots are borrowed from its pinned view, states come from
 * its arena (warm: no heap). Begin with chain_init, end with chain_finish, which calls every filter
 * that started and no other.
 *
 *   chain_init -> chain_request -> ( attempt -> chain_attempt_end )* -> chain_response ->
 * chain_finish chain_init -> chain_session -> ... -> chain_finish
 *
 * Verdicts: NEXT goes on; REPLY means that the mesh answers with ctx.reason; ABORT that the
 * connection or stream ends; RETRY (from chain_attempt_end alone) that the exchange may go back to
 * the pick. After any of them ctx.reason, ctx.rule, ctx.verdict and ctx.layer say who decided what;
 * they are static or live in the snapshot.
 */
#ifndef PROXY_FILTERS_CHAIN_H
#define PROXY_FILTERS_CHAIN_H

#include "proxy/filters/filter.h"

struct chain {
    const struct filter_slot *slot; /* borrowed */
    size_t count;
    size_t started; /* filters whose request or session call was made */
    void *state[FILTERS_MAX];
    struct filter_ctx ctx; /* conf and state are those of the filter that runs */
};

/* `arena` must outlive the chain; `client` too, or NULL. At most FILTERS_MAX slots. */
void chain_init(struct chain *c, const struct filter_slot *slot, size_t count,
                enum filter_direction direction, struct arena *arena, const struct addr *client);
/* L4, once a session and once more for every new snapshot (with a chain of its own). NEXT, or ABORT
 * with a reason; REASON_INTERNAL when the arena is exhausted. */
enum filter_verdict chain_session(struct chain *c, const struct filter_session *s, uint64_t now_ms);
/* NEXT, REPLY or ABORT; REPLY with REASON_INTERNAL when the arena is exhausted. */
enum filter_verdict chain_request(struct chain *c, struct request *req, uint64_t now_ms);
/* In reverse, filters that started only. NEXT, REPLY or ABORT. */
enum filter_verdict chain_response(struct chain *c, struct response *resp, uint64_t now_ms);
/* In reverse: RETRY when a filter wants another attempt, else NEXT or ABORT. */
enum filter_verdict chain_attempt_end(struct chain *c, const struct filter_attempt *a,
                                      uint64_t now_ms);
/* Every filter that started, in reverse; a second call does nothing. */
void chain_finish(struct chain *c, const struct filter_outcome *o, uint64_t now_ms);

#endif
