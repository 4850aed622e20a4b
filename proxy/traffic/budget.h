/* Retry budget of one edge: retries are at most a share of the requests, or a few a second.
 *
 * One worker's thread; no clock. Credit in thousandths of a retry. Each request brings `percent` of
 * one; each second brings `floor`, which that second's requests pay back first, so that what counts
 * is the larger of the two and not their sum. Credit fades by a tenth a second: what was not used
 * for ten seconds is gone. Debt stays.
 */
#ifndef PROXY_TRAFFIC_BUDGET_H
#define PROXY_TRAFFIC_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_RETRY     1000   /* one retry */
#define BUDGET_FLOOR     3000u  /* a second, of all workers together */
#define BUDGET_DEBT_MOST -20000 /* charges go no deeper */

struct budget {
    int64_t credit;
    int64_t unpaid;     /* of this second's floor */
    uint64_t second_ms; /* its begin; 0: nothing happened yet */
};

/* A request begins: brings its share. `workers` share the floor. */
void budget_request(struct budget *b, uint32_t percent, uint32_t workers, uint64_t now_ms);
/* A retry that only credit allows. False: there is none; nothing is taken. */
bool budget_take(struct budget *b);
/* A retry that is made anyway: later ones pay for it. */
void budget_charge(struct budget *b);

#endif
