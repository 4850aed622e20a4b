#include "proxy/filters/registry.h"

#include "core/base/check.h"
#include "proxy/filters/authz.h"
#include "proxy/filters/filter_headers.h"
#include "proxy/filters/retry.h"

#include <assert.h>

struct registered {
    const struct filter_ops *ops;
    bool outbound, inbound;
};

/* Who may call is asked first, of the headers as they came; then the headers become ours; retry is
 * asked first when an attempt ends, for the way back is the reverse. */
static const struct registered filters[] = {
    {.ops = &authz_filter, .outbound = false, .inbound = true},
    {.ops = &filter_headers, .outbound = true, .inbound = true},
    {.ops = &retry_filter, .outbound = true, .inbound = false},
};

static_assert(ARRAY_LEN(filters) <= FILTERS_MAX, "a chain holds every filter");

enum err registry_compile(const struct filter_config *config, struct arena *arena,
                          struct filter_slot slot[FILTERS_MAX], size_t *count, struct diag *d)
{
    size_t used = 0;
    bool inbound = config->direction == DIRECTION_INBOUND;
    CHECK(inbound ? config->policy != NULL : config->retry != NULL);
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        const struct filter_ops *ops = filters[i].ops;
        if (!(inbound ? filters[i].inbound : filters[i].outbound)) continue;
        slot[used] = (struct filter_slot){.ops = ops};
        if (ops->compile != NULL) {
            enum err err = ops->compile(config, arena, &slot[used].conf, d);
            if (err != ERR_OK) return err;
        }
        used++;
    }
    *count = used;
    return ERR_OK;
}
