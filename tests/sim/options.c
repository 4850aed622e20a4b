#include "tests/sim/options.h"

#include "core/base/err.h"
#include "tests/sim/byzantine.h"
#include "tests/sim/world.h"

#define NODES_DEFAULT 100u
#define RUNS_MAX      10000u
#define FOR_MAX_MS    (UINT64_C(7) * 24 * 3600 * 1000)
#define LOSS_MAX      90.0
#define RATE_MAX      10000.0

const char *options_usage(void)
{
#define USAGE_SCENARIO(name, word, number, about) "  " word " " number ": " about "\n"
    return "usage: parley-sim [--nodes N] [--seed S] [--scenario WORD|NUMBER] [--for TIME]\n"
           "                  [--loss PERCENT] [--runs N] [--algorithm WORD] [--json]\n"
           "                  [--real-crypto] [parameters of the scenario]\n"
           "       parley-sim --schedule FILE [--json]\n"
           "       parley-sim --self-test\n"
           "\n"
           "Runs N gossip machines in virtual time, with a network that delays, loses, doubles\n"
           "and reorders. The same flags give the same trace hash.\n"
           "\n"
           "  --nodes N       2 to 10000 (100)\n"
           "  --seed S        any number (1)\n"
           "  --scenario W    what happens (idle), see below\n"
           "  --for TIME      how long it goes on once all nodes agree: 90s, 10m, 1h (2m)\n"
           "  --loss PERCENT  of datagrams and segments, each way (0)\n"
           "  --runs N        that many seeds, from S upwards; times are of all runs (1)\n"
           "  --algorithm W   parley, or memberlist to compare with (parley)\n"
           "  --json          one document, schema parley.sim.v1\n"
           "  --real-crypto   libsodium instead of cheap marks, for small worlds\n"
           "  --judge         what the self test demands of a scenario is an invariant too\n"
           "  --print         the schedule of faults instead of running it\n"
           "  --schedule FILE runs a schedule that was printed\n"
           "  --self-test     200 small worlds and what once failed; TAP\n"
           "\n"
           "Scenarios:\n" SCENARIO_LIST(
               USAGE_SCENARIO) "\n"
                               "Their parameters, for those that know them:\n"
                               "  --share PERCENT of the nodes that are faulty, at least one\n"
                               "  --pause TIME    the longest\n"
                               "  --cut TIME      how long one lasts (20s)\n"
                               "  --parts W       any, halves, tenth or three (any)\n"
                               "  --rate N        changes a second\n"
                               "  --attack W      forge, replay, accuse, flood, future, stale, lie "
                               "or all (all)\n"
                               "\n"
                               "Times are from the incident: first_unreachable and first_dead "
                               "until the first node\n"
                               "says so, all_know until the last live one has it unreachable; "
                               "settle and heal until\n"
                               "all views are equal again. bytes_per_s is a node's average: "
                               "datagrams with IP and UDP\n"
                               "headers, stream messages with TLS records. False events are about "
                               "nodes that run, are\n"
                               "well and can be reached; those about faulty ones are counted "
                               "apart, but to be taken\n"
                               "for dead in a pause of at most 8 s is false.\n"
                               "An invariant that breaks is said with the command that replays it "
                               "and the shortest\n"
                               "schedule that still breaks it.\n"
                               "Exit: 0, 1 an invariant broke, 2 bad flags.\n";
#undef USAGE_SCENARIO
}

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t v;
    if (!span_u64(span_str(text), &v) || v < min || v > max) return false;
    *out = v;
    return true;
}

/* "5" or "0.25", up to six decimals. */
static bool decimal(struct span s, double max, double *out)
{
    struct span fraction;
    struct span whole = span_cut(s, '.', &fraction);
    uint64_t w, f = 0;
    double scale = 1;
    if (!span_u64(whole, &w) || fraction.len > 6) return false;
    if (fraction.p != NULL && !span_u64(fraction, &f)) return false;
    for (size_t i = 0; i < fraction.len; i++)
        scale *= 10;
    double v = (double)w + (double)f / scale;
    if (v > max) return false;
    *out = v;
    return true;
}

static bool duration(const char *text, uint64_t *out_ms)
{
    struct span s = span_str(text);
    double unit, v;
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
    if (!decimal(span_of(s.p, s.len - 1), (double)FOR_MAX_MS / unit, &v) || v == 0) return false;
    *out_ms = (uint64_t)(v * unit + 0.5);
    return true;
}

/* Of hundred. */
static bool percent(const char *text, double max, double *out)
{
    double v;
    if (!decimal(span_str(text), max, &v)) return false;
    *out = v / 100;
    return true;
}

static bool parts(const char *text, enum scenario_cut *out)
{
    static const char *const word[] = {"any", "halves", "tenth", "three"};
    for (unsigned i = 0; i < sizeof(word) / sizeof(word[0]); i++) {
        if (strcmp(text, word[i]) != 0) continue;
        *out = (enum scenario_cut)i;
        return true;
    }
    return false;
}

static bool attack(const char *text, uint32_t *out)
{
    for (unsigned i = 0; byzantine_word((enum byzantine_kind)i) != NULL; i++) {
        if (strcmp(text, byzantine_word((enum byzantine_kind)i)) != 0) continue;
        *out = i + 1;
        return true;
    }
    return false;
}

/* What only some scenarios look at. */
static bool take_parameter(struct scenario_options *o, const char *flag, const char *value)
{
    if (strcmp(flag, "--share") == 0) return percent(value, 100, &o->share);
    if (strcmp(flag, "--pause") == 0) return duration(value, &o->pause_ms);
    if (strcmp(flag, "--cut") == 0) return duration(value, &o->cut_ms);
    if (strcmp(flag, "--parts") == 0) return parts(value, &o->parts);
    if (strcmp(flag, "--rate") == 0) return decimal(span_str(value), RATE_MAX, &o->rate);
    return strcmp(flag, "--attack") == 0 && attack(value, &o->attack);
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
        return percent(value, LOSS_MAX, &o->run.loss);
    else if (strcmp(flag, "--schedule") == 0)
        o->schedule = value;
    else
        return take_parameter(&o->run, flag, value);
    return true;
}

bool options_parse(int argc, char *const *argv, struct options *out, struct strbuf *error)
{
    static const char *const valued[] = {
        "--nodes",    "--runs",  "--seed",  "--scenario", "--for",   "--loss", "--algorithm",
        "--schedule", "--share", "--pause", "--cut",      "--parts", "--rate", "--attack"};
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
                   : strcmp(flag, "--print") == 0       ? &out->print
                   : strcmp(flag, "--judge") == 0       ? &out->judge
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
    if (scenario_concerns(out->run.scenario, out->run.algorithm)) return true;
    strbuf_fmt(error, "%s says nothing of %s", scenario_word(out->run.scenario),
               out->run.algorithm->word);
    return false;
}
