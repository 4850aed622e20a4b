/* Idle exchanges: memory of those that ended, with the first chunk of its arena, for the next ones.
 *
 * Worker thread. struct context owns them, the one used last in front, so that those behind stay
 * idle when fewer are needed. What stays idle was for a peak: context_trim_later.
 */
#ifndef PROXY_HTTP_EXCHANGE_IDLE_H
#define PROXY_HTTP_EXCHANGE_IDLE_H

#include <stddef.h>

struct context;
struct exchange;

/* One of them, to be filled anew but for its arena, which is empty; NULL: there is none. */
struct exchange *exchange_idle_take(struct context *ctx);
/* One that has ended becomes idle. It is freed when there are many, memory is short or the worker
 * stops. */
void exchange_idle_put(struct context *ctx, struct exchange *take_ex);
/* Frees those that were not needed since the last call, the longest idle first, but for `kept`; how
 * many bytes. */
size_t exchange_idle_trim(struct context *ctx, size_t kept);
/* Frees all. For the worker's end. */
void exchange_idle_free(struct context *ctx);

#endif
