#include "tests/sim/report.h"

#include "core/wire/json.h"
#include "tests/sim/byzantine.h"

#include <math.h>
#include <stdio.h>

static const char *const series_key[] = {
#define SERIES_KEY(name, key, label) key,
    MEASURE_LIST(SERIES_KEY)
#undef SERIES_KEY
};

static const char *const series_label[] = {
#define SERIES_LABEL(name, key, label) label,
    MEASURE_LIST(SERIES_LABEL)
#undef SERIES_LABEL
};

bool report_init(struct report *r, const struct options *o)
{
    *r = (struct report){.options = *o};
    return measure_init(&r->total.measure, 0);
}

void report_fini(struct report *r)
{
    measure_fini(&r->total.measure);
}

static void add_series(struct measure_series *to, const struct measure_series *from)
{
    for (size_t i = 0; i < from->count; i++)
        measure_add(to, from->ms[i]);
}

void report_add(struct report *r, const struct scenario_result *one)
{
    struct scenario_result *t = &r->total;
    for (size_t i = 0; i < MEASURE_WHATS; i++)
        add_series(&t->measure.series[i], &one->measure.series[i]);
    t->measure.false_unreachable += one->measure.false_unreachable;
    t->measure.false_dead += one->measure.false_dead;
    t->measure.faulty_unreachable += one->measure.faulty_unreachable;
    t->measure.faulty_dead += one->measure.faulty_dead;
    t->measure.conflicts += one->measure.conflicts;
    t->measure.unnoticed += one->measure.unnoticed;
    t->measure.incidents += one->measure.incidents;
    /* One run: its hash as it is; more: folded in order. */
    t->trace_hash = r->runs == 0 ? one->trace_hash
                                 : (t->trace_hash ^ one->trace_hash) * UINT64_C(0x100000001b3);
    t->virtual_ms += one->virtual_ms;
    t->bootstrap_ms += one->bootstrap_ms;
    t->events += one->events;
    t->rumours_sent += one->rumours_sent;
    t->rumours_queued += one->rumours_queued;
    t->bytes_sent += one->bytes_sent;
    t->node_seconds += one->node_seconds;
    if (one->estimates_off > t->estimates_off || r->runs == 0)
        t->estimates_off = one->estimates_off; /* the worst */
    r->runs++;
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

static void json_series(struct json *j, const char *key, struct measure_series *s)
{
    json_key(j, key);
    json_object(j);
    json_key(j, "mean");
    json_f64(j, measure_mean(s), 1);
    json_key(j, "p50");
    json_f64(j, measure_quantile(s, 0.50), 1);
    json_key(j, "p99");
    json_f64(j, measure_quantile(s, 0.99), 1);
    json_key(j, "max");
    json_f64(j, measure_quantile(s, 1.0), 1);
    json_key(j, "count");
    json_u64(j, s->count);
    json_object_end(j);
}

static void json_count(struct json *j, const char *key, uint64_t v)
{
    json_key(j, key);
    json_u64(j, v);
}

static double idle_bytes(const struct report *r)
{
    if (r->options.run.scenario != SCENARIO_IDLE) return NAN;
    return share(r->total.bytes_sent, r->total.node_seconds);
}

void report_json(struct report *r, struct strbuf *out)
{
    struct json j;
    struct scenario_result *t = &r->total;
    char hash[17];
    (void)snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)t->trace_hash);
    json_init(&j, out);
    json_object(&j);
    json_key(&j, "schema");
    json_cstr(&j, "parley.sim.v1");
    json_key(&j, "data");
    json_object(&j);
    json_count(&j, "nodes", r->options.run.nodes);
    json_count(&j, "seed", r->options.run.seed);
    json_count(&j, "runs", r->runs);
    json_key(&j, "scenario");
    json_cstr(&j, scenario_word(r->options.run.scenario));
    json_key(&j, "number");
    json_cstr(&j, scenario_number(r->options.run.scenario));
    json_key(&j, "algorithm");
    json_cstr(&j, r->options.run.algorithm->word);
    json_key(&j, "trace_hash");
    json_cstr(&j, hash);
    json_count(&j, "virtual_ms", t->virtual_ms);
    json_count(&j, "wall_ms", r->wall_ms);
    json_count(&j, "events", t->events);
    json_key(&j, "bootstrap_ms");
    json_f64(&j, share((double)t->bootstrap_ms, r->runs), 1);
    for (size_t i = 0; i < MEASURE_WHATS; i++)
        json_series(&j, series_key[i], &t->measure.series[i]);
    json_count(&j, "incidents", t->measure.incidents);
    json_count(&j, "unnoticed", t->measure.unnoticed);
    json_count(&j, "false_unreachable", t->measure.false_unreachable);
    json_count(&j, "false_dead", t->measure.false_dead);
    json_count(&j, "faulty_unreachable", t->measure.faulty_unreachable);
    json_count(&j, "faulty_dead", t->measure.faulty_dead);
    json_count(&j, "conflicts", t->measure.conflicts);
    json_key(&j, "sends_per_rumour");
    json_f64(&j, share(t->rumours_sent, t->rumours_queued), 2);
    json_key(&j, "idle_bytes_per_s");
    json_f64(&j, idle_bytes(r), 1);
    json_key(&j, "bytes_per_s");
    json_f64(&j, share(t->bytes_sent, t->node_seconds), 1);
    json_object_end(&j);
    json_object_end(&j);
    strbuf_char(out, '\n');
}

