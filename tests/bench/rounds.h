/* Rounds: how long one call takes, as the best of five rounds has it. What else runs on the machine
 * only ever adds, so the best is the nearest to the truth.
 *
 * One thread. `struct bench` is the benchmark's own.
 */
#ifndef TESTS_BENCH_ROUNDS_H
#define TESTS_BENCH_ROUNDS_H

struct bench;

/* Prints a line: `what`, and nanoseconds a call of `call`, which is made 5 * `calls` times. */
void rounds_report(const char *what, struct bench *b, void (*call)(struct bench *b),
                   unsigned calls);

#endif
