#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "cmd/table.h"

#define ROUND_MS  200u
#define SILENT_MS 1000u /* a round that is not answered */
#define MARGIN_MS 5000u

static void print_way(const char *label, const struct json_value *w)
{
    char min[32], avg[32], max[32], connect[32];
    uint64_t sent = json_read_u64(w, "sent", 0), received = json_read_u64(w, "received", 0);
    uint64_t connect_us = json_read_u64(w, "connect_us", 0);
    if (received == 0) {
        printf("%s  no answer to %llu: %.*s\n", label, (unsigned long long)sent,
               SPAN_ARG(json_read_str(w, "error", SPAN_LIT("-"))));
        return;
    }
    printf("%s  %llu/%llu answered, %.1f%% lost  min %s avg %s max %s", label,
           (unsigned long long)received, (unsigned long long)sent,
           (double)json_read_u64(w, "loss_permille", 0) / 10,
           table_duration(json_read_u64(w, "min_us", 0), min, sizeof min),
           table_duration(json_read_u64(w, "avg_us", 0), avg, sizeof avg),
           table_duration(json_read_u64(w, "max_us", 0), max, sizeof max));
    if (connect_us > 0) printf("  connect %s", table_duration(connect_us, connect, sizeof connect));
    putchar('\n');
}

static void print_answer(const struct json_value *d)
{
    const struct json_value *skew = json_read_get(d, "skew_ms");
    printf("%.*s  %.*s  %.*s\n", SPAN_ARG(json_read_str(d, "node", SPAN_LIT("-"))),
           SPAN_ARG(json_read_str(d, "address", SPAN_LIT("-"))),
           SPAN_ARG(json_read_str(d, "status", SPAN_LIT("-"))));
    print_way("udp", json_read_get(d, "udp"));
    print_way("tcp", json_read_get(d, "tcp"));
    if (skew != NULL && skew->text.len > 0 && !span_eq_str(skew->text, "null"))
        printf("clock  %.*sms ahead of this node's\n", SPAN_ARG(skew->text));
}

static bool answers(const struct json_value *d, const char *way)
{
    return json_read_u64(json_read_get(d, way), "received", 0) > 0;
}

enum verb_exit ping_run(struct verb_ctx *ctx)
{
    char name[256], path[320];
    uint64_t count = verb_number(ctx, "count", 4);
    uint64_t needs_ms = count * (ROUND_MS + SILENT_MS) + MARGIN_MS;
    if (!client_segment(ctx->arg[0], name, sizeof name))
        return verb_fail(EXIT_USAGE, "that is no name of a node");
    if (ctx->timeout_ms < needs_ms) ctx->timeout_ms = needs_ms;
    snprintf(path, sizeof path, "/v1/ping/%s?count=%llu", name, (unsigned long long)count);
    struct client_answer a;
    enum verb_exit code = client_call(ctx, "GET", path, (struct span){0}, &a);
    const struct json_value *d = a.doc ? json_read_get(a.doc, "data") : NULL;
    if (code == EXIT_DONE) {
        if (ctx->json)
            printf("%.*s", SPAN_ARG(strbuf_view(&a.body)));
        else if (!ctx->quiet)
            print_answer(d);
        if (!answers(d, "udp") || !answers(d, "tcp")) code = EXIT_NO;
    }
    client_answer_fini(&a);
    return code;
}
