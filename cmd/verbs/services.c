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

/* Of the instances of this host, which are its to check. */
static void print_why(const struct json_value *list)
{
    for (const struct json_value *s = list ? list->child : NULL; s; s = s->next) {
        struct span why = json_read_str(s, "error", (struct span){0});
        if (why.len > 0)
            printf("!   %.*s here: %.*s\n", SPAN_ARG(json_read_str(s, "service", SPAN_LIT("-"))),
                   SPAN_ARG(why));
    }
}

/* "tcp", "tcp (learned)", "http (default)" */
static void protocol_cell(struct table *t, const struct json_value *s)
{
    struct span from = json_read_str(s, "protocol_from", SPAN_LIT("configured"));
    struct span protocol = json_read_str(s, "protocol", SPAN_LIT("-"));
    if (span_eq(from, SPAN_LIT("configured")))
        table_cellf(t, "%.*s", SPAN_ARG(protocol));
    else
        table_cellf(t, "%.*s (%.*s)", SPAN_ARG(protocol), SPAN_ARG(from));
}

static enum verb_exit render(const struct verb_ctx *ctx, const struct json_value *doc)
{
    static const char *const header[] = {"SERVICE", "PROTO", "ENDPOINTS", "HERE", "CALLED AT"};
    const struct json_value *list = json_read_get(doc, "data");
    struct table t;
    (void)ctx;
    table_init(&t, header, 5);
    for (const struct json_value *s = list ? list->child : NULL; s; s = s->next) {
        struct span name = json_read_str(s, "service", SPAN_LIT("-"));
        table_cellf(&t, "%.*s", SPAN_ARG(name));
        protocol_cell(&t, s);
        endpoints_cell(&t, s);
        table_cell(&t, json_read_bool(s, "here", false) ? "yes" : "-");
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(s, "listen", SPAN_LIT("-"))));
    }
    table_print(&t, stdout);
    table_fini(&t);
    print_why(list);
    return EXIT_DONE;
}

enum verb_exit services_run(struct verb_ctx *ctx)
{
    char name[256], path[320];
    if (ctx->arg_count == 0) return client_show(ctx, "/v1/services", render);
    if (!client_segment(ctx->arg[0], name, sizeof name))
        return verb_fail(EXIT_USAGE, "that is no service name");
    snprintf(path, sizeof path, "/v1/services?name=%s", name);
    return client_show(ctx, path, render);
}
