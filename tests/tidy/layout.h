/* Layout rules: sizes, columns, blanks, unfinished work, header blocks.
 *
 * One thread, owns nothing.
 */
#ifndef TESTS_TIDY_LAYOUT_H
#define TESTS_TIDY_LAYOUT_H

#include "tests/tidy/rule.h"
#include "tests/tidy/source.h"

/* Reports what `s` breaks of the rules on its layout. */
void layout_check(const struct source *s, struct rule_report *report);

#endif
