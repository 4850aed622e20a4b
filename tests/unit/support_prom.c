#include "tests/unit/support_prom.h"

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct checker {
    struct map families, samples; /* names and sample texts seen */
    struct span family;           /* the one in progress */
    bool histogram, typed;
    struct span series; /* labels without le, of the histogram in progress */
    double bucket;      /* last cumulative count of it */
    bool inf;           /* its +Inf was seen: only _sum and _count may follow */
};

static void bad(struct span line, const char *why)
{
    fail_msg("%s: %.*s", why, SPAN_ARG(line));
}

static size_t name_len(struct span s)
{
    size_t i = 0;
    while (i < s.len) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
        if (!letter && (i == 0 || c < '0' || c > '9')) break;
        i++;
    }
    return i;
}

static void once(struct map *m, struct span key, struct span line)
{
    if (map_get(m, key) != NULL) bad(line, "twice");
    assert_int_equal(map_put(m, key, m), ERR_OK);
}

static void check_comment(struct checker *c, struct span line)
{
    struct span rest = span_skip(line, 7), name = span_of(rest.p, name_len(rest));
    if (span_starts(line, SPAN_LIT("# HELP "))) {
        if (c->family.len > 0 && !c->typed) bad(line, "the family before has no TYPE");
        once(&c->families, name, line);
        c->family = name;
        c->typed = c->histogram = false;
        return;
    }
    if (!span_starts(line, SPAN_LIT("# TYPE "))) bad(line, "neither HELP nor TYPE");
    if (c->typed || !span_eq(name, c->family)) bad(line, "TYPE without its HELP");
    struct span type = span_skip(rest, name.len + 1);
    c->typed = true;
    c->histogram = span_eq_str(type, "histogram");
    if (!c->histogram && !span_eq_str(type, "counter") && !span_eq_str(type, "gauge"))
        bad(line, "unknown type");
    bool total = name.len > 6 && span_eq_str(span_skip(name, name.len - 6), "_total");
    if (total != span_eq_str(type, "counter")) bad(line, "counters, and they alone, end in _total");
}

/* Past one label="value" of `rest`. */
static struct span check_label(struct span rest, struct span line)
{
    size_t len = name_len(rest), i = len + 2;
    if (len == 0 || rest.len < i || rest.p[len] != '=' || rest.p[len + 1] != '"')
        bad(line, "bad label");
    for (; i < rest.len && rest.p[i] != '"'; i++)
        if (rest.p[i] == '\\' && (++i == rest.len || strchr("\\\"n", rest.p[i]) == NULL))
            bad(line, "bad escape");
    if (i >= rest.len) bad(line, "label without an end");
    return span_skip(rest, i + 1);
}

/* The labels with their braces; empty when there are none. */
static struct span check_labels(struct span rest, struct span line)
{
    struct span at = span_skip(rest, 1);
    if (rest.len == 0 || rest.p[0] != '{') return span_of(rest.p, 0);
    for (;;) {
        at = check_label(at, line);
        if (at.len == 0 || (at.p[0] != ',' && at.p[0] != '}')) bad(line, "bad labels");
        at = span_skip(at, 1);
        if (at.p[-1] == '}') return span_of(rest.p, (size_t)(at.p - rest.p));
    }
}

static double number(struct span text, struct span line)
{
    char copy[64], *end;
    if (!span_to_cstr(text, copy, sizeof(copy)) || copy[0] == '\0') bad(line, "bad value");
    double v = strtod(copy, &end);
    if (*end != '\0') bad(line, "bad value");
    return v;
}

/* The labels of a bucket up to its le, which stands last. */
static struct span without_le(struct span labels, struct span line)
{
    static const char le[] = "le=\"";
    for (size_t i = labels.len; i-- > 0;)
        if (span_starts(span_skip(labels, i), SPAN_LIT(le))) return span_of(labels.p, i);
    bad(line, "bucket without le");
    return labels;
}

static void check_histogram(struct checker *c, struct span suffix, struct span labels, double v,
                            struct span line)
{
    if (span_eq_str(suffix, "_sum")) {
        if (!c->inf) bad(line, "_sum before +Inf");
        return;
    }
    if (span_eq_str(suffix, "_count")) {
        if (!c->inf || v < c->bucket || v > c->bucket) bad(line, "_count is not +Inf");
        c->inf = false;
        c->series = span_of(NULL, 0);
        return;
    }
    if (!span_eq_str(suffix, "_bucket")) bad(line, "not a sample of a histogram");
    struct span series = without_le(labels, line);
    if (c->series.p == NULL)
        c->bucket = 0;
    else if (!span_eq(series, c->series))
        bad(line, "histograms interleaved");
    if (v < c->bucket) bad(line, "not cumulative");
    c->series = series;
    c->bucket = v;
    c->inf = span_eq_str(span_skip(labels, series.len), "le=\"+Inf\"}");
}

static void check_sample(struct checker *c, struct span line)
{
    struct span name = span_of(line.p, name_len(line));
    struct span labels = check_labels(span_skip(line, name.len), line);
    struct span key = span_of(line.p, name.len + labels.len);
    struct span rest = span_skip(line, key.len);
    if (rest.len < 2 || rest.p[0] != ' ') bad(line, "no value");
    double v = number(span_skip(rest, 1), line);
    if (!c->typed || !span_starts(name, c->family)) bad(line, "outside its family");
    struct span suffix = span_skip(name, c->family.len);
    once(&c->samples, key, line);
    if (c->histogram)
        check_histogram(c, suffix, labels, v, line);
    else if (suffix.len > 0)
        bad(line, "outside its family");
}

size_t support_prom_check(struct span text)
{
    static const struct hash_key key = {{9}};
    struct checker c = {.typed = false};
    size_t samples = 0;
    map_init(&c.families, &key, 1000);
    map_init(&c.samples, &key, 1000000);
    if (text.len > 0 && text.p[text.len - 1] != '\n') fail_msg("no newline at the end");
    while (text.len > 0) {
        struct span line = span_cut(text, '\n', &text);
        if (line.len > 0 && line.p[0] == '#') {
            check_comment(&c, line);
        } else {
            check_sample(&c, line);
            samples++;
        }
    }
    if (c.series.p != NULL) fail_msg("a histogram has no _count");
    map_fini(&c.families);
    map_fini(&c.samples);
    return samples;
}

double support_prom_value(struct span text, const char *sample)
{
    struct span want = span_str(sample);
    while (text.len > 0) {
        struct span line = span_cut(text, '\n', &text);
        if (!span_starts(line, want) || line.len < want.len + 2 || line.p[want.len] != ' ')
            continue;
        return number(span_skip(line, want.len + 1), line);
    }
    return -1;
}
