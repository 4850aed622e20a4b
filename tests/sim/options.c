#include "tests/sim/options.h"

#include "core/base/err.h"
#include "tests/sim/world.h"

#define NODES_DEFAULT 100u
#define RUNS_MAX      10000u
#define FOR_MAX_MS    (UINT64_C(7) * 24 * 3600 * 1000)
#define LOSS_MAX      90.0

const char *options_usage(void)
{
    return "usage: parley-sim [--nodes N] [--seed S]\n"
           "                  [--scenario idle|crash|partition|churn|bootstrap]\n"
           "                  [--for TIME] [--loss PERCENT] [--runs N] [--json] [--real-crypto]\n"
           "                  [--algorithm parley|memberlist]\n"
           "       parley-sim --self-test\n"
           "\n"
           "Runs N gossip machines in virtual time, with a network that delays, loses, doubles\n"
           "and reorders. The same flags give the same trace hash.\n"
           "\n"
           "  --nodes N       2 to 10000 (100)\n"
           "  --seed S        any number (1)\n"
           "  --scenario W    what happens (idle); crash: now and then a node stops silently\n"
           "  --for TIME      how long it is watched once all nodes agree: 90s, 10m, 1h (2m)\n"
           "  --loss PERCENT  of datagrams and segments, each way (0)\n"
           "  --runs N        that many seeds, from S upwards; times are of all runs (1)\n"
           "  --json          one document, schema parley.sim.v1\n"
           "  --real-crypto   libsodium instead of cheap marks, for small worlds\n"
           "  --algorithm W   parley, or memberlist to compare with (parley)\n"
           "  --self-test     200 small worlds and the seeds that once failed; TAP\n"
           "\n"
           "Times are from the incident: first_unreachable and first_dead until the first node\n"
           "says so, all_know until the last live one has it unreachable. idle_bytes_per_s is a\n"
           "node's average: datagrams with IP and UDP headers, stream messages with TLS records.\n"
           "Exit: 0, 1 an invariant broke, 2 bad flags.\n";
}

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t v;
    if (!span_u64(span_str(text), &v) || v < min || v > max) return false;
    *out = v;
    return true;
}

static bool duration(const char *text, uint64_t *out_ms)
{
    struct span s = span_str(text);
    uint64_t unit, v;
    if (s.len < 2) return false;
    switch (s.p[s.len - 1]) {
    case 's':
        unit = 1000;
        break;
    case 'm':
        unit = 60000;
        break;
    case 'h':
        unit = 3600000;
        break;
    default:
        return false;
    }
    if (!span_u64(span_of(s.p, s.len - 1), &v) || v == 0 || v > FOR_MAX_MS / unit) return false;
    *out_ms = v * unit;
    return true;
}

/* "5" or "0.25"; of hundred. */
static bool percent(const char *text, double *out)
{
    struct span fraction;
    struct span whole = span_cut(span_str(text), '.', &fraction);
    uint64_t w, f = 0;
    double scale = 1;
    if (!span_u64(whole, &w) || fraction.len > 6) return false;
    if (fraction.p != NULL && !span_u64(fraction, &f)) return false;
    for (size_t i = 0; i < fraction.len; i++)
        scale *= 10;
    double v = (double)w + (double)f / scale;
    if (v > LOSS_MAX) return false;
    *out = v / 100;
    return true;
}

static bool take_value(struct options *o, const char *flag, const char *value)
{
    uint64_t v;
    if (strcmp(flag, "--nodes") == 0 && number(value, 2, WORLD_NODES_MAX, &v))
        o->run.nodes = (uint32_t)v;
    else if (strcmp(flag, "--runs") == 0 && number(value, 1, RUNS_MAX, &v))
        o->runs = (uint32_t)v;
    else if (strcmp(flag, "--seed") == 0)
        return number(value, 0, UINT64_MAX, &o->run.seed);
    else if (strcmp(flag, "--scenario") == 0)
        return scenario_parse(value, &o->run.scenario);
    else if (strcmp(flag, "--algorithm") == 0)
        return (o->run.algorithm = algorithm_parse(value)) != NULL;
    else if (strcmp(flag, "--for") == 0)
        return duration(value, &o->run.for_ms);
    else if (strcmp(flag, "--loss") == 0)
        return percent(value, &o->run.loss);
    else
        return false;
    return true;
}

bool options_parse(int argc, char *const *argv, struct options *out, struct strbuf *error)
{
    static const char *const valued[] = {"--nodes", "--runs", "--seed",     "--scenario",
                                         "--for",   "--loss", "--algorithm"};
    *out = (struct options){.run = {.nodes = NODES_DEFAULT,
                                    .seed = 1,
                                    .for_ms = 120000,
                                    .algorithm = algorithm_parley()},
                            .runs = 1};
    for (int i = 1; i < argc; i++) {
        const char *flag = argv[i];
        bool *sw = strcmp(flag, "--json") == 0          ? &out->json
                   : strcmp(flag, "--self-test") == 0   ? &out->self_test
                   : strcmp(flag, "--help") == 0        ? &out->help
                   : strcmp(flag, "--real-crypto") == 0 ? &out->run.real_crypto
                                                        : NULL;
        if (sw != NULL) {
            *sw = true;
            continue;
        }
        bool known = false;
        for (size_t k = 0; k < sizeof(valued) / sizeof(valued[0]); k++)
            known = known || strcmp(flag, valued[k]) == 0;
        if (!known)
            strbuf_fmt(error, "unknown flag \"%s\"", flag);
        else if (i + 1 == argc)
            strbuf_fmt(error, "%s wants a value", flag);
        else if (!take_value(out, flag, argv[++i]))
            strbuf_fmt(error, "%s does not take \"%s\"", flag, argv[i]);
        if (error->len > 0) return false;
    }
    return true;
}
