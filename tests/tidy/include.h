/* Include rules: who may see whom (architecture.md 1), and which module wraps which library.
 *
 * One thread, owns nothing.
 *
 *   core/base <- core/model <- core/wire <- core/crypto <- core/io <- proxy
 *   core/base, core/model, core/wire/pack*, core/crypto/seal, core/crypto/sign <- gossip
 *   everything <- cmd; nobody sees cmd; tests see everything, nobody sees tests
 */
#ifndef TESTS_TIDY_INCLUDE_H
#define TESTS_TIDY_INCLUDE_H

#include "tests/tidy/rule.h"
#include "tests/tidy/source.h"

/* Reports the includes of `s` that break the law. */
void include_check(const struct source *s, struct rule_report *report);

#endif
