#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "cmd/table.h"

static void print_view(const struct json_value *doc)
{
    const struct json_value *view = json_read_get(doc, "view");
    struct span hash = json_read_str(view, "hash", SPAN_LIT("-"));
    if (hash.len > 4) hash.len = 4;
    printf("view %.*s  agreed by %llu/%llu\n", SPAN_ARG(hash),
           (unsigned long long)json_read_u64(view, "agreeing", 0),
           (unsigned long long)json_read_u64(view, "alive", 0));
}

/* "4 ok", "3 stale": what it has judged of the mesh policy last. */
static void config_cell(struct table *t, const struct json_value *m)
{
    struct span word = json_read_str(m, "config", SPAN_LIT("-"));
    uint64_t gen = json_read_u64(m, "config_gen", 0);
    if (gen == 0)
        table_cellf(t, "%.*s", SPAN_ARG(word));
    else
        table_cellf(t, "%llu %.*s", (unsigned long long)gen, SPAN_ARG(word));
}

/* Why its state is what it is, where that is known. */
static const char *why(const struct json_value *m)
{
    if (json_read_bool(m, "lossy", false)) return " (lossy)";
    return json_read_bool(m, "not_from_here", false) ? " (not from here)" : "";
}

static void row(struct table *t, const struct json_value *m, bool wide)
{
    char text[64];
    struct span status = json_read_str(m, "status", SPAN_LIT("?"));
    bool self = json_read_bool(m, "self", false);
    uint64_t rtt = json_read_u64(m, "rtt_us", 0), since = json_read_u64(m, "since_s", 0);
    table_cellf(t, "%.*s", SPAN_ARG(json_read_str(m, "node", SPAN_LIT("-"))));
    table_cellf(t, "%.*s", SPAN_ARG(json_read_str(m, "address", SPAN_LIT("-"))));
    /* A draining member is an alive one: how long it has been that says nothing of the drain. */
    if (since == 0 || span_eq_str(status, "alive") || span_eq_str(status, "draining"))
        table_cellf(t, "%.*s%s", SPAN_ARG(status), why(m));
    else
        table_cellf(t, "%.*s %s%s", SPAN_ARG(status),
                    table_duration(since * 1000000, text, sizeof text), why(m));
    uint64_t estimate = json_read_u64(m, "estimate_us", 0);
    if (!self && rtt == 0 && estimate > 0)
        table_cellf(t, "~%s", table_duration(estimate, text, sizeof text));
    else
        table_cell(t, self ? "self" : rtt ? table_duration(rtt, text, sizeof text) : "-");
    table_cellf(t, "%.1f%%", (double)json_read_u64(m, "loss_permille", 0) / 10);
    table_cellf(t, "%.*s", SPAN_ARG(json_read_str(m, "version", SPAN_LIT("-"))));
    config_cell(t, m);
    if (wide) {
        table_cellf(t, "%.*s", SPAN_ARG(json_read_str(m, "zone", SPAN_LIT("-"))));
        table_cell(t, json_read_bool(m, "signer", false) ? "signer" : "-");
    }
    table_cell_list(t, json_read_get(m, "services"));
}

static enum verb_exit render(const struct verb_ctx *ctx, const struct json_value *doc)
{
    static const char *const header[] = {"NODE", "ADDRESS", "STATUS", "RTT",
                                         "LOSS", "VERSION", "CONFIG", "SERVICES"};
    static const char *const wide[] = {"NODE",    "ADDRESS", "STATUS", "RTT",  "LOSS",
                                       "VERSION", "CONFIG",  "ZONE",   "ROLE", "SERVICES"};
    const struct json_value *list = json_read_get(doc, "data");
    struct table t;
    if (!ctx->quiet) print_view(doc);
    table_init(&t, ctx->wide ? wide : header, ctx->wide ? 10 : 8);
    for (const struct json_value *m = list ? list->child : NULL; m; m = m->next)
        row(&t, m, ctx->wide);
    table_print(&t, stdout);
    table_fini(&t);
    return EXIT_DONE;
}

enum verb_exit members_run(struct verb_ctx *ctx)
{
    const char *only = verb_text(ctx, "status");
    char state[64], path[128];
    if (!only) return client_show(ctx, "/v1/members", render);
    if (!client_segment(only, state, sizeof state))
        return verb_fail(EXIT_USAGE, "that is no state of a member");
    snprintf(path, sizeof path, "/v1/members?status=%s", state);
    return client_show(ctx, path, render);
}
