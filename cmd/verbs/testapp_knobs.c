#include "cmd/verbs/testapp_knobs.h"

static enum err read_number(struct span *rest, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t n;
    if (!span_u64(span_cut(*rest, '/', rest), &n) || n < min || n > max) return ERR_INVALID;
    *out = n;
    return ERR_OK;
}

/* One segment, and its number from `*rest`. What is no knob is part of the path and nothing else.
 */
static enum err read_segment(struct span segment, struct span *rest, struct testapp_knobs *k)
{
    uint64_t status = 0;
    enum err err = ERR_OK;
    if (span_eq_str(segment, "status")) {
        err = read_number(rest, 200, 599, &status);
        if (err == ERR_OK) k->status = (unsigned)status;
    } else if (span_eq_str(segment, "delay")) {
        err = read_number(rest, 0, TESTAPP_KNOBS_DELAY_MS_MAX, &k->delay_ms);
    } else if (span_eq_str(segment, "bytes")) {
        err = read_number(rest, 0, TESTAPP_KNOBS_BYTES_MAX, &k->bytes);
        k->stream = true;
    } else if (span_eq_str(segment, "echo")) {
        k->echo = true;
    } else if (span_eq_str(segment, "upgrade")) {
        k->upgrade = true;
    }
    return err;
}

enum err testapp_knobs_read(struct span target, struct testapp_knobs *out)
{
    struct testapp_knobs k = {.status = 200};
    struct span query, rest = span_cut(target, '?', &query);
    while (rest.len > 0) {
        struct span segment = span_cut(rest, '/', &rest);
        enum err err = read_segment(segment, &rest, &k);
        if (err != ERR_OK) return err;
    }
    *out = k;
    return ERR_OK;
}
