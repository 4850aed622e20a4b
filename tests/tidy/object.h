/* Rules on object files, read through nm: exported names and writable data.
 *
 * One thread. `nm --format=sysv` prints one symbol a line:
 *
 *   name  |value           |class|type   |size            |line|section
 *   err_text|0000000000000000|   T  | FUNC|0000000000000011|     |.text.err_text
 */
#ifndef TESTS_TIDY_OBJECT_H
#define TESTS_TIDY_OBJECT_H

#include "core/base/err.h"
#include "core/base/span.h"
#include "tests/tidy/rule.h"

/* Judges one line of nm's output for the object of source file `path`. True: it was a symbol. */
bool object_check_symbol(const char *path, struct span line, struct rule_report *report);
/* Runs nm on `object`, made from `path`. ERR_IO: no nm, no such object, or one without symbols. */
enum err object_check(const char *path, const char *object, struct rule_report *report) MUST_USE;

#endif
