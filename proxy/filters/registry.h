/* Registry: the one list of filters and their order.
 *
 * Control thread, at snapshot build. Adding a filter is one file and one line in registry.c.
 */
#ifndef PROXY_FILTERS_REGISTRY_H
#define PROXY_FILTERS_REGISTRY_H

#include "proxy/filters/filter.h"

/* Compiles the chain of `config->direction` into `slot` and `*count`; what the slots point to lives
 * in `arena`. ERR_INVALID: a policy does not compile (said in `d`); ERR_NOMEM. On failure `*count`
 * is untouched. */
enum err registry_compile(const struct filter_config *config, struct arena *arena,
                          struct filter_slot slot[FILTERS_MAX], size_t *count,
                          struct diag *d) MUST_USE;

#endif
