/* parley-sim: the gossip machines of a whole mesh in one process and in virtual time. */
#include "core/base/check.h"
#include "tests/sim/cases.h"
#include "tests/sim/options.h"
#include "tests/sim/report.h"

#include <stdio.h>
#include <time.h>

#define EXIT_BROKEN      1
#define EXIT_USAGE       2
#define BOOTSTRAP_MAX_MS 20000u /* gossip.md 4.3, of 2 000 nodes */
#define OUT_BYTES_MAX    65536u

/* The one real clock here: how long we took. */
static uint64_t wall_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void say_replay(const struct scenario_options *o, FILE *to, const char *before)
{
    char text[256];
    struct strbuf sb;
    strbuf_init_fixed(&sb, text, sizeof(text));
    report_replay(o, &sb);
    (void)fprintf(to, "%sreplay: %s", before, text);
}

/* What every case must show besides its invariants. NULL: all is well. */
static const char *judge(const struct scenario_options *o, const struct scenario_result *r)
{
    if (r->failed) return r->message;
    bool mild = o->loss <= 0.05 && o->scenario != SCENARIO_CHURN;
    if (mild && r->measure.false_dead > 0) return "a member that lived was declared dead";
    if (o->scenario == SCENARIO_BOOTSTRAP && r->bootstrap_ms > BOOTSTRAP_MAX_MS)
        return "not all knew all in time";
    return NULL;
}

/* One case, run twice: I16, the same seed gives the same trace. */
static bool self_test_case(uint32_t i)
{
    struct scenario_options o;
    struct scenario_result first, again;
    const char *why;
    (void)cases_get(i, &o, &why);
    const char *wrong = NULL;
    if (scenario_run(&o, &first) != ERR_OK || scenario_run(&o, &again) != ERR_OK) return false;
    wrong = judge(&o, &first);
    if (wrong == NULL && first.trace_hash != again.trace_hash)
        wrong = "I16: the same seed gave another trace";
    (void)printf("%sok %u - %s of %u nodes, seed %llu, loss %g %%%s%s\n", wrong ? "not " : "",
                 i + 1, scenario_word(o.scenario), o.nodes, (unsigned long long)o.seed,
                 o.loss * 100, why ? ": " : "", why ? why : "");
    if (wrong != NULL) {
        (void)printf("# %s\n", wrong);
        say_replay(&o, stdout, "# ");
    }
    (void)fflush(stdout);
    measure_fini(&first.measure);
    measure_fini(&again.measure);
    return wrong == NULL;
}

static int self_test(void)
{
    bool ok = true;
    (void)printf("1..%u\n", cases_count());
    for (uint32_t i = 0; i < cases_count(); i++)
        ok = self_test_case(i) && ok;
    return ok ? 0 : EXIT_BROKEN;
}

static int run(const struct options *o)
{
    struct report report;
    struct strbuf out;
    int status = 0;
    uint64_t start = wall_ms();
    report_init(&report, o);
    for (uint32_t i = 0; i < o->runs && status == 0; i++) {
        struct scenario_options one = o->run;
        struct scenario_result result;
        one.seed += i;
        if (scenario_run(&one, &result) != ERR_OK) {
            (void)fputs("parley-sim: out of memory\n", stderr);
            status = EXIT_BROKEN;
            break;
        }
        if (result.failed) {
            (void)fprintf(stderr, "parley-sim: %s\n", result.message);
            say_replay(&one, stderr, "");
            status = EXIT_BROKEN;
        }
        report_add(&report, &result);
        measure_fini(&result.measure);
    }
    report.wall_ms = wall_ms() - start;
    strbuf_init(&out, OUT_BYTES_MAX);
    if (o->json)
        report_json(&report, &out);
    else
        report_table(&report, &out);
    (void)fputs(out.p, stdout);
    strbuf_fini(&out);
    report_fini(&report);
    return status;
}

int main(int argc, char **argv)
{
    char text[256];
    struct strbuf error;
    struct options o;
    strbuf_init_fixed(&error, text, sizeof(text));
    if (!options_parse(argc, argv, &o, &error)) {
        (void)fprintf(stderr, "parley-sim: %s; parley-sim --help lists the flags\n", text);
        return EXIT_USAGE;
    }
    if (o.help) {
        (void)fputs(options_usage(), stdout);
        return 0;
    }
    return o.self_test ? self_test() : run(&o);
}
