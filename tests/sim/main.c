/* parley-sim: the gossip machines of a whole mesh in one process and in virtual time. */
#include "tests/sim/bigpages.h"
#include "tests/sim/options.h"
#include "tests/sim/plan.h"
#include "tests/sim/report.h"
#include "tests/sim/selftest.h"

#include <stdio.h>
#include <time.h>

#define EXIT_BROKEN    1
#define EXIT_USAGE     2
#define TEXT_BYTES_MAX (16u * 1024 * 1024)

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

static void print_schedule(const struct script *s, FILE *to)
{
    struct strbuf text;
    strbuf_init(&text, TEXT_BYTES_MAX);
    script_write(s, &text);
    (void)fputs(text.p, to);
    strbuf_fini(&text);
}

/* One run into the report. False: it broke, and that has been said. */
static bool run_one(const struct script *s, const struct options *o, struct report *report)
{
    const char *path = o->schedule;
    struct scenario_result result;
    if (scenario_run_script(s, &result) != ERR_OK) {
        (void)fputs("parley-sim: out of memory\n", stderr);
        return false;
    }
    const char *wrong = result.failed ? result.message : NULL;
    if (o->judge) wrong = scenario_judge(&s->options, &result);
    bool ok = wrong == NULL;
    if (!ok) (void)fprintf(stderr, "parley-sim: %s\n", wrong);
    if (!ok && path == NULL) say_replay(&s->options, stderr, "");
    if (!ok && path != NULL)
        (void)fprintf(stderr, "replay: build/parley-sim --schedule %s\n", path);
    if (!ok) selftest_say_shortest(s, stderr, "");
    report_add(report, &result);
    measure_fini(&result.measure);
    return ok;
}

static int run(const struct options *o)
{
    struct report report;
    struct strbuf out;
    bool ok = true;
    uint64_t start = wall_ms();
    if (!report_init(&report, o)) return EXIT_BROKEN;
    for (uint32_t i = 0; i < o->runs && ok; i++) {
        struct script s;
        struct scenario_options one = o->run;
        one.seed += i;
        if (o->schedule == NULL)
            plan_make(&one, &s);
        else if (!selftest_load(o->schedule, &s))
            return EXIT_USAGE;
        report.options.run = s.options;
        report.options.run.seed -= i;
        if (o->print)
            print_schedule(&s, stdout);
        else
            ok = run_one(&s, o, &report);
        script_fini(&s);
    }
    report.wall_ms = wall_ms() - start;
    strbuf_init(&out, TEXT_BYTES_MAX);
    if (o->json)
        report_json(&report, &out);
    else
        report_table(&report, &out);
    if (!o->print) (void)fputs(out.p, stdout);
    strbuf_fini(&out);
    report_fini(&report);
    return ok ? 0 : EXIT_BROKEN;
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
    if (o.self_test) return selftest_run() ? 0 : EXIT_BROKEN;
    bigpages_prepare(o.run.nodes);
    return run(&o);
}
