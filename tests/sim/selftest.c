#include "tests/sim/selftest.h"

#include "tests/sim/cases.h"
#include "tests/sim/minimise.h"
#include "tests/sim/plan.h"
#include "tests/sim/report.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX (16u * 1024 * 1024)
#define FILES_MAX      256u
#define PATH_MAX_BYTES 256u
#define RUNS_TO_CUT    300u
#define RUNS_OF_BIG    40u
#define BIG            100u /* nodes */

struct files {
    size_t count;
    char path[FILES_MAX][PATH_MAX_BYTES];
};

bool selftest_load(const char *path, struct script *out)
{
    unsigned line = 0;
    char *text = malloc(TEXT_BYTES_MAX);
    FILE *f = fopen(path, "r");
    size_t len = text != NULL && f != NULL ? fread(text, 1, TEXT_BYTES_MAX, f) : 0;
    bool ok = f != NULL && !ferror(f) && len < TEXT_BYTES_MAX;
    if (f != NULL) (void)fclose(f);
    ok = ok && script_read(span_of(text, len), out, &line) == ERR_OK;
    free(text);
    if (!ok) (void)fprintf(stderr, "parley-sim: %s:%u: no schedule\n", path, line);
    return ok;
}

static void print_lines(const struct strbuf *text, FILE *to, const char *before)
{
    struct span rest = span_of(text->p, text->len);
    while (rest.len > 0) {
        struct span line = span_cut(rest, '\n', &rest);
        (void)fprintf(to, "%s%.*s\n", before, SPAN_ARG(line));
    }
}

void selftest_say_shortest(const struct script *s, FILE *to, const char *before)
{
    struct script copy;
    struct strbuf text;
    struct minimise_result how;
    script_init(&copy, &s->options);
    copy.start = s->start;
    for (size_t i = 0; i < s->count; i++)
        script_add(&copy, &s->fault[i]);
    struct minimise_options o = {.fails = minimise_by_run,
                                 .runs_max = s->options.nodes > BIG ? RUNS_OF_BIG : RUNS_TO_CUT};
    if (minimise(&copy, &o, &how)) {
        (void)fprintf(to, "%sthe shortest schedule that still fails, after %u runs: %s\n", before,
                      how.runs, how.message);
        strbuf_init(&text, TEXT_BYTES_MAX);
        script_write(&copy, &text);
        print_lines(&text, to, before);
        strbuf_fini(&text);
    }
    script_fini(&copy);
}

/* One test of the two runs of a script. */
static bool run_twice(uint32_t number, const char *name, const struct script *s)
{
    struct scenario_result first, again;
    if (scenario_run_script(s, &first) != ERR_OK) return false;
    if (scenario_run_script(s, &again) != ERR_OK) {
        measure_fini(&first.measure);
        return false;
    }
    const char *wrong = scenario_judge(&s->options, &first);
    if (wrong == NULL && first.trace_hash != again.trace_hash)
        wrong = "I16: the same seed gave another trace";
    (void)printf("%sok %u - %s\n", wrong != NULL ? "not " : "", number, name);
    if (wrong != NULL) (void)printf("# %s\n", wrong);
    (void)fflush(stdout);
    measure_fini(&first.measure);
    measure_fini(&again.measure);
    return wrong == NULL;
}

static bool run_case(uint32_t i)
{
    char text[512];
    struct strbuf name, replay;
    struct scenario_options o;
    struct script s;
    const char *why;
    (void)cases_get(i, &o, &why);
    plan_make(&o, &s);
    strbuf_init_fixed(&name, text, sizeof(text));
    strbuf_fmt(&name, "%s of %u nodes, seed %llu, loss %g %%", scenario_word(o.scenario), o.nodes,
               (unsigned long long)o.seed, o.loss * 100);
    if (why != NULL) strbuf_fmt(&name, ": %s", why);
    bool ok = run_twice(i + 1, text, &s);
    if (!ok) {
        strbuf_init_fixed(&replay, text, sizeof(text));
        report_replay(&o, &replay);
        (void)printf("# replay: %s", text);
        selftest_say_shortest(&s, stdout, "# ");
    }
    script_fini(&s);
    return ok;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* In the order of their names, so that the numbers are the same everywhere. */
static void find_schedules(struct files *out)
{
    DIR *dir = opendir(SELFTEST_SCHEDULES);
    struct dirent *entry;
    out->count = 0;
    while (dir != NULL && out->count < FILES_MAX && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        int len = snprintf(out->path[out->count], PATH_MAX_BYTES, "%s/%s", SELFTEST_SCHEDULES,
                           entry->d_name);
        out->count += len > 0 && (unsigned)len < PATH_MAX_BYTES;
    }
    if (dir != NULL) (void)closedir(dir);
    qsort(out->path, out->count, PATH_MAX_BYTES, by_name);
}

static bool run_schedule(uint32_t number, const char *path)
{
    struct script s;
    if (!selftest_load(path, &s)) {
        (void)printf("not ok %u - %s\n", number, path);
        return false;
    }
    bool ok = run_twice(number, path, &s);
    if (!ok) (void)printf("# replay: build/parley-sim --schedule %s\n", path);
    script_fini(&s);
    return ok;
}

bool selftest_run(void)
{
    struct files *files = malloc(sizeof(*files));
    bool ok = files != NULL;
    if (!ok) return false;
    find_schedules(files);
    uint32_t cases = cases_count();
    (void)printf("1..%zu\n", cases + files->count);
    for (uint32_t i = 0; i < cases; i++)
        ok = run_case(i) && ok;
    for (uint32_t i = 0; i < files->count; i++)
        ok = run_schedule(cases + i + 1, files->path[i]) && ok;
    free(files);
    return ok;
}
