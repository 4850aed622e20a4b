/* Prometheus text format 0.0.4 onto a strbuf: families, samples and histograms.
 *
 * Any thread. Owns nothing; a strbuf that is full says so by strbuf_ok. A family is written once,
 * all its samples behind it. Names come from the program and are CHECKed; label values may hold any
 * bytes and are escaped (backslash, quote, newline).
 *
 *   # HELP parley_requests_total Requests finished.
 *   # TYPE parley_requests_total counter
 *   parley_requests_total{direction="inbound",code="200"} 17
 */
#ifndef CORE_WIRE_PROM_H
#define CORE_WIRE_PROM_H

#include "core/base/strbuf.h"

enum prom_type { PROM_COUNTER, PROM_GAUGE, PROM_HISTOGRAM };

struct prom_label {
    const char *name;
    struct span value;
};

struct prom {
    struct strbuf *out; /* borrowed */
    const char *family; /* borrowed, until the next one */
    enum prom_type type;
};

/* Microseconds in, seconds out. bucket[i] counts values <= bound_us[i] and above the bound before;
 * bucket[bounds] counts the rest. */
struct prom_hist {
    const uint64_t *bound_us;
    const uint64_t *bucket; /* bounds + 1 of them */
    size_t bounds;
    uint64_t sum_us;
};

void prom_init(struct prom *p, struct strbuf *out);
/* Begins a family; `name` stays valid while its samples are written. `help` is one line. */
void prom_family(struct prom *p, const char *name, enum prom_type type, const char *help);
/* A sample of the counter or gauge begun last; `count` labels, 0 for none. */
void prom_u64(struct prom *p, const struct prom_label *label, size_t count, uint64_t v);
void prom_i64(struct prom *p, const struct prom_label *label, size_t count, int64_t v);
/* A sample of the histogram begun last: cumulative _bucket lines up to +Inf, _sum, _count. */
void prom_histogram(struct prom *p, const struct prom_label *label, size_t count,
                    const struct prom_hist *h);

#endif