static void row_number(struct strbuf *out, const char *label, double v, int decimals)
{
    if (isnan(v))
        strbuf_fmt(out, "%-22s -\n", label);
    else
        strbuf_fmt(out, "%-22s %.*f\n", label, decimals, v);
}

static void row_series(struct strbuf *out, const char *label, struct measure_series *s)
{
    strbuf_fmt(out, "%-22s mean %.0f ms, p50 %.0f ms, p99 %.0f ms (%zu)\n", label, measure_mean(s),
               measure_quantile(s, 0.50), measure_quantile(s, 0.99), s->count);
}

void report_table(struct report *r, struct strbuf *out)
{
    struct scenario_result *t = &r->total;
    const struct scenario_options *o = &r->options.run;
    strbuf_fmt(out, "%s, %s, %u nodes, seed %llu, %u run%s, loss %g %%\n", o->algorithm->word,
               scenario_word(o->scenario), o->nodes, (unsigned long long)o->seed, r->runs,
               r->runs == 1 ? "" : "s", o->loss * 100);
    strbuf_fmt(out, "%-22s %016llx\n", "trace hash", (unsigned long long)t->trace_hash);
    strbuf_fmt(out, "%-22s %.1f s in %.1f s (%llu events)\n", "virtual time",
               (double)t->virtual_ms / 1000, (double)r->wall_ms / 1000,
               (unsigned long long)t->events);
    row_number(out, "bootstrap ms", share((double)t->bootstrap_ms, r->runs), 0);
    for (size_t i = 0; i < MEASURE_WHATS; i++)
        if (t->measure.series[i].count > 0) row_series(out, series_label[i], &t->measure.series[i]);
    strbuf_fmt(out, "%-22s %llu unreachable, %llu dead\n", "false",
               (unsigned long long)t->measure.false_unreachable,
               (unsigned long long)t->measure.false_dead);
    strbuf_fmt(out, "%-22s %llu unreachable, %llu dead\n", "of faulty nodes",
               (unsigned long long)t->measure.faulty_unreachable,
               (unsigned long long)t->measure.faulty_dead);
    if (t->measure.conflicts > 0)
        strbuf_fmt(out, "%-22s %llu\n", "conflicts", (unsigned long long)t->measure.conflicts);
    row_number(out, "sends per rumour", share(t->rumours_sent, t->rumours_queued), 2);
    if (t->estimates_off >= 0) row_number(out, "rtt estimates off %", 100 * t->estimates_off, 1);
    row_number(out, "bytes/s a node", share(t->bytes_sent, t->node_seconds), 1);
}

void report_replay(const struct scenario_options *o, struct strbuf *out)
{
    static const char *const parts[] = {"", "halves", "tenth", "three"};
    strbuf_fmt(out, "build/parley-sim --nodes %u --seed %llu --scenario %s --for %.3fs --loss %g",
               o->nodes, (unsigned long long)o->seed, scenario_word(o->scenario),
               (double)o->for_ms / 1000, o->loss * 100);
    if (o->share > 0) strbuf_fmt(out, " --share %g", o->share * 100);
    if (o->pause_ms > 0) strbuf_fmt(out, " --pause %.3fs", (double)o->pause_ms / 1000);
    if (o->cut_ms > 0) strbuf_fmt(out, " --cut %.3fs", (double)o->cut_ms / 1000);
    if (o->parts != SCENARIO_CUT_ANY) strbuf_fmt(out, " --parts %s", parts[o->parts]);
    if (o->rate > 0) strbuf_fmt(out, " --rate %g", o->rate);
    if (o->attack > 0)
        strbuf_fmt(out, " --attack %s", byzantine_word((enum byzantine_kind)(o->attack - 1)));
    strbuf_fmt(out, " --algorithm %s%s\n", o->algorithm->word,
               o->real_crypto ? " --real-crypto" : "");
}
