#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "cmd/table.h"

#define NEEDS_MS 60000u /* many silent peers, some at a time */

static void time_cell(struct table *t, const struct json_value *p, const char *works,
                      const char *rtt)
{
    char text[32];
    if (json_read_bool(p, works, false))
        table_cellf(t, "ok %s", table_duration(json_read_u64(p, rtt, 0), text, sizeof text));
    else
        table_cell(t, "x");
}

static void row(struct table *t, const struct json_value *p)
{
    const struct json_value *skew = json_read_get(p, "skew_ms");
    uint64_t bytes = json_read_u64(p, "datagram_bytes_max", 0);
    table_cellf(t, "%.*s", SPAN_ARG(json_read_str(p, "node", SPAN_LIT("-"))));
    table_cellf(t, "%.*s", SPAN_ARG(json_read_str(p, "address", SPAN_LIT("-"))));
    table_cellf(t, "%.*s", SPAN_ARG(json_read_str(p, "status", SPAN_LIT("-"))));
    time_cell(t, p, "udp", "udp_rtt_us");
    time_cell(t, p, "tcp", "tcp_rtt_us");
    if (bytes > 0)
        table_cellf(t, "%llu", (unsigned long long)bytes);
    else
        table_cell(t, "-");
    if (skew != NULL && skew->text.len > 0 && !span_eq_str(skew->text, "null"))
        table_cellf(t, "%.*sms", SPAN_ARG(skew->text));
    else
        table_cell(t, "-");
    table_cellf(t, "%.*s", SPAN_ARG(json_read_str(p, "version", SPAN_LIT("-"))));
}

static size_t print_findings(const struct json_value *list, bool quiet)
{
    size_t n = 0;
    for (const struct json_value *p = list ? list->child : NULL; p; p = p->next) {
        const struct json_value *all = json_read_get(p, "findings");
        for (const struct json_value *f = all ? all->child : NULL; f; f = f->next) {
            n++;
            if (quiet) continue;
            printf("x %.*s %.*s\n      try: %.*s\n",
                   SPAN_ARG(json_read_str(f, "id", SPAN_LIT("-"))),
                   SPAN_ARG(json_read_str(f, "text", SPAN_LIT("-"))),
                   SPAN_ARG(json_read_str(f, "hint", SPAN_LIT("-"))));
        }
    }
    return n;
}

static void print_answer(const struct json_value *list)
{
    static const char *const header[] = {"NODE", "ADDRESS",  "STATUS", "UDP",
                                         "TCP",  "DATAGRAM", "CLOCK",  "VERSION"};
    struct table t;
    table_init(&t, header, 8);
    for (const struct json_value *p = list ? list->child : NULL; p; p = p->next)
        row(&t, p);
    table_print(&t, stdout);
    table_fini(&t);
}

enum verb_exit netcheck_run(struct verb_ctx *ctx)
{
    char name[256], path[320] = "/v1/netcheck";
    if (ctx->arg_count > 0) {
        if (!client_segment(ctx->arg[0], name, sizeof name))
            return verb_fail(EXIT_USAGE, "that is no name of a node");
        snprintf(path, sizeof path, "/v1/netcheck?node=%s", name);
    }
    if (ctx->timeout_ms < NEEDS_MS) ctx->timeout_ms = NEEDS_MS;
    struct client_answer a;
    enum verb_exit code = client_call(ctx, "GET", path, (struct span){0}, &a);
    const struct json_value *list = a.doc ? json_read_get(a.doc, "data") : NULL;
    if (code == EXIT_DONE) {
        bool talk = !ctx->json && !ctx->quiet;
        if (ctx->json) printf("%.*s", SPAN_ARG(strbuf_view(&a.body)));
        if (talk) print_answer(list);
        if (print_findings(list, !talk) > 0) code = EXIT_NO;
    }
    client_answer_fini(&a);
    return code;
}
