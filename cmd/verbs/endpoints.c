#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "cmd/table.h"

/* Of the instance of this host, which is its to check. */
static void print_why(const struct json_value *list)
{
    for (const struct json_value *e = list ? list->child : NULL; e; e = e->next) {
        struct span why = json_read_str(e, "error", (struct span){0});
        if (why.len > 0)
            printf("!   %.*s: %.*s\n", SPAN_ARG(json_read_str(e, "node", SPAN_LIT("-"))),
                   SPAN_ARG(why));
    }
}

static enum verb_exit render(const struct verb_ctx *ctx, const struct json_value *doc)
{
    static const char *const header[] = {"NODE", "ADDRESS", "STATUS", "WEIGHT", "ZONE", "CIRCUIT"};
    const struct json_value *list = json_read_get(doc, "data");
    struct table t;
    (void)ctx;
    table_init(&t, header, 6);
    for (const struct json_value *e = list ? list->child : NULL; e; e = e->next) {
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(e, "node", SPAN_LIT("-"))));
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(e, "address", SPAN_LIT("-"))));
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(e, "status", SPAN_LIT("-"))));
        table_cellf(&t, "%llu", (unsigned long long)json_read_u64(e, "weight", 0));
        struct span zone = json_read_str(e, "zone", SPAN_LIT(""));
        table_cellf(&t, "%.*s", SPAN_ARG(zone.len > 0 ? zone : SPAN_LIT("-")));
        struct span cause = json_read_str(e, "circuit_cause", SPAN_LIT(""));
        table_cellf(&t, "%.*s%s%.*s", SPAN_ARG(json_read_str(e, "circuit", SPAN_LIT("-"))),
                    cause.len > 0 ? ": " : "", SPAN_ARG(cause));
    }
    table_print(&t, stdout);
    table_fini(&t);
    print_why(list);
    return EXIT_DONE;
}

enum verb_exit endpoints_run(struct verb_ctx *ctx)
{
    char name[256], path[320];
    if (!client_segment(ctx->arg[0], name, sizeof name))
        return verb_fail(EXIT_USAGE, "that is no service name");
    snprintf(path, sizeof path, "/v1/endpoints/%s", name);
    return client_show(ctx, path, render);
}
