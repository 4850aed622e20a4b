#include "cmd/verbs/demo_report.h"

#include "core/io/clock.h"

#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#define DOCUMENT_BYTES_MAX 16384u
#define LOG_LINES_SHOWN    20u
#define CLOCK_BYTES        16u

static const char *clock_text(char out[CLOCK_BYTES])
{
    time_t now = (time_t)clock_wall_s();
    struct tm tm;
    out[0] = 0;
    if (localtime_r(&now, &tm)) (void)strftime(out, CLOCK_BYTES, "%H:%M:%S", &tm);
    return out;
}

uint64_t demo_report_retried(const struct demo *d)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++)
        n += d->node[i].trace.retried;
    return n;
}

double demo_report_mtls_share(const struct demo *d)
{
    uint64_t crossing = 0, mtls = 0;
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++) {
        crossing += d->node[i].trace.crossing;
        mtls += d->node[i].trace.mtls;
    }
    return crossing > 0 ? (double)mtls / (double)crossing : -1;
}

bool demo_report_good(const struct demo *d)
{
    bool seen = !d->kill.done || d->kill.ejected;
    return !d->broken && d->all->requests > 0 && d->all->failed == 0 && seen &&
           demo_report_mtls_share(d) >= 1;
}

static uint64_t rss_kib_max(const struct demo *d)
{
    uint64_t max = 0;
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++)
        if (d->node[i].rss_kib_max > max) max = d->node[i].rss_kib_max;
    return max;
}

static double ready_ms_max(const struct demo *d)
{
    uint64_t max = 0;
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++)
        if (d->node[i].ready_us_max > max) max = d->node[i].ready_us_max;
    return (double)max / 1e3;
}

static uint64_t failed_since_kill(const struct demo *d)
{
    return d->all->failed - d->kill.failed_before;
}

/* --- while it runs --- */

void demo_report_started(const struct demo *d)
{
    if (d->ctx->json) return;
    printf("demo  3 nodes on 127.0.0.11-13, services web -> api -> db, %llu req/s   ready in %.0fms"
           "\n",
           (unsigned long long)d->rate, ready_ms_max(d));
    printf("try   parley members --socket demo.1   also: status, services, endpoints api"
           "%s\n",
           d->keys.loop ? "     keys: k kill n2  r revive n2  q quit" : "");
    fflush(stdout);
}

void demo_report_second(const struct demo *d)
{
    char now[CLOCK_BYTES];
    const struct testapp_tally *s = d->second;
    double share = demo_report_mtls_share(d);
    if (d->ctx->json || d->ctx->quiet) return;
    const char *sign = s->failed == 0 ? "ok" : s->failed < s->requests ? "!" : "x";
    printf("%s %-3s web -> api -> db  p99 %.1fms", clock_text(now), sign,
           testapp_tally_ms(s, 0.99));
    if (share >= 0) printf("  mTLS %.0f%%", share * 100);
    if (s->failed > 0) printf("  failed %llu", (unsigned long long)s->failed);
    putchar('\n');
    fflush(stdout);
}

static void say(const struct demo *d, const char *what)
{
    char now[CLOCK_BYTES];
    if (d->ctx->json) return;
    printf("%s     %s %s\n", clock_text(now), demo_node_name(DEMO_VICTIM), what);
    fflush(stdout);
}

void demo_report_killed(const struct demo *d)
{
    say(d, "killed (SIGKILL to its parley and its application)");
}

void demo_report_revived(const struct demo *d)
{
    say(d, "started again");
}

void demo_report_ejected(const struct demo *d)
{
    char text[160];
    snprintf(text, sizeof text,
             "ejected everywhere after %.1fs: %llu failed requests, %llu retried",
             (double)d->kill.ejected_ms / 1e3, (unsigned long long)failed_since_kill(d),
             (unsigned long long)(demo_report_retried(d) - d->kill.retried_before));
    say(d, text);
}

void demo_report_log(const char *path)
{
    char line[1024];
    unsigned lines = 0;
    FILE *f = fopen(path, "re");
    if (!f) return;
    while (fgets(line, sizeof line, f))
        lines++;
    rewind(f);
    for (unsigned i = 0; fgets(line, sizeof line, f); i++)
        if (i + LOG_LINES_SHOWN >= lines) fprintf(stderr, "  %s", line);
    fclose(f);
}

void demo_report_lost(const struct demo_node *n, const struct demo_child *lost)
{
    char log[DEMO_NODE_PATH_MAX], how[32];
    bool killed = WIFSIGNALED(lost->status);
    snprintf(how, sizeof how, "%s %d", killed ? "signal" : "exit code",
             killed ? WTERMSIG(lost->status) : WEXITSTATUS(lost->status));
    verb_fail(EXIT_FAILED, "demo: %s: %s %s (%s)", demo_node_name(n->number),
              lost == &n->up ? "parley" : "an application",
              lost->expected ? "did not end in order" : "has ended by itself", how);
    demo_report_log(demo_node_path(n, "log", log));
}

/* --- at the end --- */

static void key_f64(struct json *j, const char *key, double v)
{
    json_key(j, key);
    json_f64(j, v, 3);
}

static void kill_json(const struct demo *d, struct json *j)
{
    json_key(j, "kill");
    if (!d->kill.done) {
        json_null(j);
        return;
    }
    json_object(j);
    json_member_u64(j, "at_ms", d->kill.at_ms);
    json_key(j, "ejected_after_ms");
    if (d->kill.ejected)
        json_u64(j, d->kill.ejected_ms);
    else
        json_null(j);
    json_member_u64(j, "failed", failed_since_kill(d));
    json_object_end(j);
}

static void end_json(const struct demo *d)
{
    char storage[DOCUMENT_BYTES_MAX];
    struct strbuf text;
    struct json j;
    double share = demo_report_mtls_share(d);
    strbuf_init_fixed(&text, storage, sizeof storage);
    json_init(&j, &text);
    json_object(&j);
    json_member_cstr(&j, "schema", "parley.demo.v1");
    json_key(&j, "data");
    json_object(&j);
    json_member_u64(&j, "requests", d->all->requests);
    json_member_u64(&j, "failed", d->all->failed);
    json_key(&j, "mesh_errors");
    testapp_tally_reasons(d->all, &j);
    key_f64(&j, "p50_ms", testapp_tally_ms(d->all, 0.5));
    key_f64(&j, "p99_ms", testapp_tally_ms(d->all, 0.99));
    key_f64(&j, "mtls_share", share < 0 ? 0 : share);
    json_member_u64(&j, "rss_kib_max", rss_kib_max(d));
    key_f64(&j, "ready_ms_max", ready_ms_max(d));
    kill_json(d, &j);
    json_object_end(&j);
    json_object_end(&j);
    printf("%.*s\n", SPAN_ARG(strbuf_view(&text)));
}

void demo_report_end(const struct demo *d)
{
    double share = demo_report_mtls_share(d);
    if (d->ctx->json) {
        end_json(d);
        return;
    }
    testapp_tally_print(d->all, stdout);
    printf("nodes      ready in at most %.0fms  resident at most %llu KiB", ready_ms_max(d),
           (unsigned long long)rss_kib_max(d));
    if (share >= 0) printf("  mTLS %.1f%% of what crossed nodes", share * 100);
    putchar('\n');
}
