/* Token buckets: `rate` tokens a second, at most `burst` of them saved up.
 *
 * One owner. Time is an argument; whole tokens are kept with a millisecond remainder, so that
 * nothing is lost or made by rounding.
 */
#ifndef GOSSIP_BUCKET_H
#define GOSSIP_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    uint64_t rate; /* tokens a second */
    uint64_t burst;
    uint64_t level_milli; /* thousandths of a token */
    uint64_t at_ms;
};

/* Full at `now_ms`. */
void bucket_init(struct bucket *b, uint64_t rate, uint64_t burst, uint64_t now_ms);
/* Takes `tokens` if that many and `reserve` more are there. */
bool bucket_take(struct bucket *b, uint64_t now_ms, uint64_t tokens, uint64_t reserve);
/* When `tokens` will be there, if nobody takes any. */
uint64_t bucket_ready_ms(struct bucket *b, uint64_t now_ms, uint64_t tokens);

#endif
