/* Shows of each rule that it fires on a small example that breaks it, and only there.
 *
 * One thread, owns nothing.
 */
#ifndef TESTS_TIDY_SELFTEST_H
#define TESTS_TIDY_SELFTEST_H

/* Prints TAP. `example` is the object of tests/tidy/example/globals.c. An exit code. */
int selftest_run(const char *example);

#endif
