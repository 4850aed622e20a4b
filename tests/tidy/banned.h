/* Rules on calls: what no file may call, what protocol logic may not, and who may ask for more
 * than POSIX.
 *
 * One thread, owns nothing.
 */
#ifndef TESTS_TIDY_BANNED_H
#define TESTS_TIDY_BANNED_H

#include "tests/tidy/rule.h"
#include "tests/tidy/source.h"

/* Reports the calls of `s` that are not allowed where it lies. */
void banned_check(const struct source *s, struct rule_report *report);

#endif
