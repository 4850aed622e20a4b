#include "tests/sim/minimise.h"

#include "core/base/check.h"

#include <stdio.h>
#include <stdlib.h>

#define NODES_MIN 2u

struct search {
    struct script *best; /* the shortest that is known to fail */
    const struct minimise_options *o;
    struct minimise_result *out;
    char way[16]; /* how it must fail */
};

const char *minimise_by_run(const struct script *s, struct scenario_result *result)
{
    if (scenario_run_script(s, result) != ERR_OK) return NULL;
    const char *why = scenario_judge(&s->options, result);
    measure_fini(&result->measure);
    return why;
}

static void way_of(const char *message, char *out, size_t cap)
{
    struct span rest;
    struct span way = span_cut(span_str(message), ':', &rest);
    if (way.len >= cap) way.len = cap - 1;
    (void)span_to_cstr(way, out, cap);
}

/* Whether it fails in that way. One run. */
static bool still_fails(struct search *m, const struct script *s)
{
    struct scenario_result result;
    char way[sizeof(m->way)];
    if (m->out->runs >= m->o->runs_max) return false;
    m->out->runs++;
    const char *why = m->o->fails(s, &result);
    if (why == NULL) return false;
    way_of(why, way, sizeof(way));
    if (m->way[0] == '\0') memcpy(m->way, way, sizeof(way));
    if (strcmp(m->way, way) != 0) return false;
    (void)snprintf(m->out->message, sizeof(m->out->message), "%s", why);
    return true;
}

/* The best one without the faults [from, to). */
static void without(const struct script *s, size_t from, size_t to, struct script *out)
{
    script_init(out, &s->options);
    out->start = s->start;
    for (size_t i = 0; i < s->count; i++)
        if (i < from || i >= to) script_add(out, &s->fault[i]);
}

/* Takes over `s` if it still fails; else frees it. */
static bool take_if_fails(struct search *m, struct script *s)
{
    bool fails = still_fails(m, s);
    if (fails) {
        script_fini(m->best);
        *m->best = *s;
    } else {
        script_fini(s);
    }
    return fails;
}

static void fewer_faults(struct search *m)
{
    for (size_t chunk = (m->best->count + 1) / 2; chunk > 0 && m->best->count > 0;) {
        bool shorter = false;
        for (size_t at = 0; at < m->best->count;) {
            struct script s;
            without(m->best, at, at + chunk, &s);
            if (take_if_fails(m, &s))
                shorter = true; /* what was behind it is at `at` now */
            else
                at += chunk;
        }
        if (chunk == 1 && !shorter) break;
        if (!shorter) chunk /= 2;
        if (chunk > m->best->count) chunk = m->best->count;
    }
}

static void fewer_nodes(struct search *m)
{
    for (uint32_t step = m->best->options.nodes / 2; step > 0;) {
        struct script s;
        without(m->best, 0, 0, &s);
        bool can = s.options.nodes >= step + NODES_MIN;
        s.options.nodes -= can ? step : 0;
        if (!can) script_fini(&s);
        if (!can || !take_if_fails(m, &s)) step /= 2;
    }
}

static void less_time(struct search *m)
{
    struct script s;
    without(m->best, 0, 0, &s);
    uint64_t end_ms = script_end_us(&s) / 1000 + 1;
    if (end_ms >= s.options.for_ms) {
        script_fini(&s);
    } else {
        s.options.for_ms = end_ms;
        (void)take_if_fails(m, &s);
    }
    for (size_t i = 0; i < m->best->count; i++) {
        while (m->best->fault[i].for_us >= 2000) {
            without(m->best, 0, 0, &s);
            s.fault[i].for_us /= 2;
            s.fault[i].for_us -= s.fault[i].for_us % 1000;
            if (!take_if_fails(m, &s)) break;
        }
    }
}

bool minimise(struct script *s, const struct minimise_options *o, struct minimise_result *out)
{
    struct search m = {.best = s, .o = o, .out = out};
    *out = (struct minimise_result){0};
    if (!still_fails(&m, s)) return false;
    size_t before;
    do {
        before = m.best->count + m.best->options.nodes;
        fewer_faults(&m);
        fewer_nodes(&m);
    } while (m.best->count + m.best->options.nodes < before && out->runs < o->runs_max);
    less_time(&m);
    return true;
}
