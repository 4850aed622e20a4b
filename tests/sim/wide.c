#include "tests/sim/wide.h"

#include "core/base/hash.h"
#include "tests/sim/world.h"

#include <math.h>
#include <stdlib.h>

#define ERRORS_MAX 200000u

static double share_of(uint32_t node, uint64_t what)
{
    return (double)(hash_mix((uint64_t)node << 8 | what) >> 11) / (double)(UINT64_C(1) << 53);
}

double wide_one_way_us(uint32_t a, uint32_t b)
{
    double x = (share_of(a, 1) - share_of(b, 1)) * WIDE_MS;
    double y = (share_of(a, 2) - share_of(b, 2)) * WIDE_MS;
    double lines = (share_of(a, 3) + share_of(b, 3)) * WIDE_LINE_MS;
    return (hypot(x, y) + lines) / 2 * 1000;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double wide_error(const struct world *w)
{
    double *off = calloc(ERRORS_MAX, sizeof(off[0]));
    size_t n = 0;
    if (off == NULL) return WIDE_UNMEASURED;
    for (uint32_t i = 0; i < w->options.nodes; i++) {
        struct gossip_member m;
        if (w->node[i].gossip == NULL) continue;
        for (size_t pos = 0; gossip_member_next(w->node[i].gossip, &pos, &m) && n < ERRORS_MAX;) {
            uint32_t other = world_by_id(w, &m.id);
            if (m.self || m.estimate_us == 0 || other == w->options.nodes) continue;
            double base = w->network.profile.base_us + w->network.profile.jitter_us;
            double truth = 2 * (wide_one_way_us(i, other) + base);
            off[n++] = fabs((double)m.estimate_us - truth) / truth;
        }
    }
    qsort(off, n, sizeof(off[0]), by_value);
    double half = n > 0 ? off[n / 2] : WIDE_UNMEASURED;
    free(off);
    return half;
}
