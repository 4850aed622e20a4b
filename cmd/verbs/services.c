#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "cmd/table.h"

static void endpoints_cell(struct table *t, const struct json_value *s)
{
    static const char *const words[] = {"up", "draining", "down", "unreachable"};
    char text[128];
    struct strbuf sb;
    strbuf_init_fixed(&sb, text, sizeof text);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t n = json_read_u64(s, words[i], 0);
        if (n > 0)
            strbuf_fmt(&sb, "%s%llu %s", sb.len > 0 ? " " : "", (unsigned long long)n, words[i]);
    }
    table_cell(t, text);
}

static enum verb_exit render(const struct verb_ctx *ctx, const struct json_value *doc)
{
    static const char *const header[] = {"SERVICE", "PROTO", "ENDPOINTS", "HERE", "CALLED AT"};
    const struct json_value *list = json_read_get(doc, "data");
    struct table t;
    bool found = false;
    table_init(&t, header, 5);
    for (const struct json_value *s = list ? list->child : NULL; s; s = s->next) {
        struct span name = json_read_str(s, "service", SPAN_LIT("-"));
        if (ctx->arg_count > 0 && !span_eq_str(name, ctx->arg[0])) continue;
        found = true;
        table_cellf(&t, "%.*s", SPAN_ARG(name));
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(s, "protocol", SPAN_LIT("-"))));
        endpoints_cell(&t, s);
        table_cell(&t, json_read_bool(s, "here", false) ? "yes" : "-");
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(s, "listen", SPAN_LIT("-"))));
    }
    if (found || ctx->arg_count == 0) table_print(&t, stdout);
    table_fini(&t);
    if (!found && ctx->arg_count > 0)
        return verb_fail(EXIT_FAILED, "no service \"%s\"; see: parley services", ctx->arg[0]);
    return EXIT_DONE;
}

enum verb_exit services_run(struct verb_ctx *ctx)
{
    return client_show(ctx, "/v1/services", render);
}
